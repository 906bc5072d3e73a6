/** Commands for the life of regions as a whole: they are made, made durable, looked at and removed. */
import { BedrockError } from '../errors.js';
import type { RegionId, RegionStat } from '../target/index.js';
import { RegionUse } from './conflicts.js';
import { WAIT, type Command, type Place, type Run } from './command.js';
import { ALL, MANY, OK_LINE, ONE, creationOptions, invalid, placeOf, rangesOf } from './region-arguments.js';
import { ReplyMap, type Reply } from './replies.js';

/** BLOB.CREATE size [DATA bytes] [PERSIST] [AT provider] */
const create: Run = (request, client, reply) => {
  const size = request.size(1, 'size');
  const hasData = request.count > 2 && request.isWord(2, 'data');
  if (hasData && request.count < 4) throw invalid('the bytes after DATA are missing');
  const { persist, place } = creationOptions(request, client, hasData ? 4 : 2);
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

export const LIFE_COMMANDS: readonly Command[] = [
  {
    name: 'blob.create',
    arity: [2, 7],
    run: create,
    isWrite: true,
    summary: 'Makes a region; gives its ID.',
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
];
