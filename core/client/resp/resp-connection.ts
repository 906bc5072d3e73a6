/**
 * One connection to a server that speaks the Redis protocol; it knows nothing of regions.
 *
 * - The commands of a turn go out in one write; replies settle their calls in order.
 * - A large reply is read from the socket straight to where its call wants it. The system is told where before it reads, so what
 *   came before the reply's head was seen, at most `SCRATCH_BYTES`, is copied.
 * - Where the system refuses memory for a command or a reply, that call alone fails, as OVERLOADED: nothing of the command is sent, and
 *   the reply is read and dropped.
 * - A connection breaks when the peer says what it may not, closes, or makes no progress; then every call that waits is told.
 *   There is no second try here.
 */
import { connect, type Socket } from 'node:net';
import { allocateBytes } from '../../base/allocation.js';
import { asBedrockError, BedrockError, messageOf } from '../../base/errors.js';
import type { RespEndpoint } from '../../net/service-url.js';
import { within } from '../remote/call-options.js';
import { type Argument, ArgumentsCall, type Call, IntoCall } from './call.js';
import { CallsInOrder } from './calls-in-order.js';
import { Output } from './output.js';
import { DISCARD, Found, ReplyParser } from './reply-parser.js';
import type { Reply } from './reply.js';

export interface RespConnectionOptions {
  /** How long replies that are waited for may make no progress, milliseconds; also for connecting. 30000 unless told. */
  progressTimeoutMs?: number;
  /** Largest reply, bytes that go to a call's own memory aside; 64 MiB unless told. */
  maxReplyBytes?: number;
  /** Ends the attempt to connect. */
  signal?: AbortSignal | undefined;
  /** Told once, when the connection has broken or ended. */
  onClose?: (error: BedrockError) => void;
}

const SCRATCH_BYTES = 2 ** 16;
/** Fewer bytes of a reply are read with what follows them, and copied. */
const LANDING_BYTES = 2 ** 14;
/** Commands are sent on, before the turn ends, when there are so many bytes of them. */
const FLUSH_BYTES = 2 ** 16;
/** How long the memory of an abandoned call may be in use by the system before the connection is ended for it. */
const RELEASE_MS = 50;
const RELEASE_CHECK_MS = 5;
/** How often progress is looked for within the time that it may take. */
const CHECKS = 4;

/** A call that is to fail as soon as its memory is not used any more. */
interface Abandoned {
  readonly call: Call<unknown>;
  readonly error: BedrockError;
  readonly since: number;
}

export class RespConnection {
  readonly #calls = new CallsInOrder();
  readonly #parser: ReplyParser;
  readonly #output = new Output();
  readonly #socket: Socket;
  readonly #scratch = allocateBytes(SCRATCH_BYTES);
  /** Bytes at the beginning of the scratch that are not understood yet. */
  #kept = 0;
  /** The caller's memory that the system reads into; undefined if that is the scratch. */
  #landing: Uint8Array | undefined;
  #isFlushing = false;
  /** Bytes of commands that were handed to the socket. */
  #flushed = 0;
  #broken: BedrockError | undefined;
  #isEnding = false;
  /** How often bytes have come. */
  #arrivals = 0;
  /** What the last look at the progress saw: arrivals, bytes that the system has taken, looks in a row that saw nothing new. */
  #seenArrivals = 0;
  #seenReleased = 0;
  #idleChecks = 0;
  #abandoned: Abandoned[] = [];
  #releaseTimer: NodeJS.Timeout | undefined;
  readonly #closed: Promise<void>;
  readonly #onClose: ((error: BedrockError) => void) | undefined;

  private constructor(
    private readonly endpoint: RespEndpoint,
    { progressTimeoutMs = 30_000, maxReplyBytes = 2 ** 26, onClose }: RespConnectionOptions,
  ) {
    this.#parser = new ReplyParser({ maxReplyBytes });
    this.#onClose = onClose;
    this.#socket = connect({
      ...endpoint,
      noDelay: true,
      onread: {
        buffer: () => this.#room(),
        callback: (count: number) => this.#received(count),
      },
    });
    const watch = setInterval(this.#watch, progressTimeoutMs / CHECKS);
    watch.unref();
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        clearInterval(watch);
        this.break(this.#unreachable('the connection was closed'));
        resolve();
      });
    });
    this.#socket.on('error', (error) => this.break(this.#unreachable(messageOf(error), error)));
  }

  /** @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  static async open(endpoint: RespEndpoint, options: RespConnectionOptions = {}): Promise<RespConnection> {
    const connection = new RespConnection(endpoint, options);
    const connected = connection.#connect(options.progressTimeoutMs ?? 30_000);
    try {
      await within(connected, options.signal, connection.#where);
    } catch (error) {
      connection.break(asBedrockError(error));
      throw error;
    }
    return connection;
  }

  #connect(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => this.break(new BedrockError('TIMEOUT', `no answer from ${this.#where} in time`)),
        timeoutMs,
      );
      this.#socket.once('close', () => {
        clearTimeout(late);
        reject(this.#broken ?? this.#unreachable('the connection was closed'));
      });
      this.#socket.once('connect', () => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  /** Whether commands can be sent. */
  get isOpen(): boolean {
    return this.#broken === undefined && !this.#isEnding;
  }

  /** Calls that wait for their replies. */
  get pending(): number {
    return this.#calls.length;
  }

  /**
   * Sends a command. Byte arguments of 16 KiB and more go by reference: they must not change until it settles.
   * @throws ReplyError (what the server answers), UNREACHABLE, TIMEOUT
   */
  send(args: readonly Argument[]): Promise<Reply> {
    const call = new ArgumentsCall(args);
    this.submit(call);
    return call.promise;
  }

  /**
   * Sends a command whose reply is bytes, or an array of them: they land in `into`, one behind the other.
   * @returns how many there were
   * @throws ReplyError (what the server answers), UNREACHABLE (also for a reply that is longer), TIMEOUT
   */
  sendInto(args: readonly Argument[], into: Uint8Array): Promise<number> {
    const call = new IntoCall(args, into);
    this.submit(call);
    return call.promise;
  }

  submit(call: Call<unknown>): void {
    if (!this.isOpen) {
      call.broken(this.#broken ?? this.#unreachable('the connection was closed'), false);
      return;
    }
    const output = this.#output;
    const before = output.added;
    try {
      call.encode(output);
    } catch (error) {
      output.undo(before);
      call.refused(error);
      return;
    }
    this.#calls.push(call);
    call.sentAt = output.added;
    call.heldUntil = output.referencedTo > before ? output.referencedTo : 0;
    if (this.#isFlushing) {
      if (output.added - this.#flushed >= FLUSH_BYTES) this.#handOver();
      return;
    }
    this.#isFlushing = true;
    // Behind the microtasks of this turn: what they send goes out with it.
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    this.#handOver();
  };

  #handOver(): void {
    if (this.#broken !== undefined) return;
    this.#flushed = this.#output.added;
    this.#output.flush(this.#socket);
  }

  /** Ends the connection when the calls that wait have been answered. */
  async close(): Promise<void> {
    this.#isEnding = true;
    this.#endIfDone();
    await this.#closed;
  }

  #endIfDone(): void {
    if (this.#isEnding && this.#calls.length === 0) this.#socket.destroy();
  }

  /**
   * Ends a call whose reply has not come; the reply is read and dropped. The call fails when its memory is its caller's again, that is
   * when the system has taken what is sent from it, and does not read into it any more. If that takes long, the connection breaks.
   */
  abandon(call: Call<unknown>, error: BedrockError): void {
    // Otherwise the connection has told it, and every other call.
    if (this.#broken !== undefined || this.#tryAbandon(call, error)) return;
    this.#abandoned.push({ call, error, since: performance.now() });
    this.#releaseTimer ??= setInterval(this.#release, RELEASE_CHECK_MS);
  }

  /** @returns whether nothing uses the call's memory any more */
  #tryAbandon(call: Call<unknown>, error: BedrockError): boolean {
    const released = this.#flushed - this.#socket.writableLength;
    const isFirst = this.#calls.first === call;
    if (call.heldUntil > released || (isFirst && this.#landing !== undefined)) return false;
    if (call.into !== undefined) {
      call.into = DISCARD;
      if (isFirst) this.#parser.discard();
    }
    call.fail(error);
    return true;
  }

  readonly #release = (): void => {
    this.#abandoned = this.#abandoned.filter(({ call, error }) => !this.#tryAbandon(call, error));
    const [oldest] = this.#abandoned;
    if (oldest !== undefined && performance.now() - oldest.since > RELEASE_MS)
      this.break(this.#unreachable('it took nothing further of a call that was given up'));
    if (this.#abandoned.length > 0) return;
    clearInterval(this.#releaseTimer);
    this.#releaseTimer = undefined;
  };

  /** Ends the connection at once. */
  break(error: BedrockError): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#socket.destroy();
    clearInterval(this.#releaseTimer);
    for (const { call, error: reason } of this.#abandoned.splice(0)) call.fail(reason);
    for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift())
      call.broken(error, call.sentAt <= this.#flushed);
    this.#onClose?.(error);
  }

  // ---- input ----

  /**
   * Where the next bytes of the socket go. Asked for when those before were taken in, and not again before they have come: the
   * system may be writing there from now on.
   */
  #room(): Uint8Array {
    this.#landing = this.#parser.missing >= LANDING_BYTES ? this.#parser.landing : undefined;
    if (this.#landing !== undefined) return this.#landing;
    return this.#kept === 0 ? this.#scratch : this.#scratch.subarray(this.#kept);
  }

  #received(count: number): boolean {
    this.#arrivals++;
    if (this.#broken !== undefined) return true;
    if (this.#landing !== undefined) {
      this.#parser.landed(count);
      this.#landing = undefined;
      if (this.#abandoned.length > 0) this.#release();
      return true;
    }
    const parser = this.#parser;
    const scratch = this.#scratch;
    const end = this.#kept + count;
    parser.position = 0;
    for (;;) {
      const call = this.#calls.first;
      const found = parser.next(scratch, end, call?.into);
      if (found === Found.reply) {
        if (call === undefined) {
          this.break(this.#unreachable('it sent a reply to no command'));
          return true;
        }
        this.#calls.shift();
        call.replied(parser.value);
        continue;
      }
      if (found === Found.incomplete) break;
      this.break(this.#unreachable(`it does not speak the Redis protocol: ${parser.fault}`));
      return true;
    }
    this.#kept = end - parser.position;
    if (this.#kept > 0 && parser.position > 0) scratch.copyWithin(0, parser.position, end);
    if (this.#isEnding) this.#endIfDone();
    return true;
  }

  /** Breaks the connection when those who wait have waited too long without anything moving. */
  readonly #watch = (): void => {
    const first = this.#calls.first;
    const released = this.#flushed - this.#socket.writableLength;
    const isMoving =
      this.#arrivals !== this.#seenArrivals ||
      (first !== undefined && first.sentAt > this.#seenReleased && released > this.#seenReleased);
    this.#seenArrivals = this.#arrivals;
    this.#seenReleased = released;
    this.#idleChecks = first === undefined || isMoving ? 0 : this.#idleChecks + 1;
    if (this.#idleChecks > CHECKS)
      this.break(new BedrockError('TIMEOUT', `no answer from ${this.#where} in time`));
  };

  get #where(): string {
    return 'path' in this.endpoint ? this.endpoint.path : `${this.endpoint.host}:${this.endpoint.port}`;
  }

  #unreachable(reason: string, cause?: unknown): BedrockError {
    return new BedrockError('UNREACHABLE', `${this.#where} cannot be reached or broke off: ${reason}`, {
      cause,
    });
  }
}
