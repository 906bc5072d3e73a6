/**
 * MGET and MSET for direct targets: they look all names up, or change them, while the request is
 * parsed, and no promise is needed. If that is not possible, they run as ordinary steps.
 */
import type { Change } from '../contract/names.js';
import type { RegionStat } from '../contract/target.js';
import type { DirectTarget } from '../targets/direct-target.js';
import { ALL, type Command, type CommandSession, type Run } from './command.js';
import { replyNow } from './direct-read.js';
import { isOutOfSpace, nullLine } from './direct-steps.js';
import { headOf } from './pipeline.js';
import { OK_LINE } from './region-arguments.js';
import type { Request } from './request.js';
import type { Step } from './step.js';
import { keysOf, runStep } from './steps.js';

/** The most names, and bytes of a reply, that are handled at once. */
const MOST_NAMES = 256;
const MOST_BYTES = 2 ** 16;

const LINE_END_BYTES = 2;

/**
 * The names of a request and their target, if all can be done at once. The request must find no
 * other in flight, as it would have to be compared with it name by name.
 */
function namesNow(
  request: Request,
  session: CommandSession,
  keys: NonNullable<Command['keys']>,
  ability: 'isDirect' | 'readsNow',
): (ReturnType<typeof keysOf> & { direct: DirectTarget; names: readonly string[] }) | undefined {
  if (session.calls.inFlight > 0 || request.count > 2 * MOST_NAMES) return undefined;
  const found = keysOf(request, session, keys);
  const { served, refs } = found;
  const { direct } = served;
  if (direct?.[ability] !== true || !isNames(refs)) return undefined;
  return { ...found, direct, names: refs };
}

function isNames(refs: readonly unknown[]): refs is readonly string[] {
  return refs.every((ref) => typeof ref === 'string');
}

/** MGET key… */
export function getAllNow(step: Step): Run {
  const asStep = runStep('read', ALL, step, false);
  return (request, session) => {
    const asked = namesNow(request, session, ALL, 'readsNow');
    if (asked === undefined) return asStep(request, session);
    const { served, direct, names } = asked;
    if (!session.calls.enter(served)) return asStep(request, session);
    let found: (RegionStat | undefined)[];
    try {
      // Nothing else runs until the last one is read, so all values are of one moment.
      found = names.map((name) => direct.findNow(name));
    } catch (error) {
      session.calls.fail(served, 'read', error);
      return undefined;
    }
    const none = nullLine(session);
    const size = sizeOf(found, none, session.limits.maxBulkBytes);
    if (size > MOST_BYTES) served.executionPool.leave();
    else if (replyNow(session, served, `*${found.length}\r\n`, size - LINE_END_BYTES, fill, found, none))
      return undefined;
    return asStep(request, session);
  };
}

/** Bytes of all members as they are sent; Infinity if one is too large to be sent. */
function sizeOf(found: readonly (RegionStat | undefined)[], none: string, maxBulkBytes: number): number {
  let size = 0;
  for (const each of found) {
    if (each === undefined) size += none.length;
    else if (each.size > maxBulkBytes) return Infinity;
    else size += headOf(each.size).length + each.size + LINE_END_BYTES;
  }
  return size;
}

/** Writes the members, without the last end of a line. @returns whether all could be read at once */
function fill(
  room: Buffer,
  direct: DirectTarget,
  found: readonly (RegionStat | undefined)[],
  none: string,
): boolean {
  let at = 0;
  for (const each of found) {
    at = write(room, at, each === undefined ? none : headOf(each.size));
    if (each === undefined) continue;
    if (!direct.readNow(each.id, 0, room.subarray(at, at + each.size))) return false;
    at = write(room, at + each.size, '\r\n');
  }
  return true;
}

/** Writes short text in ASCII as far as there is room. @returns the position after it */
function write(room: Buffer, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) room[at + index] = text.charCodeAt(index);
  return at + text.length;
}

/** MSET key value… */
export function putAllNow(keys: NonNullable<Command['keys']>, step: Step): Run {
  const asStep = runStep('transact', keys, step);
  return (request, session) => {
    const asked = namesNow(request, session, keys, 'isDirect');
    if (asked === undefined) return asStep(request, session);
    const { served, direct, names } = asked;
    const changes = names.map((name, index): Change => ({
      type: 'put',
      name,
      contents: request.bytes(2 * index + 2),
    }));
    if (!session.calls.enter(served)) return asStep(request, session);
    try {
      const made = direct.transactNow(changes);
      if (made instanceof Promise) {
        session.calls.leaveWhen(made, served, 'transact', 0, OK_LINE, 'alone');
        return undefined;
      }
      if (made !== undefined) {
        session.calls.leave(served, 'transact', 0);
        session.replies.line(OK_LINE);
        return undefined;
      }
    } catch (error) {
      // Slow clients may have to give way first.
      if (!isOutOfSpace(error)) {
        session.calls.fail(served, 'transact', error);
        return undefined;
      }
    }
    served.executionPool.leave();
    return asStep(request, session);
  };
}
