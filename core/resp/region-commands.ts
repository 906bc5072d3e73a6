/**
 * Commands on regions: those of our own (`BLOB.…`), which say what a target does, and those of Redis whose meaning fits.
 *
 * A region has a fixed size: what does not lie within it is OUT_OF_RANGE, never an extension and never less than was asked for.
 */
import { BedrockError } from '../errors.js';
import type { RegionId, RegionPage, RegionRange, RegionStat } from '../target/index.js';
import { RegionUse } from './conflicts.js';
import { WAIT, type Command, type CommandClient, type Place, type Run } from './command.js';
import { ReplyMap, type Reply } from './replies.js';
import type { Request } from './request.js';

const OK_LINE = '+OK\r\n';
/** Regions of one page of BLOB.LIST and SCAN, and how many may be asked for. */
const DEFAULT_COUNT = 10;
const MAX_COUNT = 10_000;

function invalid(message: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', message);
}

function placeOf(request: Request, client: CommandClient, index = 1): Place {
  return client.place(request.prefixOf(index));
}

/** Whether the arguments from `index` on are the word PERSIST, and nothing else. */
function isPersistent(request: Request, index: number): boolean {
  if (request.count === index) return false;
  if (request.count === index + 1 && request.isWord(index, 'persist')) return true;
  throw invalid(
    `after the bytes only PERSIST may stand, not ${JSON.stringify(request.text(index).slice(0, 32))}`,
  );
}

function checkReplySize(size: number, { limits }: CommandClient): void {
  if (size <= limits.maxBulkBytes) return;
  throw invalid(`one reply holds at most ${limits.maxBulkBytes} bytes, not ${size}; read it in parts`);
}

// ---- creation ----

/** BLOB.CREATE size [DATA bytes] [PERSIST] */
const create: Run = (request, client, reply) => {
  const size = request.size(1, 'size');
  const hasData = request.count > 2 && request.isWord(2, 'data');
  if (hasData && request.count < 4) throw invalid('the bytes after DATA are missing');
  const persist = isPersistent(request, hasData ? 4 : 2);
  const place = client.place('');
  const bytes = hasData ? request.bytes(3) : undefined;
  if (bytes !== undefined && bytes.length !== size)
    throw invalid(`DATA has ${bytes.length} bytes, but the size is ${size}`);
  client.operate(
    {
      operation: 'create',
      place,
      bytes: bytes?.length ?? 0,
      keepsInput: bytes !== undefined,
      call: () =>
        bytes === undefined ? place.target.create(size) : place.target.createAndWrite(bytes, { persist }),
      answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
    },
    reply,
  );
  return undefined;
};

// ---- writing ----

function write(
  request: Request,
  client: CommandClient,
  reply: Parameters<Run>[2],
  persist: boolean,
  answersSize: boolean,
): ReturnType<Run> {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const offset = request.size(2, 'offset');
  const { target } = place;
  const size = request.lengthOf(3);
  const use = new RegionUse(target, id, offset, offset + size, true);
  if (client.conflicts(use)) return WAIT;
  const bytes = request.bytes(3);
  client.operate<RegionStat | undefined>(
    {
      operation: 'write',
      place,
      use,
      bytes: size,
      keepsInput: true,
      call: () => {
        const written = target.write(id, offset, bytes, persist ? PERSIST : undefined) as Promise<undefined>;
        return answersSize ? written.then(() => target.stat(id)) : written;
      },
      answer: (stat, to) => (to.head = stat === undefined ? OK_LINE : `:${stat.size}\r\n`),
    },
    reply,
  );
  return undefined;
}

const PERSIST = { persist: true } as const;

/** BLOB.WRITE id offset bytes [PERSIST] */
const blobWrite: Run = (request, client, reply) =>
  write(request, client, reply, isPersistent(request, 4), false);

/** SETRANGE id offset bytes */
const setRange: Run = (request, client, reply) => write(request, client, reply, false, true);

/** BLOB.WRITEV id offset bytes [offset bytes]… [PERSIST] */
const writev: Run = (request, client, reply) => {
  const pairs = Math.floor((request.count - 2) / 2);
  const persist = isPersistent(request, 2 + 2 * pairs);
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.conflicts(use)) return WAIT;
  const ranges: RegionRange[] = [];
  const pieces: Buffer[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const piece = request.bytes(3 + 2 * pair);
    ranges.push({ offset: request.size(2 + 2 * pair, 'offset'), size: piece.length });
    pieces.push(piece);
  }
  const bytes = Buffer.concat(pieces);
  client.operate(
    {
      operation: 'write',
      place,
      use,
      bytes: bytes.length,
      keepsInput: false,
      call: () => place.target.writev(id, ranges, bytes, { persist }),
      answer: (_, to) => (to.head = OK_LINE),
    },
    reply,
  );
  return undefined;
};

// ---- reading ----

function read(
  client: CommandClient,
  reply: Parameters<Run>[2],
  place: Place,
  id: RegionId,
  offset: number,
  size: number,
): ReturnType<Run> {
  const { target } = place;
  checkReplySize(size, client);
  const use = new RegionUse(target, id, offset, offset + size, false);
  if (client.conflicts(use)) return WAIT;
  client.operate(
    {
      operation: 'read',
      place,
      use,
      bytes: size,
      keepsInput: false,
      call: () => target.read(id, offset, size),
      answer: (bytes, to) => to.setBulk(whole(bytes, size)),
    },
    reply,
  );
  return undefined;
}

/** What a backend gave is not taken at its word. */
function whole(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length === size) return bytes;
  throw new BedrockError('INTERNAL', `a read of ${size} bytes gave ${bytes.length}`);
}

/** BLOB.READ id offset size */
const blobRead: Run = (request, client, reply) =>
  read(
    client,
    reply,
    placeOf(request, client),
    request.regionId(1),
    request.size(2, 'offset'),
    request.size(3, 'size'),
  );

/** GETRANGE id start end: both inclusive; negative ones count from the region's end. */
const getRange: Run = (request, client, reply) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const start = request.integer(2, 'start');
  const end = request.integer(3, 'end');
  if (start >= 0 && end >= 0) return read(client, reply, place, id, start, Math.max(0, end - start + 1));
  const { target } = place;
  const use = new RegionUse(target, id, 0, Infinity, false);
  if (client.conflicts(use)) return WAIT;
  client.operate(
    {
      operation: 'read',
      place,
      use,
      bytes: 0,
      keepsInput: false,
      call: async () => {
        const { size } = await target.stat(id);
        const from = start < 0 ? size + start : start;
        const to = end < 0 ? size + end : end;
        if (from < 0 || to < -1)
          throw new BedrockError(
            'OUT_OF_RANGE',
            `${from < 0 ? start : end} lies before the first of ${size} bytes`,
          );
        const length = Math.max(0, to - from + 1);
        checkReplySize(length, client);
        return target.read(id, from, length);
      },
      answer: (bytes, to) => to.setBulk(bytes),
    },
    reply,
  );
  return undefined;
};

/** The pairs of numbers from the third argument on. */
function rangesOf(request: Request): RegionRange[] {
  if (request.count % 2 !== 0) throw invalid('an offset without a size');
  const ranges: RegionRange[] = [];
  for (let index = 2; index < request.count; index += 2)
    ranges.push({ offset: request.size(index, 'offset'), size: request.size(index + 1, 'size') });
  return ranges;
}

/** BLOB.READV id offset size [offset size]… */
const readv: Run = (request, client, reply) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const ranges = rangesOf(request);
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  checkReplySize(total, client);
  const use = new RegionUse(place.target, id, 0, Infinity, false);
  if (client.conflicts(use)) return WAIT;
  client.operate(
    {
      operation: 'read',
      place,
      use,
      bytes: total,
      keepsInput: false,
      call: () => place.target.readv(id, ranges),
      answer: (bytes, to) => {
        let from = 0;
        const parts = ranges.map(({ size }) => bytes.subarray(from, (from += size)));
        to.setEncoded(client.encode(parts));
      },
    },
    reply,
  );
  return undefined;
};

// ---- the rest of a region's life ----

/** BLOB.PERSIST id [offset size]… */
const persist: Run = (request, client, reply) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const ranges = request.count === 2 ? undefined : rangesOf(request);
  // Makes durable what was written before; a change of bytes it is none.
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.conflicts(use)) return WAIT;
  client.operate(
    {
      operation: 'persist',
      place,
      use,
      bytes: 0,
      keepsInput: false,
      call: () => place.target.persist(id, ranges),
      answer: (_, to) => (to.head = OK_LINE),
    },
    reply,
  );
  return undefined;
};

/** BLOB.ERASE id */
const erase: Run = (request, client, reply) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.conflicts(use)) return WAIT;
  client.operate(
    {
      operation: 'erase',
      place,
      use,
      bytes: 0,
      keepsInput: false,
      call: () => place.target.erase(id),
      answer: (_, to) => (to.head = OK_LINE),
    },
    reply,
  );
  return undefined;
};

function stat(answer: (stat: RegionStat) => Reply): Run {
  return (request, client, reply) => {
    const place = placeOf(request, client);
    const id = request.regionId(1);
    const use = new RegionUse(place.target, id, 0, Infinity, false);
    if (client.conflicts(use)) return WAIT;
    client.operate(
      {
        operation: 'stat',
        place,
        use,
        bytes: 0,
        keepsInput: false,
        call: () => place.target.stat(id),
        answer: (found, to) => to.setEncoded(client.encode(answer(found))),
      },
      reply,
    );
    return undefined;
  };
}

/** One ID after another; those without a region count nothing. */
function countOf(operation: 'erase' | 'stat'): Run {
  return (request, client, reply) => {
    if (client.isBusy) return WAIT;
    const named: { place: Place; id: RegionId }[] = [];
    for (let index = 1; index < request.count; index++)
      named.push({ place: placeOf(request, client, index), id: request.regionId(index) });
    const [first] = named;
    if (first === undefined) throw invalid('no region is named');
    client.operate(
      {
        operation,
        place: first.place,
        bytes: 0,
        keepsInput: false,
        call: async () => {
          let count = 0;
          for (const { place, id } of named) count += await isThere(place, id, operation);
          return count;
        },
        answer: (count, to) => (to.head = `:${count}\r\n`),
      },
      reply,
    );
    return undefined;
  };
}

async function isThere({ target }: Place, id: RegionId, operation: 'erase' | 'stat'): Promise<0 | 1> {
  try {
    await target[operation](id);
    return 1;
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return 0;
    throw error;
  }
}

// ---- the target ----

function countArgument(request: Request, index: number): number {
  const count = request.size(index, 'COUNT');
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw invalid(`COUNT is ${count}; it must be from 1 to ${MAX_COUNT}`);
}

function list(
  client: CommandClient,
  reply: Parameters<Run>[2],
  place: Place,
  options: { after: RegionId | undefined; limit: number },
  answer: (page: RegionPage) => Reply,
): void {
  const { after, limit } = options;
  client.operate(
    {
      operation: 'list',
      place,
      bytes: 0,
      keepsInput: false,
      call: () => place.target.list(after === undefined ? { limit } : { after, limit }),
      answer: (page, to) => to.setEncoded(client.encode(answer(page))),
    },
    reply,
  );
}

/** BLOB.LIST [AFTER id] [COUNT n] */
const blobList: Run = (request, client, reply) => {
  if (client.isBusy) return WAIT;
  let place = client.place('');
  let after: RegionId | undefined;
  let limit = 1000;
  for (let index = 1; index < request.count; index += 2) {
    if (index + 1 === request.count) throw invalid(`${request.text(index).slice(0, 32)} has no value`);
    if (request.isWord(index, 'after')) {
      place = placeOf(request, client, index + 1);
      after = request.regionId(index + 1);
    } else if (request.isWord(index, 'count')) limit = countArgument(request, index + 1);
    else throw invalid(`BLOB.LIST has AFTER and COUNT, and no ${request.text(index).slice(0, 32)}`);
  }
  list(client, reply, place, { after, limit }, ({ regions, next }) => [
    next?.toString() ?? null,
    regions.map(({ id, size, createdAt }) => [id.toString(), size, createdAt]),
  ]);
  return undefined;
};

/** SCAN cursor [COUNT n] */
const scan: Run = (request, client, reply) => {
  if (client.isBusy) return WAIT;
  const cursor = request.size(1, 'cursor');
  let limit = DEFAULT_COUNT;
  if (request.count > 2) {
    if (request.count !== 4 || !request.isWord(2, 'count')) throw invalid('SCAN has COUNT, and nothing else');
    limit = countArgument(request, 3);
  }
  const after = cursor === 0 ? undefined : client.cursor(cursor);
  if (cursor !== 0 && after === undefined)
    throw invalid(`the cursor ${cursor} is not known any more; begin with 0`);
  list(client, reply, client.place(''), { after, limit }, ({ regions, next }) => [
    next === undefined ? '0' : String(client.keepCursor(next)),
    regions.map(({ id }) => id.toString()),
  ]);
  return undefined;
};

/** BLOB.STATS */
const stats: Run = (_request, client, reply) => {
  if (client.isBusy) return WAIT;
  const place = client.place('');
  client.operate(
    {
      operation: 'stat',
      place,
      bytes: 0,
      keepsInput: false,
      call: () => place.target.stats(),
      answer: ({ recovery, ...flat }, to) =>
        to.setEncoded(
          client.encode(
            new ReplyMap([...Object.entries(flat), ['recovery', new ReplyMap(Object.entries(recovery))]]),
          ),
        ),
    },
    reply,
  );
  return undefined;
};

const MANY = Infinity;
const ONE = [1, 1, 1] as const;
const ALL = [1, -1, 1] as const;

export const REGION_COMMANDS: readonly Command[] = [
  {
    name: 'blob.create',
    arity: [2, 5],
    run: create,
    isWrite: true,
    summary: 'Makes a region; gives its ID.',
  },
  {
    name: 'blob.write',
    arity: [4, 5],
    keys: ONE,
    run: blobWrite,
    isWrite: true,
    summary: 'Overwrites part of a region.',
  },
  { name: 'blob.read', arity: [4, 4], keys: ONE, run: blobRead, summary: 'Gives part of a region.' },
  {
    name: 'blob.writev',
    arity: [4, MANY],
    keys: ONE,
    run: writev,
    isWrite: true,
    summary: 'Overwrites several parts of a region.',
  },
  {
    name: 'blob.readv',
    arity: [4, MANY],
    keys: ONE,
    run: readv,
    summary: 'Gives several parts of a region.',
  },
  {
    name: 'blob.persist',
    arity: [2, MANY],
    keys: ONE,
    run: persist,
    isWrite: true,
    summary: 'Makes a region, or parts of it, durable.',
  },
  { name: 'blob.erase', arity: [2, 2], keys: ONE, run: erase, isWrite: true, summary: 'Removes a region.' },
  {
    name: 'blob.stat',
    arity: [2, 2],
    keys: ONE,
    run: stat(
      ({ id, size, createdAt }) =>
        new ReplyMap([
          ['id', id.toString()],
          ['size', size],
          ['createdAt', createdAt],
        ]),
    ),
    summary: 'Gives size and time of creation of a region.',
  },
  { name: 'blob.list', arity: [1, 5], run: blobList, summary: 'Gives the regions of a target, in pages.' },
  { name: 'blob.stats', arity: [1, 1], run: stats, summary: 'Says how full a target is.' },
  {
    name: 'setrange',
    arity: [4, 4],
    keys: ONE,
    run: setRange,
    isWrite: true,
    summary: 'Overwrites part of a region; gives its size.',
  },
  {
    name: 'getrange',
    arity: [4, 4],
    keys: ONE,
    run: getRange,
    summary: 'Gives the bytes from a first to a last one.',
  },
  {
    name: 'strlen',
    arity: [2, 2],
    keys: ONE,
    run: stat(({ size }) => size),
    summary: 'Gives the size of a region.',
  },
  {
    name: 'del',
    arity: [2, MANY],
    keys: ALL,
    run: countOf('erase'),
    isWrite: true,
    summary: 'Removes regions; gives how many there were.',
  },
  {
    name: 'exists',
    arity: [2, MANY],
    keys: ALL,
    run: countOf('stat'),
    summary: 'Gives how many of the regions there are.',
  },
  { name: 'scan', arity: [2, 4], run: scan, summary: 'Gives the IDs of a target, in pages.' },
];
