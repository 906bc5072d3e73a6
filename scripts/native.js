/**
 * Builds the native addon into native/build, if its sources have changed since the last build. If
 * there is no compiler, or the addon does not compile, it prints one line and does not fail:
 * everything except `bedrock-node/native` works without the addon.
 *
 * Where librados is installed, it also builds the addon of the backend rados, in the same way.
 *
 *     node scripts/native.js             what `bedrock native build` runs: builds in any case, and fails if that fails
 *     node scripts/native.js --install   what npm runs at installation: builds if no binary of prebuilds/ fits, and never fails
 *
 * The new binary replaces the old one in one step, so no process ever loads an incomplete one.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
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
  const sources = fingerprint(
    ['CMakeLists.txt', 'native/src', 'scripts/native.js'],
    [process.platform, process.arch, missing.join(' ')].join(),
  );
  const stamp = readStamp(STAMP);
  if (!force && stamp.sources === sources && (stamp.error !== undefined || existsSync(at(BINARY)))) {
    return stamp.error === undefined;
  }
  const error = missing.length > 0 ? `not found: ${missing.join(', ')}` : compile();
  writeStamp(STAMP, { sources, ...(error !== undefined && { error }) });
  console.log(`bedrock-node: ${error === undefined ? `native addon built; ${libpmem()}` : failure(error)}`);
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
 * Compiles into a folder of its own. @param options for CMake, such as {BEDROCK_SANITIZE: 'ON'}
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

/** Whether a binary of the package fits this machine, as the package itself finds out when it runs; says so. */
function isPrebuilt() {
  if (process.env.npm_config_build_from_source !== undefined) return false;
  const found = stateOf();
  if (found?.origin !== 'prebuilt' || found.attributes === undefined) return false;
  console.log(`bedrock-node: native addon prebuilt for ${found.platform}; ${libpmem(found)}`);
  return true;
}

/** What the package tells of its addon; nothing if it is not built itself yet. In a process of its own, which may die of it. */
function stateOf() {
  const loader = at('dist/native/load.js');
  if (!existsSync(loader)) return undefined;
  const script = `const { addonState } = await import(${JSON.stringify(pathToFileURL(loader).href)});
    console.log(JSON.stringify(addonState()));`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  return status === 0 ? JSON.parse(stdout) : undefined;
}

function libpmem(found = stateOf()) {
  const version = found?.attributes?.libpmem ?? undefined;
  if (version !== undefined) return `libpmem ${version} is there`;
  return 'libpmem is used when it is installed; without it mappings become durable by msync';
}

function failure(error) {
  return `the native addon is not built (${error}). Everything else works; to build it later: npx bedrock native build`;
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
    const isThere = isInstallation && isPrebuilt();
    const isBuilt = isThere || buildNative({ force: !isInstallation });
    const isRadosBuilt = buildRados({ force: !isInstallation });
    if (!isInstallation && !(isBuilt && isRadosBuilt)) process.exitCode = 1;
  } catch (error) {
    console.error(`bedrock-node: the native addon is not built (${error.message})`);
    if (!isInstallation) process.exitCode = 1;
  }
}
