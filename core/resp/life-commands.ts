/** Commands for the life of regions as a whole: they are made, made durable, looked at and removed. */
import { asBedrockError, BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { type Command, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { Place } from './operation-call.js';
import { ALL, creationOptions, invalid, MANY, OK_LINE, ONE, placeOf, rangesOf } from './region-arguments.js';
import { type Reply, ReplyMap } from './replies.js';

/** BLOB.CREATE size [DATA bytes] [PERSIST] [AT provider] */
const create: Run = (request, client) => {
  const size = request.size(1, 'size');
  const hasData = request.count > 2 && request.isWord(2, 'data');
  if (hasData && request.count < 4) throw invalid('the bytes after DATA are missing');
  const { persist, place } = creationOptions(request, client, hasData ? 4 : 2);
  if (hasData && request.lengthOf(3) !== size)
    throw invalid(`DATA has ${request.lengthOf(3)} bytes, but the size is ${size}`);
  const kept = hasData ? client.keep(3) : undefined;
  client.calls.operate({
    operation: 'create',
    place,
    bytes: hasData ? size : 0,
    kept,
    call: () =>
      kept === undefined ? place.target.create(size) : place.target.createAndWrite(kept.bytes, { persist }),
    answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
  });
  return undefined;
};

/** BLOB.PERSIST id [offset size]… */
const persist: Run = (request, client) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  // Makes durable what was written before; a change of bytes it is none.
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.calls.conflicts(use)) return WAIT;
  const ranges = request.count === 2 ? undefined : rangesOf(request);
  client.calls.operate({
    operation: 'persist',
    place,
    use,
    bytes: 0,
    kept: client.keepList(ranges?.length ?? 0),
    call: () => place.target.persist(id, ranges),
    answer: (_, to) => (to.head = OK_LINE),
  });
  return undefined;
};

/** BLOB.ERASE id */
const erase: Run = (request, client) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.calls.conflicts(use)) return WAIT;
  client.calls.operate({
    operation: 'erase',
    place,
    use,
    bytes: 0,
    call: () => place.target.erase(id),
    answer: (_, to) => (to.head = OK_LINE),
  });
  return undefined;
};

function stat(answer: (stat: RegionStat) => Reply): Run {
  return (request, client) => {
    const place = placeOf(request, client);
    const id = request.regionId(1);
    const use = new RegionUse(place.target, id, 0, Infinity, false);
    if (client.calls.conflicts(use)) return WAIT;
    client.calls.operate({
      operation: 'stat',
      place,
      use,
      bytes: 0,
      call: () => place.target.stat(id),
      answer: (found, to) => to.setEncoded(client.encode(answer(found))),
    });
    return undefined;
  };
}

/** One ID after another, up to the first that fails; those without a region count nothing. */
function countOf(operation: 'erase' | 'stat'): Run {
  return (request, client) => {
    if (client.isBusy) return WAIT;
    const named: { place: Place; id: RegionId }[] = [];
    for (let index = 1; index < request.count; index++)
      named.push({ place: placeOf(request, client, index), id: request.regionId(index) });
    const [first] = named;
    if (first === undefined) throw invalid('no region is named');
    client.calls.operate({
      operation,
      place: first.place,
      isAlone: true,
      bytes: 0,
      kept: client.keepList(named.length),
      call: async () => {
        let count = 0;
        // Safe: nothing is known of a region before its own call, and a target that is closed by then refuses it.
        for (const { place, id } of named) {
          try {
            count += await isThere(place, id, operation);
          } catch (error) {
            throw operation === 'erase' ? failedAfter(count, named.length, error) : error;
          }
        }
        return count;
      },
      answer: (count, to) => (to.head = `:${count}\r\n`),
    });
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

/** Why an erasure of several failed, and how many were erased before. */
function failedAfter(erased: number, named: number, cause: unknown): BedrockError {
  const { code, message, details } = asBedrockError(cause);
  return new BedrockError(code, `${message}; ${erased} of ${named} regions were erased before`, {
    details: { ...details, erased },
    cause,
  });
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
