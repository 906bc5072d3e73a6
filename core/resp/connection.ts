/**
 * The connection of one client of the Redis door: it decides when each request of the client
 * begins, and when the connection ends.
 *
 * - Input that is not a request of the protocol gets an error, and the connection ends. It also
 *   ends if it is refused memory that it needs. Nothing that happens here affects another
 *   connection.
 * - A client that does not take its replies is not read until it does. A long pipeline lets other
 *   connections run in between (`Turn`).
 * - Two states say what the connection does: `Life`, of the connection, and `Work`, of its
 *   requests. Whatever happens changes them and calls `#advance`, which does what they allow.
 *
 * It leaves the rest to its parts. `RequestReader` turns bytes into requests. `Session` carries a
 * request out. `Calls` makes the calls of targets, and settles them. `Pipeline` sends the replies.
 *
 * ## The order of requests and of replies
 *
 * A client may send many requests before it reads a reply. It gets the replies in the order of its
 * requests, and each request sees the effects of the requests before it. Still, independent
 * requests run at the same time:
 *
 * 1. Requests begin in the order of arrival. A request that may not begin yet is held, and those
 *    after it stay in the input, unread. So nothing overtakes a request that has not begun, and
 *    only requests in flight need to be compared.
 * 2. A request that touches bytes of a region is held while one in flight touches some of the same
 *    bytes and one of the two changes them (`Conflicts`). Erasing a region, or making it durable,
 *    touches all of its bytes. A step of an upload is held while another step of it is in flight. A
 *    request is compared, begun and recorded in one step, so no other comes between.
 * 3. A request that reads a whole target, or changes how this connection is served, has no bytes to
 *    compare. It is held until nothing is in flight. If it takes time, nothing begins before it has
 *    ended (`isAlone`).
 * 4. A request takes its place in the queue of replies when it begins, and fills it when it ends. A
 *    reply is sent when all replies before it are ready (`Pipeline`). If it is ready at once and
 *    none before it is missing, it skips the queue.
 *
 * Requests of different connections are not ordered here: their targets keep them apart, as they do
 * calls of any door.
 */
import type { Socket } from 'node:net';
import { allocateBytes } from '../base/allocation.js';
import { asBedrockError } from '../base/errors.js';
import type { Share } from '../net/byte-budget.js';
import { takenBytes } from '../net/taken-bytes.js';
import { Turn } from '../net/turn.js';
import { Found } from '../redis-wire/request-parser.js';
import { rememberOrigin } from '../security/audit.js';
import type { ClientFacts } from './client-line.js';
import { DripWatch, HeldMemory } from './client-progress.js';
import { Life, type Work } from './connection-state.js';
import type { Door } from './door.js';
import { INPUT_BYTES } from './input.js';
import type { LongPlaces } from './long-arguments.js';
import type { Landed } from './operation-call.js';
import { noMemory, Pipeline } from './pipeline.js';
import { Failure, failureOf } from './replies.js';
import { MODEST_BYTES } from './request-memory.js';
import { RequestReader } from './request-reader.js';
import { Session, type SessionConnection } from './session.js';

/** How many requests of one connection may run at once. */
const MAX_IN_FLIGHT = 256;

/** Bytes of requests that may wait after one that waits. */
const MAX_WAITING_BYTES = INPUT_BYTES / 2;

/**
 * When this many bytes of replies are gathered, they are sent before the next request, so that
 * their buffers can be used again soon.
 */
const GATHERED_BYTES = 2 ** 17;

/**
 * Replies up to this size, to a few requests, may wait for the replies to requests that have
 * already arrived.
 */
const FEW_BYTES = 32;

/** A client that has not said who it is needs no more for that. */
const MOST_BEFORE_AUTH_BYTES = 2 ** 14;

export class Connection implements SessionConnection, LongPlaces {
  readonly session: Session;
  readonly #reader: RequestReader;
  #socket!: Socket;
  #replies!: Pipeline;
  /** Memory of requests that have arrived, including what calls use of them. */
  readonly #arriving: Share;
  readonly #inUse: Share;
  #life: Life = Life.open;
  #work: Work = 'idle';
  /** What the socket was last told: whether to read. */
  #isReading = true;
  readonly #turn = new Turn(() => this.#advance());
  readonly #drips = new DripWatch();

  constructor(
    readonly id: number,
    private readonly door: Door,
  ) {
    this.#arriving = door.arriving.share(new HeldMemory(this, 'a request', door));
    this.#inUse = door.arriving.share();
    this.#reader = new RequestReader(door.limits, this.#arriving, this.#inUse);
    this.session = new Session(id, door, this, this.#reader.memory);
  }

  /** Sets the socket that reads into it. */
  attach(socket: Socket): void {
    const { door } = this;
    this.#socket = socket;
    if (door.audit !== undefined || door.rates !== undefined) rememberOrigin(socket);
    const share = door.replies.share(new HeldMemory(this, 'replies', door));
    this.#replies = new Pipeline(socket, share, () => this.session.encodeFailure(noMemory()));
    this.session.attach(socket, this.#replies);
    socket.on('drain', () => this.#advance());
  }

  get socket(): Socket {
    return this.#socket;
  }

  // ---- what the client is doing ----

  /** When bytes last arrived, by performance.now(). */
  get arrivedAt(): number {
    return this.session.arrivedAt;
  }

  get isBusy(): boolean {
    return this.session.isBusy;
  }

  get isAwaited(): boolean {
    // A request that asks for memory must not cause its own client to be evicted, which would take
    // away the request's bytes.
    if (this.#work === 'working') return false;
    if (this.#socket.writableLength > 0) return true;
    if (this.#isStalled) return false;
    if (!this.#reader.isEmpty) return true;
    if (this.isBusy) return false;
    // Uploads hold space, and a long transaction holds memory, that others may need.
    const { uploads, transaction } = this.session;
    return uploads.count > 0 || (transaction !== undefined && this.#arriving.bytes > MODEST_BYTES);
  }

  get #isStalled(): boolean {
    return this.#work === 'stalled' || this.#work === 'held';
  }

  get receivedBytes(): number {
    return this.#reader.receivedBytes;
  }

  get takenBytes(): number {
    return takenBytes(this.#socket);
  }

  /** Bytes that have arrived from the client, and that it has taken. */
  get movedBytes(): number {
    return this.receivedBytes + this.takenBytes;
  }

  /** Whether almost nothing of a request has arrived for this long. @param now as in `DripWatch` */
  isDripping(now: number, timeoutMs: number): boolean {
    const request = this.#reader.isWithin && !this.#isStalled ? this.session.requests : -1;
    return this.#drips.isDripping(request, this.receivedBytes, now, timeoutMs);
  }

  get facts(): ClientFacts {
    const inUseBytes = this.#inUse.bytes;
    const { bytes, waiting, countedBytes } = this.#replies;
    return {
      ...this.session.facts,
      memory: {
        inputBytes: this.#reader.waitingBytes,
        inputFreeBytes: this.#reader.freeBytes,
        argumentBytes: inUseBytes,
        replyBytes: bytes,
        waitingReplies: waiting,
        heldBytes: this.#arriving.bytes + inUseBytes + countedBytes,
      },
    };
  }

  // ---- input ----

  /** Where the next bytes of the socket go. Call it when nothing is being read. */
  room(): Buffer {
    try {
      const room = this.#life < Life.ending ? this.#nextRoom() : undefined;
      if (room !== undefined) return room;
    } catch (error) {
      this.#end(failureOf(asBedrockError(error)));
    }
    return this.#reader.roomToDrop();
  }

  /** @returns nothing if the connection ends */
  #nextRoom(): Buffer | undefined {
    if (this.session.rights.mustAuthenticate && this.#reader.waitingBytes > MOST_BEFORE_AUTH_BYTES) {
      this.#refuse(`a request of more than ${MOST_BEFORE_AUTH_BYTES} bytes before AUTH`);
      return undefined;
    }
    const room = this.#reader.room(this.#isStalled);
    if (room === undefined)
      this.#refuse(`a request has at most ${this.door.limits.maxRequestBytes} bytes beside long arguments`);
    return room;
  }

  /** Handles bytes that have arrived in `where`. @returns whether to read on */
  received(count: number, where: Buffer): boolean {
    if (this.#life >= Life.ending) return true;
    this.session.arrivedAt = performance.now();
    // Waiting requests may have been carried out since the room was given out. Then the bytes
    // belong elsewhere.
    if (!this.#reader.isCurrent(where)) return this.#takeCopy(where.subarray(0, count));
    this.#reader.filled(count);
    this.#turn.spend(0, count);
    this.#advance(count === where.length);
    return this.#isReading;
  }

  #takeCopy(bytes: Uint8Array): boolean {
    try {
      const copy = allocateBytes(bytes.length);
      copy.set(bytes);
      return this.take(copy);
    } catch (error) {
      this.#broke(error);
      return true;
    }
  }

  /** Handles bytes that have arrived anywhere. @returns whether to read on */
  take(bytes: Buffer): boolean {
    this.session.arrivedAt = performance.now();
    for (let at = 0; at < bytes.length && this.#life < Life.ending;) {
      this.room();
      at += this.#reader.copy(bytes, at);
      this.#advance();
    }
    // Bytes to keep leave the buffer that all connections share.
    this.room();
    return this.#isReading;
  }

  // ---- requests ----

  /**
   * Carries out as much of the input as allowed.
   * @param isMoreThere whether more input has surely arrived
   */
  readonly #advance = (isMoreThere = false): void => {
    try {
      this.#goOn(isMoreThere);
    } catch (error) {
      this.#broke(error);
    }
  };

  #goOn(isMoreThere: boolean): void {
    if (this.#life === Life.closed) return;
    const isHeld = this.#work === 'held';
    this.#work = 'working';
    let work: Work = 'idle';
    try {
      work = this.#carryOut(isHeld);
    } finally {
      this.#work = work;
      this.session.calls.count();
    }
    if (this.#life === Life.inputOver && work === 'idle') this.#goTo(Life.ending);
    const isEnding = this.#life >= Life.ending;
    // A request that waits seldom waits long, so some more input may arrive meanwhile. Input after
    // the last request is read and dropped: if it stayed unread, the system would cut off the last
    // reply.
    const mayRead =
      !this.#turn.isOver &&
      (work === 'idle' || (isEnding && work === 'stalled') || this.#reader.waitingBytes < MAX_WAITING_BYTES);
    // Sending the reply to each of many large requests separately would cost more than the requests.
    if (isMoreThere && this.#replies.gatheredBytes < FEW_BYTES) this.#replies.flushSoon();
    else this.#replies.flush();
    if (isEnding) this.#endIfDone();
    if (mayRead === this.#isReading) return;
    this.#isReading = mayRead;
    if (mayRead) this.#socket.resume();
    else this.#socket.pause();
  }

  /**
   * Begins requests that may begin.
   * @param isHeld whether the next request was already read
   * @returns how far that went
   */
  #carryOut(isHeld: boolean): Work {
    const replies = this.#replies;
    const reader = this.#reader;
    for (;;) {
      if (replies.gatheredBytes >= GATHERED_BYTES) replies.flush();
      if (this.#turn.isOver || this.#isFull()) return isHeld ? 'held' : 'stalled';
      const gathered = replies.gatheredBytes;
      if (!isHeld) {
        if (this.#life >= Life.ending) return 'idle';
        const found = reader.next();
        if (found === Found.incomplete) return 'idle';
        if (found === Found.fault) {
          this.#refuse(reader.fault);
          return 'idle';
        }
        if (found === Found.longArgument) {
          this.#beginLong();
          continue;
        }
      }
      if (!this.session.run(reader.current(), reader.failure)) return 'held';
      isHeld = false;
      reader.requestDone();
      this.#turn.spend(1, replies.gatheredBytes - gathered);
    }
  }

  /** Whether no more requests may begin. */
  #isFull(): boolean {
    const { calls } = this.session;
    if (calls.isAlone || calls.inFlight >= MAX_IN_FLIGHT) return true;
    const { bytes } = this.#replies;
    return bytes > this.door.limits.maxBufferedBytes || (bytes > MODEST_BYTES && this.door.replies.isFull);
  }

  #beginLong(): void {
    if (this.session.rights.mustAuthenticate) this.#refuse('an argument of more than 8 KiB before AUTH');
    else this.#reader.beginLong(this);
  }

  land(length: number): Landed | undefined {
    return this.session.land(this.#reader.current(), length);
  }

  callEnded(): void {
    if (this.#isStalled || this.#life >= Life.ending) this.#advance();
  }

  // ---- the end ----

  #goTo(life: Life): void {
    if (life > this.#life) this.#life = life;
  }

  /** The client has ended its side. Complete requests are carried out, and then the connection ends. */
  inputEnded(): void {
    this.#goTo(Life.inputOver);
    this.#advance();
  }

  /** Takes no more requests. Ends when all begun requests are answered. */
  end(): void {
    this.#goTo(Life.ending);
    this.#endIfDone();
  }

  quit(): void {
    this.#goTo(Life.ending);
  }

  #endIfDone(): void {
    if (!this.isBusy && this.#work !== 'held') this.#replies.end();
  }

  #refuse(fault: string): void {
    this.#end(new Failure('ERR', `Protocol error: ${fault}`));
  }

  #end(failure: Failure): void {
    this.session.reply(failure);
    this.#goTo(Life.ending);
    // If there was no room for more, nothing else would send it.
    setImmediate(() => this.#advance());
  }

  /** Gives up the connection, and everything it holds except what calls use. */
  lose(): void {
    this.#socket.destroy();
    this.closed();
  }

  /** Handles an error that concerns this connection alone. */
  #broke(error: unknown): void {
    this.door.logFailure(asBedrockError(error));
    this.lose();
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#life === Life.closed) return;
    this.#goTo(Life.closed);
    this.#reader.close();
    this.session.close();
    this.#replies.closed();
  }
}
