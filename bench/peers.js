/**
 * Small values beside the stores that people would take instead: puts that are durable, puts that are not, gets, one at a time and 64 at
 * once; within the process that wants them, and over TCP. And what a million of them takes in memory.
 */
import { present } from './setup.js';
import { row, sizeText } from './table.js';
import { DISK, InProcess, SHM } from './target/contenders.js';
import { Contenders, NODE_HTTP, REDIS, REDIS_DURABLE } from './transport/contenders.js';
import { medianInTurns } from './turns.js';

const SECTION = 'peers';
const SIZES = [64, 4096];
const DEPTHS = [1, 64];
const MILLION = 1_000_000;
const SETTLE_MS = 1000;
const OPERATIONS = { writeDurably: 'durable put', write: 'put', read: 'get' };

/** In-process: who takes part at each place, ours first; what each is called, how it is opened, and the package that it needs. */
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
  if (cells.length === 0) return [];
  const installed = present(stores);
  const started = installed.map(({ name, kind, isForced }) => [name, { kind, on, isForced }]);
  const contenders = await InProcess.start(Object.fromEntries(started));
  try {
    const rows = [];
    const names = installed.map(({ name }) => name);
    const [ours, ...references] = stores.map(({ name }) => name);
    for (const cell of cells) {
      const { operation, size, depth } = cell;
      const found = await contenders.measureInTurns(names, operation, size, depth, rounds);
      for (const reference of references)
        rows.push(row(SECTION, nameOf(cell), 'us', found.get(ours), found.get(reference), reference));
    }
    return rows;
  } finally {
    await contenders.stop();
  }
}

async function compareServed(rounds, only) {
  const nameOf = (store, cell) => cellName(`${store} over TCP`, cell);
  const cells = SERVED.flatMap(({ store, operation, references }) =>
    cellsOf([operation]).map((cell) => ({ ...cell, transport: 'tcp', store, references })),
  ).filter((cell) => nameOf(cell.store, cell).includes(only));
  if (cells.length === 0) return [];
  const contenders = await Contenders.start(['memory', REDIS, REDIS_DURABLE, NODE_HTTP]);
  try {
    const turns = cells.flatMap((cell) =>
      [cell.store, ...cell.references].filter((name) => contenders.has(name)).map((name) => ({ cell, name })),
    );
    for (const { cell, name } of turns) await contenders.warmUp(name, cell);
    const medians = await medianInTurns(turns, rounds, ({ cell, name }) => contenders.measure(name, cell));
    const micros = (cell, name) => {
      const turn = turns.find((one) => one.cell === cell && one.name === name);
      return turn && 1e6 / medians.get(turn).rate;
    };
    return cells.flatMap((cell) =>
      cell.references.map((reference) =>
        row(
          SECTION,
          nameOf(cell.store, cell),
          'us',
          micros(cell, cell.store),
          micros(cell, reference),
          reference,
        ),
      ),
    );
  } finally {
    await contenders.stop();
  }
}

const MEMORY = 'memory over TCP, memory of a value of 64 B, of a million';

/** What the server's process grows by. */
async function compareMemory() {
  const contenders = await Contenders.start(['memory', REDIS]);
  try {
    const bytes = new Map();
    for (const name of ['memory', REDIS].filter((each) => contenders.has(each))) {
      const before = contenders.server(name).residentBytes();
      await (await contenders.client(name, 'tcp')).ask('fill', MILLION, SIZES[0]);
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      bytes.set(name, (contenders.server(name).residentBytes() - before) / MILLION);
    }
    return row(SECTION, MEMORY, 'B', bytes.get('memory'), bytes.get(REDIS), REDIS);
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
