/**
 * Checks the reference in the documentation, the public interface, formatting, lint and types.
 * `--fix` repairs what can be repaired automatically.
 *
 * The linter checks the types itself, since it needs them for its rules anyway: the compiler would
 * take longer than everything else. The build runs the compiler on everything that is published.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { must, mustTool, root, run } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

/** Other versions of clang-format break lines at other places. `pip install clang-format` has this one. */
const CLANG_FORMAT_MAJOR = 23;

await setUp();
await build();
if (process.argv.includes('--fix')) {
  await must(process.execPath, ['scripts/docs.js']);
  await must(process.execPath, ['scripts/api.js']);
  await mustTool('oxlint/bin/oxlint', ['--fix']);
  await mustTool('oxfmt/bin/oxfmt', []);
  if (hasClangFormat()) await must('clang-format', ['-i', ...nativeSources()]);
} else {
  const statuses = await Promise.all([
    check(['oxlint/bin/oxlint']),
    check(
      ['../scripts/docs.js', '--check'],
      ['../scripts/api.js', '--check'],
      ['oxfmt/bin/oxfmt', '--check'],
    ),
  ]);
  if (hasClangFormat()) {
    const status = await run('clang-format', ['--dry-run', '--Werror', ...nativeSources()]);
    if (status !== 0) console.error('The C++ of native/src is not formatted: run "npm run format"');
    statuses.push(status);
  } else {
    console.log(`The format of native/src is not checked: there is no clang-format ${CLANG_FORMAT_MAJOR}.`);
  }
  process.exit(Math.max(...statuses));
}

function hasClangFormat() {
  const { stdout } = spawnSync('clang-format', ['--version'], { encoding: 'utf8' });
  return (stdout ?? '').includes(` version ${CLANG_FORMAT_MAJOR}.`);
}

function nativeSources() {
  return readdirSync(path.join(root, 'native/src')).map((name) => `native/src/${name}`);
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
