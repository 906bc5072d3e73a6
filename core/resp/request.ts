/** One request as its command sees it: the arguments, read straight out of the buffer. Valid until the command has returned. */
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { Landed } from './operation-call.js';
import type { RequestParser } from './request-parser.js';

const ZERO = 48;
const NINE = 57;
const MINUS = 45;
const MAX_DIGITS = 16;
const UPPER_TO_LOWER = 32;

/** Value of each hexadecimal digit by its code; 255 for what is none. */
const HEX_DIGITS = new Uint8Array(256).fill(255);
for (let digit = 0; digit < 16; digit++) {
  HEX_DIGITS[digit.toString(16).charCodeAt(0)] = digit;
  HEX_DIGITS[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Characters of an ID in hexadecimal digits. */
const ID_DIGITS = 32;
const WORD_DIGITS = 8;

/** An argument that landed in a place of its own. */
export interface LongArgument {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** The place, if it is where the command would have written it. */
  readonly landed: Landed | undefined;
}

export class Request {
  /** The buffer that the positions are of. */
  #buffer: Buffer = Buffer.alloc(0);
  /** Arguments that did not go through the buffer. There they have no bytes. */
  #long: readonly LongArgument[] = [];

  constructor(private readonly parser: RequestParser) {}

  set(buffer: Buffer, long: readonly LongArgument[]): void {
    this.#buffer = buffer;
    this.#long = long;
  }

  /** An argument that is not in the buffer. */
  longAt(index: number): LongArgument | undefined {
    for (const long of this.#long) if (long.index === index) return long;
    return undefined;
  }

  /** Arguments, the command's name included. */
  get count(): number {
    return this.parser.count;
  }

  get isInline(): boolean {
    return this.parser.isInline;
  }

  /** Bytes of an argument. */
  lengthOf(index: number): number {
    return this.longAt(index)?.bytes.length ?? this.#lengthHere(index);
  }

  /** Bytes of an argument in the buffer. */
  #lengthHere(index: number): number {
    return (this.parser.ends[index] as number) - (this.parser.starts[index] as number);
  }

  /** The bytes of an argument, where they are. */
  bytes(index: number): Uint8Array {
    return (
      this.longAt(index)?.bytes ?? this.#buffer.subarray(this.parser.starts[index], this.parser.ends[index])
    );
  }

  /** An argument as text; a long one is none. */
  text(index: number): string {
    return this.#buffer.toString('utf8', this.parser.starts[index], this.parser.ends[index]);
  }

  /** Whether an argument is a word, in capitals or not. @param word lower-case letters, dots and digits */
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
   * A whole number.
   * @param name what it is, for the message
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
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `${name} is ${JSON.stringify(given)}; it must be a whole number, at most ${Number.MAX_SAFE_INTEGER}`,
      );
    }
    return isNegative ? 0 - value : value;
  }

  /** A whole number of bytes from 0 up. @throws INVALID_ARGUMENT */
  size(index: number, name: string): number {
    const value = this.integer(index, name);
    if (value >= 0) return value;
    throw new BedrockError('INVALID_ARGUMENT', `${name} is ${value}; it must not be negative`);
  }

  /** The ID in the last 32 bytes of an argument. @throws INVALID_ARGUMENT */
  regionId(index: number): RegionId {
    const start = (this.parser.ends[index] as number) - ID_DIGITS;
    if (start >= (this.parser.starts[index] as number)) {
      const slot = this.#word(start);
      const generation = this.#word(start + WORD_DIGITS);
      const poolLow = this.#word(start + 2 * WORD_DIGITS);
      const poolHigh = this.#word(start + 3 * WORD_DIGITS);
      if (slot >= 0 && generation >= 0 && poolLow >= 0 && poolHigh >= 0)
        return RegionId.of(slot, generation, poolLow, poolHigh);
    }
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `a region is named by 32 hexadecimal digits, with provider/ or provider.target/ before them if need be`,
    );
  }

  /** The little-endian word of eight hexadecimal digits; -1 if one of them is none. */
  #word(start: number): number {
    const buffer = this.#buffer;
    let word = 0;
    let all = 0;
    for (let at = start + WORD_DIGITS - 2; at >= start; at -= 2) {
      const high = HEX_DIGITS[buffer[at] as number] as number;
      const low = HEX_DIGITS[buffer[at + 1] as number] as number;
      all |= high | low;
      word = (word << 8) | (high << 4) | low;
    }
    return all > 15 ? -1 : word >>> 0;
  }

  /** What stands before the ID and its slash in an argument; empty if nothing does. */
  prefixOf(index: number): string {
    const length = this.#lengthHere(index) - ID_DIGITS;
    if (length <= 0) return '';
    const start = this.parser.starts[index] as number;
    return this.#buffer.toString('latin1', start, start + length);
  }
}
