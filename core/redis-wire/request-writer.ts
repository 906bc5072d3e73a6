/** Requests of a client, written as their arguments come; `Outbox` collects and sends them. */
import type { Socket } from 'node:net';
import { encodeText } from '../base/allocation.js';
import { BY_REFERENCE_BYTES, Outbox } from './outbox.js';

/** Room for the head of an argument and its line end. */
const HEAD_BYTES = 32;
/** Shorter strings are encoded by a loop, which is faster than a call. */
const LOOP_CHARACTERS = 48;

const DOLLAR = 36;
const ASTERISK = 42;
const ZERO = 48;
const HEX = Buffer.from('0123456789abcdef');

export class RequestWriter extends Outbox {
  /** Bytes that were sent. */
  sent = 0;
  /** Total number of bytes up to the end of the last part that is sent by reference. */
  referencedTo = 0;

  /** Total number of bytes that were added. */
  get added(): number {
    return this.sent + this.gatheredBytes;
  }

  /** Begins a request with this many arguments, including the command's name. */
  command(count: number): void {
    this.reserve(HEAD_BYTES);
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
    this.reserve(HEAD_BYTES + HEAD_BYTES);
    const count = digitsOf(value);
    this.#length(DOLLAR, count);
    this.end += count;
    this.#digits(value, this.end);
    this.lineEnd();
  }

  bytes(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= BY_REFERENCE_BYTES) {
      this.reserve(HEAD_BYTES);
      this.#length(DOLLAR, length);
      // With the announced length, whatever happens to the caller's array before the socket accepts it.
      this.reference(bytes.subarray(0, length));
      this.referencedTo = this.added;
      this.reserve(HEAD_BYTES);
      this.lineEnd();
      return;
    }
    this.reserve(HEAD_BYTES + length);
    this.#length(DOLLAR, length);
    this.raw(bytes);
    this.lineEnd();
  }

  /** The eight hexadecimal digits of a little-endian word; there must be room. */
  word(value: number): void {
    const buffer = this.buffer;
    let end = this.end;
    for (let shift = 0; shift < 32; shift += 8) {
      buffer[end++] = HEX[(value >>> (shift + 4)) & 15] as number;
      buffer[end++] = HEX[(value >>> shift) & 15] as number;
    }
    this.end = end;
  }

  #text(text: string): void {
    const { length } = text;
    if (length > LOOP_CHARACTERS) {
      this.bytes(encodeText(text));
      return;
    }
    this.reserve(HEAD_BYTES + length);
    const before = this.end;
    this.#length(DOLLAR, length);
    const buffer = this.buffer;
    let end = this.end;
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > 127) {
        this.end = before;
        this.bytes(encodeText(text));
        return;
      }
      buffer[end++] = code;
    }
    this.end = end;
    this.lineEnd();
  }

  /** `$length\r\n`; there must be room. */
  #length(type: number, length: number): void {
    const buffer = this.buffer;
    const count = digitsOf(length);
    buffer[this.end] = type;
    this.end += 1 + count;
    this.#digits(length, this.end);
    this.lineEnd();
  }

  /** Decimal digits of a number, the last one before `end`. */
  #digits(value: number, end: number): void {
    const buffer = this.buffer;
    let rest = value;
    let at = end;
    do {
      // Division of an integer below 2^53 by 10 is exact when rounded down.
      const next = Math.floor(rest / 10);
      buffer[--at] = ZERO + (rest - next * 10);
      rest = next;
    } while (rest > 0);
  }

  /** Removes everything after this total of added bytes. */
  undoTo(added: number): void {
    this.undo(this.added - added);
    this.referencedTo = Math.min(this.referencedTo, added);
  }

  override send(socket: Socket): void {
    this.sent = this.added;
    super.send(socket);
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
