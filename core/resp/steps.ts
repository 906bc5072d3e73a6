/**
 * Commands that Redis has, on regions with names. Such a command is a step: it reads and changes an
 * `Overlay`, and returns a reply. Outside of a transaction it has its own overlay (`atomically`).
 * Within one it comes after the steps before it.
 */
import { BedrockError, invalid } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { Operation } from '../runtime/operation-meter.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Arguments } from './arguments.js';
import { atomically } from './atomically.js';
import { type Command, type CommandSession, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { Contents } from './contents.js';
import type { Overlay } from './overlay.js';
import type { PendingReply } from './pipeline.js';
import { servedOf } from './region-arguments.js';
import type { Reply } from './replies.js';
import type { Request } from './request.js';
import type { Step, Stepping } from './step.js';

/** The regions that a request names, all in one target. @throws INVALID_ARGUMENT, NOT_SUPPORTED */
export function keysOf(
  request: Request,
  session: CommandSession,
  [first, last, step]: NonNullable<Command['keys']>,
): { served: ServedTarget; refs: RegionRef[] } {
  const end = last < 0 ? request.count + last : last;
  const refs: RegionRef[] = [];
  let served: ServedTarget | undefined;
  for (let index = first; index <= end; index += step) {
    const ref = request.ref(index);
    const own = servedOf(request, session, index);
    if (typeof ref === 'string') checkNamed(own);
    if (served !== undefined && own !== served) throw invalid('all keys of a command must be in one target');
    served = own;
    refs.push(ref);
  }
  return { served: served ?? session.served(''), refs };
}

/** @throws NOT_SUPPORTED */
export function checkNamed({ target, provider }: ServedTarget): void {
  // Older libraries, from before there were names, lack it.
  if ((target.capabilities.named as boolean | undefined) === true) return;
  throw new BedrockError(
    'NOT_SUPPORTED',
    `the ${target.type} target of "${provider.name}" has no names, so a key must be an ID: use the IDs that BLOB.CREATE returns, or SELECT a provider that has names`,
  );
}

/** The name in an argument of a command that replaces regions. @throws INVALID_ARGUMENT */
export function nameOf(args: Arguments, index: number): string {
  const ref = args.ref(index);
  if (typeof ref === 'string') return ref;
  throw invalid(
    'this command replaces the region that has a name: give a name, or change a region by its ID with SETRANGE or BLOB.WRITE',
  );
}

/** Runs a step as a command of its own. */
export function runStep(
  operation: Operation,
  keys: NonNullable<Command['keys']>,
  step: Step,
  isChange = true,
): Run {
  return (request, session) => {
    const { served, refs } = keysOf(request, session, keys);
    const [ref] = refs;
    const { target } = served;
    const isAlone = refs.length !== 1;
    const use = isAlone || ref === undefined ? undefined : new RegionUse(target, ref, 0, Infinity, isChange);
    if (use === undefined ? session.isBusy : session.calls.conflicts(use)) return WAIT;
    const { args, release } = session.memory.keepArguments();
    const size = args.bytes(args.count - 1).length;
    const names = refs.filter((each) => typeof each === 'string');
    return session.calls.operate<Reply>({
      operation,
      served,
      use,
      isAlone,
      bytes: 0,
      bytesOf: (reply) => (reply instanceof Uint8Array ? reply.length : 0),
      whenEnded: release,
      // Safe: a step that fails for lack of space has changed nothing.
      call: (reply) =>
        served.space.make(size, () =>
          atomically(target, names, (view) => step(args, new Steps(view, session, reply))),
        ),
      answer: (value, to) => {
        if (value instanceof Uint8Array) to.setBulk(value);
        else to.setEncoded(session.encode(value));
      },
    });
  };
}

/** The context of steps in one try. */
export class Steps implements Stepping {
  readonly maxBulkBytes: number;
  #bytes = 0;

  constructor(
    readonly view: Overlay,
    private readonly session: CommandSession,
    private readonly reply: PendingReply,
  ) {
    this.maxBulkBytes = session.limits.maxBulkBytes;
  }

  async bulk(contents: Contents): Promise<Uint8Array> {
    const { size } = contents;
    if (size > this.maxBulkBytes)
      throw invalid(`one reply holds at most ${this.maxBulkBytes} bytes, not ${size}; read it in parts`);
    this.#bytes += size;
    // Earlier tries have already promised what they needed.
    const more = this.#bytes - this.reply.promised;
    if (more > 0) this.session.replies.promise(this.reply, more);
    return this.view.read(contents);
  }
}
