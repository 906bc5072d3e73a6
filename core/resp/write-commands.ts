/**
 * Commands that change bytes of regions.
 *
 * A region has a fixed size. A range that is not within it is OUT_OF_RANGE; a write never extends a
 * region.
 */
import type { RegionRange } from '../contract/target.js';
import { DIRECT_BYTES } from '../targets/direct-target.js';
import {
  CHANGES_ONE,
  type Command,
  command,
  type CommandSession,
  MANY,
  ONE,
  type Run,
  WAIT,
} from './command.js';
import { RegionUse } from './conflicts.js';
import type { Landed } from './operation-call.js';
import { isPersistent, OK_LINE, servedOf } from './region-arguments.js';
import type { Request } from './request.js';
import { runStep } from './steps.js';
import { setRange as setRangeStep } from './string-steps.js';

/** The index of the bytes in a request. */
const BYTES = 3;

const PERSIST = { persist: true } as const;

function write(
  request: Request,
  session: CommandSession,
  persist: boolean,
  answersSize: boolean,
): ReturnType<Run> {
  const size = request.lengthOf(BYTES);
  const landed = request.longAt(BYTES)?.landed;
  if (landed !== undefined) {
    // Safe: the region was kept since its bounds were checked, and no other request of the
    // connection has begun meanwhile.
    session.calls.record(landed.served, 'write', size);
    session.replies.line(answersSize ? sizeLine(landed.landing.regionSize) : OK_LINE);
    return undefined;
  }
  const served = servedOf(request, session);
  const id = request.ref(1);
  const offset = request.size(2, 'offset');
  const { target, direct } = served;
  const use = new RegionUse(target, id, offset, offset + size, true);
  if (session.calls.conflicts(use)) return WAIT;
  if (direct?.isDirect === true && size <= DIRECT_BYTES && session.calls.enter(served)) {
    try {
      const line = answersSize ? sizeLine(direct.statNow(id).size) : OK_LINE;
      const durable = direct.writeNow(id, offset, request.bytes(BYTES), persist);
      if (durable === undefined) {
        session.calls.leave(served, 'write', size);
        session.replies.line(line);
        return undefined;
      }
      if (durable !== 'later') {
        session.calls.leaveWhen(durable, served, 'write', size, line);
        return undefined;
      }
    } catch (error) {
      session.calls.fail(served, 'write', error);
      return undefined;
    }
    served.executionPool.leave();
  }
  const kept = session.memory.keep(BYTES);
  const put = (): Promise<undefined> =>
    target.write(id, offset, kept.bytes, persist ? PERSIST : undefined) as Promise<undefined>;
  return session.calls.operate<string | undefined>({
    operation: 'write',
    served,
    use,
    bytes: size,
    kept,
    // The size never changes, so it is asked for first. After that only the write itself can fail.
    call: answersSize ? () => target.stat(id).then((stat) => put().then(() => sizeLine(stat.size))) : put,
    answer: (line, to) => (to.head = line ?? OK_LINE),
  });
}

function sizeLine(size: number): string {
  return `:${size}\r\n`;
}

/** A large write that need not be durable lands directly in the region. */
function landWrite(request: Request, session: CommandSession, size: number): Landed | undefined {
  // If the bytes come at another place in the request, nothing before them tells where they belong.
  if (request.count !== BYTES) return undefined;
  const served = servedOf(request, session);
  const { target, direct } = served;
  const id = request.ref(1);
  const offset = request.size(2, 'offset');
  if (direct === undefined || session.calls.conflicts(new RegionUse(target, id, offset, offset + size, true)))
    return undefined;
  const landing = direct.land(id, offset, size);
  return landing && { landing, served };
}

/** BLOB.WRITE id offset bytes [PERSIST] */
const blobWrite: Run = (request, session) => write(request, session, isPersistent(request, 4), false);

/** SETRANGE key offset bytes */
const setRange: Run = (request, session) => {
  if (typeof request.ref(1) === 'string') return setRangeOfName(request, session);
  return write(request, session, false, true);
};

const setRangeOfName = runStep('put', ONE, setRangeStep);

/** A region with a name is replaced, not written into. */
function landSetRange(request: Request, session: CommandSession, size: number): Landed | undefined {
  if (request.count === BYTES && typeof request.ref(1) === 'string') return undefined;
  return landWrite(request, session, size);
}

/** BLOB.WRITEV id offset bytes [offset bytes]… [PERSIST] */
const writev: Run = (request, session) => {
  const pairs = Math.floor((request.count - 2) / 2);
  const persist = isPersistent(request, 2 + 2 * pairs);
  const served = servedOf(request, session);
  const id = request.ref(1);
  const use = new RegionUse(served.target, id, 0, Infinity, true);
  if (session.calls.conflicts(use)) return WAIT;
  const ranges: RegionRange[] = [];
  for (let pair = 0; pair < pairs; pair++)
    ranges.push({
      offset: request.size(2 + 2 * pair, 'offset'),
      size: request.lengthOf(3 + 2 * pair),
    });
  const kept = session.memory.keepCopy(3, 2, pairs);
  return session.calls.operate({
    operation: 'write',
    served,
    use,
    bytes: kept.bytes.length,
    kept,
    call: () => served.target.writev(id, ranges, kept.bytes, { persist }),
    answer: (_, to) => (to.head = OK_LINE),
  });
};

const LANDS = { ...CHANGES_ONE, land: landWrite };
const OF_STRINGS = {
  ...CHANGES_ONE,
  land: landSetRange,
  step: setRangeStep,
  group: 'string',
} as const;

export const WRITE_COMMANDS: readonly Command[] = [
  command('blob.write', [4, 5], blobWrite, 'Overwrites part of a region.', LANDS),
  command('blob.writev', [4, MANY], writev, 'Overwrites several parts of a region.', CHANGES_ONE),
  command(
    'setrange',
    [4, 4],
    setRange,
    'Overwrites part of a value or region; returns its size.',
    OF_STRINGS,
  ),
];
