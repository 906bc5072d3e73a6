/**
 * The commands of Redis on strings. A value is the contents of a region with a name, and a change
 * replaces the region that has the name. `string-steps.ts` and `counter-steps.ts` implement them;
 * `direct-steps.ts` has those that can be done at once.
 */
import {
  CHANGES_ONE,
  type Command,
  command,
  type CommandSession,
  MANY,
  ONE,
  READS_ALL,
  READS_ONE,
  type Run,
} from './command.js';
import * as counters from './counter-steps.js';
import { getAllNow, putAllNow } from './direct-lists.js';
import { countNow, getNow, setNow, setPlain } from './direct-steps.js';
import type { PendingReply } from './pipeline.js';
import { putArgument } from './put-argument.js';
import { OK_LINE, servedOf } from './region-arguments.js';
import { NOT_AN_INTEGER, RedisFault, wrongArity } from './redis-fault.js';
import { integerAt, LEAST } from './redis-integers.js';
import type { Request } from './request.js';
import type { Step } from './step.js';
import { checkNamed, runStep } from './steps.js';
import * as strings from './string-steps.js';

/** Every second argument is a key. */
const PAIRS = [1, -1, 2] as const;

const setWithOptions = runStep('put', ONE, strings.set);

/** SET key value [NX | XX] [GET] */
const set: Run = (request, session) => {
  if (request.count === 3 && setPlain(request, session)) return undefined;
  const ref = request.ref(1);
  if (typeof ref !== 'string' || strings.setOptions(request) !== strings.PLAIN_SET)
    return setWithOptions(request, session);
  const served = servedOf(request, session);
  checkNamed(served);
  const done = setNow(session, served, ref, request.bytes(2));
  if (done !== 'later') return done;
  return putArgument(session, served, ref, undefined, answerOk);
};

function answerOk(_: unknown, to: PendingReply): void {
  to.head = OK_LINE;
}

/** Every name has a value. */
function pairs(command: string, run: Run): Run {
  return (request: Request, session: CommandSession) => {
    if (request.count % 2 === 0) throw wrongArity(command);
    return run(request, session);
  };
}

/** The third argument. @throws RedisFault */
function amount(request: Request): number | bigint {
  const bytes = request.bytes(2);
  const value = integerAt(bytes, 0, bytes.length);
  if (value === undefined) throw new RedisFault(NOT_AN_INTEGER);
  return value;
}

function negative(request: Request): number | bigint {
  const value = amount(request);
  if (value === LEAST) throw new RedisFault('decrement would overflow');
  return -value;
}

/** A row of the table. */
function row(
  name: string,
  arity: Command['arity'],
  run: Run,
  step: Step,
  summary: string,
  traits: typeof CHANGES_ONE = CHANGES_ONE,
): Command {
  return command(name, arity, run, summary, { ...traits, step, group: 'string' });
}

const CHANGES_PAIRS = { ...CHANGES_ONE, keys: PAIRS };
const { setNx, getSet, getDel, mget, mset, msetNx, append } = strings;
const { incr, decr, incrBy, decrBy, incrByFloat } = counters;

export const STRING_COMMANDS: readonly Command[] = [
  row('get', [2, 2], getNow(strings.get), strings.get, 'Returns a value.', READS_ONE),
  row('set', [3, MANY], set, strings.set, 'Sets the value of a name.'),
  row('setnx', [3, 3], runStep('put', ONE, setNx), setNx, 'Sets the value of a name that has none.'),
  row(
    'getset',
    [3, 3],
    runStep('put', ONE, getSet),
    getSet,
    'Sets the value of a name; returns the old one.',
  ),
  row('getdel', [2, 2], runStep('transact', ONE, getDel), getDel, 'Returns a value and removes it.'),
  row(
    'mget',
    [2, MANY],
    getAllNow(mget),
    mget,
    'Returns several values, as they are at one moment.',
    READS_ALL,
  ),
  row(
    'mset',
    [3, MANY],
    pairs('mset', putAllNow(PAIRS, mset)),
    mset,
    'Sets the values of several names at once.',
    CHANGES_PAIRS,
  ),
  row(
    'msetnx',
    [3, MANY],
    pairs('msetnx', runStep('transact', PAIRS, msetNx)),
    msetNx,
    'Sets the values of several names, if none of them has one.',
    CHANGES_PAIRS,
  ),
  row(
    'append',
    [3, 3],
    runStep('put', ONE, append),
    append,
    'Adds bytes to the end of a value; returns its size.',
  ),
  row(
    'incr',
    [2, 2],
    countNow(() => 1, incr),
    incr,
    'Adds one to a number.',
  ),
  row(
    'decr',
    [2, 2],
    countNow(() => -1, decr),
    decr,
    'Takes one from a number.',
  ),
  row('incrby', [3, 3], countNow(amount, incrBy), incrBy, 'Adds to a number.'),
  row('decrby', [3, 3], countNow(negative, decrBy), decrBy, 'Takes from a number.'),
  row(
    'incrbyfloat',
    [3, 3],
    runStep('put', ONE, incrByFloat),
    incrByFloat,
    'Adds to a number with a fraction.',
  ),
];
