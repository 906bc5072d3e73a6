/**
 * The bytes of a connection that were not carried out yet.
 *
 * All connections read into one buffer, and requests are carried out on the bytes where they landed. What is left of an incomplete
 * request, or of those that must wait, moves to a buffer of the connection's own, where there is always room for more of it: an idle
 * connection holds no memory.
 */
import { BedrockError } from '../base/errors.js';
import { giveBuffer, takeBuffer } from '../net/buffer-pool.js';
import type { Share } from '../net/byte-budget.js';

/**
 * What a read of a socket takes at once: a good many small requests, and few enough of 4 KiB that the client sends further ones while
 * they are carried out.
 */
export const INPUT_BYTES = 2 ** 15;
/** What it takes where a long argument is expected, which is better read where it is to go: its request's head. */
const HEAD_BYTES = 2 ** 10;
/** A buffer of this size holds all that waits of small requests, and is never refused for want of memory. */
const SMALL_BYTES = 2 ** 16;
/** What the list of a request's arguments takes of the heap, for each. */
const LISTED_BYTES = 32;

/** Of all connections: what lands here is carried out, or moved, before another one's bytes do. */
const SHARED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const SHARED_HEAD = SHARED.subarray(0, HEAD_BYTES);

export class Input {
  /** Where the bytes are. */
  bytes: Buffer = SHARED;
  /** The byte behind the last that has come. */
  end = 0;
  #reserved = 0;

  /**
   * @param maxBytes largest request, long arguments aside
   * @param memory what more than INPUT_BYTES are taken of
   */
  constructor(
    private readonly maxBytes: number,
    private readonly memory: Share,
  ) {}

  /**
   * Where the next bytes go.
   * @param isHead whether a long argument is expected, and only its request's head wanted
   */
  room(isHead: boolean): Buffer {
    if (this.bytes === SHARED) return isHead ? SHARED_HEAD : SHARED;
    // No more where there is room for it: what has to wait would wait in ever larger buffers.
    return this.bytes.subarray(this.end, this.end + (isHead ? HEAD_BYTES : INPUT_BYTES));
  }

  /**
   * Sees to it that there is room. Only while nothing is being read.
   * @param begin   first byte that must be kept
   * @param isWhole whether what is kept begins with a request that has come whole
   * @param listed  arguments of the request so far
   * @returns how far the kept bytes have moved; -1 if the request is too large
   * @throws OVERLOADED if it is, beside what others send
   */
  makeRoom(begin: number, isWhole: boolean, listed: number): number {
    const { bytes, end } = this;
    const kept = end - begin;
    if (kept === 0) {
      this.#moveTo(SHARED, 0);
      this.end = 0;
      return end;
    }
    if (bytes !== SHARED && bytes.length - end >= INPUT_BYTES / 4) return 0;
    if (kept >= this.maxBytes && !isWhole) return -1;
    const length = sizeFor(kept);
    if (bytes !== SHARED && bytes.length >= length) {
      bytes.copyWithin(0, begin, end);
    } else {
      const reserved = length > INPUT_BYTES ? length + listed * LISTED_BYTES : 0;
      this.#reserve(reserved, isWhole || length <= SMALL_BYTES);
      const own = this.#take(length, reserved);
      bytes.copy(own, 0, begin, end);
      this.#moveTo(own, reserved);
    }
    this.end = kept;
    return begin;
  }

  #reserve(bytes: number, isForced: boolean): void {
    if (isForced) this.memory.force(bytes);
    else if (!this.memory.take(bytes))
      throw new BedrockError(
        'OVERLOADED',
        'what clients are sending fills the memory for it; try again later',
      );
  }

  #take(length: number, reserved: number): Buffer {
    try {
      return takeBuffer(length);
    } catch (error) {
      this.memory.give(reserved);
      throw error;
    }
  }

  close(): void {
    this.#moveTo(SHARED, 0);
  }

  #moveTo(bytes: Buffer, reserved: number): void {
    const before = this.bytes;
    if (before === bytes) return;
    if (before !== SHARED) giveBuffer(before);
    this.memory.give(this.#reserved);
    this.#reserved = reserved;
    this.bytes = bytes;
  }
}

/** Bytes of a buffer that holds so many, and a good many more. */
function sizeFor(kept: number): number {
  if (kept <= INPUT_BYTES / 2) return INPUT_BYTES;
  return kept <= SMALL_BYTES - INPUT_BYTES / 2 ? SMALL_BYTES : kept * 2;
}
