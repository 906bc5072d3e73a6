/**
 * The calls of targets that a connection's requests make: admitted, counted, and answered with what becomes of them.
 *
 * A call that is done when it returns is `enter`, the call, and then `leave`, `fail` or `leaveWhen`; any other is `operate`.
 */
import { asBedrockError } from '../base/errors.js';
import type { Operation } from '../runtime/operation-meter.js';
import { Conflicts, type RegionUse } from './conflicts.js';
import type { KeptBytes, OperationCall, Place } from './operation-call.js';
import { PendingReply, type Pipeline } from './pipeline.js';

/** What calls need of their connection. */
export interface Caller {
  readonly replies: Pipeline;
  /** When the request came, by performance.now(). */
  readonly arrivedAt: number;
  encodeFailure(error: unknown): Uint8Array;
  /** A call is done with the bytes of its request. */
  release(kept: KeptBytes): void;
  /** A call has ended. */
  ended(): void;
}

export class Calls {
  /** Calls in flight. */
  inFlight = 0;
  /** One of them must end before another begins. */
  isAlone = false;
  readonly #conflicts = new Conflicts();

  constructor(private readonly caller: Caller) {}

  /** Whether a request before this one must end first. */
  conflicts(use: RegionUse): boolean {
    return this.#conflicts.count > 0 && this.#conflicts.meets(use);
  }

  /** @returns whether a call is admitted at once; else `operate` has it wait its turn */
  enter({ provider }: Place): boolean {
    return provider.pool.tryEnter();
  }

  /** It is done. @param bytes of regions that it moved */
  leave(place: Place, operation: Operation, bytes: number): void {
    place.provider.pool.leave();
    this.record(place, operation, bytes);
  }

  /** Counts what needed no admission. */
  record({ provider, index }: Place, operation: Operation, bytes: number): void {
    provider.meters[index]?.[operation].record(bytes, performance.now() - this.caller.arrivedAt);
  }

  /** It has thrown, which is the answer. */
  fail({ provider, index }: Place, operation: Operation, error: unknown): void {
    provider.pool.leave();
    const { code } = asBedrockError(error);
    provider.meters[index]?.[operation].recordFailure(code, performance.now() - this.caller.arrivedAt);
    this.caller.replies.encoded(this.caller.encodeFailure(error));
  }

  /** It is done when it is durable; the answer is a line. */
  leaveWhen(durable: Promise<void>, place: Place, operation: Operation, bytes: number, line: string): void {
    const call = { operation, place, bytes, answer: (_: unknown, to: PendingReply) => (to.head = line) };
    this.#settle(durable, call, this.caller.replies.push(), true);
  }

  /** Makes a call when it is admitted. @throws OVERLOADED if there is no memory for what it promises; nothing was begun then */
  operate<T>(call: OperationCall<T>): void {
    const { promised = 0, kept } = call;
    const { pool } = call.place.provider;
    const { replies } = this.caller;
    const reply = new PendingReply();
    try {
      replies.promise(reply, promised);
    } catch (error) {
      if (kept !== undefined) this.caller.release(kept);
      throw error;
    }
    replies.push(reply);
    if (pool.tryEnter()) this.#settle(begin(call.call, reply), call, reply, true);
    else
      this.#settle(
        pool.run(() => call.call(reply)),
        call,
        reply,
        false,
      );
  }

  /** Answers with what becomes of a call, and gives back what it used. @param isEntered whether it has a place in the pool to leave */
  #settle<T>(
    called: Promise<T>,
    call: Omit<OperationCall<T>, 'call'>,
    reply: PendingReply,
    isEntered: boolean,
  ): void {
    const { operation, place, use, isAlone = false, bytes, bytesOf, kept, answer, whenEnded } = call;
    const { pool, meters } = place.provider;
    const figures = meters[place.index]?.[operation];
    const begun = this.caller.arrivedAt;
    if (use !== undefined) this.#conflicts.begin(use);
    this.inFlight++;
    if (isAlone) this.isAlone = true;
    const ended = (): void => {
      if (isEntered) pool.leave();
      if (kept !== undefined) this.caller.release(kept);
      if (use !== undefined) this.#conflicts.end(use);
      this.inFlight--;
      if (isAlone) this.isAlone = false;
      whenEnded?.();
      this.caller.replies.ready(reply);
      this.caller.ended();
    };
    const failed = (error: unknown): void => {
      const { code } = asBedrockError(error);
      figures?.recordFailure(code, performance.now() - begun);
      reply.setEncoded(this.caller.encodeFailure(error));
      ended();
    };
    const done = (result: T): void => {
      try {
        answer(result, reply);
      } catch (error) {
        failed(error);
        return;
      }
      figures?.record(bytesOf === undefined ? bytes : bytesOf(result), performance.now() - begun);
      ended();
    };
    // Safe: whatever the request was checked against before it waited, its target looks at anew; a reply to a connection that is gone is
    // dropped; and a change of the protocol waits for the calls before it.
    called.then(done, failed);
  }
}

/** Calls; what it throws at once rejects, as an error that can be sent. */
function begin<T>(call: (reply: PendingReply) => Promise<T>, reply: PendingReply): Promise<T> {
  try {
    // A library may give something else than a promise.
    return Promise.resolve(call(reply));
  } catch (error) {
    return Promise.reject(asBedrockError(error));
  }
}
