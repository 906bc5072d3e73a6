/**
 * One random pool and random program, by its seed and number: the unit of `npm run crash`, which
 * can be run again alone.
 */
import { Explorer, type ExploreLimits } from './explorer.js';
import { randomProgram } from './program.js';
import { Random } from '../fixtures/random.js';
import { MODES, formatSmallPool, type PoolShape } from './simulated-pool.js';

const LIMITS: ExploreLimits = {
  all: 256,
  singles: 32,
  pairs: 16,
  samples: 32,
  thorough: 0.1,
  chained: 0.01,
  depth: 3,
  states: 20_000,
};

export interface EpisodeResult {
  /** Distinct ones. */
  readonly states: number;
  /** Of them, those in which names or changes of several places had a part. */
  readonly namedStates: number;
  readonly checks: number;
}

/** @param most states after which it ends early. @throws CrashFinding */
export async function runEpisode(seed: number, number: number, most: number): Promise<EpisodeResult> {
  const random = new Random(seed, number);
  const shape = randomShape(random, number);
  const program = randomProgram(random, { stages: 1 + random.below(5), operations: 12, prefix: 'r' });
  const limits = { ...LIMITS, states: Math.min(LIMITS.states, most) };
  const explorer = new Explorer({ shape, seed: random.word(), limits });
  await explorer.explore(formatSmallPool(shape, number, seed >>> 0), program);
  const { states, namedStates, checks } = explorer;
  return { states, namedStates, checks };
}

/**
 * Runs episode after episode up to a number of states.
 * @returns that number, and how many had to do with names.
 * @throws CrashFinding
 */
export async function runEpisodes({
  seed,
  states,
}: {
  seed: number;
  states: number;
}): Promise<Omit<EpisodeResult, 'checks'>> {
  let seen = 0;
  let namedStates = 0;
  for (let number = 1; seen < states; number++) {
    const result = await runEpisode(seed, number, states - seen);
    seen += result.states;
    namedStates += result.namedStates;
  }
  return { states: seen, namedStates };
}

function randomShape(random: Random, number: number): PoolShape {
  const mode = MODES[number % MODES.length] ?? 'file';
  const addsChunks = random.chance(0.1);
  return {
    mode,
    syncWrites: random.chance(0.4),
    alignment: mode === 'pmem' ? 64 : random.pick([64, 64, 512]),
    slots: addsChunks ? 2 : random.pick([4, 8, 16]),
    chunks: random.chance(0.1) ? 18 : 1,
    space: addsChunks ? 69_632 : random.pick([1024, 2048, 8192]),
    growth: random.chance(0.3) ? 2048 : 0,
    reclaims: mode === 'file' && random.chance(0.3),
    hasNoLogYet: mode === 'logged' && random.chance(0.4),
  };
}
