/**
 * A connection to a daemon that is opened again when it breaks, and the commands that are sent over it.
 *
 * - At most `MAX_BYTES_IN_FLIGHT` of requests and replies are in flight. Further commands wait, in
 *   order.
 * - When the connection breaks, commands that were not yet passed to the socket are sent on the
 *   next connection. Of the others, those that only read are sent again, at most `MAX_REPEATS`
 *   times. A change is never sent twice: another client may have made a later change, which the
 *   second one would undo. It fails with OUTCOME_UNKNOWN.
 * - While a command waits, the lane tries to connect, with growing pauses. It gives up after
 *   `MAX_ATTEMPTS`.
 * - A command that its caller has given up does not count any more, although its reply is yet to come.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError } from '../../base/errors.js';
import { CommandsInOrder } from './commands-in-order.js';
import type { Carrier, DaemonCommand, TargetName } from './daemon-command.js';
import type { RespConnection } from './resp-connection.js';

/** Maximum bytes of requests and replies in flight. */
const MAX_BYTES_IN_FLIGHT = 2 ** 23;
const MAX_REPEATS = 3;
/**
 * Attempts to connect before waiting commands fail. Together they take about three seconds, as long
 * as a daemon takes to restart.
 */
const MAX_ATTEMPTS = 9;
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1000;

/** Opens a connection that is ready for commands. */
export type OpenConnection = (
  onClose: () => void,
  signal: AbortSignal | undefined,
) => Promise<RespConnection>;

/**
 * State of a lane. `parted`: it has no connection and does not try to get one. `connecting`: it
 * tries to connect, because commands wait. A connection: it is open and commands are sent.
 * `closed`: it is finished.
 */
type State = 'parted' | 'connecting' | RespConnection | 'closed';

export class Lane implements Carrier {
  #state: State = 'parted';
  /** Ends the attempts to connect. */
  readonly #closing = new AbortController();
  #bytes = 0;
  /** Number of commands whose callers still wait. */
  #count = 0;
  /** Commands to be sent. */
  readonly #waiting = new CommandsInOrder<DaemonCommand<unknown>>();
  /**
   * How many of `#waiting`, counted from the end, were given back by a broken connection. `#lost`
   * moves them to the front.
   */
  #givenBack = 0;
  /** The target of the first command. The connection chooses it, so that commands need not name it. */
  #home: TargetName | undefined;
  #chosen: TargetName | undefined;

  constructor(
    private readonly where: string,
    private readonly openConnection: OpenConnection,
  ) {}

  /** Amount of work in flight or waiting, for choosing among lanes. */
  get load(): number {
    return this.#bytes + this.#count;
  }

  /** Opens the first connection. @throws UNREACHABLE, TIMEOUT, NOT_READY, ABORTED */
  async open(signal: AbortSignal | undefined): Promise<void> {
    this.#become('connecting');
    try {
      this.#use(await this.#open(signal));
    } catch (error) {
      this.#become('parted');
      throw error;
    }
  }

  #become(state: State): void {
    if (this.#state !== 'closed') this.#state = state;
  }

  submit(command: DaemonCommand<unknown>): void {
    command.lane = this;
    this.#count++;
    if (this.#waiting.length === 0 && this.#hasRoomFor(command)) this.#send(command);
    else this.#wait(command);
  }

  returned(command: DaemonCommand<unknown>): void {
    this.#bytes -= command.cost;
    if (this.#waiting.length > 0) this.#sendWaiting();
  }

  settled(): void {
    this.#count--;
  }

  broken(command: DaemonCommand<unknown>, error: BedrockError, wasSent: boolean): void {
    this.#bytes -= command.cost;
    const isLost = error.code === 'UNREACHABLE';
    if (command.isSettled) return;
    if (!wasSent || (isLost && command.isRepeatable && command.repeats++ < MAX_REPEATS)) {
      command.connection = undefined;
      this.#waiting.push(command);
      this.#givenBack++;
    } else command.fail(isLost && !command.isRepeatable ? outcomeUnknown(error) : error);
  }

  /** Ends a command before its reply. It settles when its memory belongs to its caller again. */
  abandon(command: DaemonCommand<unknown>, error: BedrockError): void {
    if (command.isSettled) return;
    if (command.connection === undefined) command.fail(error);
    else command.connection.abandon(command, error);
  }

  /** Closes the connection at once. No command may be waiting any more. */
  async close(): Promise<void> {
    const connection = typeof this.#state === 'object' ? this.#state : undefined;
    this.#become('closed');
    this.#closing.abort();
    connection?.break(this.#closedError);
    await connection?.close();
  }

  get #closedError(): BedrockError {
    return new BedrockError('UNREACHABLE', `the connection to ${this.where} was closed`);
  }

  #hasRoomFor(command: DaemonCommand<unknown>): boolean {
    if (typeof this.#state !== 'object') return false;
    return this.#bytes === 0 || this.#bytes + command.cost <= MAX_BYTES_IN_FLIGHT;
  }

  #send(command: DaemonCommand<unknown>): void {
    const connection = this.#state as RespConnection;
    if (this.#home === undefined && command.target !== undefined) this.#choose(command.target, connection);
    this.#bytes += command.cost;
    command.connection = connection;
    command.chosen = this.#chosen;
    connection.submit(command);
    // It could not be encoded.
    if (command.isSettled) this.#bytes -= command.cost;
  }

  /**
   * Chooses a target for the connection. Commands name their target until this is answered. If it
   * is not, the next connection asks again.
   */
  #choose(target: TargetName, connection: RespConnection): void {
    this.#home = target;
    connection.send(['SELECT', target.text]).then(
      (reply) => {
        if (reply === 'OK' && this.#state === connection) this.#chosen = target;
      },
      () => undefined,
    );
  }

  #wait(command: DaemonCommand<unknown>): void {
    this.#waiting.push(command);
    if (this.#state === 'parted') void this.#connect();
  }

  /** The next command to be sent. Commands whose callers no longer wait are dropped. */
  get #next(): DaemonCommand<unknown> | undefined {
    while (this.#waiting.first?.isSettled === true) this.#waiting.shift();
    return this.#waiting.first;
  }

  #sendWaiting(): void {
    for (let command = this.#next; command !== undefined && this.#hasRoomFor(command); command = this.#next) {
      this.#waiting.shift();
      this.#send(command);
    }
  }

  #open(signal: AbortSignal | undefined): Promise<RespConnection> {
    return this.openConnection(() => this.#lost(), signal);
  }

  #use(connection: RespConnection): void {
    if (this.#state === 'closed') {
      connection.break(this.#closedError);
      return;
    }
    // Input directly after the greeting may have broken the connection.
    this.#become(connection.isOpen ? connection : 'parted');
    this.#chosen = undefined;
    if (this.#home !== undefined) this.#choose(this.#home, connection);
  }

  /**
   * Called when a connection has broken or ended, after its commands were told. It is the
   * connection in use, or one of an attempt to connect, which handles its own failure. There is
   * never another one.
   */
  #lost(): void {
    if (this.#state === 'connecting') return;
    this.#become('parted');
    for (let left = this.#waiting.length - this.#givenBack; left > 0; left--)
      this.#waiting.push(this.#waiting.shift() as DaemonCommand<unknown>);
    this.#givenBack = 0;
    if (this.#state === 'closed') this.#failWaiting(this.#closedError);
    else if (this.#waiting.length > 0) void this.#connect();
  }

  #failWaiting(error: BedrockError): void {
    for (let command = this.#waiting.shift(); command !== undefined; command = this.#waiting.shift())
      command.fail(error);
  }

  /** Tries to connect while a command waits. Only called for a lane that is `parted`. */
  async #connect(): Promise<void> {
    this.#become('connecting');
    for (let attempt = 1; this.#next !== undefined; attempt++) {
      try {
        const connection = await this.#open(this.#closing.signal);
        // Input directly after the greeting may have broken the connection. Such an attempt counts
        // too. Otherwise attempts would go on for ever without a pause.
        if (connection.failure !== undefined) throw connection.failure;
        this.#use(connection);
        break;
      } catch (error) {
        const failure = error as BedrockError;
        const isWorthIt = failure.code === 'UNREACHABLE' || failure.code === 'NOT_READY';
        if (!isWorthIt || attempt === MAX_ATTEMPTS) {
          this.#failWaiting(failure);
          break;
        }
        await delay(pauseMs(attempt), undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
    if (this.#state === 'connecting') this.#become('parted');
    this.#sendWaiting();
    if (this.#next !== undefined && this.#state === 'parted') void this.#connect();
  }
}

/**
 * Doubles with each attempt, up to a limit. Half of it is random, so that the clients of a daemon
 * do not all come back at once.
 */
function pauseMs(attempt: number): number {
  const most = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
  return most / 2 + (Math.random() * most) / 2;
}

export function outcomeUnknown(cause: BedrockError): BedrockError {
  return new BedrockError(
    'OUTCOME_UNKNOWN',
    `the connection broke before the answer, so the change may or may not have been made: ${cause.message}`,
    { cause },
  );
}
