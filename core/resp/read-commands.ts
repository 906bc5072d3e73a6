/**
 * Commands that give bytes of regions.
 *
 * A region has a fixed size: what does not lie within it is OUT_OF_RANGE, never less than was asked for.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import { MOST_POOLED_BYTES, takeBuffer } from '../net/buffer-pool.js';
import { DIRECT_BYTES } from '../targets/direct-target.js';
import { type Command, type CommandClient, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { Place } from './operation-call.js';
import { invalid, MANY, ONE, placeOf, rangesOf } from './region-arguments.js';

function checkReplySize(size: number, { limits }: CommandClient): void {
  if (size <= limits.maxBulkBytes) return;
  throw invalid(`one reply holds at most ${limits.maxBulkBytes} bytes, not ${size}; read it in parts`);
}

function read(
  client: CommandClient,
  place: Place,
  id: RegionId,
  offset: number,
  size: number,
): ReturnType<Run> {
  const { target, direct } = place;
  checkReplySize(size, client);
  client.replies.admit(size);
  const use = new RegionUse(target, id, offset, offset + size, false);
  if (client.calls.conflicts(use)) return WAIT;
  if (direct?.isDirect === true && size <= DIRECT_BYTES && client.calls.enter(place)) {
    const { replies } = client;
    try {
      void direct.readNow(id, offset, replies.openBulk(size));
      replies.closeBulk();
      client.calls.leave(place, 'read', size);
    } catch (error) {
      replies.dropBulk();
      client.calls.fail(place, 'read', error);
    }
    return undefined;
  }
  // More than the pool has is taken only once the target has checked that there are as many bytes.
  const lent = size <= MOST_POOLED_BYTES ? takeBuffer(size) : undefined;
  const into = lent?.subarray(0, size);
  client.calls.operate({
    operation: 'read',
    place,
    use,
    bytes: size,
    promised: size,
    // Safe: `into` is the reply's alone until it has gone out.
    call: () =>
      into === undefined
        ? target.read(id, offset, size)
        : target.readInto(id, offset, into).then((): Uint8Array => into),
    answer: (bytes, to) => to.setBulk(bytes, lent),
  });
  return undefined;
}

/** BLOB.READ id offset size */
const blobRead: Run = (request, client) =>
  read(
    client,
    placeOf(request, client),
    request.regionId(1),
    request.size(2, 'offset'),
    request.size(3, 'size'),
  );

/** GETRANGE id start end: both inclusive; negative ones count from the region's end. */
const getRange: Run = (request, client) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const start = request.integer(2, 'start');
  const end = request.integer(3, 'end');
  if (start >= 0 && end >= 0) return read(client, place, id, start, Math.max(0, end - start + 1));
  // How much it reads only the region tells: of such replies one at a time is made.
  if (client.isBusy) return WAIT;
  const { target } = place;
  client.calls.operate<Uint8Array>({
    operation: 'read',
    place,
    isAlone: true,
    bytes: 0,
    bytesOf: ({ length }) => length,
    call: async (reply) => {
      const { size } = await target.stat(id);
      // Safe: a region's size never changes, nor does its ID come to name another; of one that is erased by now the read fails.
      const from = start < 0 ? size + start : start;
      const to = end < 0 ? size + end : end;
      if (from < 0 || to < -1)
        throw new BedrockError(
          'OUT_OF_RANGE',
          `${from < 0 ? start : end} lies before the first of ${size} bytes`,
        );
      const length = Math.max(0, to - from + 1);
      checkReplySize(length, client);
      client.replies.promise(reply, length);
      return target.read(id, from, length);
    },
    answer: (bytes, to) => to.setBulk(bytes),
  });
  return undefined;
};

/** BLOB.READV id offset size [offset size]… */
const readv: Run = (request, client) => {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, false);
  if (client.calls.conflicts(use)) return WAIT;
  const ranges = rangesOf(request);
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  checkReplySize(total, client);
  client.calls.operate({
    operation: 'read',
    place,
    use,
    bytes: total,
    // The parts and, once more, what is sent.
    promised: 2 * total,
    kept: client.keepList(ranges.length),
    call: () => place.target.readv(id, ranges),
    answer: (bytes, to) => {
      let from = 0;
      const parts = ranges.map(({ size }) => bytes.subarray(from, (from += size)));
      to.setEncoded(client.encode(parts));
    },
  });
  return undefined;
};

export const READ_COMMANDS: readonly Command[] = [
  { name: 'blob.read', arity: [4, 4], keys: ONE, run: blobRead, summary: 'Gives part of a region.' },
  {
    name: 'blob.readv',
    arity: [4, MANY],
    keys: ONE,
    run: readv,
    summary: 'Gives several parts of a region.',
  },
  {
    name: 'getrange',
    arity: [4, 4],
    keys: ONE,
    run: getRange,
    summary: 'Gives the bytes from a first to a last one.',
  },
];
