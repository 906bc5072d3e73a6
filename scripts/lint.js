/** Formatting, type-aware lint and types. `--fix` mends what can be mended. */
import { mustTool } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const fix = process.argv.includes('--fix');
await setUp();
await build();
await mustTool('prettier/bin/prettier.cjs', [fix ? '--write' : '--check', '--log-level=warn', '.']);
await mustTool('eslint/bin/eslint.js', [...(fix ? ['--fix'] : []), '.']);
await mustTool('typescript/bin/tsc', ['--noEmit']);
