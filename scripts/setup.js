/**
 * Installs what is missing, and nothing that exists: the npm packages of package-lock.json, the
 * system's packages for persistent memory, and this package for the examples. `--force` installs
 * everything again.
 *
 * The system's packages are optional: without them everything except the pmem backend works, and
 * this script prints what is missing. They are installed by apt-get, as root only. A failed attempt
 * is not repeated until something changes.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, isCommand, must, readStamp, root, run, writeStamp } from './run.js';

const OLDEST_NODE = [20, 19];
const STAMP = 'node_modules/.bedrock-setup.json';
const APT_PACKAGES = ['libpmem-dev', 'pkg-config', 'cmake', 'g++', 'make'];

export async function setUp({ force = false } = {}) {
  checkNode();
  const stamp = force ? {} : readStamp(STAMP);
  // The system's packages come first, since the set-up of the npm packages compiles the native
  // addon with what it finds.
  const tried = await installSystemPackages(stamp.tried ?? '');
  const packages = fingerprint(
    ['package-lock.json'],
    `${process.platform} ${process.arch} ${process.versions.modules}`,
  );
  if (stamp.packages !== packages) {
    console.log('Installing the npm packages…');
    await must('npm', ['ci', '--include=dev', '--no-audit', '--no-fund']);
  }
  if (stamp.packages !== packages || tried !== (stamp.tried ?? '')) writeStamp(STAMP, { packages, tried });
  linkForExamples();
}

/** The examples are separate packages, and find this one as if it was installed for them. */
function linkForExamples() {
  const folder = path.join(root, 'examples/node_modules');
  if (!existsSync(path.join(root, 'examples')) || existsSync(path.join(folder, 'bedrock-node'))) return;
  mkdirSync(folder, { recursive: true });
  symlinkSync('../..', path.join(folder, 'bedrock-node'), 'dir');
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  console.error(`Node.js ${process.versions.node} is too old: ${OLDEST_NODE.join('.')} or later is needed.`);
  process.exit(1);
}

/** @returns what was missing at the last attempt to install it, as a text to compare with */
async function installSystemPackages(tried) {
  const missing = missingSystemPackages();
  if (missing.length === 0) return '';
  const key = missing.join(' ');
  const canInstall = process.getuid?.() === 0 && isCommand('apt-get') && tried !== key;
  if (canInstall) {
    console.log(`Installing the system's packages for persistent memory: ${key}…`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const options = ['-y', '-q', '-o', 'DPkg::Lock::Timeout=60', '-o', 'Acquire::Retries=1'];
    const quiet = { env, stdio: ['ignore', 'ignore', 'inherit'] };
    if ((await run('apt-get', ['update', '-q'], quiet)) === 0) {
      await run('apt-get', ['install', ...options, '--no-install-recommends', ...missing], quiet);
    }
  }
  const still = missingSystemPackages();
  if (still.length === 0) return '';
  console.log(
    `Missing for persistent memory: ${still.join(', ')}. Everything else works without; the pmem backend will need:\n` +
      `  apt-get install ${APT_PACKAGES.join(' ')}`,
  );
  return still.join(' ');
}

function missingSystemPackages() {
  return APT_PACKAGES.filter((name) => {
    if (name === 'libpmem-dev') return spawnSync('pkg-config', ['--exists', 'libpmem']).status !== 0;
    return !isCommand(name);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  await setUp({ force: process.argv.includes('--force') });
}
