/**
 * `npm start`: sets up, builds, and launches the daemon with bedrock.json; `npm start -- ARGUMENTS`
 * passes arguments on. The daemon runs in this process, so signals reach it directly.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from './build.js';
import { root } from './run.js';
import { setUp } from './setup.js';

const given = process.argv.slice(2);
// npm runs this in the package's folder, but paths on the command line are relative to the folder
// in which npm was called.
const caller = process.env.INIT_CWD ?? process.cwd();
process.chdir(root);
await setUp();
await build();

const main = path.join(root, 'dist/core/cli/main.js');
const args = given.length > 0 ? given : ['-c', 'bedrock.json'];
if (given.length > 0) process.chdir(caller);
process.argv = [process.execPath, main, ...args];
await import(pathToFileURL(main).href);
