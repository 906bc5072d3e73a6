/**
 * `npm run crash`: sets up, builds, then looks for what a power failure or a kill could break.
 * docs/crash-testing.md describes it.
 *
 *     --states N   power failures, as many distinct states (default 1,000,000)
 *     --kill N     instead, N rounds of kill -9 against the real daemon, for each kind of pool
 *     --seed S     0 to 2^32 - 1; random by default, and printed
 *     --only K     of the power failures of a seed only the K-th program: how a finding is replayed
 *
 * Exit status 1 if anything was found, 2 if the options are wrong.
 */
import { root } from './run.js';
import { build } from './build.js';
import { runInJest, seededOptions } from './seeded-run.js';
import { setUp } from './setup.js';

const options = seededOptions(process.argv.slice(2), {
  states: { most: 2 ** 53 - 1, unless: 1_000_000 },
  kill: { most: 1_000_000, unless: 0 },
});
if (options === undefined) process.exitCode = 2;
else {
  process.chdir(root);
  await setUp();
  await build();
  process.exitCode = await runInJest('crash/long-run.command.ts', { CRASH_RUN: JSON.stringify(options) });
}
