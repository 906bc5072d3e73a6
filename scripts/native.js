/**
 * Builds the native addon into native/build, if its sources or libpmem have changed since the last
 * build. If there is no compiler, or the addon does not compile, it prints one line and does not
 * fail: everything except `bedrock-node/native` works without the addon.
 *
 *     node scripts/native.js             what `bedrock native build` runs: builds in any case, and fails if that fails
 *     node scripts/native.js --install   what npm runs at installation: builds if needed, and never fails
 *
 * The new binary replaces the old one in one step, so no process ever loads an incomplete one.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, isCommand, readStamp, root, writeStamp } from './run.js';

const BINARY = 'native/build/Release/bedrock_native.node';
const STAMP = 'native/build/build.json';

/**
 * @param force build even if nothing has changed
 * @returns whether there is an up-to-date addon
 */
export function buildNative({ force = false } = {}) {
  const missing = missingTools();
  const libpmem = libpmemVersion();
  const sources = fingerprint(
    ['CMakeLists.txt', 'native/src', 'scripts/native.js'],
    [process.platform, process.arch, libpmem, missing.join(' ')].join(),
  );
  const stamp = readStamp(STAMP);
  if (!force && stamp.sources === sources && (stamp.error !== undefined || existsSync(at(BINARY)))) {
    return stamp.error === undefined;
  }
  const error = missing.length > 0 ? `not found: ${missing.join(', ')}` : compile();
  writeStamp(STAMP, { sources, ...(error === undefined ? { libpmem } : { error }) });
  console.log(`bedrock-node: ${outcome(error, libpmem)}`);
  return error === undefined;
}

/**
 * Compiles into a folder of its own. @param options for CMake, such as {BEDROCK_LIBPMEM: 'OFF'}
 * @returns what went wrong, if anything
 */
export function compile({ output = at(BINARY), options = {} } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'bedrock-native-'));
  try {
    const defined = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
    const { status, stdout, error } = spawnSync(
      process.execPath,
      [cmakeJs(), 'compile', '--log-level', 'error', '-d', root, '--out', folder, '-p', '2', ...defined],
      { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 },
    );
    if (error !== undefined) return error.message;
    if (status !== 0) {
      process.stderr.write(stdout);
      return 'it does not compile; the output above says why';
    }
    mkdirSync(path.dirname(output), { recursive: true });
    const beside = `${output}.${process.pid}`;
    copyFileSync(path.join(folder, 'Release/bedrock_native.node'), beside);
    renameSync(beside, output);
    return undefined;
  } catch (error) {
    return error.message;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function outcome(error, libpmem) {
  if (error !== undefined) {
    return `the native addon is not built (${error}). Everything else works; to build it later: npx bedrock native build`;
  }
  if (libpmem === undefined) return 'native addon built without libpmem: mappings become durable by msync';
  return `native addon built with libpmem ${libpmem}`;
}

function missingTools() {
  return [
    ['cmake', ['cmake']],
    ['a C++ compiler', ['c++', 'g++', 'clang++']],
    ['make or ninja', ['make', 'ninja', 'ninja-build']],
  ]
    .filter(([, names]) => !names.some(isCommand))
    .map(([name]) => name);
}

function libpmemVersion() {
  const { status, stdout } = spawnSync('pkg-config', ['--modversion', 'libpmem >= 1.8'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** Found wherever npm has put it, which need not be a folder of this package. */
function cmakeJs() {
  const found = createRequire(at('package.json')).resolve('cmake-js/package.json');
  return path.join(path.dirname(found), 'bin/cmake-js');
}

function at(relative) {
  return path.join(root, relative);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isInstallation = process.argv.includes('--install');
  try {
    const isBuilt = buildNative({ force: !isInstallation });
    if (!isInstallation && !isBuilt) process.exitCode = 1;
  } catch (error) {
    console.error(`bedrock-node: the native addon is not built (${error.message})`);
    if (!isInstallation) process.exitCode = 1;
  }
}
