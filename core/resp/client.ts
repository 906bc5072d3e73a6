/**
 * One client of the Redis door: reads its requests, carries them out, sends the replies in their order.
 *
 * - Requests run at the same time as far as they may (see `Conflicts`), at most `MAX_IN_FLIGHT` of them; those of a long pipeline
 *   leave others their turns (see `Turn`).
 * - A client that does not take its replies is not read until it does.
 * - A long argument lands where its command wants it, or in a buffer of its own; how much of those, and of replies, all clients together
 *   may have in memory is bounded. Where it is short, a client that holds much of it and does nothing is closed.
 * - What is no request of the protocol is answered, and the connection ends. So it does where memory is refused that it cannot do
 *   without; nothing that happens here reaches another connection.
 */
import type { Socket } from 'node:net';
import { allocateBytes } from '../base/allocation.js';
import { asBedrockError, BedrockError } from '../base/errors.js';
import { giveBuffer, takeBuffer } from '../net/buffer-pool.js';
import type { Share, ShareHolder } from '../net/byte-budget.js';
import { takenBytes } from '../net/taken-bytes.js';
import { Turn } from '../net/turn.js';
import { type Caller, Calls } from './calls.js';
import type { ClientFacts } from './client-line.js';
import { type CommandClient, type DaemonFacts, WAIT } from './command.js';
import { commandOf } from './commands.js';
import type { Cursors } from './cursors.js';
import type { Door } from './door.js';
import { Input, INPUT_BYTES } from './input.js';
import { LongArguments } from './long-arguments.js';
import type { KeptBytes, Landed, Place } from './operation-call.js';
import { noMemory, Pipeline } from './pipeline.js';
import { Places } from './places.js';
import { encodeReply, Failure, failureOf, OUT_OF_MEMORY, type Protocol, type Reply } from './replies.js';
import { Found, RequestParser } from './request-parser.js';
import { Request } from './request.js';
import { checkTransaction } from './transaction-commands.js';
import { Uploads } from './uploads.js';

/** Requests of one connection that run at once. */
const MAX_IN_FLIGHT = 256;

/** Requests that may wait behind one that waits. */
const MAX_WAITING_BYTES = INPUT_BYTES / 2;

/** Replies gathered to so many bytes are sent before the next request, so that their buffers are soon to be had again. */
const GATHERED_BYTES = 2 ** 17;

/** A client with more replies than this waits where the memory for those of all is full. */
const MODEST_BYTES = 2 ** 16;

/** Lists of fewer members are not counted. */
const SHORT_LIST = 256;
/** What a member takes of the heap. */
const MEMBER_BYTES = 128;

/** Short replies to a few requests, which may wait for those to requests that are there already. */
const FEW_BYTES = 32;

/** Where bytes are dropped. */
const DROPPED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const NOTHING = Buffer.alloc(0);

export class Client implements CommandClient, Caller {
  name = '';
  library = { name: '', version: '' };
  isInTransaction = false;
  protocol: Protocol = 2;
  tellsDetails = false;
  readonly uploads: Uploads;
  /** Requests that were carried out. */
  requests = 0;
  /** Errors that were answered. */
  failedRequests = 0;
  readonly limits: Door['limits'];
  readonly daemon: DaemonFacts;
  readonly cursors: Cursors;
  readonly calls = new Calls(this);
  replies!: Pipeline;
  /** When the bytes came that are being looked at, by performance.now(). */
  arrivedAt = performance.now();

  readonly #connectedAt = this.arrivedAt;
  #lastCommand = 'NULL';
  readonly #input: Input;
  readonly #parser: RequestParser;
  readonly #request: Request;
  #socket!: Socket;
  readonly #places: Places;
  readonly #long: LongArguments;
  /** What has come of requests, and what calls have of it. */
  readonly #arriving: Share;
  readonly #inUse: Share;
  /** Bytes that have come. */
  #receivedBytes = 0;
  /** The request was read, and waits for its turn. */
  #isHeld = false;
  /** Whether the last request had a long argument, as the next one then probably has. */
  #expectsLong = false;
  #hadLong = false;
  /** No further request is carried out. */
  #isEnding = false;
  /** Nothing further comes: the client has ended its side. */
  #isInputOver = false;
  #isClosed = false;
  #isReading = true;
  /** Requests have come that could not be begun yet. */
  #isStalled = false;
  /** Whether the bytes that are being looked at are surely not the last that have come. */
  #isMoreThere = false;
  /** Requests are being carried out, straight out of the input. */
  #isAtWork = false;
  readonly #turn = new Turn(() => this.#advance());
  /** Where the bytes that come next were told to land: the room, and what must still be so then. */
  #room: Buffer = NOTHING;
  #roomAt = 0;

  constructor(
    readonly id: number,
    private readonly door: Door,
  ) {
    this.limits = door.limits;
    this.daemon = door.daemon;
    this.cursors = door.cursors;
    this.#places = new Places(door);
    this.uploads = new Uploads(undefined, door.uploads);
    this.#arriving = door.arriving.share(this.#holder(() => this.#receivedBytes, 'a request'));
    this.#inUse = door.arriving.share();
    this.#input = new Input(door.limits.maxRequestBytes, this.#arriving);
    this.#parser = new RequestParser(door.limits);
    this.#request = new Request(this.#parser);
    this.#long = new LongArguments(this.#arriving, this.#inUse);
  }

  #holder(movedBytes: () => number, what: string): ShareHolder {
    const isAwaited = (): boolean => this.isAwaited;
    return {
      get isAwaited() {
        return isAwaited();
      },
      get movedBytes() {
        return movedBytes();
      },
      evict: () => {
        this.door.noteEvicted(what);
        this.#lose();
      },
    };
  }

  /** Gives it the socket that reads into it. */
  attach(socket: Socket): void {
    this.#socket = socket;
    const holder = this.#holder(() => takenBytes(socket), 'replies');
    this.replies = new Pipeline(socket, this.door.replies.share(holder), () =>
      this.encodeFailure(noMemory()),
    );
    socket.on('drain', this.#advance);
  }

  get isBusy(): boolean {
    return this.calls.inFlight > 0;
  }

  /** Whether it is the client's turn: to send the rest of a request or an upload, or to take replies. */
  get isAwaited(): boolean {
    // A request that asks for memory must not have its own client evicted for it, and its bytes taken from under it.
    if (this.#isAtWork) return false;
    if (this.#socket.writableLength > 0) return true;
    if (this.#isStalled) return false;
    if (this.#parser.isWithin || this.#parser.position < this.#input.end) return true;
    // Space is kept for what it uploads.
    return this.uploads.count > 0 && !this.isBusy;
  }

  // ---- input ----

  /**
   * Where the next bytes of the socket go. Called when nothing is being read: only then may the input change its buffer, as the
   * system may else be writing to it.
   */
  room(): Buffer {
    try {
      this.#room = this.#isEnding || this.#isClosed ? DROPPED : this.#nextRoom();
    } catch (error) {
      this.#end(failureOf(asBedrockError(error)));
      this.#room = DROPPED;
    }
    this.#roomAt = this.#place;
    return this.#room;
  }

  #nextRoom(): Buffer {
    if (!this.#makeRoom()) {
      this.#refuse(`a request has at most ${this.limits.maxRequestBytes} bytes beside long arguments`);
      return DROPPED;
    }
    if (this.#long.isArriving) return this.#long.room(DROPPED);
    return this.#input.room(this.#expectsLong || this.#hadLong);
  }

  /** @returns whether there is room */
  #makeRoom(): boolean {
    // Requests that came whole are not too large, however many wait.
    const { begin, count } = this.#parser;
    const moved = this.#input.makeRoom(begin, this.#isStalled, count);
    if (moved > 0) this.#parser.moved(moved);
    return moved >= 0;
  }

  /** Says how far what is being filled has come; changes with everything that is taken in. */
  get #place(): number {
    return this.#long.isArriving ? -1 - this.#long.filled : this.#input.end;
  }

  /** Bytes have come to `where`. @returns whether to read on */
  received(count: number, where: Buffer): boolean {
    if (this.#isEnding || this.#isClosed) return true;
    this.arrivedAt = performance.now();
    // Since the room was given out, requests that had waited may have been carried out, and the bytes belong elsewhere now.
    if (where !== this.#room || this.#roomAt !== this.#place) return this.#takeCopy(where.subarray(0, count));
    this.#filled(count);
    this.#turn.spend(0, count);
    this.#isMoreThere = count === where.length;
    this.#advance();
    this.#isMoreThere = false;
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

  /** Bytes have come that lie anywhere. @returns whether to read on */
  take(bytes: Buffer): boolean {
    this.arrivedAt = performance.now();
    for (let at = 0; at < bytes.length && !this.#isEnding && !this.#isClosed;) {
      const room = this.room();
      const count = Math.min(room.length, bytes.length - at);
      if (room !== DROPPED) room.set(bytes.subarray(at, at + count));
      at += count;
      this.#filled(count);
      this.#advance();
    }
    // What is kept leaves the buffer that all connections share.
    this.room();
    return this.#isReading;
  }

  #filled(count: number): void {
    this.#receivedBytes += count;
    if (!this.#long.isArriving) this.#input.end += count;
    else if (this.#long.fill(count)) this.#parser.resumeBehindLong(this.#input.end);
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#input.close();
    this.#long.giveBack();
    this.uploads.close();
    this.replies.closed();
  }

  /** Gives the connection up, and all it holds but what calls have in use. */
  #lose(): void {
    this.#socket.destroy();
    this.closed();
  }

  /** What went wrong concerns this connection alone. */
  #broke(error: unknown): void {
    this.door.logFailure(asBedrockError(error));
    this.#lose();
  }

  /** The client has ended its side: what came whole is carried out, and the connection ends. */
  inputEnded(): void {
    this.#isInputOver = true;
    this.#advance();
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
    try {
      this.#goOn();
    } catch (error) {
      this.#broke(error);
    }
  };

  #goOn(): void {
    if (this.#isClosed) return;
    this.#isAtWork = true;
    try {
      this.#isStalled = !this.#carryOut();
    } finally {
      this.#isAtWork = false;
    }
    if (this.#isInputOver && !this.#isStalled) this.#isEnding = true;
    // A request that waits seldom waits long, so a few more may come meanwhile. What comes behind the last one is read and
    // dropped: unread, it would make the system cut the last reply off.
    const mayRead =
      !this.#turn.isOver &&
      (!this.#isStalled ||
        (this.#isEnding && !this.#isHeld) ||
        this.#input.end - this.#parser.begin < MAX_WAITING_BYTES);
    // A reply to each of many large requests would cost more than all of them together.
    if (this.#isMoreThere && this.replies.gatheredBytes < FEW_BYTES) this.replies.flushSoon();
    else this.replies.flush();
    if (this.#isEnding) this.#endIfDone();
    if (mayRead === this.#isReading) return;
    this.#isReading = mayRead;
    if (mayRead) this.#socket.resume();
    else this.#socket.pause();
  }

  /** @returns whether everything was carried out that has come whole */
  #carryOut(): boolean {
    for (;;) {
      if (this.replies.gatheredBytes >= GATHERED_BYTES) this.replies.flush();
      if (this.#turn.isOver || this.#isFull()) return false;
      const gathered = this.replies.gatheredBytes;
      if (!this.#isHeld) {
        if (this.#isEnding || this.#long.isArriving) return true;
        const found = this.#parser.next(this.#input.bytes, this.#input.end);
        if (found === Found.incomplete) return true;
        if (found === Found.fault) {
          this.#refuse(this.#parser.fault);
          return true;
        }
        if (found === Found.longArgument) {
          this.#beginLong();
          continue;
        }
      }
      this.#isHeld = !this.#run();
      if (this.#isHeld) return false;
      this.requests++;
      this.#expectsLong = this.#hadLong;
      this.#hadLong = false;
      if (this.#long.all.length > 0) this.#long.giveBack();
      this.#turn.spend(1, this.replies.gatheredBytes - gathered);
    }
  }

  /** Whether no further request may begin. */
  #isFull(): boolean {
    const { calls } = this;
    if (calls.isAlone || calls.inFlight >= MAX_IN_FLIGHT) return true;
    const { bytes } = this.replies;
    return bytes > this.limits.maxBufferedBytes || (bytes > MODEST_BYTES && this.door.replies.isFull);
  }

  /** @returns whether the request was begun */
  #run(): boolean {
    const request = this.#request;
    request.set(this.#input.bytes, this.#long.all);
    try {
      const { failure } = this.#long;
      if (failure !== undefined) throw failure;
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
      this.#lastCommand = command.name;
      if (this.isInTransaction) checkTransaction(command);
      return command.run(request, this) !== WAIT;
    } catch (error) {
      // A line that is no command is the request of another protocol, perhaps of a web page that has found the port.
      if (request.isInline) this.#isEnding = true;
      this.replies.encoded(this.encodeFailure(error));
      return true;
    }
  }

  #refuse(fault: string): void {
    this.#end(new Failure('ERR', `Protocol error: ${fault}`));
  }

  #end(failure: Failure): void {
    this.reply(failure);
    this.#isEnding = true;
    // Where it was found that there is no room for more, nothing else would send it.
    setImmediate(this.#advance);
  }

  // ---- long arguments ----

  /** Lets the bytes of a long argument come to a place of their own. */
  #beginLong(): void {
    const { position, longBytes: length, count: index, announced } = this.#parser;
    const { bytes, end } = this.#input;
    const first = bytes.subarray(position, Math.min(end, position + length));
    this.#hadLong = true;
    // With arguments behind it, what the request says is not known yet.
    const isLast = index + 1 === announced;
    const isWhole = this.#long.begin(index, length, first, () => (isLast ? this.#land(length) : undefined));
    if (isWhole) this.#parser.resumeBehindLong(position + length);
    // Only the head of the request is left in the buffer.
    else this.#input.end = position;
  }

  #land(length: number): Landed | undefined {
    const request = this.#request;
    request.set(this.#input.bytes, this.#long.all);
    const command = commandOf(request);
    if (command !== undefined && this.isInTransaction) checkTransaction(command);
    return command?.land?.(request, this, length);
  }

  keep(index: number): KeptBytes {
    const long = this.#long.take(index);
    if (long !== undefined) return long;
    // The next bytes take the place of those in the input.
    const bytes = this.#request.bytes(index);
    const lent = takeBuffer(bytes.length);
    lent.set(bytes);
    return { bytes: lent.subarray(0, bytes.length), lent, reserved: 0 };
  }

  keepCopy(pieces: readonly Uint8Array[]): KeptBytes {
    let total = 0;
    for (const { length } of pieces) total += length;
    const reserved = total + pieces.length * MEMBER_BYTES;
    this.#use(reserved);
    try {
      const lent = takeBuffer(total);
      let at = 0;
      for (const piece of pieces) {
        lent.set(piece, at);
        at += piece.length;
      }
      return { bytes: lent.subarray(0, total), lent, reserved };
    } catch (error) {
      this.#inUse.give(reserved);
      throw error;
    }
  }

  keepList(length: number): KeptBytes | undefined {
    if (length < SHORT_LIST) return undefined;
    const reserved = length * MEMBER_BYTES;
    this.#use(reserved);
    return { bytes: NOTHING, lent: undefined, reserved };
  }

  /** Takes memory for a call. @throws OVERLOADED */
  #use(bytes: number): void {
    if (bytes <= MODEST_BYTES) this.#inUse.force(bytes);
    else if (!this.#inUse.take(bytes))
      throw new BedrockError(
        'OVERLOADED',
        'what clients are sending fills the memory for it; try again later',
      );
  }

  // ---- replies ----

  encode(value: Reply): Uint8Array {
    return encodeReply(value, this.protocol);
  }

  reply(value: Reply): void {
    if (value instanceof Failure) this.failedRequests++;
    this.replies.encoded(this.encode(value));
  }

  encodeFailure(error: unknown): Uint8Array {
    const known = asBedrockError(error);
    this.failedRequests++;
    if (known.code === 'INTERNAL') this.door.logFailure(known);
    try {
      return this.encode(failureOf(known, this.tellsDetails));
    } catch {
      return OUT_OF_MEMORY;
    }
  }

  // ---- calls ----

  release({ lent, reserved }: KeptBytes): void {
    if (lent !== undefined) giveBuffer(lent);
    this.#inUse.give(reserved);
  }

  ended(): void {
    if (this.#isStalled || this.#isEnding) this.#advance();
  }

  #endIfDone(): void {
    if (this.calls.inFlight === 0 && !this.#isHeld) this.replies.end();
  }

  // ---- what commands ask for ----

  get facts(): ClientFacts {
    const { id, name, library, protocol, isInTransaction, requests, arrivedAt } = this;
    return {
      ...{ id, name, library, protocol, isInTransaction, requests, arrivedAt },
      lastCommand: this.#lastCommand,
      connectedAt: this.#connectedAt,
      providerId: this.#places.selectedId,
      memory: {
        inputBytes: this.#input.end - this.#parser.begin,
        inputFreeBytes: this.#input.bytes.length - this.#input.end,
        argumentBytes: this.#inUse.bytes,
        replyBytes: this.replies.bytes,
        waitingReplies: this.replies.waiting,
        heldBytes: this.#arriving.bytes + this.#inUse.bytes + this.replies.countedBytes,
      },
    };
  }

  select(place: string | undefined): void {
    this.#places.select(place);
  }

  place(prefix: string): Place {
    return this.#places.place(prefix);
  }
}
