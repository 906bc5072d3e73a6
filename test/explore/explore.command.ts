/**
 * The command behind `npm run explore`, in the shape of a test, as jest is what runs TypeScript
 * here. Its options are in EXPLORE_RUN.
 */
import { expect, it } from '@jest/globals';
import { explore } from './explore.js';

interface Options {
  readonly seed: number;
  readonly rounds: number;
  readonly only: number;
}

const isTerminal = process.stdout.isTTY;

it(
  'finds nothing wrong',
  async () => {
    const { seed, rounds, only } = JSON.parse(process.env.EXPLORE_RUN ?? '{}') as Options;
    const say = (line: string): void => void process.stdout.write(`${isTerminal ? '\r\x1b[K' : ''}${line}\n`);
    say(`seed ${seed}`);
    const onEpisode = (episodes: number, steps: number): void => {
      if (isTerminal) process.stdout.write(`\r${episodes} of ${rounds} rounds, ${steps} steps\x1b[K`);
    };
    const { finding, number, episodes, steps } = await explore({ seed, episodes: rounds, only, onEpisode });
    if (finding === undefined) say(`${episodes} rounds, ${steps} steps: every byte where it belongs`);
    else say(`${finding}\nreplay it with: npm run explore -- --seed ${seed} --only ${number}`);
    expect(finding).toBeUndefined();
  },
  2 ** 31 - 1,
);
