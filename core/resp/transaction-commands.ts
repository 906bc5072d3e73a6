/**
 * MULTI, EXEC, DISCARD, WATCH and UNWATCH, as in Redis: commands are queued, and EXEC runs all of
 * them at once. Here this is one transaction of the target (`Overlay`), so all changes are made or
 * none, even if there is a crash.
 *
 * WATCH records which region has a name, and how often it was changed in place. EXEC returns null
 * if either is different by then.
 *
 * On a target without transactions, MULTI is refused. Clients send it together with the commands
 * that follow, and take its error as the error of the whole. So none of these commands is carried
 * out either, until EXEC, DISCARD or RESET ends it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { asBedrockError, BedrockError, invalid } from '../base/errors.js';
import type { SeenBytes } from '../targets/named-store.js';
import { atomically, seenNow, WatchedChanged } from './atomically.js';
import {
  ALL,
  alone,
  type Command,
  command,
  type CommandSession,
  MANY,
  OF_TRANSACTIONS,
  type QueuedTransaction,
  type Run,
  WAIT,
} from './command.js';
import { answering } from './connection-commands.js';
import { Outdated, type Overlay } from './overlay.js';
import { OK_LINE } from './region-arguments.js';
import { RedisFault } from './redis-fault.js';
import { Failure, failureOf, NullArray, OK, type Reply } from './replies.js';
import type { Request } from './request.js';
import type { Step } from './step.js';
import { checkNamed, keysOf, Steps } from './steps.js';

/** The most names that a connection can watch. */
const MAX_WATCHED = 10_000;

/** Commands that run before others have their turn. */
const TURN_COMMANDS = 256;

const QUEUED_LINE = '+QUEUED\r\n';

/**
 * Adds a command to a transaction.
 * @throws NOT_SUPPORTED, INVALID_ARGUMENT, OVERLOADED; EXEC is refused then
 */
export function queue(
  { served, queued }: QueuedTransaction,
  command: Command,
  request: Request,
  session: CommandSession,
): void {
  const { name, keys, step } = command;
  if (served === undefined)
    throw new BedrockError(
      'NOT_SUPPORTED',
      'not carried out, because MULTI was refused; EXEC, DISCARD or RESET ends this',
    );
  if (step === undefined)
    throw new BedrockError('NOT_SUPPORTED', `${name} is not allowed in a transaction; send it before MULTI`);
  if (keys !== undefined && keysOf(request, session, keys).served !== served)
    throw invalid('all keys of a transaction must be in the target that was selected at MULTI');
  queued.push({ command, ...session.memory.queueArguments() });
  session.replies.line(QUEUED_LINE);
}

const multi: Run = (_request, session) => {
  if (session.transaction !== undefined) {
    session.reply(new Failure('ERR', 'MULTI calls can not be nested'));
    return undefined;
  }
  session.transaction = { served: undefined, queued: [], isFlawed: false };
  const served = session.served('');
  const { target, provider } = served;
  if (!target.capabilities.transactional)
    throw new BedrockError(
      'NOT_SUPPORTED',
      `the ${target.type} target of "${provider.name}" has no transactions; nothing is carried out until EXEC, DISCARD or RESET`,
    );
  if (session.watched !== undefined && session.watched.served !== served)
    throw invalid(
      'the watched names are in another target; nothing is carried out until EXEC, DISCARD or RESET',
    );
  session.transaction = { served, queued: [], isFlawed: false };
  session.replies.line(OK_LINE);
  return undefined;
};

const exec: Run = (_request, session) => {
  const { transaction, watched } = session;
  if (transaction === undefined) {
    session.reply(new Failure('ERR', 'EXEC without MULTI'));
    return undefined;
  }
  if (session.isBusy) return WAIT;
  const { served, queued, isFlawed } = transaction;
  if (isFlawed || served === undefined) {
    session.discard();
    session.watched = undefined;
    const why =
      served === undefined
        ? 'this target has no transactions; nothing of it was done'
        : 'of previous errors.';
    session.reply(new Failure('EXECABORT', `Transaction discarded because ${why}`));
    return undefined;
  }
  session.transaction = undefined;
  session.watched = undefined;
  const { target } = served;
  const names = queued.flatMap(({ command, args }) => namesIn(command, args));
  return session.calls.operate<Reply>({
    operation: 'transact',
    served,
    isAlone: true,
    bytes: 0,
    whenEnded: () => {
      for (const { release } of queued) release();
    },
    call: async (reply) => {
      try {
        const step = async (view: Overlay): Promise<Reply[]> => {
          const steps = new Steps(view, session, reply);
          const replies: Reply[] = [];
          for (const { command, args } of queued) {
            replies.push(await outcome(command.step?.(args, steps)));
            // Safe: what was seen is compared in the end.
            if (replies.length % TURN_COMMANDS === 0) await nextTurn();
          }
          return replies;
        };
        // Safe: a step that fails for lack of space has changed nothing.
        return await served.space.make(0, () => atomically(target, names, step, watched?.names));
      } catch (error) {
        if (error instanceof WatchedChanged) return NullArray.only;
        throw error;
      }
    },
    answer: (value, to) => to.setEncoded(session.encode(value)),
  });
};

/** The error of a failed command is its reply. The other commands go on. */
async function outcome(reply: Promise<Reply> | undefined): Promise<Reply> {
  try {
    return (await reply) ?? null;
  } catch (error) {
    if (error instanceof Outdated) throw error;
    const known = error instanceof RedisFault ? error : asBedrockError(error);
    if (known.code === 'OVERLOADED' || known.code === 'INTERNAL') throw known;
    return failureOf(known);
  }
}

function namesIn({ keys }: Command, args: { count: number; ref(index: number): unknown }): string[] {
  if (keys === undefined) return [];
  const [first, last, step] = keys;
  const end = last < 0 ? args.count + last : last;
  const names: string[] = [];
  for (let index = first; index <= end; index += step) {
    const ref = args.ref(index);
    if (typeof ref === 'string') names.push(ref);
  }
  return names;
}

const discard = answering((_request, session) => {
  if (session.transaction === undefined) return new Failure('ERR', 'DISCARD without MULTI');
  session.discard();
  session.watched = undefined;
  return OK;
});

/** WATCH name… */
const watch: Run = (request, session) => {
  if (session.transaction !== undefined) {
    session.reply(new Failure('ERR', 'WATCH inside MULTI is not allowed'));
    return undefined;
  }
  if (session.isBusy) return WAIT;
  const { served, refs } = keysOf(request, session, ALL);
  checkNamed(served);
  const names = refs.map((ref) => {
    if (typeof ref === 'string') return ref;
    throw invalid('an ID always means the same region; only names can be watched');
  });
  session.watched ??= { served, names: new Map<string, SeenBytes | null>() };
  const { watched } = session;
  if (watched.served !== served) throw invalid('the watched names are in another target; UNWATCH them first');
  if (watched.names.size + names.length > MAX_WATCHED)
    throw new BedrockError('OVERLOADED', `a connection watches at most ${MAX_WATCHED} names`);
  return session.calls.operate({
    operation: 'find',
    served,
    isAlone: true,
    bytes: 0,
    kept: session.memory.keepList(names.length),
    call: async () => {
      // Safe: the meaning of a name from here on is compared when the transaction is made.
      for (const name of names)
        if (!watched.names.has(name)) watched.names.set(name, await seenNow(served.target, name));
    },
    answer: (_, to) => (to.head = OK_LINE),
  });
};

/** Alone, as an earlier WATCH may not have ended yet. */
const unwatch = answering((_request, session) => {
  session.watched = undefined;
  return OK;
});

const TRAITS = { ...OF_TRANSACTIONS, group: 'transactions' } as const;

// oxlint-disable-next-line typescript/require-await -- a step
const unwatchStep: Step = async () => OK;

export const TRANSACTION_COMMANDS: readonly Command[] = [
  // Each command of a transaction is looked at when it is queued.
  command('multi', [1, 1], multi, 'Begins a transaction.', TRAITS),
  command('exec', [1, 1], exec, 'Carries out a transaction, all of it or nothing.', TRAITS),
  command('discard', [1, 1], discard, 'Gives up a transaction.', TRAITS),
  command('watch', [2, MANY], watch, 'Makes the next transaction fail if one of the names changes.', {
    ...TRAITS,
    scope: 'read',
    keys: ALL,
  }),
  command('unwatch', [1, 1], alone(unwatch), 'Forgets the names of WATCH.', {
    scope: 'known',
    step: unwatchStep,
    group: 'transactions',
  }),
];
