/**
 * `npm run explore`: sets up, then searches for orders of events in which a region's bytes are lost
 * or appear in another region. docs/concurrency-testing.md describes it.
 *
 *     --rounds N   so many programs, each in an order of its own (default 10,000)
 *     --seed S     0 to 2^32 - 1; random by default, and printed
 *     --only K     only the K-th program of a seed: how a finding is replayed
 *
 * Exit status 1 if anything was found, 2 if the options are wrong.
 */
import { root } from './run.js';
import { runInJest, seededOptions } from './seeded-run.js';
import { setUp } from './setup.js';

const options = seededOptions(process.argv.slice(2), { rounds: { most: 2 ** 31, unless: 10_000 } });
if (options === undefined) process.exitCode = 2;
else {
  process.chdir(root);
  await setUp();
  process.exitCode = await runInJest('explore/explore.command.ts', { EXPLORE_RUN: JSON.stringify(options) });
}
