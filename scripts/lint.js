/** The reference in the documentation, formatting, type-aware lint and types. `--fix` mends what can be mended. */
import { must, mustTool } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const fix = process.argv.includes('--fix');
await setUp();
await build();
await must(process.execPath, ['scripts/docs.js', ...(fix ? [] : ['--check'])]);
await mustTool('prettier/bin/prettier.cjs', [fix ? '--write' : '--check', '--log-level=warn', '.']);
await mustTool('eslint/bin/eslint.js', [...(fix ? ['--fix'] : []), '.']);
await mustTool('typescript/bin/tsc', ['--noEmit']);
await mustTool('typescript/bin/tsc', ['--noEmit', '-p', 'examples']);
