/**
 * A command in progress: what is sent, where the reply goes, and the promise of its caller. It is a
 * single object because allocation is most of the cost of a small command.
 *
 * A command settles once, in `#settle`; later calls have no effect. Who settles it depends on where
 * it is:
 * - Not yet submitted: its creator (`fail`), for example if the caller's time-out has already passed.
 * - Waiting in a lane: the lane (`fail`), when it stops trying to connect or the caller gives up
 *   the call.
 * - On a connection: only that connection, by `replied` or `broken`. It uses `fail` if the command
 *   cannot be sent. It also uses `fail` for a call that was given up, as soon as its memory belongs
 *   to the caller again. `broken` of a lane's command asks the lane, which sends the command again
 *   or has it fail.
 * - Read ahead by a stream that was left: the stream fails the pieces. Nobody else uses their memory.
 */
import type { BedrockError } from '../../base/errors.js';
import type { RequestWriter } from '../../redis-wire/request-writer.js';
import { type Reply, ReplyError } from '../../redis-wire/reply.js';

export type Argument = string | number | Uint8Array;

let resolveNext: (value: never) => void;
let rejectNext: (error: unknown) => void;

/** The executor of all promises here. A closure for each command would cost as much as the promise. */
function hold(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  resolveNext = resolve;
  rejectNext = reject;
}

export abstract class Command<T> {
  /** Where the bytes of the reply go; undefined: to newly allocated memory. */
  into: Uint8Array | undefined;
  /** Total number of bytes that the connection has sent when all of this command is sent. */
  sentAt = 0;
  /**
   * Total number of bytes that must be sent before the memory that the command sends from belongs
   * to its caller again; 0 if the bytes were copied.
   */
  heldUntil = 0;
  isSettled = false;
  readonly promise: Promise<T>;
  readonly #resolve: (value: never) => void;
  readonly #reject: (error: unknown) => void;

  constructor(into?: Uint8Array) {
    this.into = into;
    this.promise = new Promise<T>(hold);
    this.#resolve = resolveNext;
    this.#reject = rejectNext;
  }

  /** Writes the command to the output. @throws OVERLOADED, after part of it was written */
  abstract encode(output: RequestWriter): void;

  /** Converts a reply to the caller's result. Throws the error that rejects the command. */
  protected abstract result(reply: Reply): T;

  /** Converts an error reply to the caller's error. */
  protected refusal(error: ReplyError): Error {
    return error;
  }

  /** Called after the promise was settled. */
  protected settled?(): void;

  /** Called when the reply has come. */
  replied(reply: Reply): void {
    let value: T;
    try {
      if (reply instanceof ReplyError) throw this.refusal(reply);
      value = this.result(reply);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#settle(this.#resolve, value);
  }

  /**
   * Called when there will be no reply.
   * @param wasSent whether the command was passed to the socket, even in part
   */
  broken(error: BedrockError, _wasSent: boolean): void {
    this.fail(error);
  }

  fail(error: unknown): void {
    this.#settle(this.#reject, error);
  }

  #settle(tell: (outcome: never) => void, outcome: unknown): void {
    if (this.isSettled) return;
    this.isSettled = true;
    tell(outcome as never);
    this.settled?.();
  }
}

/**
 * Any command. Its result is the reply as it comes. If the bytes go to `into`, the reply is their
 * number, or null if there was no value.
 */
export class PlainCommand extends Command<Reply> {
  constructor(
    private readonly args: readonly Argument[],
    into?: Uint8Array,
  ) {
    super(into);
  }

  encode(output: RequestWriter): void {
    encodeArguments(output, this.args);
  }

  protected result(reply: Reply): Reply {
    return reply;
  }
}

export function encodeArguments(output: RequestWriter, args: readonly Argument[]): void {
  output.command(args.length);
  for (const argument of args) output.argument(argument);
}
