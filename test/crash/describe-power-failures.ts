/**
 * Power failures at every moment of short sequences: every state that a medium may be left in is
 * recovered by the real code, and has what was acknowledged, nothing that was not asked for, and
 * exact free space. How many states is for the caller to say.
 */
import { describe, expect, it } from '@jest/globals';
import { Explorer, type ExploreLimits } from './explorer.js';
import { nativeAddon } from '../fixtures/needs.js';
import { SEQUENCES, programsOf, type Sequence } from './sequences.js';
import { MODES, SMALL_POOL, formatSmallPool, type Mode } from './simulated-pool.js';

export interface PowerFailures {
  readonly limits: ExploreLimits;
  /** For sequences of many operations. */
  readonly limitsOfLarge: ExploreLimits;
  /** Orders in which jobs in flight together end. */
  readonly seeds: Record<Mode, readonly number[]>;
  /** All of them by default. */
  readonly modes?: readonly Mode[];
  /**
   * Whether each sequence in each mode is run with one of the two values of `sync_writes`, by
   * turns, instead of with both.
   */
  readonly alternates?: boolean;
  /**
   * Of the programs that differ in where they are killed, each one after so many; the whole
   * sequence is always among them.
   */
  readonly stride: number;
  /** That all modes together come to. */
  readonly fewestStates: number;
}

export function describePowerFailures({
  limits,
  limitsOfLarge,
  seeds,
  modes = MODES,
  alternates = false,
  stride,
  fewestStates,
}: PowerFailures): void {
  let states = 0;
  let pools = 0;

  for (const mode of MODES.filter((one) => modes.includes(one)))
    describe(`a power failure in mode ${mode}`, () => {
      const sequences = Object.entries<Sequence>(SEQUENCES).map(
        ([title, sequence], at) => [title, sequence, at] as const,
      );
      it.each(sequences)('keeps what was acknowledged: %s', async (_, sequence, at) => {
        const { shape: special, isLarge = false } = sequence;
        const both = alternates ? [(at + MODES.indexOf(mode)) % 2 === 1] : [false, true];
        for (const syncWrites of isLarge ? [false] : both) {
          const shape = { ...SMALL_POOL, ...special, syncWrites, mode };
          for (const [place, program] of programsOf(sequence).entries()) {
            if (place % stride !== 0) continue;
            for (const seed of isLarge ? seeds[mode].slice(0, 1) : seeds[mode]) {
              const explorer = new Explorer({
                shape,
                seed: 1000 * place + seed,
                limits: isLarge ? limitsOfLarge : limits,
              });
              // Each pool has an ID of its own, so no state counts twice.
              await explorer.explore(formatSmallPool(shape, ++pools), program);
              states += explorer.states;
            }
          }
        }
      });
    });

  nativeAddon.it('has been looked for in enough states', () => {
    expect(states).toBeGreaterThan(fewestStates);
  });
}

const LONG_LIMITS = {
  all: 64,
  singles: 16,
  pairs: 10,
  samples: 10,
  thorough: 0.05,
  chained: 0.005,
  depth: 2,
  states: Infinity,
};

/**
 * What takes minutes: every moment of the sequences, and where few writes are in flight every state
 * that they can leave.
 */
export function describeLongPowerFailures(modes: readonly Mode[], fewestStates: number): void {
  describePowerFailures({
    limits: LONG_LIMITS,
    limitsOfLarge: { ...LONG_LIMITS, all: 64, singles: 12, pairs: 6, samples: 6, thorough: 0.02 },
    seeds: { file: [1, 2], logged: [1, 2], msync: [3], pmem: [5] },
    modes,
    stride: 1,
    fewestStates,
  });
}
