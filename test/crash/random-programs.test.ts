/** Power failures in random programs, with kills, reopening, and more power failures after them: a sample of the states. */
import { expect, it } from '@jest/globals';
import { runEpisode } from './episode.js';

/** Together with those of the short sequences 200,000. */
const STATES = 100_000;
const SEED = 20_260;

it('keeps what was acknowledged through power failures in random programs', async () => {
  let states = 0;
  for (let number = 1; states < STATES; number++) {
    const result = await runEpisode(SEED, number, STATES - states);
    states += result.states;
  }
  expect(states).toBe(STATES);
}, 300_000);
