/**
 * The power-failure tests can fail: implementations with one wrong order each are found out, by
 * sequences that the real one passes.
 */
import { describe, expect, it } from '@jest/globals';
import { CrashFinding, Explorer, type ExploreLimits } from './explorer.js';
import { sampled } from '../fixtures/thoroughness.js';
import { FLAWS, type FlawedImplementation } from './flaws.js';
import { LOG_FLAWS } from './log-flaws.js';
import { SEQUENCES, programsOf, type Sequence } from './sequences.js';
import {
  MODES,
  SMALL_POOL,
  formatSmallPool,
  type Flaw,
  type Mode,
  type PoolShape,
} from './simulated-pool.js';

const LIMITS: ExploreLimits = {
  all: 128,
  singles: 32,
  pairs: 8,
  samples: 16,
  thorough: 0.5,
  chained: 0,
  depth: 1,
  states: Infinity,
};

/** Orders in which what is in flight together ends. */
const SEEDS = [1, 2, 3, 4];

/** @returns what was found, and after how many states; nothing if it was not found */
async function findOut(
  { sequence, flaw }: FlawedImplementation,
  mode: Mode,
): Promise<{ finding: CrashFinding; states: number } | undefined> {
  const { shape: special, ...rest }: Sequence = SEQUENCES[sequence];
  const shape: PoolShape = { ...SMALL_POOL, ...special, mode };
  const takeBack = flaw.begin?.();
  try {
    return await explore(shape, rest, flaw);
  } finally {
    takeBack?.();
  }
}

async function explore(
  shape: PoolShape,
  rest: Sequence,
  flaw: Flaw,
): Promise<{ finding: CrashFinding; states: number } | undefined> {
  let states = 0;
  for (const program of programsOf(rest)) {
    for (const seed of SEEDS) {
      const explorer = new Explorer({ shape, seed, limits: LIMITS, flaw });
      try {
        await explorer.explore(formatSmallPool(shape, seed), program);
      } catch (error) {
        if (!(error instanceof CrashFinding)) throw error;
        return { finding: error, states: states + explorer.states };
      }
      states += explorer.states;
    }
  }
  return undefined;
}

describe.each([...FLAWS, ...LOG_FLAWS].map((flawed) => [flawed.title, flawed] as const))(
  'that %s',
  (_title, flawed) => {
    for (const mode of sampled(
      1,
      flawed.modes.filter((mode) => MODES.includes(mode)),
    ))
      it(`is found out in mode ${mode}`, async () => {
        const found = await findOut(flawed, mode);
        expect(found?.finding).toBeInstanceOf(CrashFinding);
      });
  },
);
