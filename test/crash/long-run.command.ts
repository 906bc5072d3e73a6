/**
 * The command behind `npm run crash`, in the shape of a test, as jest is what runs TypeScript here.
 * Its options are in CRASH_RUN.
 */
import { expect, it } from '@jest/globals';
import { runKills, runLong, type LongRunOutput } from './long-run.js';

interface Options {
  readonly seed: number;
  readonly states: number;
  readonly only: number;
  readonly kill: number;
}

const isTerminal = process.stdout.isTTY;
let isDrawn = false;

const output: LongRunOutput = {
  say: (line) => {
    process.stdout.write(`${isDrawn ? '\r\x1b[K' : ''}${line}\n`);
    isDrawn = false;
  },
  progress: (line) => {
    if (!isTerminal) return;
    process.stdout.write(`\r${line}\x1b[K`);
    isDrawn = true;
  },
};

it(
  'finds nothing wrong',
  async () => {
    const { seed, states, only, kill } = JSON.parse(process.env.CRASH_RUN ?? '{}') as Options;
    output.say(`seed ${seed}`);
    const isRight =
      kill > 0
        ? await runKills({ seed, rounds: kill }, output)
        : await runLong({ seed, states, only }, output);
    expect(isRight).toBe(true);
  },
  2 ** 31 - 1,
);
