/** `npm test`: sets up, builds, checks formatting, lint and types, runs the tests. Arguments go to jest and skip the checks. */
import { must, root, run } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const given = process.argv.slice(2);
process.chdir(root);
await setUp();
const hasNative = await build();
if (given.length === 0) await must(process.execPath, ['scripts/lint.js']);
// --experimental-vm-modules: jest loads ES modules with it. Its notice would hide the results.
const jest = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
// Without a compiler there is nothing to test there, and setting up has said so.
const left = hasNative ? [] : ['--testPathIgnorePatterns=/test/(native|examples)/'];
process.exitCode = await run(process.execPath, [...jest, ...given, ...left]);
