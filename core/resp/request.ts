/**
 * One request as its command sees it. The arguments are read directly from the buffer. Valid until
 * the command has returned.
 */
import { isUtf8 } from 'node:buffer';
import { invalid } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Landed } from './operation-call.js';
import type { RequestParser } from '../redis-wire/request-parser.js';
import { NOT_AN_INTEGER, RedisFault } from './redis-fault.js';
import { positionAt } from './redis-integers.js';
import { isPlainName, prefixAt, refAt } from './region-key.js';

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const MAX_DIGITS = 16;
const UPPER_TO_LOWER = 32;

/** An argument that has its own place. */
export interface LongArgument {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** The place, if it is where the command would have written it. */
  readonly landed: Landed | undefined;
}

export class Request {
  /** The buffer that the positions refer to. */
  #buffer: Buffer = Buffer.alloc(0);
  /** Arguments outside the buffer, where they have no bytes. */
  #long: readonly LongArgument[] = [];

  constructor(private readonly parser: RequestParser) {}

  set(buffer: Buffer, long: readonly LongArgument[]): void {
    this.#buffer = buffer;
    this.#long = long;
  }

  /** An argument that is not in the buffer. */
  longAt(index: number): LongArgument | undefined {
    // They are sorted by index; a request may have tens of thousands.
    let low = 0;
    let high = this.#long.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const long = this.#long[middle] as LongArgument;
      if (long.index === index) return long;
      if (long.index < index) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  /** How many arguments there are, including the command's name. */
  get count(): number {
    return this.parser.count;
  }

  get isInline(): boolean {
    return this.parser.isInline;
  }

  /** Length of an argument, bytes. */
  lengthOf(index: number): number {
    return this.longAt(index)?.bytes.length ?? this.#lengthHere(index);
  }

  /** Length of an argument in the buffer, bytes. */
  #lengthHere(index: number): number {
    return (this.parser.ends[index] as number) - (this.parser.starts[index] as number);
  }

  /** The bytes of an argument, without a copy. */
  bytes(index: number): Uint8Array {
    return (
      this.longAt(index)?.bytes ?? this.#buffer.subarray(this.parser.starts[index], this.parser.ends[index])
    );
  }

  /**
   * Copies the bytes of an argument. With many arguments, an object for each would take longer.
   * @returns how many bytes
   */
  copyTo(into: Buffer, at: number, index: number): number {
    const long = this.longAt(index);
    if (long === undefined)
      return this.#buffer.copy(into, at, this.parser.starts[index], this.parser.ends[index]);
    into.set(long.bytes, at);
    return long.bytes.length;
  }

  /** An argument as text. A long one has no text. */
  text(index: number): string {
    return this.#buffer.toString('utf8', this.parser.starts[index], this.parser.ends[index]);
  }

  /** Whether an argument is a word, in either case. @param word lower-case letters, dots and digits */
  isWord(index: number, word: string): boolean {
    if (this.#lengthHere(index) !== word.length) return false;
    const start = this.parser.starts[index] as number;
    for (let at = 0; at < word.length; at++) {
      const byte = this.#buffer[start + at] as number;
      const lower = byte >= 65 && byte <= 90 ? byte + UPPER_TO_LOWER : byte;
      if (lower !== word.charCodeAt(at)) return false;
    }
    return true;
  }

  /**
   * An integer.
   * @param name its name in the message
   * @throws INVALID_ARGUMENT
   */
  integer(index: number, name: string): number {
    const start = this.parser.starts[index] as number;
    const end = this.parser.ends[index] as number;
    const isNegative = this.#buffer[start] === MINUS && end > start;
    let at = isNegative ? start + 1 : start;
    const digits = end - at;
    let value = 0;
    for (; at < end; at++) {
      const byte = this.#buffer[at] as number;
      if (byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
    }
    if (at < end || digits === 0 || digits > MAX_DIGITS || value > Number.MAX_SAFE_INTEGER) {
      const given = this.#buffer.toString('utf8', start, Math.min(end, start + 32));
      throw invalid(
        `${name} is ${JSON.stringify(given)}; it must be a whole number, at most ${Number.MAX_SAFE_INTEGER}`,
      );
    }
    return isNegative ? 0 - value : value;
  }

  /** A number of bytes, an integer from 0 up. @throws INVALID_ARGUMENT */
  size(index: number, name: string): number {
    const value = this.integer(index, name);
    if (value >= 0) return value;
    throw invalid(`${name} is ${value}; it must not be negative`);
  }

  /** The region that an argument names. @throws INVALID_ARGUMENT */
  ref(index: number): RegionRef {
    if (this.longAt(index) !== undefined) throw invalid('a name has at most 1024 bytes');
    return refAt(this.#buffer, this.parser.starts[index] as number, this.parser.ends[index] as number);
  }

  /** The buffer that `startOf` and `endOf` refer to. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  /** The first byte of an argument in `buffer`. */
  startOf(index: number): number {
    return this.parser.starts[index] as number;
  }

  /** The byte after the last one of an argument in `buffer`. */
  endOf(index: number): number {
    return this.parser.ends[index] as number;
  }

  /** Whether an argument is in `buffer`, and is a name as `isPlainName` describes. */
  isPlainName(index: number): boolean {
    const { starts, ends } = this.parser;
    return isPlainName(this.#buffer, starts[index] as number, ends[index] as number);
  }

  /** An argument that `isPlainName`. */
  plainName(index: number): string {
    return this.#buffer.toString('latin1', this.parser.starts[index], this.parser.ends[index]);
  }

  /** An argument as text. @throws INVALID_ARGUMENT if it is not UTF-8, or very long */
  utf8(index: number): string {
    const bytes = this.bytes(index);
    if (this.longAt(index) === undefined && isUtf8(bytes)) return this.text(index);
    throw invalid('a part of a name must be UTF-8, and no longer than a name');
  }

  /** The ID in an argument. @throws INVALID_ARGUMENT */
  regionId(index: number): RegionId {
    const ref = this.ref(index);
    if (typeof ref !== 'string') return ref;
    throw invalid('an ID is 32 hexadecimal digits; provider/ or provider.target/ may come before them');
  }

  /**
   * The part of an argument that chooses the region's target, in the form `provider/`; empty if
   * there is none.
   */
  prefixOf(index: number): string {
    return prefixAt(this.#buffer, this.parser.starts[index] as number, this.parser.ends[index] as number);
  }

  /** A 64-bit integer, as Redis reads it. @throws RedisFault */
  position(index: number, fault = NOT_AN_INTEGER): number {
    const { starts, ends } = this.parser;
    const value = positionAt(this.#buffer, starts[index] as number, ends[index] as number);
    if (value === undefined) throw new RedisFault(fault);
    return value;
  }
}
