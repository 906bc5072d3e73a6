/**
 * The most frequent commands on names, for direct targets: they look up, read and change while the
 * request is parsed, without a promise. If that is not possible, they run as ordinary steps.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, Target } from '../contract/target.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { DIRECT_BYTES, type DirectTarget } from '../targets/direct-target.js';
import type { Region } from '../targets/region.js';
import { type CommandSession, type Run, WAIT, ONE } from './command.js';
import { RegionUse } from './conflicts.js';
import { added, INTEGER_LENGTH } from './counter-steps.js';
import { readNow } from './direct-read.js';
import { OK_LINE, servedOf } from './region-arguments.js';
import { NOT_AN_INTEGER, RedisFault } from './redis-fault.js';
import { integerAt } from './redis-integers.js';
import type { Request } from './request.js';
import type { Step } from './step.js';
import { checkNamed, runStep } from './steps.js';

/** Numbers are read into it. */
const SCRATCH = Buffer.allocUnsafeSlow(INTEGER_LENGTH);

export function nullLine({ protocol }: CommandSession): string {
  return protocol === 3 ? '_\r\n' : '$-1\r\n';
}

/** Whether an earlier request must end first. */
function isInTheWay({ calls }: CommandSession, target: Target, name: string, isChange: boolean): boolean {
  // Usually nothing is in flight, and the object to compare need not be made.
  return calls.inFlight > 0 && calls.conflicts(new RegionUse(target, name, 0, Infinity, isChange));
}

/** A command that can answer as soon as it knows which region has the name. */
export function look(
  answer: (found: RegionStat | undefined, session: CommandSession) => void,
  step: Step,
): Run {
  const asStep = runStep('stat', ONE, step, false);
  return (request, session) => {
    const plain = enterPlain(request, session);
    if (plain !== undefined) {
      try {
        answer(regionOf(plain, request), session);
        session.calls.leave(plain, 'stat', 0);
      } catch (error) {
        session.calls.fail(plain, 'stat', error);
      }
      return undefined;
    }
    const ref = request.ref(1);
    const served = servedOf(request, session);
    if (typeof ref === 'string') checkNamed(served);
    const { direct, target } = served;
    if (typeof ref !== 'string' || direct === undefined) return asStep(request, session);
    if (isInTheWay(session, target, ref, false)) return WAIT;
    if (!session.calls.enter(served)) return asStep(request, session);
    try {
      answer(direct.findNow(ref), session);
      session.calls.leave(served, 'stat', 0);
    } catch (error) {
      session.calls.fail(served, 'stat', error);
    }
    return undefined;
  };
}

/**
 * Enters a call on the name that is the first argument, if nothing has to be looked at beside it:
 * the name can be found by its bytes, and nothing is in flight that it might have to wait for.
 * @returns the selected target, whose call `leave` or `fail` must end
 */
function enterPlain(request: Request, session: CommandSession): ServedTarget | undefined {
  const { calls } = session;
  if (calls.inFlight > 0 || !request.isPlainName(1)) return undefined;
  const served = session.served('');
  const isEntered = served.direct !== undefined && served.target.capabilities.named && calls.enter(served);
  return isEntered ? served : undefined;
}

/** The region of the first argument, after `enterPlain`. @throws TARGET_CLOSED */
function regionOf({ direct }: ServedTarget, request: Request): Region | undefined {
  return (direct as DirectTarget).regionNamed(request.buffer, request.startOf(1), request.endOf(1));
}

/** GET key */
export function getNow(step: Step): Run {
  const asStep = runStep('read', ONE, step, false);
  return (request, session) => {
    const plain = enterPlain(request, session);
    if (plain !== undefined) {
      if (getPlain(plain, request, session)) return undefined;
      plain.executionPool.leave();
    }
    const ref = request.ref(1);
    const served = servedOf(request, session);
    if (typeof ref !== 'string') return asStep(request, session);
    checkNamed(served);
    const { direct, target } = served;
    if (direct?.readsNow !== true) return asStep(request, session);
    if (isInTheWay(session, target, ref, false)) return WAIT;
    if (!session.calls.enter(served)) return asStep(request, session);
    let found: RegionStat | undefined;
    try {
      found = direct.findNow(ref);
    } catch (error) {
      session.calls.fail(served, 'read', error);
      return undefined;
    }
    if (found === undefined) {
      session.calls.leave(served, 'read', 0);
      session.replies.line(nullLine(session));
      return undefined;
    }
    const { id, size } = found;
    if (size > DIRECT_BYTES || size > session.limits.maxBulkBytes) served.executionPool.leave();
    else if (readNow(session, served, id, 0, size)) return undefined;
    return asStep(request, session);
  };
}

/**
 * GET after `enterPlain`.
 * @returns whether it has replied, and the call has ended; otherwise nothing was done
 */
function getPlain(served: ServedTarget, request: Request, session: CommandSession): boolean {
  const { calls, replies } = session;
  const direct = served.direct as DirectTarget;
  if (!direct.readsNow) return false;
  try {
    const region = regionOf(served, request);
    if (region === undefined) {
      replies.line(nullLine(session));
      calls.leave(served, 'read', 0);
      return true;
    }
    const { size } = region;
    const at = size > session.limits.maxBulkBytes ? -1 : replies.openPlace(size);
    if (at < 0 || !direct.copyNow(region, replies.place, at)) return false;
    replies.closePlace(at, size);
    calls.leave(served, 'read', size);
    return true;
  } catch (error) {
    calls.fail(served, 'read', error);
    return true;
  }
}

/**
 * SET key value, if nothing has to be looked at beside the key.
 * @returns whether it has replied or will; otherwise nothing was done
 */
export function setPlain(request: Request, session: CommandSession): boolean {
  if (request.lengthOf(2) > DIRECT_BYTES) return false;
  const served = enterPlain(request, session);
  if (served === undefined) return false;
  const { direct } = served;
  try {
    const name = request.plainName(1);
    if (direct?.isDirect === true && put(direct, session, served, name, request.bytes(2), OK_LINE))
      return true;
  } catch (error) {
    // Slow clients may have to give way first.
    if (!isOutOfSpace(error)) {
      session.calls.fail(served, 'put', error);
      return true;
    }
  }
  served.executionPool.leave();
  return false;
}

/** SET key value, without options. @returns nothing, with nothing done, if this is not possible */
export function setNow(
  session: CommandSession,
  served: ServedTarget,
  name: string,
  value: Uint8Array,
): undefined | typeof WAIT | 'later' {
  const { direct, target } = served;
  if (direct?.isDirect !== true || value.length > DIRECT_BYTES) return 'later';
  if (isInTheWay(session, target, name, true)) return WAIT;
  if (!session.calls.enter(served)) return 'later';
  try {
    if (put(direct, session, served, name, value, OK_LINE)) return undefined;
  } catch (error) {
    // Slow clients may have to give way first.
    if (!isOutOfSpace(error)) {
      session.calls.fail(served, 'put', error);
      return undefined;
    }
  }
  served.executionPool.leave();
  return 'later';
}

/**
 * @param found the region that the value was made from, or null if it depends on there being none
 * @returns whether the value was put and the reply sent
 */
function put(
  direct: DirectTarget,
  session: CommandSession,
  served: ServedTarget,
  name: string,
  value: Uint8Array,
  line: string,
  found?: RegionId | null,
): boolean {
  const made = direct.putNow(name, value, found);
  if (made === undefined) return false;
  if (made instanceof Promise) {
    // Nobody sees the region until it is published.
    const use = new RegionUse(served.target, name, 0, Infinity, true);
    session.calls.leaveWhen(made, served, 'put', value.length, line, use);
  } else {
    session.calls.leave(served, 'put', value.length);
    session.replies.line(line);
  }
  return true;
}

/**
 * INCR and the like.
 * @param amountOf returns the amount to add; throws what is wrong with the request
 */
export function countNow(amountOf: (request: Request) => number | bigint, step: Step): Run {
  const asStep = runStep('put', ONE, step);
  return (request, session) => {
    const ref = request.ref(1);
    const served = servedOf(request, session);
    if (typeof ref === 'string') checkNamed(served);
    const { direct, target } = served;
    if (typeof ref !== 'string' || direct?.isDirect !== true) return asStep(request, session);
    const amount = amountOf(request);
    if (isInTheWay(session, target, ref, true)) return WAIT;
    if (!session.calls.enter(served)) return asStep(request, session);
    try {
      const found = direct.findNow(ref);
      const before = found === undefined ? 0 : integerNow(direct, found);
      if (before !== undefined) {
        const sum = String(plus(before, amount));
        const bytes = Buffer.from(sum, 'latin1');
        if (put(direct, session, served, ref, bytes, `:${sum}\r\n`, found?.id ?? null)) return undefined;
      }
    } catch (error) {
      if (!isOutOfSpace(error)) {
        session.calls.fail(served, 'put', error);
        return undefined;
      }
    }
    served.executionPool.leave();
    return asStep(request, session);
  };
}

/** @returns nothing if it is not known at once @throws RedisFault */
function integerNow(direct: DirectTarget, found: RegionStat): number | bigint | undefined {
  if (found.size > INTEGER_LENGTH) throw new RedisFault(NOT_AN_INTEGER);
  if (!direct.readNow(found.id, 0, SCRATCH.subarray(0, found.size))) return undefined;
  const value = integerAt(SCRATCH, 0, found.size);
  if (value === undefined) throw new RedisFault(NOT_AN_INTEGER);
  return value;
}

function plus(before: number | bigint, amount: number | bigint): number | bigint {
  if (typeof before === 'number' && typeof amount === 'number') return before + amount;
  return added(before, amount);
}

export function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
