/**
 * Reads for a reply while the request is parsed, without a promise. All commands that return bytes
 * of regions try this first, if the target `readsNow`. If it is not possible, they make an ordinary
 * call.
 */
import type { RegionRef } from '../contract/names.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { DirectTarget } from '../targets/direct-target.js';
import type { CommandSession } from './command.js';
import { headOf } from './pipeline.js';

/**
 * Fills a room with what is asked for. It is a plain function, and gets what it needs as arguments:
 * a closure for each request would cost as much as the rest.
 * @returns whether all of it could be read at once
 */
type Fill<What, Where> = (room: Buffer, direct: DirectTarget, what: What, where: Where) => boolean;

/**
 * Replies with `head`, `size` bytes that `fill` reads, and the end of a line.
 *
 * The call must have been entered, of a target that `readsNow`. This ends the call: as done, as
 * failed, or, if it has not replied, as never made.
 * @returns whether it has replied
 */
export function replyNow<What, Where>(
  session: CommandSession,
  served: ServedTarget,
  head: string,
  size: number,
  fill: Fill<What, Where>,
  what: What,
  where: Where,
): boolean {
  const { replies, calls } = session;
  try {
    replies.admit(size);
    if (fill(replies.openRoom(head, size), served.direct as DirectTarget, what, where)) {
      replies.closeRoom();
      calls.leave(served, 'read', size);
      return true;
    }
  } catch (error) {
    replies.dropRoom();
    calls.fail(served, 'read', error);
    return true;
  }
  replies.dropRoom();
  served.executionPool.leave();
  return false;
}

/** Replies with part of a region, at most DIRECT_BYTES. As `replyNow`. */
export function readNow(
  session: CommandSession,
  served: ServedTarget,
  ref: RegionRef,
  offset: number,
  size: number,
): boolean {
  return replyNow(session, served, headOf(size), size, readRegion, ref, offset);
}

function readRegion(room: Buffer, direct: DirectTarget, ref: RegionRef, offset: number): boolean {
  return direct.readNow(ref, offset, room);
}
