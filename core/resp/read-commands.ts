/**
 * Commands that return bytes of regions.
 *
 * A region has a fixed size. A range that is not within it is OUT_OF_RANGE; the reply is never
 * shorter than requested.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { invalid } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionRange } from '../contract/target.js';
import { MOST_SPARE_BYTES, takeBuffer } from '../net/spare-buffers.js';
import { DIRECT_BYTES } from '../targets/direct-target.js';
import { PIECE_RANGES } from '../targets/many-ranges.js';
import {
  type Command,
  command,
  type CommandSession,
  MANY,
  ONE,
  READS_ONE,
  type Run,
  WAIT,
} from './command.js';
import { RegionUse } from './conflicts.js';
import { readNow } from './direct-read.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { EncodedArray, encodeMembers } from './replies.js';
import { onRegion, rangeBetween, servedOf, rangesOf } from './region-arguments.js';
import { runStep } from './steps.js';
import { getRange as getRangeStep } from './string-steps.js';

function checkReplySize(size: number, { limits }: CommandSession): void {
  if (size <= limits.maxBulkBytes) return;
  throw invalid(`one reply holds at most ${limits.maxBulkBytes} bytes, not ${size}; read it in parts`);
}

function read(
  session: CommandSession,
  served: ServedTarget,
  id: RegionRef,
  offset: number,
  size: number,
): ReturnType<Run> {
  const { target, direct } = served;
  checkReplySize(size, session);
  session.replies.admit(size);
  const use = new RegionUse(target, id, offset, offset + size, false);
  if (session.calls.conflicts(use)) return WAIT;
  const isNow = direct?.readsNow === true && size <= DIRECT_BYTES;
  if (isNow && session.calls.enter(served) && readNow(session, served, id, offset, size)) return undefined;
  // More than a spare buffer holds is allocated only after the target has checked that there are as
  // many bytes.
  const lent = size <= MOST_SPARE_BYTES ? takeBuffer(size) : undefined;
  const into = lent?.subarray(0, size);
  return session.calls.operate({
    operation: 'read',
    served,
    use,
    bytes: size,
    promised: size,
    // Safe: only the reply uses `into` until it has been sent.
    call: () =>
      into === undefined
        ? target.read(id, offset, size)
        : target.readInto(id, offset, into).then((): Uint8Array => into),
    answer: (bytes, to) => to.setBulk(bytes, lent),
  });
}

const getRangeOfName = runStep('read', ONE, getRangeStep, false);

/** BLOB.READ id offset size */
const blobRead: Run = (request, session) =>
  read(
    session,
    servedOf(request, session),
    request.ref(1),
    request.size(2, 'offset'),
    request.size(3, 'size'),
  );

/** GETRANGE key start end: both are inclusive; negative ones count from the end. */
const getRange: Run = (request, session) => {
  const id = request.ref(1);
  if (typeof id === 'string') return getRangeOfName(request, session);
  const served = servedOf(request, session);
  const start = request.integer(2, 'start');
  const end = request.integer(3, 'end');
  if (start >= 0 && end >= 0) return read(session, served, id, start, Math.max(0, end - start + 1));
  // Only the region tells how much this reads. So only one such reply is made at a time.
  if (session.isBusy) return WAIT;
  const { target } = served;
  return session.calls.operate<Uint8Array>({
    operation: 'read',
    served,
    isAlone: true,
    bytes: 0,
    bytesOf: ({ length }) => length,
    call: async (reply) => {
      const { size } = await target.stat(id);
      // Safe: a region's size never changes, and its ID never names another. If it is erased by
      // now, the read fails.
      const { offset: from, size: length } = rangeBetween(start, end, size);
      checkReplySize(length, session);
      session.replies.promise(reply, length);
      return target.read(id, from, length);
    },
    answer: (bytes, to) => to.setBulk(bytes),
  });
};

/**
 * The reply of several parts. If there are many, it is made in pieces, and others can run in
 * between.
 */
async function encodeParts(
  bytes: Uint8Array,
  ranges: readonly RegionRange[],
  session: CommandSession,
): Promise<Uint8Array> {
  let from = 0;
  const partsOf = (some: readonly RegionRange[]): Uint8Array[] =>
    some.map(({ size }) => bytes.subarray(from, (from += size)));
  if (ranges.length <= PIECE_RANGES) return session.encode(partsOf(ranges));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < ranges.length; at += PIECE_RANGES) {
    pieces.push(encodeMembers(partsOf(ranges.slice(at, at + PIECE_RANGES)), session.protocol));
    // Safe: a change of the protocol waits for the calls before it, and the ranges belong to the
    // call alone.
    await nextTurn();
  }
  return session.encode(new EncodedArray(ranges.length, pieces));
}

/** BLOB.READV id offset size [offset size]… */
const readv = onRegion(false, ({ served, id, use }, request, session) => {
  const ranges = rangesOf(request);
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  checkReplySize(total, session);
  return session.calls.operate({
    operation: 'read',
    served,
    use,
    bytes: total,
    // The parts and what is sent; for many parts also what it is built from.
    promised: (ranges.length > PIECE_RANGES ? 3 : 2) * total,
    kept: session.memory.keepList(ranges.length),
    call: async () => encodeParts(await served.target.readv(id, ranges), ranges, session),
    answer: (encoded, to) => to.setEncoded(encoded),
  });
});

export const READ_COMMANDS: readonly Command[] = [
  command('blob.read', [4, 4], blobRead, 'Returns part of a region.', READS_ONE),
  command('blob.readv', [4, MANY], readv, 'Returns several parts of a region.', READS_ONE),
  command('getrange', [4, 4], getRange, 'Returns the bytes between two positions, both included.', {
    ...READS_ONE,
    step: getRangeStep,
    group: 'string',
  }),
];
