/**
 * Requests on their way to a socket: small parts are encoded one behind the other into one buffer, large byte arguments stand
 * between them by reference. All of it goes out in one write.
 */
import type { Socket } from 'node:net';
import { allocateBytes, encodeText } from '../../base/allocation.js';
import { writeNow } from '../../net/write-now.js';

const BUFFER_BYTES = 2 ** 16;
/** Bytes from this size up are sent where they are. */
export const BY_REFERENCE_BYTES = 2 ** 14;
/** Room for the head of an argument and its line's end. */
const HEAD_BYTES = 32;
/** Shorter strings are encoded by a loop, which then costs less than a call. */
const LOOP_CHARACTERS = 48;
const LOOP_BYTES = 96;

const LF = 10;
const CR = 13;
const DOLLAR = 36;
const ASTERISK = 42;
const ZERO = 48;
const HEX = Buffer.from('0123456789abcdef');

export class Output {
  /** Bytes that were added in all. */
  added = 0;
  /** How many of them end with the last that are sent where they are. */
  referencedTo = 0;
  #buffer = allocateBytes(BUFFER_BYTES);
  /** What is not in `#pieces` yet: from here… */
  #begin = 0;
  /** …to here. */
  #end = 0;
  #pieces: Uint8Array[] = [];

  /** Begins a request of so many arguments, the command's name included. */
  command(count: number): void {
    this.room(HEAD_BYTES);
    this.#length(ASTERISK, count);
  }

  /** An argument: text as UTF-8, a number in decimal digits, or bytes. */
  argument(argument: string | number | Uint8Array): void {
    if (typeof argument === 'number') this.number(argument);
    else if (typeof argument === 'string') this.#text(argument);
    else this.bytes(argument);
  }

  number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) {
      this.#text(String(value));
      return;
    }
    this.room(HEAD_BYTES + HEAD_BYTES);
    const count = digitsOf(value);
    this.#length(DOLLAR, count);
    this.#end += count;
    this.added += count;
    this.#digits(value, this.#end);
    this.lineEnd();
  }

  bytes(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= BY_REFERENCE_BYTES) {
      this.room(HEAD_BYTES);
      this.#length(DOLLAR, length);
      this.#cut();
      // As long as it was announced, whatever becomes of the caller's array before the socket takes it.
      this.#pieces.push(bytes.subarray(0, length));
      this.added += length;
      this.referencedTo = this.added;
      this.room(HEAD_BYTES);
      this.lineEnd();
      return;
    }
    this.room(HEAD_BYTES + length);
    this.#length(DOLLAR, length);
    this.raw(bytes);
    this.lineEnd();
  }

  /** Bytes that are already encoded; there must be room for them. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    const buffer = this.#buffer;
    let end = this.#end;
    if (length > LOOP_BYTES) buffer.set(bytes, end);
    else for (let at = 0, to = end; at < length; at++) buffer[to++] = bytes[at] as number;
    end += length;
    this.#end = end;
    this.added += length;
  }

  /** The eight hexadecimal digits of a little-endian word; there must be room. */
  word(value: number): void {
    const buffer = this.#buffer;
    let end = this.#end;
    for (let shift = 0; shift < 32; shift += 8) {
      buffer[end++] = HEX[(value >>> (shift + 4)) & 15] as number;
      buffer[end++] = HEX[(value >>> shift) & 15] as number;
    }
    this.#end = end;
    this.added += 8;
  }

  #text(text: string): void {
    const { length } = text;
    if (length > LOOP_CHARACTERS) {
      this.bytes(encodeText(text));
      return;
    }
    this.room(HEAD_BYTES + length);
    const before = this.#end;
    this.#length(DOLLAR, length);
    const buffer = this.#buffer;
    let end = this.#end;
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > 127) {
        this.added -= this.#end - before;
        this.#end = before;
        this.bytes(encodeText(text));
        return;
      }
      buffer[end++] = code;
    }
    this.#end = end;
    this.added += length;
    this.lineEnd();
  }

  /** `$length\r\n`; there must be room. */
  #length(type: number, length: number): void {
    const buffer = this.#buffer;
    const count = digitsOf(length);
    buffer[this.#end] = type;
    this.#end += 1 + count;
    this.added += 1 + count;
    this.#digits(length, this.#end);
    this.lineEnd();
  }

  /** Decimal digits of a number, the last one before `end`. */
  #digits(value: number, end: number): void {
    const buffer = this.#buffer;
    let rest = value;
    let at = end;
    do {
      // The division of integers below 2^53 by 10 is exact when rounded down.
      const next = Math.floor(rest / 10);
      buffer[--at] = ZERO + (rest - next * 10);
      rest = next;
    } while (rest > 0);
  }

  /** There must be room. */
  lineEnd(): void {
    this.#buffer[this.#end++] = CR;
    this.#buffer[this.#end++] = LF;
    this.added += 2;
  }

  /** Makes room in the buffer, for `raw`. @throws OVERLOADED */
  room(bytes: number): void {
    if (this.#buffer.length - this.#end >= bytes) return;
    const buffer = allocateBytes(Math.max(BUFFER_BYTES, bytes));
    this.#cut();
    this.#buffer = buffer;
    this.#begin = 0;
    this.#end = 0;
  }

  #cut(): void {
    if (this.#end === this.#begin) return;
    this.#pieces.push(this.#buffer.subarray(this.#begin, this.#end));
    this.#begin = this.#end;
  }

  /** Takes back what was added last, and is not with a socket yet: all but so many bytes that were added in all. */
  undo(added: number): void {
    let excess = this.added - added;
    this.added = added;
    this.referencedTo = Math.min(this.referencedTo, added);
    const inBuffer = Math.min(excess, this.#end - this.#begin);
    this.#end -= inBuffer;
    for (excess -= inBuffer; excess > 0;) {
      const piece = this.#pieces.pop() as Uint8Array;
      if (piece.length > excess) this.#pieces.push(piece.subarray(0, piece.length - excess));
      excess -= piece.length;
    }
  }

  /** Hands everything to a socket. */
  flush(socket: Socket): void {
    if (this.#pieces.length === 0) {
      if (this.#end === this.#begin) return;
      const piece = this.#buffer.subarray(this.#begin, this.#end);
      const taken = writeNow(socket, piece);
      if (taken < piece.length) socket.write(piece.subarray(taken));
    } else {
      this.#cut();
      const pieces = this.#pieces;
      this.#pieces = [];
      socket.cork();
      for (const piece of pieces) socket.write(piece);
      socket.uncork();
    }
    // The system has taken it all, as it mostly has: the buffer is free again.
    this.#begin = socket.writableLength === 0 ? 0 : this.#end;
    this.#end = this.#begin;
  }
}

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  let count = 4;
  for (let bound = 10_000; value >= bound; bound *= 10) count++;
  return count;
}
