/**
 * A connection to a daemon that is made again when it breaks, and the calls that go over it.
 *
 * - Not more than `MAX_BYTES_IN_FLIGHT` of requests and replies are on their way; further calls wait, in order.
 * - When the connection breaks, calls that were not handed to the socket go out on the next one. Of the others those that only read
 *   are sent again, at most `MAX_REPEATS` times; a change is never sent twice, as another client may have made a later one
 *   meanwhile, which the second would undo. It fails with OUTCOME_UNKNOWN.
 * - A new connection is tried for with growing pauses, as long as a call waits for it, and given up after `MAX_ATTEMPTS`.
 * - A call that its caller has given up counts no more, though its reply is still to come.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError } from '../../base/errors.js';
import { ArgumentsCall } from './call.js';
import type { CallCarrier, RegionCall, TargetPlace } from './region-call.js';
import type { Reply } from './reply.js';
import type { RespConnection } from './resp-connection.js';

/** Bytes of requests and replies on their way at once. */
const MAX_BYTES_IN_FLIGHT = 2 ** 23;
const MAX_REPEATS = 3;
/** Tries for a connection until those who wait are told; together about three seconds, as a daemon that is restarted takes. */
const MAX_ATTEMPTS = 9;
const FIRST_PAUSE_MS = 20;
const MAX_PAUSE_MS = 1000;

/** Opens a connection that is ready for commands. */
export type OpenConnection = (
  onClose: () => void,
  signal: AbortSignal | undefined,
) => Promise<RespConnection>;

/** The command that chooses a target; until it is answered commands name theirs. */
class Choice extends ArgumentsCall {
  constructor(
    place: TargetPlace,
    private readonly chosen: () => void,
  ) {
    super(['SELECT', place.name]);
  }

  override replied(reply: Reply): void {
    if (reply === 'OK') this.chosen();
  }

  override broken(): void {
    // The next connection asks again.
  }

  override refused(): void {
    // Commands go on to name their target.
  }
}

export class Lane implements CallCarrier {
  #connection: RespConnection | undefined;
  #isOpening = false;
  /** Ends the attempts to connect. */
  readonly #closed = new AbortController();
  #bytes = 0;
  /** Calls whose callers wait. */
  #count = 0;
  #waiting: RegionCall<unknown>[] = [];
  /** First of them that still waits. */
  #next = 0;
  /** Those that a broken connection gave back. */
  #returned: RegionCall<unknown>[] = [];
  /** The target that calls went to first: the connection chooses it, so that their commands need not name it. */
  #home: TargetPlace | undefined;
  #chosen: TargetPlace | undefined;

  constructor(
    private readonly where: string,
    private readonly openConnection: OpenConnection,
  ) {}

  /** How much is on its way or waits; for choosing among lanes. */
  get load(): number {
    return this.#bytes + this.#count;
  }

  /** Makes the first connection. @throws UNREACHABLE, TIMEOUT, NOT_READY, ABORTED */
  async open(signal: AbortSignal | undefined): Promise<void> {
    this.#use(await this.#open(signal));
  }

  submit(call: RegionCall<unknown>): void {
    call.lane = this;
    this.#count++;
    if (this.#next === this.#waiting.length && this.#hasRoomFor(call)) this.#send(call);
    else this.#wait(call);
  }

  returned(call: RegionCall<unknown>): void {
    this.#bytes -= call.cost;
    if (this.#next < this.#waiting.length) this.#sendWaiting();
  }

  refused(call: RegionCall<unknown>): void {
    this.#bytes -= call.cost;
  }

  settled(): void {
    this.#count--;
  }

  broken(call: RegionCall<unknown>, error: BedrockError, wasSent: boolean): void {
    this.#bytes -= call.cost;
    const isLost = error.code === 'UNREACHABLE';
    if (call.isSettled) return;
    if (!wasSent || (isLost && call.isRepeatable && call.repeats++ < MAX_REPEATS)) this.#returned.push(call);
    else call.fail(isLost && !call.isRepeatable ? outcomeUnknown(error) : error);
  }

  /** Ends a call before its reply. It settles when its memory is its caller's again. */
  abandon(call: RegionCall<unknown>, error: BedrockError): void {
    if (call.isSettled) return;
    if (call.connection === undefined) call.fail(error);
    else call.connection.abandon(call, error);
  }

  /** Ends the connection at once: nobody waits for a call any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#connection?.break(this.#closedError);
    await this.#connection?.close();
  }

  get #closedError(): BedrockError {
    return new BedrockError('UNREACHABLE', `the connection to ${this.where} was closed`);
  }

  #hasRoomFor(call: RegionCall<unknown>): boolean {
    if (this.#connection?.isOpen !== true) return false;
    return this.#bytes === 0 || this.#bytes + call.cost <= MAX_BYTES_IN_FLIGHT;
  }

  #send(call: RegionCall<unknown>): void {
    const connection = this.#connection as RespConnection;
    if (this.#home === undefined && call.place !== undefined) this.#choose(call.place, connection);
    this.#bytes += call.cost;
    call.connection = connection;
    call.chosen = this.#chosen;
    connection.submit(call);
  }

  #choose(place: TargetPlace, connection: RespConnection): void {
    this.#home = place;
    const choice = new Choice(place, () => {
      if (this.#connection === connection) this.#chosen = place;
    });
    connection.submit(choice);
  }

  #wait(call: RegionCall<unknown>): void {
    this.#waiting.push(call);
    if (this.#connection?.isOpen !== true) void this.#reopen();
  }

  #sendWaiting(): void {
    const waiting = this.#waiting;
    for (; this.#next < waiting.length; this.#next++) {
      const call = waiting[this.#next] as RegionCall<unknown>;
      if (call.isSettled) continue;
      if (!this.#hasRoomFor(call)) break;
      this.#send(call);
    }
    if (this.#next < 1024 && this.#next < waiting.length) return;
    this.#waiting = waiting.slice(this.#next);
    this.#next = 0;
  }

  #open(signal: AbortSignal | undefined): Promise<RespConnection> {
    return this.openConnection(() => this.#lost(), signal);
  }

  #use(connection: RespConnection): void {
    this.#connection = connection;
    this.#chosen = undefined;
    if (this.#home !== undefined) this.#choose(this.#home, connection);
  }

  /** The connection has broken or ended, and its calls were told. */
  #lost(): void {
    for (const call of this.#returned) call.connection = undefined;
    this.#waiting = [...this.#returned, ...this.#waiting.slice(this.#next)];
    this.#returned = [];
    this.#next = 0;
    if (this.#waiting.length > 0) void this.#reopen();
  }

  async #reopen(): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    for (let attempt = 1; this.#waiting.some(({ isSettled }) => !isSettled); attempt++) {
      try {
        const connection = await this.#open(this.#closed.signal);
        if (this.#closed.signal.aborted) connection.break(this.#closedError);
        else this.#use(connection);
        break;
      } catch (error) {
        const failure = error as BedrockError;
        const isWorthIt = failure.code === 'UNREACHABLE' || failure.code === 'NOT_READY';
        if (!isWorthIt || attempt === MAX_ATTEMPTS) {
          for (const call of this.#waiting.splice(0)) call.fail(failure);
          break;
        }
        await delay(pauseMs(attempt), undefined, { signal: this.#closed.signal }).catch(() => undefined);
      }
    }
    this.#isOpening = false;
    this.#sendWaiting();
    if (this.#waiting.length > this.#next && this.#connection?.isOpen !== true) void this.#reopen();
  }
}

/** Twice as long each time, up to a bound; half of it by chance, so that the clients of a daemon do not all come back at once. */
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
