/**
 * One contender of bench/target.js or bench/peers.js, in a process of its own: `worker.js KIND FOLDER`. Reads lines
 * "OPERATION SIZE DEPTH TIMES" and answers each with the nanoseconds an operation took, awaited as a user would await it: one at a
 * time, or `DEPTH` at once.
 *
 * Operations walk through 32 MiB in order, as native/reference.c does.
 */
import { createInterface } from 'node:readline';
import { openFiles } from './files.js';
import { openTarget } from './ours.js';

const KINDS = {
  memory: () => openTarget('memory', {}),
  file: (folder) => openTarget('file', poolIn(folder)),
  pmem: (folder) => openTarget('pmem', poolIn(folder)),
  'pmem-unsynced': (folder) => openTarget('pmem', { ...poolIn(folder), sync_writes: false }),
  files: (folder) => openFiles(folder),
  // Not among the project's own dependencies, so that they are loaded where they are wanted.
  lmdb: async (folder) => (await import('../peers/lmdb.js')).openLmdb(folder, {}),
  'lmdb-unsynced': async (folder) => (await import('../peers/lmdb.js')).openLmdb(folder, { noSync: true }),
  sqlite: async (folder) => (await import('../peers/sqlite.js')).openSqlite(folder, { isSynced: true }),
  'sqlite-unsynced': async (folder) =>
    (await import('../peers/sqlite.js')).openSqlite(folder, { isSynced: false }),
  level: async (folder) => (await import('../peers/level.js')).openLevel(folder, { isSynced: true }),
  'level-unsynced': async (folder) =>
    (await import('../peers/level.js')).openLevel(folder, { isSynced: false }),
};

const POOL_BYTES = 2 ** 31;

function poolIn(folder) {
  return { path: `${folder}/bench.pool`, create_if_missing_with_size: POOL_BYTES };
}

const [, , kind, folder] = process.argv;
const contender = await KINDS[kind](folder);

async function measure(operation, size, depth, times) {
  const run = await contender[operation](size);
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
  return Number(process.hrtime.bigint() - start) / times;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [operation, size, depth, times] = line.split(' ');
  console.log(await measure(operation, Number(size), Number(depth), Number(times)));
}
await contender.close();
