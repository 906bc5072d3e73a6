/**
 * The buffers that a connection reads into.
 *
 * Requests are carried out on the bytes where they landed, without a copy. A request that still needs them keeps its buffer; the
 * next bytes then go to another one. Behind an incomplete request there is always room for more of it. An argument of many bytes
 * lands in a buffer of its own.
 */

/** A buffer and how many requests still use its bytes. */
export class InputBuffer {
  users = 0;

  constructor(readonly bytes: Buffer) {}
}

/** Room for a good many small requests, so that a read of the socket takes them all. */
export const INPUT_BYTES = 2 ** 14;
/** Buffers kept for the next connection that needs one. */
const MAX_SPARE = 256;

/** Buffers that nobody uses, for all connections of a process. */
const spare: InputBuffer[] = [];

function takeBuffer(length: number): InputBuffer {
  if (length > INPUT_BYTES) return new InputBuffer(Buffer.allocUnsafeSlow(length));
  return spare.pop() ?? new InputBuffer(Buffer.allocUnsafeSlow(INPUT_BYTES));
}

/** A request is done with its bytes. */
export function release(buffer: InputBuffer): void {
  buffer.users--;
  if (buffer.users === 0 && buffer.bytes.length === INPUT_BYTES && spare.length < MAX_SPARE)
    spare.push(buffer);
}

export class Input {
  /** The connection itself is a user as long as it reads into it. */
  buffer = takeBuffer(INPUT_BYTES);
  /** The byte behind the last that has come. */
  end = 0;

  /** @param maxBytes largest request, long arguments aside */
  constructor(private readonly maxBytes: number) {
    this.buffer.users = 1;
  }

  /** Where the next bytes go. */
  get room(): Buffer {
    return this.end === 0 ? this.buffer.bytes : this.buffer.bytes.subarray(this.end);
  }

  /**
   * Makes room for the next read.
   * @param begin   first byte that must be kept
   * @param isWhole whether what is kept begins with a request that has come whole
   * @returns how far the kept bytes have moved; -1 if the request is too large
   */
  makeRoom(begin: number, isWhole = false): number {
    const { buffer, end } = this;
    const kept = end - begin;
    const isShared = buffer.users > 1;
    // An incomplete request at the end stays where it is while a fair part of the buffer is left.
    if (!isShared && kept > 0 && buffer.bytes.length - end >= INPUT_BYTES / 4) return 0;
    if (kept >= this.maxBytes && !isWhole) return -1;
    const length = Math.max(INPUT_BYTES, kept * 2);
    if (isShared || length > buffer.bytes.length || buffer.bytes.length > 2 * length) {
      this.buffer = takeBuffer(length);
      this.buffer.users = 1;
      buffer.bytes.copy(this.buffer.bytes, 0, begin, end);
      release(buffer);
    } else if (begin > 0) {
      buffer.bytes.copyWithin(0, begin, end);
    }
    this.end = kept;
    return begin;
  }

  close(): void {
    release(this.buffer);
  }
}
