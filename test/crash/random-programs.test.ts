/**
 * Power failures in random programs, with kills, reopening, and more power failures after them: a
 * sample of the states.
 */
import { expect, it } from '@jest/globals';
import { runEpisodes } from './episode.js';

it('keeps what was acknowledged through power failures in random programs', async () => {
  await expect(runEpisodes({ seed: 20_260, states: 800 })).resolves.toMatchObject({ states: 800 });
});
