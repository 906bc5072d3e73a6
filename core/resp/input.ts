/**
 * The bytes of a connection that were not carried out yet.
 *
 * All connections read into one buffer, and requests are carried out on the bytes where they landed. What is left of an incomplete
 * request, or of those that must wait, moves to a buffer of the connection's own, where there is always room for more of it: an idle
 * connection holds no memory.
 */
import { giveBuffer, takeBuffer } from '../net/buffer-pool.js';
import type { ArgumentMemory } from './long-arguments.js';

/**
 * What a read of a socket takes at once: a good many small requests, and few enough of 4 KiB that the client sends further ones while
 * they are carried out.
 */
export const INPUT_BYTES = 2 ** 15;
/** What it takes where a long argument is expected, which is better read where it is to go: its request's head. */
const HEAD_BYTES = 2 ** 10;

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
    private readonly memory: ArgumentMemory,
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
   * @returns how far the kept bytes have moved; -1 if the request is too large, for itself or beside those of others
   */
  makeRoom(begin: number, isWhole = false): number {
    const { bytes, end } = this;
    const kept = end - begin;
    if (kept === 0) {
      this.#moveTo(SHARED, 0);
      this.end = 0;
      return end;
    }
    if (bytes !== SHARED && bytes.length - end >= INPUT_BYTES / 4) return 0;
    if (kept >= this.maxBytes && !isWhole) return -1;
    const length = Math.max(INPUT_BYTES, kept * 2);
    if (bytes !== SHARED && bytes.length >= length) {
      bytes.copyWithin(0, begin, end);
    } else {
      if (length > INPUT_BYTES && !this.memory.reserve(length)) return -1;
      const own = takeBuffer(length);
      bytes.copy(own, 0, begin, end);
      this.#moveTo(own, length > INPUT_BYTES ? length : 0);
    }
    this.end = kept;
    return begin;
  }

  close(): void {
    this.#moveTo(SHARED, 0);
  }

  #moveTo(bytes: Buffer, reserved: number): void {
    const before = this.bytes;
    if (before === bytes) return;
    if (before !== SHARED) giveBuffer(before);
    if (this.#reserved > 0) this.memory.giveBack(this.#reserved);
    this.#reserved = reserved;
    this.bytes = bytes;
  }
}
