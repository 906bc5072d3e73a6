/**
 * One contender of bench/target.js, bench/peers.js or bench/kv.js, in a process of its own:
 * `worker.js KIND FOLDER`. Reads lines "OPERATION SIZE DEPTH TIMES" and answers each with {nanos,
 * cpuNanos}: the nanoseconds an operation took, awaited as a user would await it, one at a time or
 * `DEPTH` at once, and the CPU time of all threads of the process for it.
 *
 * Operations walk through 32 MiB in order, as native/reference.c does. Those of named values go
 * round 8192 names, in no order.
 */
import { createInterface } from 'node:readline';
import { openNames } from '../kv/ours.js';
import { openFiles } from './files.js';
import { openTarget } from './ours.js';

const SYNCED = { isSynced: true };
const UNSYNCED = { isSynced: false };
const NAMED = { isNamed: true };

const KINDS = {
  memory: () => openTarget('memory', {}),
  file: (folder) => openTarget('file', poolIn(folder)),
  pmem: (folder) => openTarget('pmem', poolIn(folder)),
  'pmem-unsynced': (folder) => openTarget('pmem', { ...poolIn(folder), sync_writes: false }),
  files: (folder) => openFiles(folder),
  lmdb: (folder) => openLmdb(folder, {}),
  'lmdb-unsynced': (folder) => openLmdb(folder, { noSync: true }),
  sqlite: (folder) => openSqlite(folder, SYNCED),
  'sqlite-unsynced': (folder) => openSqlite(folder, UNSYNCED),
  level: (folder) => openLevel(folder, SYNCED),
  'level-unsynced': (folder) => openLevel(folder, UNSYNCED),
  'memory-names': () => openNames('memory', {}),
  'file-names': (folder) => openNames('file', poolIn(folder)),
  'pmem-names': (folder) => openNames('pmem', poolIn(folder)),
  'lmdb-names': (folder) => openLmdb(folder, NAMED),
  'lmdb-names-in-turn': (folder) => openLmdb(folder, { ...NAMED, overlappingSync: false }),
  'lmdb-names-unsynced': (folder) => openLmdb(folder, { ...NAMED, noSync: true }),
  'sqlite-names': (folder) => openSqlite(folder, { ...NAMED, ...SYNCED }),
  'sqlite-names-unsynced': (folder) => openSqlite(folder, { ...NAMED, ...UNSYNCED }),
  'level-names': (folder) => openLevel(folder, { ...NAMED, ...SYNCED }),
  'level-names-unsynced': (folder) => openLevel(folder, { ...NAMED, ...UNSYNCED }),
};

// Not among the project's own dependencies, so that they are loaded where they are wanted.
async function openLmdb(...args) {
  return (await import('../peers/lmdb.js')).openLmdb(...args);
}

async function openSqlite(...args) {
  return (await import('../peers/sqlite.js')).openSqlite(...args);
}

async function openLevel(...args) {
  return (await import('../peers/level.js')).openLevel(...args);
}

const POOL_BYTES = 2 ** 31;

function poolIn(folder) {
  return { path: `${folder}/bench.pool`, create_if_missing_with_size: POOL_BYTES };
}

const [, , kind, folder] = process.argv;
const contender = await KINDS[kind](folder);

async function measure(operation, size, depth, times) {
  const run = await contender[operation](size);
  const cpuBefore = process.cpuUsage();
  const start = process.hrtime.bigint();
  if (depth === 1) {
    for (let index = 0; index < times; index++) await run(index);
  } else {
    const pending = new Array(depth);
    for (let index = 0; index < times; index += depth) {
      for (let other = 0; other < depth; other++) pending[other] = run(index + other);
      await Promise.all(pending);
    }
  }
  const nanos = Number(process.hrtime.bigint() - start) / times;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { nanos, cpuNanos: ((user + system) * 1000) / times };
}

for await (const line of createInterface({ input: process.stdin })) {
  const [operation, size, depth, times] = line.split(' ');
  console.log(JSON.stringify(await measure(operation, Number(size), Number(depth), Number(times))));
}
await contender.close();
