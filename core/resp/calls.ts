/**
 * Makes the calls of targets for a connection's requests: admits them, counts them, and sends their
 * results as replies.
 *
 * Who settles a call, once, depends on how it was begun:
 *
 * - A call that is done when it returns: the command enters it (`enter`), makes it, and settles it by
 *   `leave`, `fail` or `leaveWhen`. If it has made nothing, it leaves the execution pool and makes an
 *   ordinary call.
 * - Any other call (`operate`, `leaveWhen`): `#settle`, when its promise settles. Nobody else can end
 *   it. If the connection is gone by then, the reply is dropped, but everything that the call used
 *   is given back.
 * - A promise that is not a call of one target: `answerWith`.
 */
import { asBedrockError } from '../base/errors.js';
import { tracing } from '../base/tracing.js';
import type { Operation } from '../runtime/operation-meter.js';
import { Conflicts, type RegionUse } from './conflicts.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { OperationCall } from './operation-call.js';
import { PendingReply, type Pipeline } from './pipeline.js';
import type { RequestMemory } from './request-memory.js';

/** The parts of a connection that calls use. */
export interface Caller {
  readonly replies: Pipeline;
  /** When the request arrived, by performance.now(). */
  readonly arrivedAt: number;
  /** What calls keep of their requests. */
  readonly memory: Pick<RequestMemory, 'release'>;
  encodeFailure(error: unknown): Uint8Array;
  /** A call has ended. */
  ended(): void;
}

/** Told the error, if there is one, when the answer of a request has settled. */
type Settled = (error: unknown) => void;

export class Calls {
  /** Calls in flight. */
  inFlight = 0;
  /** Whether the one in flight must end before another call begins. */
  isAlone = false;
  /** Who wants to know of the request that is being carried out; taken by what answers it later. */
  #watcher: Settled | undefined;
  readonly #conflicts = new Conflicts();
  /** Calls that are done and not counted: how many, their target, operation and bytes. */
  #done = 0;
  #doneAt: ServedTarget | undefined;
  #doneOf: Operation = 'read';
  #doneBytes = 0;

  constructor(private readonly caller: Caller) {}

  /** Whether an earlier request must end first. */
  conflicts(use: RegionUse): boolean {
    return this.#conflicts.count > 0 && this.#conflicts.meets(use);
  }

  /** @returns whether a call is admitted at once; otherwise use `operate`, which waits for admission */
  enter({ executionPool }: ServedTarget): boolean {
    return executionPool.tryEnter();
  }

  /**
   * Ends a call that is done. It is counted by the next `count`: the clock is read once for all
   * requests that arrived together, as their replies are sent together too.
   * @param bytes bytes of regions that it moved
   */
  leave(served: ServedTarget, operation: Operation, bytes: number): void {
    served.executionPool.leave();
    if (served !== this.#doneAt || operation !== this.#doneOf) {
      this.count();
      this.#doneAt = served;
      this.#doneOf = operation;
    }
    this.#done++;
    this.#doneBytes += bytes;
    // Each has a span of its own.
    if (tracing !== undefined) this.count();
  }

  /** Counts the calls that are done. */
  count(): void {
    const { arrivedAt } = this.caller;
    if (this.#done > 0) this.#doneAt?.record(this.#doneOf, this.#doneBytes, arrivedAt, this.#done);
    this.#done = 0;
    this.#doneBytes = 0;
  }

  /** Counts a call that needed no admission. */
  record(served: ServedTarget, operation: Operation, bytes: number): void {
    served.record(operation, bytes, this.caller.arrivedAt);
  }

  /** Ends a call that has thrown. The error is the reply. */
  fail(served: ServedTarget, operation: Operation, error: unknown): void {
    served.executionPool.leave();
    served.recordFailure(operation, asBedrockError(error).code, this.caller.arrivedAt);
    this.caller.replies.encoded(this.caller.encodeFailure(error));
  }

  /**
   * Ends a call when its bytes are durable. The reply is a line.
   * @param use what it changes; `alone`: as `isAlone` of a call
   */
  leaveWhen(
    durable: Promise<unknown>,
    served: ServedTarget,
    operation: Operation,
    bytes: number,
    line: string,
    use?: RegionUse | 'alone',
  ): void {
    const call = {
      operation,
      served,
      bytes,
      ...(use === 'alone' ? { isAlone: true } : { use }),
      answer: (_: unknown, to: PendingReply) => (to.head = line),
    };
    this.#settle(durable, call, this.caller.replies.push(), true);
  }

  /**
   * Makes a call when it is admitted.
   * @throws OVERLOADED if there is no memory for the promised reply; then nothing was begun
   */
  operate<T>(call: OperationCall<T>): undefined {
    const { promised = 0, kept } = call;
    const { replies } = this.caller;
    const reply = new PendingReply();
    try {
      replies.promise(reply, promised);
    } catch (error) {
      if (kept !== undefined) this.caller.memory.release(kept);
      throw error;
    }
    replies.push(reply);
    if (tracing === undefined) this.#begin(call, reply);
    else tracing.during('resp', {}, () => this.#begin(call, reply));
  }

  #begin<T>(call: OperationCall<T>, reply: PendingReply): void {
    const { executionPool } = call.served;
    if (executionPool.tryEnter()) this.#settle(begin(call.call, reply), call, reply, true);
    else
      this.#settle(
        executionPool.run(() => call.call(reply)),
        call,
        reply,
        false,
      );
  }

  /**
   * Carries out a request.
   * @param settled called once the promise that answers it has settled, and not if it throws
   * @returns what `work` returns, and whether `answerWith` answers the request
   */
  watch<T>(settled: Settled, work: () => T): { result: T; isLater: boolean } {
    this.#watcher = settled;
    try {
      const result = work();
      return { result, isLater: !this.#isWatched };
    } finally {
      // Answers of other requests, which may follow, are not its own.
      this.#watcher = undefined;
    }
  }

  get #isWatched(): boolean {
    return this.#watcher !== undefined;
  }

  /**
   * Replies with the result of a promise that is not a call of one target.
   * @param isAlone no later request begins before it has ended
   */
  answerWith(answer: Promise<Uint8Array>, isAlone = false): undefined {
    const reply = this.caller.replies.push();
    const settled = this.#watcher;
    this.#watcher = undefined;
    this.inFlight++;
    if (isAlone) this.isAlone = true;
    const ended = (encoded: Uint8Array): void => {
      reply.setEncoded(encoded);
      this.inFlight--;
      if (isAlone) this.isAlone = false;
      this.caller.replies.ready(reply);
      this.caller.ended();
    };
    // Safe: a reply to a connection that is gone is dropped, and a change of the protocol waits for
    // what is in flight.
    answer.then(
      (encoded) => {
        settled?.(undefined);
        ended(encoded);
      },
      (error: unknown) => {
        settled?.(error);
        ended(this.caller.encodeFailure(error));
      },
    );
  }

  /**
   * Replies with the result of a call, and gives back what it used.
   * @param isEntered whether it holds a place in the execution pool
   */
  #settle<T>(
    called: Promise<T>,
    call: Omit<OperationCall<T>, 'call'>,
    reply: PendingReply,
    isEntered: boolean,
  ): void {
    const { operation, served, use, isAlone = false, bytes, bytesOf, kept, answer, whenEnded } = call;
    const begun = this.caller.arrivedAt;
    // Another execution pool may take its place meanwhile.
    const { executionPool, requests } = served;
    requests.enter();
    if (use !== undefined) this.#conflicts.begin(use);
    this.inFlight++;
    if (isAlone) this.isAlone = true;
    const ended = (): void => {
      if (isEntered) executionPool.leave();
      requests.leave();
      if (kept !== undefined) this.caller.memory.release(kept);
      if (use !== undefined) this.#conflicts.end(use);
      this.inFlight--;
      if (isAlone) this.isAlone = false;
      whenEnded?.();
      this.caller.replies.ready(reply);
      this.caller.ended();
    };
    const failed = (error: unknown): void => {
      served.recordFailure(operation, asBedrockError(error).code, begun);
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
      served.record(operation, bytesOf === undefined ? bytes : bytesOf(result), begun);
      ended();
    };
    // Safe: the target checks again whatever was checked before the wait. A reply to a lost
    // connection is dropped. A change of the protocol waits for the calls before it.
    called.then(done, failed);
  }
}

/** Makes a call. If it throws, the promise rejects with an error that can be sent. */
function begin<T>(call: (reply: PendingReply) => Promise<T>, reply: PendingReply): Promise<T> {
  try {
    // A library may return something other than a promise.
    return Promise.resolve(call(reply));
  } catch (error) {
    return Promise.reject(asBedrockError(error));
  }
}
