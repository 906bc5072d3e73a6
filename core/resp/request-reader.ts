/**
 * Reads the requests of one connection from the bytes that arrive.
 *
 * - It says where the next bytes go: into the input, or directly to the place of a long argument
 *   (`room`). Then it finds the next complete request in what has arrived (`next`).
 * - Nothing is copied: `current` is the request at hand, as positions in the input. It is valid
 *   until the next bytes arrive.
 * - It does not decide when a request is carried out. That is up to `Connection`, which may leave
 *   requests in the input.
 */
import type { BedrockError } from '../base/errors.js';
import type { Share } from '../net/byte-budget.js';
import { Found, RequestParser } from '../redis-wire/request-parser.js';
import type { Door } from './door.js';
import { Input, INPUT_BYTES } from './input.js';
import { LongArguments, type LongPlaces } from './long-arguments.js';
import { Request } from './request.js';
import { RequestMemory } from './request-memory.js';

/** Bytes to be dropped are read into it. */
const DROPPED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const NOTHING = Buffer.alloc(0);

export class RequestReader {
  /** Bytes that have arrived. */
  receivedBytes = 0;
  /** What the calls of requests keep of them. */
  readonly memory: RequestMemory;
  readonly #input: Input;
  readonly #parser: RequestParser;
  readonly #request: Request;
  readonly #long: LongArguments;
  /** Where the next bytes were told to land: the room, and what must still be the same then. */
  #room: Buffer = NOTHING;
  #roomAt = 0;

  /**
   * @param arriving memory of requests that have arrived
   * @param inUse memory that calls use
   */
  constructor(limits: Door['limits'], arriving: Share, inUse: Share) {
    this.#input = new Input(limits.maxRequestBytes, arriving);
    this.#parser = new RequestParser(limits);
    this.#request = new Request(this.#parser);
    this.#long = new LongArguments(arriving, inUse);
    this.memory = new RequestMemory(this.#request, this.#long, arriving, inUse);
  }

  /** Whether part of a request has arrived, and the rest has not. */
  get isWithin(): boolean {
    return this.#parser.isWithin;
  }

  /** Whether all that has arrived was handed out by `next`. */
  get isEmpty(): boolean {
    return !this.#parser.isWithin && this.#parser.position >= this.#input.end;
  }

  /** Bytes of the input that are still needed. */
  get waitingBytes(): number {
    return this.#input.end - this.#parser.begin;
  }

  /** Room for more input. */
  get freeBytes(): number {
    return this.#input.bytes.length - this.#input.end;
  }

  // ---- bytes ----

  /**
   * Where the next bytes go. Call it when nothing is being read: only then may the input change its
   * buffer, as otherwise the system may be writing to it.
   * @param isWhole whether the input begins with a complete request
   * @returns nothing if the request is too large
   * @throws OVERLOADED if there is no memory for it
   */
  room(isWhole: boolean): Buffer | undefined {
    const { begin, count } = this.#parser;
    // Complete requests are not too large, however many wait.
    const moved = this.#input.makeRoom(begin, isWhole, count);
    if (moved < 0) return undefined;
    if (moved > 0) this.#parser.moved(moved);
    return this.#giveOut(
      this.#long.isArriving ? this.#long.room(DROPPED) : this.#input.room(this.#long.isExpected),
    );
  }

  /** Room for bytes that nobody needs. */
  roomToDrop(): Buffer {
    return this.#giveOut(DROPPED);
  }

  #giveOut(room: Buffer): Buffer {
    this.#roomAt = this.#filledTo;
    return (this.#room = room);
  }

  /**
   * Whether bytes in the room that was given out are where they belong. Requests may have been
   * carried out since then.
   */
  isCurrent(room: Buffer): boolean {
    return room === this.#room && this.#roomAt === this.#filledTo;
  }

  /** How far the current place is filled. It changes with all input that is taken. */
  get #filledTo(): number {
    return this.#long.isArriving ? -1 - this.#long.filled : this.#input.end;
  }

  /** Copies bytes into the room that was given out, as many as fit. @returns how many */
  copy(bytes: Buffer, from: number): number {
    const room = this.#room;
    const count = Math.min(room.length, bytes.length - from);
    if (room !== DROPPED) room.set(bytes.subarray(from, from + count));
    this.filled(count);
    return count;
  }

  /** Bytes have arrived in the room. */
  filled(count: number): void {
    this.receivedBytes += count;
    if (!this.#long.isArriving) this.#input.end += count;
    else if (this.#long.fill(count)) this.#parser.resumeBehindLong(this.#input.end);
  }

  // ---- requests ----

  /** Finds the next request. If it stops at a long argument, call `beginLong`. */
  next(): Found {
    if (this.#long.isArriving) return Found.incomplete;
    return this.#parser.next(this.#input.bytes, this.#input.end);
  }

  /** What is wrong with the input. */
  get fault(): string {
    return this.#parser.fault;
  }

  /** The request at hand, or the part of it before a long argument. */
  current(): Request {
    const request = this.#request;
    request.set(this.#input.bytes, this.#long.all);
    return request;
  }

  /**
   * Gives the bytes of a long argument their own place.
   * @param places asked for the last argument of a request
   */
  beginLong(places: LongPlaces): void {
    const { position, longBytes: length, count: index, announced } = this.#parser;
    const { bytes, end } = this.#input;
    const first = bytes.subarray(position, Math.min(end, position + length));
    // If arguments follow, the request is not completely known yet.
    const isLast = index + 1 === announced;
    if (this.#long.begin(index, length, first, isLast ? places : undefined))
      this.#parser.resumeBehindLong(position + length);
    // Only the head of the request stays in the buffer.
    else this.#input.end = position;
  }

  /** Why the request at hand fails, if one of its long arguments could not be stored. */
  get failure(): BedrockError | undefined {
    return this.#long.failure;
  }

  /** The request at hand was carried out. */
  requestDone(): void {
    this.#long.requestDone();
  }

  /** Gives back what it holds. */
  close(): void {
    this.#input.close();
    this.#long.giveBack();
  }
}
