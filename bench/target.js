/**
 * In-process operations of a target, as a program awaits them, on every backend: beside lmdb and plain files on the same file
 * system, and, with persistent memory forced on /dev/shm, beside the same copies from C with libpmem.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contender, buildReference } from './contender.js';
import { row, sizeText } from './table.js';
import { medianInTurns } from './turns.js';

const SECTION = 'target';
const SIZES = [64, 4096, 65536, 2 ** 20];
const DEPTHS = [1, 64];
// A round is many short turns, as a short one is rarely interrupted on a machine that others use too.
const TURN_NANOS = 5e6;
const TURNS = 9;
const WARM_UPS = 6;
const WARM_UP_NANOS = 5e7;
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

export async function targetSection({ rounds, only = '' }) {
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
      if (!`${ours}, ${NAMES[operation]}`.includes(only)) continue;
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
    rows.push(...(await compareWithItself(contenders, rounds, only)));
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

/** @returns microseconds an operation, median of all turns, in the order of the names */
async function measureInTurns(contenders, names, operation, size, depth, rounds) {
  const ask = (name, times) =>
    name === C
      ? contenders.get(name).ask('copyPersist', size, times)
      : contenders.get(name).ask(operation, size, depth, times);
  const times = new Map();
  for (const name of names) {
    // At first nothing is compiled and no page was touched, so what an operation takes is known by and by.
    let each = await ask(name, 4 * depth);
    for (let run = 0; run < WARM_UPS; run++) each = await ask(name, timesFor(WARM_UP_NANOS, each, depth));
    times.set(name, timesFor(TURN_NANOS, each, depth));
  }
  const nanos = await medianInTurns(names, rounds * TURNS, (name) => ask(name, times.get(name)));
  return names.map((name) => nanos.get(name) / 1000);
}

/** Operations that take about so long together; on a disk several, as the first also waits for what others have begun there. */
function timesFor(nanos, each, depth) {
  const least = depth === 1 ? 16 : 2;
  return depth * Math.max(least, Math.ceil(nanos / (each * depth)));
}

/** What has no peer: views beside copies, and a region of a size that nobody should have to wait for. */
async function compareWithItself(contenders, rounds, only = '') {
  const rows = [];
  for (const name of ['pmem on /dev/shm', 'memory']) {
    if (!`${name}, map and release`.includes(only)) continue;
    const [map] = await measureInTurns(contenders, [name], 'map', 4096, 1, rounds);
    const [read] = await measureInTurns(contenders, [name], 'read', 4096, 1, rounds);
    rows.push(row(SECTION, `${name}, map and release`, 'us', map, read, 'read 4 KiB'));
  }
  for (const name of ['pmem on /dev/shm', 'file on a disk', 'pmem on a disk']) {
    if (!`${name}, create 1 GiB on fresh space`.includes(only)) continue;
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
