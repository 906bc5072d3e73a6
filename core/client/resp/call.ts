/**
 * A command on its way: what is sent, where the reply goes, and the promise of whoever waits for it. One object a call, as what a
 * small call costs is mostly what it allocates.
 */
import { asBedrockError, type BedrockError } from '../../base/errors.js';
import type { Output } from './output.js';
import { type Reply, ReplyError } from './reply.js';

export type Argument = string | number | Uint8Array;

let resolveNext: (value: never) => void;
let rejectNext: (error: unknown) => void;

/** The executor of every promise here; a closure a call would cost as much as the promise. */
function hold(resolve: (value: never) => void, reject: (error: unknown) => void): void {
  resolveNext = resolve;
  rejectNext = reject;
}

export abstract class Call<T> {
  /** Where the bytes of the reply go; undefined: to fresh memory. */
  into: Uint8Array | undefined;
  /** Bytes that its connection has sent when it is sent as a whole. */
  sentAt = 0;
  /** As many must have gone out for the bytes that it sends to be its caller's again; 0 if they were copied. */
  heldUntil = 0;
  readonly promise: Promise<T>;
  readonly #resolve: (value: never) => void;
  readonly #reject: (error: unknown) => void;

  constructor(into?: Uint8Array) {
    this.into = into;
    this.promise = new Promise<T>(hold);
    this.#resolve = resolveNext;
    this.#reject = rejectNext;
  }

  /** Adds the command. @throws OVERLOADED, with a part of it added */
  abstract encode(output: Output): void;

  /** What a reply says to the caller. Throws what the call is to be rejected with. */
  protected abstract result(reply: Reply): T;

  /** An error reply, as an error of the caller. */
  protected refusal(error: ReplyError): Error {
    return error;
  }

  /** The reply has come. */
  replied(reply: Reply): void {
    if (reply instanceof ReplyError) {
      this.fail(this.refusal(reply));
      return;
    }
    let value: T;
    try {
      value = this.result(reply);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#resolve(value as never);
  }

  /**
   * There will be no reply.
   * @param wasSent whether the command was handed to the socket, even in part
   */
  broken(error: BedrockError, _wasSent: boolean): void {
    this.fail(error);
  }

  /** It cannot be sent: the connection knows nothing of it. */
  refused(error: unknown): void {
    this.fail(asBedrockError(error));
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}

/** Any command. */
export class ArgumentsCall extends Call<Reply> {
  constructor(private readonly args: readonly Argument[]) {
    super();
  }

  encode(output: Output): void {
    encodeArguments(output, this.args);
  }

  protected result(reply: Reply): Reply {
    return reply;
  }
}

/** A command whose reply goes to the caller's memory. */
export class IntoCall extends Call<number> {
  constructor(
    private readonly args: readonly Argument[],
    into: Uint8Array,
  ) {
    super(into);
  }

  encode(output: Output): void {
    encodeArguments(output, this.args);
  }

  protected result(reply: Reply): number {
    if (typeof reply === 'number') return reply;
    throw new ReplyError('ERR the reply has no bytes');
  }
}

export function encodeArguments(output: Output, args: readonly Argument[]): void {
  output.command(args.length);
  for (const argument of args) output.argument(argument);
}
