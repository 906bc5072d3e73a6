/** Power failures in random programs, with kills, reopening, and more power failures after them. */
import { describe, expect, it } from '@jest/globals';
import { runEpisodes } from './episode.js';

/**
 * Programs of a seed differ from those of all others, and each episode has a pool with an ID of its
 * own: no state counts twice.
 */
const SEEDS = Array.from({ length: 12 }, (_, nth) => 20_260 + nth);
const STATES = 20_000;

describe('power failures in random programs', () => {
  let namedStates = 0;

  it.each(SEEDS)('leave what was acknowledged; seed %i', async (seed) => {
    const result = await runEpisodes({ seed, states: STATES });
    expect(result.states).toBe(STATES);
    namedStates += result.namedStates;
  });

  it('have been looked for in enough states of puts, renames and transactions', () => {
    expect(namedStates).toBeGreaterThan(200_000);
  });
});
