/**
 * Bytes on their way to a socket, collected into few writes: requests of a client, or replies of a door.
 *
 * Small parts are copied into a buffer one after another; large parts are placed between them by
 * reference. Everything goes out in one write. Buffers come from the spare ones, and return as soon
 * as the system has accepted their bytes, usually within the call. While the system accepts
 * nothing, further parts are appended to the waiting ones: so many small writes hold no more memory
 * than their bytes.
 */
import type { Socket } from 'node:net';
import { giveBuffer, giveBuffers, takeBuffer } from '../net/spare-buffers.js';
import { writeNow } from '../net/write-now.js';

/** Bytes of at least this size are sent by reference. */
export const BY_REFERENCE_BYTES = 2 ** 14;
/** Size of the buffers that collect parts. */
export const OUTBOX_BYTES = 2 ** 16;

const CR = 13;
const LF = 10;
const EMPTY = Buffer.alloc(0);
const SHORT_TEXT = 24;
const LOOP_BYTES = 96;
const NOTHING_LENT: readonly Buffer[] = [];

export interface OutboxOptions {
  /** Called when the system has accepted a write that it did not accept at once, or never will. */
  taken?: () => void;
  /** An ordinary buffer, if the system refuses memory for a spare one. Default: throws OVERLOADED. */
  without?: (length: number) => Buffer;
}

export class Outbox {
  /** Collects parts: those from `#begin` to `end` go out next, after `#pieces`. */
  protected buffer: Buffer = EMPTY;
  protected end = 0;
  #begin = 0;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** Buffers to return when everything before `#begin` has been accepted. */
  #lent: Buffer[] = [];
  /** The same for each write that the system has not accepted yet. */
  readonly #sent: (readonly Buffer[])[] = [];
  /** The buffer, if it is a spare one. */
  #pooled: Buffer | undefined;

  constructor(private readonly options: OutboxOptions = {}) {}

  /** Bytes that `send` would send. */
  get gatheredBytes(): number {
    return this.#pieceBytes + this.end - this.#begin;
  }

  /** Makes room for this many bytes. @throws OVERLOADED, with nothing changed */
  reserve(length: number): void {
    if (this.end + length <= this.buffer.length) return;
    const { without } = this.options;
    let buffer: Buffer;
    let pooled: Buffer | undefined;
    try {
      buffer = pooled = takeBuffer(Math.max(OUTBOX_BYTES, length));
    } catch (error) {
      if (without === undefined) throw error;
      buffer = without(length);
    }
    this.#cut();
    if (this.#pooled !== undefined) this.#lent.push(this.#pooled);
    this.#pooled = pooled;
    this.buffer = buffer;
    this.#begin = 0;
    this.end = 0;
  }

  /** @param text ASCII; there must be room */
  text(text: string): void {
    const { buffer, end } = this;
    // Usually so short that a call to write it would take longer.
    if (text.length > SHORT_TEXT) buffer.write(text, end, 'latin1');
    else for (let index = 0; index < text.length; index++) buffer[end + index] = text.charCodeAt(index);
    this.end = end + text.length;
  }

  /** Copies bytes; there must be room. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    const { buffer, end } = this;
    // A loop is faster than a call for short ones.
    if (length > LOOP_BYTES) buffer.set(bytes, end);
    else for (let at = 0; at < length; at++) buffer[end + at] = bytes[at] as number;
    this.end = end + length;
  }

  /** There must be room. */
  lineEnd(): void {
    this.buffer[this.end++] = CR;
    this.buffer[this.end++] = LF;
  }

  /** Bytes that are sent by reference. @param lent the spare buffer that contains them */
  reference(bytes: Uint8Array, lent?: Buffer): void {
    this.#cut();
    this.#pieces.push(bytes);
    this.#pieceBytes += bytes.length;
    if (lent !== undefined) this.#lent.push(lent);
  }

  #cut(): void {
    if (this.end === this.#begin) return;
    this.#pieces.push(this.buffer.subarray(this.#begin, this.end));
    this.#pieceBytes += this.end - this.#begin;
    this.#begin = this.end;
  }

  /**
   * Room for bytes between a text and a line end. They go out after `closeRoom` is called, before
   * any other part is added.
   */
  openRoom(head: string, size: number): Buffer {
    const from = this.openPlace(head, size);
    return this.buffer.subarray(from, from + size);
  }

  closeRoom(room: Buffer): void {
    this.end = room.byteOffset - this.buffer.byteOffset + room.length;
    this.lineEnd();
  }

  /**
   * Like `openRoom`, without an object for the room.
   * @returns where the bytes belong in `place`
   */
  openPlace(head: string, size: number): number {
    this.reserve(head.length + size + 2);
    const { end } = this;
    this.text(head);
    const at = this.end;
    this.end = end;
    return at;
  }

  /** The buffer of `openPlace`. */
  get place(): Buffer {
    return this.buffer;
  }

  /** Ends what `openPlace` has begun; without it, nothing is sent. */
  closePlace(at: number, size: number): void {
    this.end = at + size;
    this.lineEnd();
  }

  /** Removes the last bytes. They must not have been sent. */
  undo(bytes: number): void {
    const inBuffer = Math.min(bytes, this.end - this.#begin);
    this.end -= inBuffer;
    let excess = bytes - inBuffer;
    this.#pieceBytes -= excess;
    while (excess > 0) {
      const piece = this.#pieces.pop() as Uint8Array;
      if (piece.length > excess) this.#pieces.push(piece.subarray(0, piece.length - excess));
      excess -= piece.length;
    }
  }

  /** Writes everything to a socket. */
  send(socket: Socket): void {
    if (this.gatheredBytes === 0) return;
    this.#cut();
    const pieces = this.#pieces;
    const lent = this.#lent;
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#lent = [];
    if (!socket.writable) {
      // Buffers of a lost socket are left to the garbage collector, as the system may still read them.
      if (this.#sent.length > 0) this.#pooled = undefined;
      else giveBuffers(lent);
      this.#rest();
      return;
    }
    const [first] = pieces;
    if (pieces.length === 1 && first !== undefined && first.length <= OUTBOX_BYTES) {
      const taken = writeNow(socket, first);
      if (taken === first.length) {
        giveBuffers(lent);
        this.#rest();
        return;
      }
      if (taken > 0) pieces[0] = first.subarray(taken);
    }
    const last = pieces.length - 1;
    if (last > 0) {
      socket.cork();
      for (let index = 0; index < last; index++) socket.write(pieces[index] as Uint8Array);
    }
    socket.write(pieces[last] as Uint8Array, this.#taken);
    if (last > 0) socket.uncork();
    // Usually accepted already: the next part then finds the buffer in the processor's cache.
    const isTaken = socket.writableLength === 0;
    if (isTaken) {
      giveBuffers(lent);
      this.#rest();
    }
    this.#sent.push(isTaken ? NOTHING_LENT : lent);
  }

  /** The system has accepted the bytes of the oldest reported write, or never will. */
  readonly #taken = (error?: Error | null): void => {
    const lent = this.#sent.shift();
    // After an error the system may still read them.
    if (!(error instanceof Error) && lent !== undefined) {
      giveBuffers(lent);
      if (this.#sent.length === 0 && this.gatheredBytes === 0) this.#rest();
    }
    this.options.taken?.();
  };

  /** Holds no memory until the next part. */
  #rest(): void {
    if (this.#pooled !== undefined) giveBuffer(this.#pooled);
    this.#pooled = undefined;
    this.buffer = EMPTY;
    this.#begin = 0;
    this.end = 0;
  }
}
