/**
 * Values of 64 bytes under names of 20, beside the stores that people would take instead: durable
 * puts under names that are there, values found, mapped and read by name, transactions, and walks
 * over all pairs, within the process that wants them; SET and GET over TCP by the same client; and
 * what a million of them takes in memory.
 *
 * In-process there are 8192 names, met in no order. A time is wall clock; `CPU` beside it is that
 * of all threads of the process, which a busy machine disturbs less.
 */
import { row, sizeText } from './table.js';
import { NAMES } from './kv/names.js';
import { TOGETHER } from './peers/values.js';
import { DISK, SHM } from './target/contenders.js';
import { measureStores } from './target/in-process.js';
import { Contenders, NAMED } from './transport/contenders.js';

const SECTION = 'kv';
const SIZE = 64;

const PUT = { title: `durable put ${sizeText(SIZE)}`, operation: 'writeDurably', depths: [1, 64] };
const PUT_VOLATILE = { ...PUT, title: `put ${sizeText(SIZE)}` };
/** The others have no such thing: they give a copy for each of these. */
const FIND = { title: 'find', operation: 'find' };
const MAP = { title: `map ${sizeText(SIZE)} and release`, operation: 'map' };
const READ = { title: `read ${sizeText(SIZE)}`, operation: 'read' };
const TRANSACT = {
  title: `transaction of ${TOGETHER} writes of ${sizeText(SIZE)}`,
  operation: 'writeTogether',
};
const WALK = { title: 'pairs walked', operation: 'walk', pairs: NAMES };

/**
 * In-process: who takes part at each place, ours first; what each is called, how it is opened, the
 * package that it needs, and which operations it takes, all unless told.
 */
const PLACES = {
  'pmem on /dev/shm': {
    on: SHM,
    operations: [PUT, FIND, MAP, READ, TRANSACT, WALK],
    stores: [
      { name: 'pmem', kind: 'pmem-names', isForced: true },
      { name: 'lmdb', kind: 'lmdb-names', needs: 'lmdb' },
      {
        name: 'lmdb, overlappingSync off',
        kind: 'lmdb-names-in-turn',
        needs: 'lmdb',
        takes: [PUT, TRANSACT],
      },
      { name: 'better-sqlite3', kind: 'sqlite-names', needs: 'better-sqlite3' },
      { name: 'classic-level', kind: 'level-names', needs: 'classic-level' },
    ],
  },
  'memory, nothing durable': {
    on: SHM,
    operations: [PUT_VOLATILE, FIND, MAP, READ, TRANSACT, WALK],
    stores: [
      { name: 'memory', kind: 'memory-names' },
      { name: 'lmdb noSync', kind: 'lmdb-names-unsynced', needs: 'lmdb' },
      { name: 'better-sqlite3 synchronous=OFF', kind: 'sqlite-names-unsynced', needs: 'better-sqlite3' },
      { name: 'classic-level without sync', kind: 'level-names-unsynced', needs: 'classic-level' },
    ],
  },
  'file on a disk': {
    on: DISK,
    operations: [PUT, FIND, READ, TRANSACT],
    stores: [
      { name: 'file', kind: 'file-names' },
      { name: 'lmdb', kind: 'lmdb-names', needs: 'lmdb' },
      { name: 'better-sqlite3', kind: 'sqlite-names', needs: 'better-sqlite3' },
      { name: 'classic-level', kind: 'level-names', needs: 'classic-level' },
    ],
  },
};

/** Over TCP: ours, and redis-server as it is compared with. */
const SERVED = [
  { store: NAMED.memory, reference: NAMED.redis },
  { store: NAMED.pmem, reference: NAMED.redis },
  { store: NAMED.file, reference: NAMED.durableRedis },
];
const COMMANDS = { SET: 'write', GET: 'read' };
const DEPTHS = [1, 32];

export async function kvSection({ rounds, only = '', names = 1_000_000 }) {
  const rows = [];
  for (const [title, place] of Object.entries(PLACES))
    rows.push(...(await compareInProcess(title, place, rounds, only)));
  rows.push(...(await compareServed(rounds, only)));
  rows.push(...(await compareMemory(names, only)));
  return rows;
}

async function compareInProcess(place, { on, operations, stores }, rounds, only) {
  const cells = operations
    .flatMap((operation) => (operation.depths ?? [1]).map((depth) => cellOf(place, operation, depth, stores)))
    .filter(({ name }) => name.includes(only));
  const measured = await measureStores({ on, stores }, cells, rounds);
  return measured.flatMap((found, index) => {
    const [ours, ...references] = cells[index].names;
    return references.flatMap((reference) =>
      rowsOf(cells[index], found.get(ours), found.get(reference), reference),
    );
  });
}

function cellOf(place, operation, depth, stores) {
  const names = stores.filter(({ takes }) => takes?.includes(operation) ?? true).map(({ name }) => name);
  const name = `${place}, ${operation.title}${depth > 1 ? `, ${depth} at once` : ''}`;
  return { ...operation, name, names, size: SIZE, depth };
}

function rowsOf({ name, pairs }, ours, theirs, reference) {
  if (pairs !== undefined) {
    const rate = (figures) => figures && (pairs * 1e6) / figures.micros;
    return [row(SECTION, name, 'pairs/s', rate(ours), rate(theirs), reference)];
  }
  return [
    row(SECTION, name, 'us', ours.micros, theirs?.micros, reference),
    row(SECTION, `${name}, CPU`, 'us', ours.cpuMicros, theirs?.cpuMicros, reference),
  ];
}

async function compareServed(rounds, only) {
  const nameOf = ({ command, depth, names: [store] }) =>
    `TCP, ${store}, ${command} ${sizeText(SIZE)}, depth ${depth}`;
  const cells = SERVED.flatMap(({ store, reference }) =>
    Object.entries(COMMANDS).flatMap(([command, operation]) =>
      DEPTHS.map((depth) => {
        return { transport: 'tcp', command, operation, size: SIZE, depth, names: [store, reference] };
      }),
    ),
  ).filter((cell) => nameOf(cell).includes(only));
  if (cells.length === 0) return [];
  const contenders = await Contenders.start(cells.flatMap(({ names }) => names));
  try {
    const measured = await contenders.measureInTurns(cells, rounds);
    return cells.flatMap((cell) => {
      const name = nameOf(cell);
      const [ours, theirs] = cell.names.map((each) => measured.get(cell).get(each));
      return [
        row(SECTION, name, 'op/s', ours.rate, theirs?.rate, cell.names[1]),
        row(SECTION, `${name}, server CPU`, 'us/op', ours.cpuMicros, theirs?.cpuMicros, cell.names[1]),
      ];
    });
  } finally {
    await contenders.stop();
  }
}

async function compareMemory(names, only) {
  const name = `TCP, ${NAMED.memory}, memory of a value of ${sizeText(SIZE)}, of ${names}`;
  if (!name.includes(only)) return [];
  const contenders = await Contenders.start([NAMED.memory, NAMED.redis]);
  try {
    const ours = await contenders.bytesOfValue(NAMED.memory, SIZE, names);
    const theirs = await contenders.bytesOfValue(NAMED.redis, SIZE, names);
    return [row(SECTION, name, 'B', ours, theirs, NAMED.redis)];
  } finally {
    await contenders.stop();
  }
}
