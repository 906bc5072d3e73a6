/** The reference in the documentation, formatting, type-aware lint and types. `--fix` mends what can be mended. */
import path from 'node:path';
import { must, mustTool, run } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

await setUp();
await build();
if (process.argv.includes('--fix')) {
  await must(process.execPath, ['scripts/docs.js']);
  await mustTool('oxlint/bin/oxlint', ['--fix']);
  await mustTool('oxfmt/bin/oxfmt', []);
  await mustTool('typescript/bin/tsc', ['--noEmit']);
  await mustTool('typescript/bin/tsc', ['--noEmit', '-p', 'examples']);
} else {
  const statuses = await Promise.all([
    check(tsc('.')),
    check(
      ['../scripts/docs.js', '--check'],
      ['oxfmt/bin/oxfmt', '--check'],
      ['oxlint/bin/oxlint'],
      tsc('examples'),
    ),
  ]);
  process.exit(Math.max(...statuses));
}

/** The compiler over a folder, which has it keep what it found, so that the next time takes less. */
function tsc(folder) {
  const kept = `node_modules/.cache/tsc/${folder === '.' ? 'all' : folder}.tsbuildinfo`;
  return ['typescript/bin/tsc', '-p', folder, '--noEmit', '--incremental', '--tsBuildInfoFile', kept];
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
