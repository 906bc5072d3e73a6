/** The reference in the documentation, formatting, type-aware lint and types. `--fix` mends what can be mended. */
import path from 'node:path';
import { must, mustTool, run } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

await setUp();
await build();
if (process.argv.includes('--fix')) {
  await must(process.execPath, ['scripts/docs.js']);
  await mustTool('prettier/bin/prettier.cjs', ['--write', '--log-level=warn', '.']);
  await mustTool('eslint/bin/eslint.js', ['--fix', '.']);
  await mustTool('typescript/bin/tsc', ['--noEmit']);
  await mustTool('typescript/bin/tsc', ['--noEmit', '-p', 'examples']);
} else {
  // eslint takes as long as all the others.
  const statuses = await Promise.all([
    check(['eslint/bin/eslint.js', '.']),
    check(
      ['../scripts/docs.js', '--check'],
      ['prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
      ['typescript/bin/tsc', '--noEmit'],
      ['typescript/bin/tsc', '--noEmit', '-p', 'examples'],
    ),
  ]);
  process.exit(Math.max(...statuses));
}

/** Runs tools of node_modules one after another, up to one that fails. @returns its status, or 0 */
async function check(...tools) {
  for (const [file, ...args] of tools) {
    const status = await run(process.execPath, [path.join('node_modules', file), ...args]);
    if (status === 0) continue;
    console.error(`${[file, ...args].join(' ')} failed with status ${status}`);
    return status;
  }
  return 0;
}
