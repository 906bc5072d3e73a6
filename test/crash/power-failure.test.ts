/**
 * Power failures at every moment of short sequences: every state that a medium may be left in is recovered by the real code, and has
 * what was acknowledged, nothing that was not asked for, and exact free space.
 */
import { describe, expect, it } from '@jest/globals';
import { Explorer, type ExploreLimits } from './explorer.js';
import { nativeAddon } from '../fixtures/needs.js';
import { SEQUENCES, programsOf, type Sequence } from './sequences.js';
import { MODES, SMALL_POOL, formatSmallPool, type Mode } from './simulated-pool.js';

const ALL_STATES: ExploreLimits = {
  all: 1024,
  singles: 64,
  pairs: 60,
  samples: 60,
  thorough: 0.1,
  chained: 0.005,
  depth: 2,
  states: Infinity,
};

const SAMPLE: ExploreLimits = { ...ALL_STATES, all: 64, singles: 12, pairs: 6, samples: 6, thorough: 0.02 };

/** Orders in which jobs in flight together end; on persistent memory hardly anything is in flight. */
const SEEDS: Record<Mode, readonly number[]> = { file: [1, 2], msync: [3, 4], pmem: [5] };

/** Together with those of the random programs 200,000. */
const FEWEST_STATES = 100_000;

let states = 0;
let pools = 0;

describe.each(MODES)('a power failure in mode %s', (mode) => {
  it.each(Object.entries<Sequence>(SEQUENCES))(
    'keeps what was acknowledged: %s',
    async (_, sequence) => {
      const { shape: special, isLarge = false } = sequence;
      const limits = isLarge ? SAMPLE : ALL_STATES;
      for (const syncWrites of isLarge ? [false] : [false, true]) {
        const shape = { ...SMALL_POOL, ...special, syncWrites, mode };
        for (const [place, program] of programsOf(sequence).entries()) {
          for (const seed of isLarge ? SEEDS[mode].slice(0, 1) : SEEDS[mode]) {
            const explorer = new Explorer({ shape, seed: 1000 * place + seed, limits });
            // Each pool has an ID of its own, so no state counts twice.
            await explorer.explore(formatSmallPool(shape, ++pools), program);
            states += explorer.states;
          }
        }
      }
    },
    300_000,
  );
});

nativeAddon.it('has been looked for in enough states', () => {
  expect(states).toBeGreaterThan(FEWEST_STATES);
});
