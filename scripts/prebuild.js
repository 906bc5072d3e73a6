/**
 * `npm run prebuild`: builds the native addon for other machines of one kind, into prebuilds/, which is packed with the package.
 *
 *     npm run prebuild                                   for machines like this one
 *     npm run prebuild -- --target linux-arm64-glibc     for others, with the cross compiler that Debian has for them
 *     npm run prebuild -- --target linux-x64-musl --cxx FILE     with another compiler
 *
 * One binary serves every version of Node.js from 20 on (Node-API 9), machines with libpmem and without, and with glibc every system
 * that Node.js itself runs on. What the result needs is read from it, and a result that needs more is refused. One for this machine is
 * loaded, too.
 *
 * npm takes a script of this name for what is to run before `npm run build`. There it does nothing.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { compile } from './native.js';
import { root } from './run.js';

/** That of Node.js 20 to 24, by their BUILDING.md. */
const NEWEST_GLIBC = '2.28';
/** Of an ELF file: its processor, at byte 18; and what CMake calls it. */
const PROCESSORS = {
  x64: { machine: 62, cmake: 'x86_64', cxx: 'x86_64-linux-gnu-g++' },
  arm64: { machine: 183, cmake: 'aarch64', cxx: 'aarch64-linux-gnu-g++' },
};

const here = `linux-${process.arch}-${isMusl() ? 'musl' : 'glibc'}`;

try {
  if (!isBeforeBuild()) prebuild(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

function prebuild(args) {
  const { values } = parseArgs({
    args,
    options: { target: { type: 'string', default: here }, cxx: { type: 'string' } },
  });
  const { target } = values;
  const [, arch, libc] = /^linux-(x64|arm64)-(glibc|musl)$/.exec(target) ?? [];
  if (arch === undefined) throw new Error(`--target ${target}: linux-x64|arm64-glibc|musl is expected`);
  const file = path.join(root, `prebuilds/linux-${arch}/bedrock-node.${libc}.node`);
  const { cmake, cxx } = PROCESSORS[arch];
  const compiler = values.cxx ?? (target === here ? undefined : cxx);
  const error = compile({
    output: file,
    options: {
      BEDROCK_PORTABLE: 'ON',
      ...(compiler !== undefined && { CMAKE_CXX_COMPILER: compiler }),
      ...(arch !== process.arch && { CMAKE_SYSTEM_NAME: 'Linux', CMAKE_SYSTEM_PROCESSOR: cmake }),
    },
  });
  if (error !== undefined) throw new Error(`${target}: ${error}`);
  try {
    const needs = check(file, arch, libc);
    if (target === here) load(file);
    console.log(`${path.relative(root, file)}: ${statSync(file).size} bytes, needs ${needs}`);
  } catch (fault) {
    rmSync(file);
    throw fault;
  }
}

/** @returns what the binary needs of a machine @throws if that is not what it is for */
function check(file, arch, libc) {
  if (readFileSync(file).readUInt16LE(18) !== PROCESSORS[arch].machine) {
    throw new Error(`${file} is not for ${arch}: name a cross compiler with --cxx`);
  }
  const listed = readelf(['-d', '-V', '-W', file]);
  const libraries = Array.from(listed.matchAll(/\(NEEDED\).*\[(.+)\]/g), ([, name]) => name);
  const versions = Array.from(listed.matchAll(/Name: GLIBC_([\d.]+)/g), ([, version]) => version);
  const [newest = 'no'] = versions.sort((a, b) => compare(b, a));
  if (libc === 'glibc' ? newest === 'no' : newest !== 'no') {
    throw new Error(`${file} is not for ${libc}: it needs ${libraries.join(', ')} and ${newest} glibc`);
  }
  if (libc === 'glibc' && compare(newest, NEWEST_GLIBC) > 0) {
    throw new Error(`${file} needs glibc ${newest}; ${NEWEST_GLIBC} must be enough: see native/portable`);
  }
  const others = libraries.filter((name) => !/^(libc|libgcc_s|ld-linux)[.-]/.test(name));
  if (others.length > 0) throw new Error(`${file} needs ${others.join(', ')}`);
  return libc === 'glibc' ? `glibc ${newest}` : libraries.join(', ');
}

/** Loads it as Node.js would. */
function load(file) {
  const script = `const loaded = { exports: {} };
    process.dlopen(loaded, ${JSON.stringify(file)});
    if (loaded.exports.attributes().powerFailAtomicBytes !== 8) process.exit(1);`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} does not load: ${stderr}`);
}

function readelf(args) {
  const { status, stdout, error } = spawnSync('readelf', args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`readelf (of binutils) failed${error ? `: ${error.message}` : ''}`);
  return stdout;
}

/** Whether npm runs this for `npm run build`: it tells only by its title. */
function isBeforeBuild() {
  if (process.env.npm_lifecycle_event !== 'prebuild') return false;
  return /^npm run(-script)? build\b/.test(readFileSync(`/proc/${process.ppid}/cmdline`, 'latin1'));
}

function isMusl() {
  return /\/(ld|libc\.)-?musl-/.test(readFileSync('/proc/self/maps', 'utf8'));
}

/** Of versions such as 2.28. */
function compare(one, other) {
  const [a, b] = [one, other].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) - (b[i] ?? 0);
  }
  return 0;
}
