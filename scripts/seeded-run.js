/** Shared by the commands that run seeded programs in Jest: their options, and the run itself. */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

const SEEDED = { seed: { most: 2 ** 32 - 1 }, only: { most: 2 ** 31, unless: 0 } };

/**
 * Whole numbers, by name. `--seed` is random by default; `--only` needs it.
 * @param own options beside these: the largest value that each may have, and its default
 * @returns undefined if one is wrong, which is reported on standard error
 */
export function seededOptions(args, own) {
  const known = { ...SEEDED, ...own };
  let values;
  try {
    const names = Object.keys(known).map((name) => [name, { type: 'string' }]);
    ({ values } = parseArgs({ args, options: Object.fromEntries(names) }));
  } catch (error) {
    console.error(error.message);
    return undefined;
  }
  const options = { seed: randomInt(2 ** 32) };
  for (const [name, { most, unless }] of Object.entries(known)) {
    const value = values[name];
    if (value === undefined) {
      options[name] ??= unless;
      continue;
    }
    const number = Number(value);
    const least = name === 'seed' ? 0 : 1;
    if (!/^\d+$/.test(value) || number < least || number > most) {
      console.error(`--${name} is a whole number from ${least} to ${most}, not ${value}`);
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

/**
 * Jest runs the TypeScript. Its own output, on standard error, is shown only if the run failed.
 * @param file the one "test" of the run
 * @param env the environment variables from which it reads its options
 * @returns the exit status
 */
export function runInJest(file, env) {
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--runInBand',
    `--testMatch=**/${file}`,
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, jest, {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...env },
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
