/** Runs episodes, one after another, on the code as it is or with a mistake in it. */
import type { EpisodeOptions, EpisodeResult } from './episode.js';
import { SMALL_STEPS, type FlawedCode } from './flaws.js';
import { importPatched, type Patch } from './patched-modules.js';

export interface Exploration {
  /** 0 to 2^32 - 1. */
  readonly seed: number;
  readonly episodes: number;
  /** Number of the only episode that is run; 0 for all. */
  readonly only?: number;
  readonly kinds?: readonly string[] | undefined;
  readonly onEpisode?: (episodes: number, steps: number) => void;
}

export interface Explored {
  readonly episodes: number;
  /** What was let go on, in all of them. */
  readonly steps: number;
  /** The first thing that was wrong, and in which episode. */
  readonly finding: string | undefined;
  readonly number: number;
}

interface EpisodeModule {
  readonly runEpisode: (options: EpisodeOptions) => Promise<EpisodeResult>;
}

export async function explore(exploration: Exploration, patches: readonly Patch[] = []): Promise<Explored> {
  const { seed, episodes, only = 0, kinds, onEpisode } = exploration;
  const loaded = await importPatched('test/explore/episode.ts', [...SMALL_STEPS, ...patches]);
  const { runEpisode } = loaded as EpisodeModule;
  let steps = 0;
  for (let number = only || 1; number <= (only || episodes); number++) {
    const result = await runEpisode({ seed, number, kinds });
    steps += result.steps;
    onEpisode?.(number, steps);
    if (result.finding !== undefined) return { episodes: number, steps, finding: result.finding, number };
  }
  return { episodes: only > 0 ? 1 : episodes, steps, finding: undefined, number: 0 };
}

/** @returns how a mistake shows, if it does */
export async function findFlaw(
  { kinds, patches }: FlawedCode,
  { seed, episodes }: Pick<Exploration, 'seed' | 'episodes'>,
): Promise<string | undefined> {
  const { finding } = await explore({ seed, episodes, kinds }, patches);
  return finding;
}
