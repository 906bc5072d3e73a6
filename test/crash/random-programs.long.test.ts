/** Power failures in random programs, with kills, reopening, and more power failures after them. */
import { expect, it } from '@jest/globals';
import { runEpisodes } from './episode.js';

it.each([20_260, 20_261, 20_262])(
  'keeps what was acknowledged through power failures in random programs of the seed %i',
  async (seed) => {
    await expect(runEpisodes({ seed, states: 100_000 })).resolves.toBe(100_000);
  },
);
