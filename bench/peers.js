/**
 * Small values beside the stores that people would take instead: puts that are durable, puts that
 * are not, gets, one at a time and 64 at once; within the process that wants them, and over TCP.
 * And what a million of them takes in memory.
 */
import { row, sizeText } from './table.js';
import { DISK, SHM } from './target/contenders.js';
import { measureStores } from './target/in-process.js';
import { Contenders, NODE_HTTP, REDIS, REDIS_DURABLE } from './transport/contenders.js';

const SECTION = 'peers';
const SIZES = [64, 4096];
const DEPTHS = [1, 64];
const MILLION = 1_000_000;
const OPERATIONS = { writeDurably: 'durable put', write: 'put', read: 'get' };

/**
 * In-process: who takes part at each place, ours first; what each is called, how it is opened, and
 * the package that it needs.
 */
const PLACES = {
  'on /dev/shm': {
    on: SHM,
    operations: ['writeDurably', 'read'],
    stores: [
      { name: 'pmem', kind: 'pmem', isForced: true },
      { name: 'lmdb', kind: 'lmdb', needs: 'lmdb' },
      { name: 'better-sqlite3', kind: 'sqlite', needs: 'better-sqlite3' },
      { name: 'classic-level', kind: 'level', needs: 'classic-level' },
      { name: 'plain fs', kind: 'files' },
    ],
  },
  'on /dev/shm, nothing durable': {
    on: SHM,
    operations: ['write', 'read'],
    stores: [
      { name: 'memory', kind: 'memory' },
      { name: 'lmdb noSync', kind: 'lmdb-unsynced', needs: 'lmdb' },
      { name: 'better-sqlite3 synchronous=OFF', kind: 'sqlite-unsynced', needs: 'better-sqlite3' },
      { name: 'classic-level without sync', kind: 'level-unsynced', needs: 'classic-level' },
      { name: 'plain fs', kind: 'files' },
    ],
  },
  'on a disk': {
    on: DISK,
    operations: ['writeDurably', 'read'],
    stores: [
      { name: 'file', kind: 'file' },
      { name: 'lmdb', kind: 'lmdb', needs: 'lmdb' },
      { name: 'better-sqlite3', kind: 'sqlite', needs: 'better-sqlite3' },
      { name: 'classic-level', kind: 'level', needs: 'classic-level' },
      { name: 'plain fs', kind: 'files' },
    ],
  },
};

const SERVED = [
  { store: 'pmem', operation: 'writeDurably', references: [REDIS_DURABLE] },
  { store: 'memory', operation: 'write', references: [REDIS, NODE_HTTP] },
  { store: 'memory', operation: 'read', references: [REDIS, NODE_HTTP] },
];

export async function peersSection({ rounds, only = '' }) {
  const rows = [];
  for (const [title, place] of Object.entries(PLACES))
    rows.push(...(await compareInProcess(title, place, rounds, only)));
  rows.push(...(await compareServed(rounds, only)));
  if (MEMORY.includes(only)) rows.push(await compareMemory());
  return rows;
}

async function compareInProcess(title, { on, operations, stores }, rounds, only) {
  const nameOf = (cell) => cellName(`${stores[0].name} ${title}`, cell);
  const cells = cellsOf(operations).filter((cell) => nameOf(cell).includes(only));
  const measured = await measureStores({ on, stores }, cells, rounds);
  const [ours, ...references] = stores.map(({ name }) => name);
  return measured.flatMap((found, index) =>
    references.map((reference) =>
      row(
        SECTION,
        nameOf(cells[index]),
        'us',
        found.get(ours).micros,
        found.get(reference)?.micros,
        reference,
      ),
    ),
  );
}

async function compareServed(rounds, only) {
  const nameOf = (store, cell) => cellName(`${store} over TCP`, cell);
  const cells = SERVED.flatMap(({ store, operation, references }) =>
    cellsOf([operation]).map((cell) => ({ ...cell, transport: 'tcp', names: [store, ...references] })),
  ).filter((cell) => nameOf(cell.names[0], cell).includes(only));
  if (cells.length === 0) return [];
  const contenders = await Contenders.start(['memory', REDIS, REDIS_DURABLE, NODE_HTTP]);
  try {
    const measured = await contenders.measureInTurns(cells, rounds);
    return cells.flatMap((cell) => {
      const [ours, ...references] = cell.names;
      const micros = (name) => measured.get(cell).get(name) && 1e6 / measured.get(cell).get(name).rate;
      return references.map((reference) =>
        row(SECTION, nameOf(ours, cell), 'us', micros(ours), micros(reference), reference),
      );
    });
  } finally {
    await contenders.stop();
  }
}

const MEMORY = 'memory over TCP, memory of a value of 64 B, of a million';

async function compareMemory() {
  const contenders = await Contenders.start(['memory', REDIS]);
  try {
    const ours = await contenders.bytesOfValue('memory', SIZES[0], MILLION);
    const theirs = await contenders.bytesOfValue(REDIS, SIZES[0], MILLION);
    return row(SECTION, MEMORY, 'B', ours, theirs, REDIS);
  } finally {
    await contenders.stop();
  }
}

function cellsOf(operations) {
  return operations.flatMap((operation) =>
    SIZES.flatMap((size) => DEPTHS.map((depth) => ({ operation, size, depth }))),
  );
}

function cellName(store, { operation, size, depth }) {
  return `${store}, ${OPERATIONS[operation]} ${sizeText(size)}${depth > 1 ? `, ${depth} at once` : ''}`;
}
