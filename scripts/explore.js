/**
 * `npm run explore`: sets up, then looks for orders of events in which a region's bytes get lost or into other hands.
 * docs/concurrency-testing.md describes it.
 *
 *     --rounds N   so many programs, each in an order of its own (default 10,000)
 *     --seed S     0 to 2^32 - 1; random unless told, and printed
 *     --only K     only the K-th program of a seed: how a finding is replayed
 *
 * Exit status 1 if anything was found, 2 if the options are wrong.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { root } from './run.js';
import { setUp } from './setup.js';

const LIMITS = { rounds: 2 ** 31, seed: 2 ** 32 - 1, only: 2 ** 31 };

const options = optionsOf(process.argv.slice(2));
if (options === undefined) process.exitCode = 2;
else {
  process.chdir(root);
  await setUp();
  process.exitCode = await runInJest(options);
}

function optionsOf(args) {
  let values;
  try {
    const option = { type: 'string' };
    ({ values } = parseArgs({ args, options: { rounds: option, seed: option, only: option } }));
  } catch (error) {
    console.error(error.message);
    return undefined;
  }
  const options = { rounds: 10_000, seed: randomInt(2 ** 32), only: 0 };
  for (const [name, value] of Object.entries(values)) {
    const number = Number(value);
    const least = name === 'seed' ? 0 : 1;
    if (!/^\d+$/.test(value) || number < least || number > LIMITS[name]) {
      console.error(`--${name} is a whole number from ${least} to ${LIMITS[name]}, not ${value}`);
      return undefined;
    }
    options[name] = number;
  }
  if (options.only > 0 && values.seed === undefined) {
    console.error('--only needs the --seed that it belongs to');
    return undefined;
  }
  return options;
}

/** Jest runs the TypeScript. What it has to say itself, on standard error, matters only if the run did not end as it should. */
function runInJest(options) {
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--runInBand',
    '--testMatch=**/explore/explore.command.ts',
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, jest, {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, EXPLORE_RUN: JSON.stringify(options) },
    });
    let report = '';
    child.stderr.on('data', (piece) => (report += piece));
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal));
    child.on('close', (status) => {
      if (status !== 0) process.stderr.write(report);
      resolve(status === 0 ? 0 : 1);
    });
  });
}
