/**
 * In-process operations of a target, as a program awaits them, on every backend: beside lmdb and plain files on the same file
 * system, and, with persistent memory forced on /dev/shm, beside the same copies from C with libpmem.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contender, buildReference } from './contender.js';
import { median, row, sizeText } from './table.js';

const SECTION = 'target';
const SIZES = [64, 4096, 65536, 2 ** 20];
const DEPTHS = [1, 64];
// A round of one operation takes about so long.
const ROUND_NANOS = 1e8;
const SHM = '/dev/shm';
const DISK = tmpdir();

/** Who takes part: where its data lies, and whether everything passes for persistent memory. */
const CONTENDERS = {
  'pmem on /dev/shm': { kind: 'pmem', on: SHM, isForced: true },
  'pmem on /dev/shm, sync_writes off': { kind: 'pmem-unsynced', on: SHM, isForced: true },
  'lmdb on /dev/shm': { kind: 'lmdb', on: SHM },
  memory: { kind: 'memory', on: SHM },
  'lmdb noSync on /dev/shm': { kind: 'lmdb-unsynced', on: SHM },
  'file on a disk': { kind: 'file', on: DISK },
  'pmem on a disk': { kind: 'pmem', on: DISK },
  'lmdb on a disk': { kind: 'lmdb', on: DISK },
  'lmdb noSync on a disk': { kind: 'lmdb-unsynced', on: DISK },
  'fs on a disk': { kind: 'files', on: DISK },
};
const C = 'C pmem_memcpy_persist';

/** Ours, the operation, and the operations of others that it stands beside. */
const COMPARISONS = [
  ['pmem on /dev/shm', 'writeDurably', [[C], ['lmdb on /dev/shm']]],
  ['pmem on /dev/shm, sync_writes off', 'write', [['lmdb noSync on /dev/shm']]],
  ['pmem on /dev/shm', 'read', [['lmdb on /dev/shm']]],
  ['pmem on /dev/shm', 'createAndErase', [['lmdb on /dev/shm']]],
  ['memory', 'write', [['lmdb noSync on /dev/shm']]],
  ['memory', 'read', [['lmdb noSync on /dev/shm']]],
  ['memory', 'createAndErase', [['lmdb noSync on /dev/shm']]],
  ['file on a disk', 'writeDurably', [['lmdb on a disk'], ['fs on a disk']]],
  ['file on a disk', 'write', [['lmdb noSync on a disk'], ['fs on a disk']]],
  ['file on a disk', 'read', [['lmdb on a disk'], ['fs on a disk']]],
  ['file on a disk', 'createAndErase', [['lmdb on a disk']]],
  ['pmem on a disk', 'writeDurably', [['lmdb on a disk'], ['fs on a disk']]],
  ['pmem on a disk', 'read', [['lmdb on a disk']]],
  ['pmem on a disk', 'createAndErase', [['lmdb on a disk']]],
];

const NAMES = {
  writeDurably: 'durable write',
  write: 'write',
  read: 'read',
  createAndErase: 'create and erase',
};

export async function targetSection({ rounds, only }) {
  const folders = [];
  const contenders = new Map();
  try {
    for (const [name, { kind, on, isForced = false }] of Object.entries(CONTENDERS)) {
      const folder = mkdtempSync(path.join(on, 'bedrock-bench-'));
      folders.push(folder);
      const env = { ...process.env, PMEM_IS_PMEM_FORCE: isForced ? '1' : '0' };
      contenders.set(
        name,
        await Contender.start(process.execPath, [here('target/worker.js'), kind, folder], env),
      );
    }
    contenders.set(C, await startReference(folders));
    const rows = [];
    for (const [ours, operation, references] of COMPARISONS) {
      if (only !== undefined && !`${ours}, ${NAMES[operation]}`.includes(only)) continue;
      const names = [ours, ...references.flat()];
      for (const size of SIZES) {
        for (const depth of DEPTHS) {
          const found = await measureInTurns(contenders, names, operation, size, depth, rounds);
          const name = `${ours}, ${NAMES[operation]}, ${sizeText(size)}${depth > 1 ? `, ${depth} at once` : ''}`;
          for (const [index, reference] of names.slice(1).entries())
            rows.push(row(SECTION, name, 'us', found[0], found[index + 1], reference));
        }
      }
    }
    if (only === undefined) rows.push(...(await compareWithItself(contenders, rounds)));
    return rows;
  } finally {
    await Promise.all([...contenders.values()].map((contender) => contender.stop()));
    for (const folder of folders) rmSync(folder, { recursive: true });
  }
}

/** The C program, with a file of its own that it maps. */
async function startReference(folders) {
  const folder = mkdtempSync(`${SHM}/bedrock-bench-`);
  folders.push(folder);
  const binary = buildReference(folder);
  const env = { ...process.env, PMEM_IS_PMEM_FORCE: '1' };
  const maker = await Contender.start(process.execPath, [here('native/worker.js'), `${folder}/own`], env);
  await maker.ask('create-for-reference', 2 ** 26, 1);
  await maker.stop();
  return Contender.start(binary, [`${folder}/own.reference`], env);
}

/** @returns microseconds an operation, median of the rounds, in the order of the names */
async function measureInTurns(contenders, names, operation, size, depth, rounds) {
  const ask = (name, times) =>
    name === C
      ? contenders.get(name).ask('copyPersist', size, times)
      : contenders.get(name).ask(operation, size, depth, times);
  const times = [];
  for (const name of names) {
    // Twice: the first time nothing is compiled, and no page was touched.
    await ask(name, 2 * depth);
    times.push(timesFor(await ask(name, 10 * depth), depth));
  }
  const figures = names.map(() => []);
  for (let round = 0; round <= rounds; round++) {
    for (const index of inTurn(names.length, round)) {
      const nanos = await ask(names[index], times[index]);
      // The first round warms up.
      if (round > 0) figures[index].push(nanos / 1000);
    }
  }
  return figures.map(median);
}

/** Whoever comes second finds the caches otherwise, so they take turns at that too. */
function inTurn(count, round) {
  const order = Array.from({ length: count }, (_, index) => index);
  return round % 2 === 0 ? order : order.reverse();
}

function timesFor(nanos, depth) {
  return depth * Math.max(4, Math.round(ROUND_NANOS / (Math.max(nanos, 100) * depth)));
}

/** What has no peer: views beside copies, and a region of a size that nobody should have to wait for. */
async function compareWithItself(contenders, rounds) {
  const rows = [];
  for (const name of ['pmem on /dev/shm', 'memory']) {
    const [map] = await measureInTurns(contenders, [name], 'map', 4096, 1, rounds);
    const [read] = await measureInTurns(contenders, [name], 'read', 4096, 1, rounds);
    rows.push(row(SECTION, `${name}, map and release`, 'us', map, read, 'read 4 KiB'));
  }
  for (const name of ['pmem on /dev/shm', 'file on a disk', 'pmem on a disk']) {
    const small = await contenders.get(name).ask('create', 2 ** 24, 1, 1);
    const large = await contenders.get(name).ask('create', 2 ** 30, 1, 1);
    rows.push(
      row(
        SECTION,
        `${name}, create 1 GiB on fresh space`,
        'ms',
        large / 1e6,
        small / 1e6,
        'create 16 MiB there',
      ),
    );
  }
  return rows;
}

function here(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
