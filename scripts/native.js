/**
 * Builds the native addon into native/build, if its sources or libpmem have changed since the last
 * build. If there is no compiler, or the addon does not compile, it prints one line and does not
 * fail: everything except `bedrock-node/native` works without the addon.
 *
 * Where librados is installed, it also builds the addon of the backend rados, in the same way.
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

const RADOS = 'backends/rados/native';
const RADOS_BINARY = 'native/build/Release/bedrock_rados.node';
const RADOS_STAMP = 'native/build/rados.json';

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
 * The same for the addon of the backend rados.
 * @returns whether it is up to date, or there is no librados to build it with
 */
export function buildRados({ force = false } = {}) {
  const hasLibrary = ['/usr/include', '/usr/local/include', ...(process.env.CPATH ?? '').split(':')].some(
    (folder) => folder !== '' && existsSync(path.join(folder, 'rados/librados.h')),
  );
  if (!hasLibrary) return true;
  const missing = missingTools();
  const sources = fingerprint(
    ['CMakeLists.txt', 'package.json', 'rados.h', 'addon.cc', 'connection.cc', 'operation.cc'].map(
      (name) => `${RADOS}/${name}`,
    ),
    [process.platform, process.arch, missing.join(' ')].join(),
  );
  const stamp = readStamp(RADOS_STAMP);
  if (!force && stamp.sources === sources && (stamp.error !== undefined || existsSync(at(RADOS_BINARY))))
    return stamp.error === undefined;
  const error =
    missing.length > 0
      ? `not found: ${missing.join(', ')}`
      : compile({ project: at(RADOS), binary: RADOS_BINARY });
  writeStamp(RADOS_STAMP, { sources, ...(error !== undefined && { error }) });
  const later = 'All but the backend rados works; to build it later: npx bedrock native build';
  console.log(
    `bedrock-node: ${error === undefined ? 'addon of the backend rados built' : `the addon of the backend rados is not built (${error}). ${later}`}`,
  );
  return error === undefined;
}

/**
 * Compiles into a folder of its own. @param options for CMake, such as {BEDROCK_LIBPMEM: 'OFF'}
 * @returns what went wrong, if anything
 */
export function compile({ project = root, binary = BINARY, output = at(binary), options = {} } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'bedrock-native-'));
  try {
    const defined = Object.entries(options).map(([name, value]) => `--CD${name}=${value}`);
    const { status, stdout, error } = spawnSync(
      process.execPath,
      [cmakeJs(), 'compile', '--log-level', 'error', '-d', project, '--out', folder, '-p', '2', ...defined],
      { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 2 ** 28 },
    );
    if (error !== undefined) return error.message;
    if (status !== 0) {
      process.stderr.write(stdout);
      return 'it does not compile; the output above says why';
    }
    mkdirSync(path.dirname(output), { recursive: true });
    const beside = `${output}.${process.pid}`;
    copyFileSync(path.join(folder, 'Release', path.basename(binary)), beside);
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
    const isRadosBuilt = buildRados({ force: !isInstallation });
    if (!isInstallation && !(isBuilt && isRadosBuilt)) process.exitCode = 1;
  } catch (error) {
    console.error(`bedrock-node: the native addon is not built (${error.message})`);
    if (!isInstallation) process.exitCode = 1;
  }
}
