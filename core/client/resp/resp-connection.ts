/**
 * One connection to a server that speaks the Redis protocol. It knows nothing about regions.
 *
 * - All commands of one turn of the event loop are sent in one write. Replies settle their commands
 *   in order.
 * - A large reply is read from the socket directly into the memory that its command names. The
 *   system is given that memory before it reads. So bytes that came together with the reply's head,
 *   at most `SCRATCH_BYTES`, are copied.
 * - If the system refuses memory for a command or a reply, only that command fails, with
 *   OVERLOADED. Nothing of the command is sent, and its reply is read and dropped.
 * - A connection breaks if the peer violates the protocol, closes, or makes no progress. Then every
 *   waiting command is told. There is no retry here.
 */
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { allocateBytes } from '../../base/allocation.js';
import { asBedrockError, BedrockError, messageOf } from '../../base/errors.js';
import { formatHostPort } from '../../net/address.js';
import type { RespEndpoint } from '../../net/service-url.js';
import { onceInputIsRead } from '../../net/standstill.js';
import { within } from '../remote/call-options.js';
import type { TlsOptions } from '../../contract/remote-provider.js';
import { tlsFailure, tlsOptionsFor } from '../remote/tls.js';
import { type Argument, type Command, PlainCommand } from './command.js';
import { CommandsInOrder } from './commands-in-order.js';
import { RequestWriter } from '../../redis-wire/request-writer.js';
import { DISCARD, Found, ReplyParser } from '../../redis-wire/reply-parser.js';
import type { Reply } from '../../redis-wire/reply.js';

export interface RespConnectionOptions {
  /**
   * Time-out for lack of progress while replies are waited for, and for connecting, in
   * milliseconds; default: 30000.
   */
  progressTimeoutMs?: number;
  /** Largest reply in bytes, not counting bytes that go to a command's own memory; default: 64 MiB. */
  maxReplyBytes?: number;
  /** Certificates, if the endpoint is secure. */
  tls?: TlsOptions;
  /** Ends the attempt to connect. */
  signal?: AbortSignal | undefined;
  /** Called once, when the connection has broken or ended. */
  onClose?: (error: BedrockError) => void;
}

const SCRATCH_BYTES = 2 ** 16;
/** Shorter parts of a reply are read together with what follows them, and copied. */
const LANDING_BYTES = 2 ** 14;
/** Commands are sent before the turn ends when they have this many bytes. */
const FLUSH_BYTES = 2 ** 16;
/**
 * How many checks may find that the system still uses the memory of an abandoned command before the
 * connection is ended. Time is measured by periodic checks. If this process stands still, that
 * counts as at most one check, and the next check sees what arrived meanwhile.
 */
const RELEASE_CHECKS = 10;
const RELEASE_CHECK_MS = 5;
/** Checks for progress per time-out. */
const CHECKS = 4;

/**
 * State of a connection; it only moves forward. `open`: commands can be sent. `ending`: the
 * connection waits for outstanding replies and then closes. `broken`: it is finished, and every
 * command was told why.
 */
type State = 'connecting' | 'open' | 'ending' | { readonly broken: BedrockError };

/** A command that fails as soon as its memory is no longer used. */
interface Abandoned {
  readonly command: Command<unknown>;
  readonly error: BedrockError;
  /** Number of checks that found its memory in use. */
  checks: number;
}

export class RespConnection {
  readonly #commands = new CommandsInOrder();
  readonly #parser: ReplyParser;
  readonly #output = new RequestWriter();
  readonly #socket: Socket;
  readonly #scratch = allocateBytes(SCRATCH_BYTES);
  /** Bytes at the start of the scratch buffer that are not parsed yet. */
  #kept = 0;
  /** The caller's memory that the system reads into; undefined if it reads into the scratch buffer. */
  #landing: Uint8Array | undefined;
  #isFlushing = false;
  #state: State = 'connecting';
  /** Number of times that bytes have arrived. */
  #arrivals = 0;
  /**
   * State at the last check for progress: arrivals, bytes that the system has taken, consecutive
   * checks that saw nothing new.
   */
  #seenArrivals = 0;
  #seenReleased = 0;
  #idleChecks = 0;
  #abandoned: Abandoned[] = [];
  #releaseTimer: NodeJS.Timeout | undefined;
  readonly #closed: Promise<void>;
  readonly #onClose: ((error: BedrockError) => void) | undefined;

  private constructor(
    private readonly endpoint: RespEndpoint,
    { progressTimeoutMs = 30_000, maxReplyBytes = 2 ** 26, tls = {}, onClose }: RespConnectionOptions,
  ) {
    this.#parser = new ReplyParser({ maxReplyBytes });
    this.#onClose = onClose;
    this.#socket = socketTo(endpoint, tls, {
      buffer: () => this.#room(),
      callback: (count: number) => this.#received(count),
    });
    const watch = setInterval(() => onceInputIsRead(this.#watch), progressTimeoutMs / CHECKS);
    watch.unref();
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        clearInterval(watch);
        this.break(this.#unreachable('the connection was closed'));
        resolve();
      });
    });
    this.#socket.on('error', (error) => {
      const insecure = this.#isSecure ? tlsFailure(error, this.#where) : undefined;
      this.break(this.#unreachable(insecure ?? messageOf(error), error));
    });
  }

  /** @throws UNREACHABLE, TIMEOUT, ABORTED, OVERLOADED */
  static async open(endpoint: RespEndpoint, options: RespConnectionOptions = {}): Promise<RespConnection> {
    const connection = new RespConnection(endpoint, options);
    const connected = connection.#connect();
    try {
      await within(connected, options.signal, connection.#where);
    } catch (error) {
      connection.break(asBedrockError(error));
      throw error;
    }
    return connection;
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      // Safe: the constructor's own listener comes first, so the reason is there.
      this.#socket.once('close', () => reject(this.#whyClosed));
      this.#socket.once(this.#isSecure ? 'secureConnect' : 'connect', () => {
        if (this.#state === 'connecting') this.#state = 'open';
        resolve();
      });
    });
  }

  /** Whether commands can be sent. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Why it has broken; undefined if it has not. */
  get failure(): BedrockError | undefined {
    return typeof this.#state === 'object' ? this.#state.broken : undefined;
  }

  get #isBroken(): boolean {
    return this.failure !== undefined;
  }

  /** Why no command can be sent. */
  get #whyClosed(): BedrockError {
    return this.failure ?? this.#unreachable('the connection was closed');
  }

  /**
   * Sends a command. Byte arguments of 16 KiB and more are passed by reference: they must not
   * change until the command settles.
   * @param into where the bytes of the reply go, one after another; the reply is then their number
   * @throws ReplyError (what the server answers), UNREACHABLE (also for a reply that is longer than
   * `into`), TIMEOUT
   */
  send(args: readonly Argument[], into?: Uint8Array): Promise<Reply> {
    const command = new PlainCommand(args, into);
    this.submit(command);
    return command.promise;
  }

  submit(command: Command<unknown>): void {
    if (!this.isOpen) {
      command.broken(this.#whyClosed, false);
      return;
    }
    const output = this.#output;
    const before = output.added;
    try {
      command.encode(output);
    } catch (error) {
      output.undoTo(before);
      command.fail(asBedrockError(error));
      return;
    }
    this.#commands.push(command);
    command.sentAt = output.added;
    command.heldUntil = output.referencedTo > before ? output.referencedTo : 0;
    if (this.#isFlushing) {
      if (output.gatheredBytes >= FLUSH_BYTES) this.#handOver();
      return;
    }
    this.#isFlushing = true;
    // Runs after the microtasks of this turn, so that commands that they send go out too.
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushing = false;
    this.#handOver();
  };

  #handOver(): void {
    if (this.#isBroken) return;
    this.#output.send(this.#socket);
  }

  /** Closes the connection after all waiting commands have been answered. */
  async close(): Promise<void> {
    if (!this.#isBroken) this.#state = 'ending';
    this.#endIfDone();
    await this.#closed;
  }

  #endIfDone(): void {
    if (this.#state === 'ending' && this.#commands.length === 0) this.#socket.destroy();
  }

  /**
   * Ends a command before its reply has come; the reply is read and dropped. The command fails when
   * its memory belongs to its caller again: when the system has taken what is sent from it, and no
   * longer reads into it. If that takes too long, the connection breaks.
   */
  abandon(command: Command<unknown>, error: BedrockError): void {
    // Otherwise the connection has told it, and every other command.
    if (this.#isBroken || this.#tryAbandon(command, error)) return;
    this.#abandoned.push({ command, error, checks: 0 });
    this.#releaseTimer ??= setInterval(this.#release, RELEASE_CHECK_MS);
  }

  /** @returns whether the command's memory is no longer used */
  #tryAbandon(command: Command<unknown>, error: BedrockError): boolean {
    const released = this.#output.sent - this.#socket.writableLength;
    const isFirst = this.#commands.first === command;
    if (command.heldUntil > released || (isFirst && this.#landing !== undefined)) return false;
    if (command.into !== undefined) {
      command.into = DISCARD;
      if (isFirst) this.#parser.discard();
    }
    command.fail(error);
    return true;
  }

  readonly #release = (): void => {
    this.#abandoned = this.#abandoned.filter(({ command, error }) => !this.#tryAbandon(command, error));
    if (this.#abandoned.some((each) => ++each.checks > RELEASE_CHECKS))
      this.break(this.#unreachable('it took nothing further of a command that was given up'));
    if (this.#abandoned.length > 0) return;
    clearInterval(this.#releaseTimer);
    this.#releaseTimer = undefined;
  };

  /** Ends the connection at once. */
  break(error: BedrockError): void {
    if (this.#isBroken) return;
    this.#state = { broken: error };
    this.#socket.destroy();
    clearInterval(this.#releaseTimer);
    for (const { command, error: reason } of this.#abandoned.splice(0)) command.fail(reason);
    for (let command = this.#commands.shift(); command !== undefined; command = this.#commands.shift())
      command.broken(error, command.sentAt <= this.#output.sent);
    this.#onClose?.(error);
  }

  // ---- input ----

  /**
   * Where the next bytes of the socket go. Called after the previous bytes were handled, and not
   * again before the next ones have come: from now on the system may be writing there.
   */
  #room(): Uint8Array {
    this.#landing = this.#parser.missing >= LANDING_BYTES ? this.#parser.landing : undefined;
    if (this.#landing !== undefined) return this.#landing;
    return this.#kept === 0 ? this.#scratch : this.#scratch.subarray(this.#kept);
  }

  #received(count: number): boolean {
    this.#arrivals++;
    if (this.#isBroken) return true;
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
      const command = this.#commands.first;
      const found = parser.next(scratch, end, command?.into);
      if (found === Found.reply) {
        if (command === undefined) {
          this.break(this.#unreachable('it sent a reply to no command'));
          return true;
        }
        this.#commands.shift();
        command.replied(parser.value);
        continue;
      }
      if (found === Found.incomplete) break;
      this.break(this.#unreachable(`it does not speak the Redis protocol: ${parser.fault}`));
      return true;
    }
    this.#kept = end - parser.position;
    if (this.#kept > 0 && parser.position > 0) scratch.copyWithin(0, parser.position, end);
    this.#endIfDone();
    return true;
  }

  /**
   * Breaks the connection if waiting commands, or the attempt to connect, have made no progress for
   * too long.
   */
  readonly #watch = (): void => {
    const first = this.#commands.first;
    const released = this.#output.sent - this.#socket.writableLength;
    const isMoving =
      this.#arrivals !== this.#seenArrivals ||
      (first !== undefined && first.sentAt > this.#seenReleased && released > this.#seenReleased);
    this.#seenArrivals = this.#arrivals;
    this.#seenReleased = released;
    const isConnecting = this.#state === 'connecting';
    this.#idleChecks = !isConnecting && (first === undefined || isMoving) ? 0 : this.#idleChecks + 1;
    if (this.#idleChecks > CHECKS || (isConnecting && this.#idleChecks === CHECKS))
      this.break(new BedrockError('TIMEOUT', `no answer from ${this.#where} in time`));
  };

  get #isSecure(): boolean {
    return 'host' in this.endpoint && this.endpoint.isSecure === true;
  }

  get #where(): string {
    const { endpoint } = this;
    if ('path' in endpoint) return `resp+unix:${endpoint.path}`;
    return `${this.#isSecure ? 'resps' : 'resp'}://${formatHostPort(endpoint)}`;
  }

  #unreachable(reason: string, cause?: unknown): BedrockError {
    return new BedrockError('UNREACHABLE', `${this.#where} cannot be reached or broke off: ${reason}`, {
      cause,
    });
  }
}

/** A socket that reads into the caller's memory, encrypted or not. */
function socketTo(endpoint: RespEndpoint, tls: TlsOptions, onread: OnReadOpts): Socket {
  if ('path' in endpoint) return connect({ path: endpoint.path, onread });
  const { host, port, isSecure } = endpoint;
  if (isSecure !== true) return connect({ host, port, noDelay: true, onread });
  // Its types lack the option, which it has: https://nodejs.org/api/tls.html#tlsconnectoptions-callback
  const options = { host, port, ...tlsOptionsFor(host, tls), onread } as ConnectionOptions;
  return connectTls(options).setNoDelay(true);
}
