/** `npm run bench`: sets up, builds, runs the benchmarks; arguments are passed on. */
import { root, run } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

process.chdir(root);
await setUp();
await build();
process.exitCode = await run(process.execPath, ['bench/run.js', ...process.argv.slice(2)]);
