/**
 * In-process operations of a target, as a program awaits them, on every backend: beside lmdb and
 * plain files on the same file system, and, with persistent memory forced on /dev/shm, beside the
 * same copies from C with libpmem.
 */
import { present } from './setup.js';
import { row, sizeText } from './table.js';
import { C, DISK, InProcess, SHM } from './target/contenders.js';

const SECTION = 'target';
const SIZES = [64, 4096, 65536, 2 ** 20];
const DEPTHS = [1, 64];

/** Who takes part: where its data lies, and whether everything passes for persistent memory. */
const CONTENDERS = {
  'pmem on /dev/shm': { kind: 'pmem', on: SHM, isForced: true },
  'pmem on /dev/shm, sync_writes off': { kind: 'pmem-unsynced', on: SHM, isForced: true },
  'lmdb on /dev/shm': { kind: 'lmdb', on: SHM, needs: 'lmdb' },
  memory: { kind: 'memory', on: SHM },
  'lmdb noSync on /dev/shm': { kind: 'lmdb-unsynced', on: SHM, needs: 'lmdb' },
  'file on a disk': { kind: 'file', on: DISK },
  'pmem on a disk': { kind: 'pmem', on: DISK },
  'lmdb on a disk': { kind: 'lmdb', on: DISK, needs: 'lmdb' },
  'lmdb noSync on a disk': { kind: 'lmdb-unsynced', on: DISK, needs: 'lmdb' },
  'fs on a disk': { kind: 'files', on: DISK },
};

/** Ours, the operation, and the operations of others that it stands beside. */
const COMPARISONS = [
  ['pmem on /dev/shm', 'writeDurably', [C, 'lmdb on /dev/shm']],
  ['pmem on /dev/shm, sync_writes off', 'write', ['lmdb noSync on /dev/shm']],
  ['pmem on /dev/shm', 'read', ['lmdb on /dev/shm']],
  ['pmem on /dev/shm', 'createAndErase', ['lmdb on /dev/shm']],
  ['memory', 'write', ['lmdb noSync on /dev/shm']],
  ['memory', 'read', ['lmdb noSync on /dev/shm']],
  ['memory', 'createAndErase', ['lmdb noSync on /dev/shm']],
  ['file on a disk', 'writeDurably', ['lmdb on a disk', 'fs on a disk']],
  ['file on a disk', 'write', ['lmdb noSync on a disk', 'fs on a disk']],
  ['file on a disk', 'read', ['lmdb on a disk', 'fs on a disk']],
  ['file on a disk', 'createAndErase', ['lmdb on a disk']],
  ['pmem on a disk', 'writeDurably', ['lmdb on a disk', 'fs on a disk']],
  ['pmem on a disk', 'read', ['lmdb on a disk']],
  ['pmem on a disk', 'createAndErase', ['lmdb on a disk']],
];

const NAMES = {
  writeDurably: 'durable write',
  write: 'write',
  read: 'read',
  createAndErase: 'create and erase',
};

export async function targetSection({ rounds, only = '' }) {
  const installed = Object.keys(CONTENDERS).filter((name) => present([CONTENDERS[name]]).length > 0);
  const contenders = await InProcess.start(
    Object.fromEntries(installed.map((name) => [name, CONTENDERS[name]])),
  );
  try {
    await contenders.addReference();
    const rows = [];
    for (const [ours, operation, references] of COMPARISONS) {
      if (!`${ours}, ${NAMES[operation]}`.includes(only)) continue;
      for (const size of SIZES) {
        for (const depth of DEPTHS) {
          const names = [ours, ...references].filter((name) => name === C || installed.includes(name));
          const found = await contenders.measureInTurns(names, operation, size, depth, rounds);
          const name = `${ours}, ${NAMES[operation]}, ${sizeText(size)}${depth > 1 ? `, ${depth} at once` : ''}`;
          for (const reference of references)
            rows.push(
              row(SECTION, name, 'us', found.get(ours).micros, found.get(reference)?.micros, reference),
            );
        }
      }
    }
    rows.push(...(await compareWithItself(contenders, rounds, only)));
    return rows;
  } finally {
    await contenders.stop();
  }
}

/** What has no peer: views beside copies, and a region of a size that nobody should have to wait for. */
async function compareWithItself(contenders, rounds, only) {
  const rows = [];
  for (const name of ['pmem on /dev/shm', 'memory']) {
    const title = `${name}, map and release`;
    if (!title.includes(only)) continue;
    const micros = async (operation) =>
      (await contenders.measureInTurns([name], operation, 4096, 1, rounds)).get(name).micros;
    rows.push(row(SECTION, title, 'us', await micros('map'), await micros('read'), 'read 4 KiB'));
  }
  for (const name of ['pmem on /dev/shm', 'file on a disk', 'pmem on a disk']) {
    const title = `${name}, create 1 GiB on fresh space`;
    if (!title.includes(only)) continue;
    const millis = async (size) => (await contenders.ask(name, 'create', size, 1, 1)).nanos / 1e6;
    rows.push(row(SECTION, title, 'ms', await millis(2 ** 30), await millis(2 ** 24), 'create 16 MiB there'));
  }
  return rows;
}
