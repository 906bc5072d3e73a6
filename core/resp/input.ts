/**
 * The bytes of a connection that have not been carried out yet.
 *
 * All connections read into one buffer, and requests are carried out directly on the bytes there.
 * The rest of an incomplete request, or requests that must wait, move to the connection's own
 * buffer, which always has room for more. An idle connection holds no memory.
 */
import { BedrockError } from '../base/errors.js';
import { giveBuffer, takeBuffer } from '../net/spare-buffers.js';
import type { Share } from '../net/byte-budget.js';

/**
 * Bytes of one read of a socket. This holds many small requests, and few enough of 4 KiB that the
 * client sends more while they are carried out.
 */
export const INPUT_BYTES = 2 ** 15;
/**
 * Bytes of one read if a long argument is expected: only the head of its request. The argument
 * itself is better read directly into its place.
 */
const HEAD_BYTES = 2 ** 10;
/**
 * A buffer of this size holds all small requests that wait, and is never refused for lack of
 * memory.
 */
const SMALL_BYTES = 2 ** 16;
/** Heap bytes for each entry in the list of a request's arguments. */
const LISTED_BYTES = 32;

/**
 * Shared by all connections: what lands here is carried out, or moved, before bytes of another
 * connection land.
 */
const SHARED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const SHARED_HEAD = SHARED.subarray(0, HEAD_BYTES);

export class Input {
  /** Where the bytes are. */
  bytes: Buffer = SHARED;
  /** The byte after the last one received. */
  end = 0;
  #reserved = 0;

  /**
   * @param maxBytes largest request, without long arguments
   * @param memory budget for buffers larger than INPUT_BYTES
   */
  constructor(
    private readonly maxBytes: number,
    private readonly memory: Share,
  ) {}

  /**
   * Where the next bytes go.
   * @param isHead whether a long argument is expected, so that only the head of its request is read
   */
  room(isHead: boolean): Buffer {
    if (this.bytes === SHARED) return isHead ? SHARED_HEAD : SHARED;
    // It gives no more even if there is room: otherwise waiting requests would fill ever larger
    // buffers.
    return this.bytes.subarray(this.end, this.end + (isHead ? HEAD_BYTES : INPUT_BYTES));
  }

  /**
   * Makes room for more bytes. Only while nothing is being read.
   * @param begin first byte that must be kept
   * @param isWhole whether the kept bytes begin with a complete request
   * @param listed arguments of the request so far
   * @returns how far the kept bytes have moved; -1 if the request is too large
   * @throws OVERLOADED if other clients take too much of the memory
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
    else if (!this.memory.take(bytes)) throw noRoom();
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

/** The error for a request without memory. */
export function noRoom(): BedrockError {
  return new BedrockError('OVERLOADED', 'what clients are sending fills the memory for it; try again later');
}

/** Size of a buffer for this many bytes, and many more. */
function sizeFor(kept: number): number {
  if (kept <= INPUT_BYTES / 2) return INPUT_BYTES;
  return kept <= SMALL_BYTES - INPUT_BYTES / 2 ? SMALL_BYTES : kept * 2;
}
