/**
 * One client of the Redis door: reads its requests, carries them out, sends the replies in their order.
 *
 * - Requests run at the same time as far as they may (see `Conflicts`), at most `MAX_IN_FLIGHT` of them.
 * - A client that does not take its replies is not read until it does.
 * - A long argument lands in a buffer of its own; how much of them all clients together may fill is bounded.
 * - What is no request of the protocol is answered, and the connection ends.
 */
import type { Socket } from 'node:net';
import { BedrockError, asBedrockError } from '../errors.js';
import type { RegionId } from '../target/index.js';
import { commandOf } from './commands.js';
import { WAIT, type CommandClient, type DaemonFacts, type OperationCall, type Place } from './command.js';
import { Conflicts, type RegionUse } from './conflicts.js';
import { INPUT_BYTES, Input, release } from './input.js';
import { Pipeline, type PendingReply } from './pipeline.js';
import { Failure, encodeReply, failureOf, type Protocol, type Reply } from './replies.js';
import { Request, type LongArgument } from './request.js';
import { Found, RequestParser, type RequestLimits } from './request-parser.js';
import { Uploads } from './uploads.js';

/** What the clients of a door share. */
export interface Door {
  readonly limits: RequestLimits & {
    /** Largest request, long arguments aside, bytes. */
    maxRequestBytes: number;
    /** Replies that may wait for a client before it is read again, bytes. */
    maxBufferedBytes: number;
  };
  readonly daemon: DaemonFacts;
  /** Whether requests on regions are served. */
  isReady(): boolean;
  /** @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, NOT_READY, INVALID_ARGUMENT */
  place(provider: string | undefined, index: number): Place;
  /** Takes bytes of the memory for long arguments. @returns whether there are as many */
  reserve(bytes: number): boolean;
  giveBack(bytes: number): void;
  keepCursor(after: RegionId): number;
  cursor(number: number): RegionId | undefined;
  logFailure(error: BedrockError): void;
}

/** Requests of one connection that run at once. */
const MAX_IN_FLIGHT = 256;

/** Requests that may wait behind one that waits. */
const MAX_WAITING_BYTES = INPUT_BYTES / 2;

/** A long argument on its way in. */
interface Arriving extends LongArgument {
  /** Whether its bytes are dropped, as there is no memory for them. */
  readonly isDropped: boolean;
  readonly length: number;
  filled: number;
}

/** Where bytes are dropped. */
const DROPPED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const NOTHING = Buffer.alloc(0);

const PREFIX = /^(\w+)(?:\.(\d{1,9}))?\/$/;

export class Client implements CommandClient {
  name = '';
  protocol: Protocol = 2;
  tellsDetails = false;
  readonly uploads = new Uploads();
  /** Requests that were carried out. */
  requests = 0;
  readonly limits: Door['limits'];
  readonly daemon: DaemonFacts;

  readonly #input: Input;
  readonly #parser: RequestParser;
  readonly #request: Request;
  #pipeline!: Pipeline;
  #socket!: Socket;
  readonly #conflicts = new Conflicts();
  readonly #places = new Map<string, Place>();
  /** In the form of a prefix. */
  #selected: string | undefined;
  #inFlight = 0;
  /** Bytes of replies that requests in flight will give. */
  #promisedBytes = 0;
  /** Long arguments of the request that is being read. */
  #long: Arriving[] = [];
  /** The one of them that is not whole yet. */
  #arriving: Arriving | undefined;
  /** The request was read, and waits for its turn. */
  #held: PendingReply | undefined;
  /** No further request is carried out. */
  #isEnding = false;
  #isClosed = false;
  #isReading = true;
  /** Requests have come that could not be begun yet. */
  #isStalled = false;
  /** Where the bytes that come next were told to land: the room, and what must still be so then. */
  #room: Buffer = NOTHING;
  #roomAt = 0;
  /** When the bytes came that are being looked at. */
  #arrivedAt = performance.now();

  constructor(
    readonly id: number,
    private readonly door: Door,
  ) {
    this.limits = door.limits;
    this.daemon = door.daemon;
    this.#input = new Input(door.limits.maxRequestBytes);
    this.#parser = new RequestParser(door.limits);
    this.#request = new Request(this.#parser);
  }

  /** Gives it the socket that reads into it. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.#pipeline = new Pipeline(socket);
    socket.on('drain', this.#advance);
  }

  /** When bytes came last, by performance.now(). */
  get lastArrival(): number {
    return this.#arrivedAt;
  }

  get isBusy(): boolean {
    return this.#inFlight > 0;
  }

  /** Whether it is the client's turn: to send the rest of a request, or to take replies. */
  get isAwaited(): boolean {
    if (this.#socket.writableLength > 0) return true;
    const isBegun = this.#parser.isWithin || this.#parser.position < this.#input.end;
    return isBegun && !this.#isStalled;
  }

  // ---- input ----

  /**
   * Where the next bytes of the socket go. Called when nothing is being read: only then may the input change its buffer, as the
   * system may else be writing to it.
   */
  room(): Buffer {
    this.#room = this.#isEnding ? DROPPED : this.#nextRoom();
    this.#roomAt = this.#place;
    return this.#room;
  }

  #nextRoom(): Buffer {
    const arriving = this.#arriving;
    if (arriving === undefined) {
      const moved = this.#input.makeRoom(this.#parser.begin);
      if (moved > 0) this.#parser.moved(moved);
      if (moved >= 0) return this.#input.room;
      this.#refuse(`a request has at most ${this.limits.maxRequestBytes} bytes beside long arguments`);
      return DROPPED;
    }
    if (arriving.isDropped) return DROPPED.subarray(0, arriving.length - arriving.filled);
    return arriving.bytes.subarray(arriving.filled);
  }

  /** Says how far what is being filled has come; changes with everything that is taken in. */
  get #place(): number {
    return this.#arriving === undefined ? this.#input.end : -1 - this.#arriving.filled;
  }

  /** Bytes have come to `where`. @returns whether to read on */
  received(count: number, where: Buffer): boolean {
    if (this.#isEnding || this.#isClosed) return true;
    this.#arrivedAt = performance.now();
    // Since the room was given out, requests that had waited may have been carried out, and the bytes belong elsewhere now.
    if (where !== this.#room || this.#roomAt !== this.#place)
      return this.take(Buffer.from(where.subarray(0, count)));
    this.#filled(count);
    this.#advance();
    return this.#isReading;
  }

  /** Bytes have come that lie anywhere. @returns whether to read on */
  take(bytes: Buffer): boolean {
    this.#arrivedAt = performance.now();
    for (let at = 0; at < bytes.length && !this.#isEnding && !this.#isClosed;) {
      const room = this.room();
      const count = Math.min(room.length, bytes.length - at);
      if (room !== DROPPED) room.set(bytes.subarray(at, at + count));
      at += count;
      this.#filled(count);
      this.#advance();
    }
    return this.#isReading;
  }

  #filled(count: number): void {
    const arriving = this.#arriving;
    if (arriving === undefined) {
      this.#input.end += count;
      return;
    }
    arriving.filled += count;
    if (arriving.filled < arriving.length) return;
    this.#arriving = undefined;
    this.#parser.resumeBehindLong(this.#input.end);
  }

  /** The socket is gone. */
  closed(): void {
    this.#isClosed = true;
    this.#input.close();
    this.#giveBack(this.#takeLong());
    this.uploads.abandon();
  }

  /** Takes nothing further; ends when what was begun is answered. */
  end(): void {
    this.#isEnding = true;
    this.#endIfDone();
  }

  quit(): void {
    this.#isEnding = true;
  }

  /** Carries out what is there, as far as it may. */
  readonly #advance = (): void => {
    if (this.#isClosed) return;
    this.#isStalled = !this.#carryOut();
    // A request that waits seldom waits long, so a few more may come meanwhile. What comes behind the last one is read and
    // dropped: unread, it would make the system cut the last reply off.
    const mayRead =
      !this.#isStalled ||
      (this.#isEnding && this.#held === undefined) ||
      this.#input.end - this.#parser.begin < MAX_WAITING_BYTES;
    if (this.#isEnding) this.#endIfDone();
    if (mayRead === this.#isReading) return;
    this.#isReading = mayRead;
    if (mayRead) this.#socket.resume();
    else this.#socket.pause();
  };

  /** @returns whether everything was carried out that has come whole */
  #carryOut(): boolean {
    for (;;) {
      const isFull =
        this.#inFlight >= MAX_IN_FLIGHT ||
        this.#pipeline.bufferedBytes + this.#promisedBytes > this.limits.maxBufferedBytes;
      if (isFull) return false;
      if (this.#held === undefined) {
        if (this.#isEnding || this.#arriving !== undefined) return true;
        const found = this.#parser.next(this.#input.buffer.bytes, this.#input.end);
        if (found === Found.incomplete) return true;
        if (found === Found.fault) {
          this.#refuse(this.#parser.fault);
          return true;
        }
        if (found === Found.longArgument) {
          this.#beginLong();
          continue;
        }
        this.#held = this.#pipeline.push();
      }
      if (!this.#run(this.#held)) return false;
      this.#held = undefined;
      this.requests++;
      if (this.#long.length > 0) this.#giveBack(this.#takeLong());
    }
  }

  /** @returns whether the request was begun */
  #run(reply: PendingReply): boolean {
    const request = this.#request;
    request.set(this.#input.buffer.bytes, this.#long);
    try {
      if (this.#long.some(({ isDropped }) => isDropped))
        throw new BedrockError(
          'OVERLOADED',
          'what other clients are sending fills the memory for long arguments; try again later',
        );
      const command = commandOf(request);
      if (command === undefined) {
        throw new BedrockError(
          'INVALID_ARGUMENT',
          `unknown command ${JSON.stringify(request.text(0).slice(0, 64))}`,
        );
      }
      const [least, most] = command.arity;
      if (request.count < least || request.count > most)
        throw new BedrockError('INVALID_ARGUMENT', `wrong number of arguments for ${command.name}`);
      return command.run(request, this, reply) !== WAIT;
    } catch (error) {
      // A line that is no command is the request of another protocol, perhaps of a web page that has found the port.
      if (request.isInline) this.#isEnding = true;
      this.answer(reply, this.#failure(error));
      return true;
    }
  }

  #refuse(fault: string): void {
    this.answer(this.#pipeline.push(), new Failure('ERR', `Protocol error: ${fault}`));
    this.#isEnding = true;
  }

  /** Lets the bytes of a long argument come to a place of their own. */
  #beginLong(): void {
    const { position, longBytes: length, count: index } = this.#parser;
    const { buffer, end } = this.#input;
    const isDropped = !this.door.reserve(length);
    const bytes = isDropped ? NOTHING : Buffer.allocUnsafeSlow(length);
    const here = Math.min(length, end - position);
    if (!isDropped) buffer.bytes.copy(bytes, 0, position, position + here);
    const arriving = { index, bytes, isDropped, length, filled: here };
    this.#long.push(arriving);
    if (here === length) {
      this.#parser.resumeBehindLong(position + here);
      return;
    }
    this.#arriving = arriving;
    // Only the head of the request is left in the buffer.
    this.#input.end = position;
  }

  /** The long arguments of the request, for whoever gives them back when they are not used any more. */
  #takeLong(): readonly Arriving[] {
    const long = this.#long;
    this.#long = [];
    return long;
  }

  #giveBack(long: readonly Arriving[]): void {
    for (const { length, isDropped } of long) if (!isDropped) this.door.giveBack(length);
  }

  // ---- replies ----

  encode(value: Reply): Uint8Array {
    return encodeReply(value, this.protocol);
  }

  answer(reply: PendingReply, value: Reply): void {
    reply.setEncoded(this.encode(value));
    this.#pipeline.ready(reply);
  }

  #failure(error: unknown): Failure {
    const known = asBedrockError(error);
    if (known.code === 'INTERNAL') this.door.logFailure(known);
    return failureOf(known, this.tellsDetails);
  }

  operate<T>(
    { operation, place, use, bytes, keepsInput, call, answer }: OperationCall<T>,
    reply: PendingReply,
  ): void {
    const { provider } = place;
    const { pool } = provider;
    const figures = provider.meters[place.index]?.[operation];
    const begun = this.#arrivedAt;
    const buffer = keepsInput ? this.#input.buffer : undefined;
    if (buffer !== undefined) buffer.users++;
    const long = keepsInput && this.#long.length > 0 ? this.#takeLong() : undefined;
    if (use !== undefined) this.#conflicts.begin(use);
    this.#inFlight++;
    const promised = operation === 'read' ? bytes : 0;
    this.#promisedBytes += promised;
    const ended = (): void => {
      if (buffer !== undefined) release(buffer);
      if (long !== undefined) this.#giveBack(long);
      if (use !== undefined) this.#conflicts.end(use);
      this.#inFlight--;
      this.#promisedBytes -= promised;
      this.#pipeline.ready(reply);
      if (this.#isStalled || this.#isEnding) this.#advance();
    };
    const failed = (error: unknown): void => {
      const { code } = asBedrockError(error);
      figures?.recordFailure(code, performance.now() - begun);
      reply.setEncoded(this.encode(this.#failure(error)));
      ended();
    };
    const done = (result: T): void => {
      try {
        answer(result, reply);
      } catch (error) {
        failed(error);
        return;
      }
      figures?.record(bytes, performance.now() - begun);
      ended();
    };
    if (!pool.tryEnter()) {
      pool.run(call).then(done, failed);
      return;
    }
    begin(call).then(
      (result) => {
        pool.leave();
        done(result);
      },
      (error: unknown) => {
        pool.leave();
        failed(error);
      },
    );
  }

  #endIfDone(): void {
    if (this.#inFlight === 0 && this.#held === undefined) this.#pipeline.end();
  }

  // ---- what commands ask for ----

  conflicts(use: RegionUse): boolean {
    return this.#conflicts.count > 0 && this.#conflicts.meets(use);
  }

  select(place: string): void {
    const prefix = `${place}/`;
    this.#find(prefix);
    this.#selected = prefix;
    this.#places.delete('');
  }

  place(prefix: string): Place {
    const known = this.#places.get(prefix);
    if (known?.provider.state === 'running' && this.door.isReady()) return known;
    if (!this.door.isReady())
      throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
    const place = this.#find(prefix);
    if (this.#places.size < 64) this.#places.set(prefix, place);
    return place;
  }

  #find(prefix: string): Place {
    const named = prefix === '' ? this.#selected : prefix;
    if (named === undefined) return this.door.place(undefined, 0);
    const [, provider, index] = PREFIX.exec(named) ?? [];
    if (provider === undefined)
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `${JSON.stringify(named.slice(0, 64))} names no target; provider/ and provider.target/ do`,
      );
    return this.door.place(provider, Number(index ?? 0));
  }

  keepCursor(after: RegionId): number {
    return this.door.keepCursor(after);
  }

  cursor(number: number): RegionId | undefined {
    return this.door.cursor(number);
  }
}

/** Calls; what it throws at once rejects. */
function begin<T>(call: () => Promise<T>): Promise<T> {
  try {
    return call();
  } catch (error) {
    return Promise.reject(asBedrockError(error));
  }
}
