/**
 * `npm run crash`: sets up, builds, then looks for what a power failure or a kill could break. docs/crash-testing.md describes it.
 *
 *     --states N   power failures, as many distinct states (default 1,000,000)
 *     --kill N     instead, N rounds of kill -9 against the real daemon, for each kind of pool
 *     --seed S     0 to 2^32 - 1; random unless told, and printed
 *     --only K     of the power failures of a seed only the K-th program: how a finding is replayed
 *
 * Exit status 1 if anything was found, 2 if the options are wrong.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { root } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const LIMITS = { states: 2 ** 53 - 1, seed: 2 ** 32 - 1, only: 2 ** 31, kill: 1_000_000 };

const options = optionsOf(process.argv.slice(2));
if (options === undefined) process.exitCode = 2;
else {
  process.chdir(root);
  await setUp();
  await build();
  process.exitCode = await runInJest(options);
}

function optionsOf(args) {
  let values;
  try {
    const option = { type: 'string' };
    ({ values } = parseArgs({ args, options: { states: option, seed: option, only: option, kill: option } }));
  } catch (error) {
    console.error(error.message);
    return undefined;
  }
  const options = { states: 1_000_000, seed: randomInt(2 ** 32), only: 0, kill: 0 };
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
    '--testMatch=**/crash/long-run.command.ts',
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, jest, {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, CRASH_RUN: JSON.stringify(options) },
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
