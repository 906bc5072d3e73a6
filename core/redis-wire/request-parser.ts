/**
 * Reads requests of the Redis protocol (RESP:
 * https://redis.io/docs/latest/develop/reference/protocol-spec/) from a buffer that fills from the
 * network: arrays of bulk strings, and inline commands (words of a line).
 *
 * Nothing is copied or sliced: a request is a list of positions in the buffer. The parsed part of
 * an incomplete request is kept, so each byte is scanned only once, even if bytes trickle in. An
 * argument that is too long to wait for stops the parser: the owner of the buffer takes the
 * argument's bytes as they arrive, and resumes the parser after them.
 *
 * Every length that a client announces is checked before it is used.
 */

export interface RequestLimits {
  /** Maximum number of arguments of one request. */
  maxArguments: number;
  /** Maximum size of one argument, bytes. */
  maxBulkBytes: number;
  /** The parser does not wait for a longer argument. */
  longArgumentBytes: number;
}

/** Results of `next`. */
export const Found = {
  /** Nothing yet: the request continues after the end of the buffer. */
  incomplete: 0,
  /** A complete request: `count` arguments. */
  request: 1,
  /** A request up to an argument of `longBytes` bytes; those from `position` on are in the buffer. */
  longArgument: 2,
  /** Not a request of this protocol; `fault` says why. */
  fault: 3,
} as const;
export type Found = (typeof Found)[keyof typeof Found];

const CR = 13;
const LF = 10;
const ASTERISK = 42;
const DOLLAR = 36;
const SPACE = 32;
const TAB = 9;
const QUOTE = 34;
const APOSTROPHE = 39;

/** Maximum number of digits of a length; more are always a fault. */
const MAX_LENGTH_DIGITS = 15;
/** The lists of requests with more arguments are not kept. */
const LONG_LIST = 256;
/** An inline command is typed by a person. */
const MAX_INLINE_BYTES = 4096;

const Expecting = {
  /** The first byte of a request. */
  request: 0,
  /** The head of an argument: `$length\r\n`. */
  argument: 1,
  /** The bytes of an argument and the line end after them. */
  bytes: 2,
  /** The line end after an argument's bytes. */
  lineEnd: 3,
} as const;
type Expecting = (typeof Expecting)[keyof typeof Expecting];

export class RequestParser {
  /** Arguments of the request so far. */
  count = 0;
  /** For each argument: its first byte, and the one after its last. */
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** The first byte that was not consumed yet. */
  position = 0;
  /** Length of the long argument at which the parser stopped. */
  longBytes = 0;
  /** Whether the request is a line, not an array. */
  isInline = false;
  fault = '';

  /** Number of arguments that the request announced. */
  announced = 0;

  #expecting: Expecting = Expecting.request;
  /** Length of the expected argument. */
  #length = 0;
  /** First byte of the request, or of the part of it that is kept. */
  #begin = 0;

  constructor(private readonly limits: RequestLimits) {}

  /** First byte that must be kept: earlier ones belong to requests that were returned. */
  get begin(): number {
    return this.#begin;
  }

  /** Whether the parser is within a request. */
  get isWithin(): boolean {
    return this.#expecting !== Expecting.request;
  }

  /** The buffer's bytes were moved towards its front, or to the front of another buffer. */
  moved(distance: number): void {
    this.position -= distance;
    this.#begin -= distance;
    for (let argument = 0; argument < this.count; argument++) {
      (this.starts[argument] as number) -= distance;
      (this.ends[argument] as number) -= distance;
    }
  }

  /**
   * Others have taken the bytes of the long argument up to `position`; it counts as an argument of
   * 0 bytes.
   */
  resumeBehindLong(position: number): void {
    this.position = position;
    this.starts[this.count] = position;
    this.ends[this.count++] = position;
    this.#expecting = Expecting.lineEnd;
  }

  /** Continues to read. @param end the byte after the last one that has arrived */
  next(buffer: Uint8Array, end: number): Found {
    for (;;) {
      switch (this.#expecting) {
        case Expecting.request: {
          this.count = 0;
          if (this.starts.length > LONG_LIST) this.starts.length = this.ends.length = 0;
          this.#begin = this.position;
          if (this.position === end) return Found.incomplete;
          if (buffer[this.position] !== ASTERISK) {
            const found = this.#inline(buffer, end);
            // An empty line has no meaning, and gets no reply.
            if (found === Found.request && this.count === 0) break;
            return found;
          }
          const count = this.#lengthLine(buffer, end);
          if (count < 0) return this.#unfinished();
          if (count > this.limits.maxArguments)
            return this.#faulty(`a request has at most ${this.limits.maxArguments} arguments, not ${count}`);
          this.isInline = false;
          // An empty request has no meaning, and gets no reply.
          if (count === 0) break;
          this.announced = count;
          this.#expecting = Expecting.argument;
          break;
        }
        case Expecting.argument: {
          if (this.count === this.announced) {
            this.#expecting = Expecting.request;
            return Found.request;
          }
          if (this.position === end) return Found.incomplete;
          if (buffer[this.position] !== DOLLAR)
            return this.#faulty("an argument begins with '$' and its length");
          const length = this.#lengthLine(buffer, end);
          if (length < 0) return this.#unfinished();
          if (length > this.limits.maxBulkBytes)
            return this.#faulty(`an argument has at most ${this.limits.maxBulkBytes} bytes, not ${length}`);
          this.#length = length;
          this.#expecting = Expecting.bytes;
          break;
        }
        case Expecting.bytes: {
          const behind = this.position + this.#length;
          if (behind + 2 > end) {
            if (this.#length <= this.limits.longArgumentBytes) return Found.incomplete;
            this.longBytes = this.#length;
            return Found.longArgument;
          }
          this.starts[this.count] = this.position;
          this.ends[this.count++] = behind;
          this.position = behind;
          this.#expecting = Expecting.lineEnd;
          break;
        }
        case Expecting.lineEnd: {
          if (this.position + 2 > end) return Found.incomplete;
          if (buffer[this.position] !== CR || buffer[this.position + 1] !== LF)
            return this.#faulty('an argument has more bytes than its length says');
          this.position += 2;
          this.#expecting = Expecting.argument;
        }
      }
    }
  }

  #faulty(fault: string): Found {
    this.fault = fault;
    return Found.fault;
  }

  /** `#lengthLine` found no line. */
  #unfinished(): Found {
    return this.fault === '' ? Found.incomplete : Found.fault;
  }

  /**
   * Consumes a line of one byte, digits and the line end.
   * @returns the number; -1 if the line is incomplete or different
   */
  #lengthLine(buffer: Uint8Array, end: number): number {
    let at = this.position + 1;
    let value = 0;
    for (; at < end; at++) {
      const digit = (buffer[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const digits = at - this.position - 1;
    if (digits > MAX_LENGTH_DIGITS) {
      this.fault = 'a length has too many digits';
      return -1;
    }
    if (at === end) return -1;
    const isShort = at + 1 === end;
    if (digits === 0 || buffer[at] !== CR || (!isShort && buffer[at + 1] !== LF)) {
      this.fault = 'a length is digits and a line end';
      return -1;
    }
    if (isShort) return -1;
    this.position = at + 2;
    return value;
  }

  #inline(buffer: Uint8Array, end: number): Found {
    const lineEnd = buffer.indexOf(LF, this.position);
    const isWhole = lineEnd >= 0 && lineEnd < end;
    if ((isWhole ? lineEnd : end) - this.position > MAX_INLINE_BYTES)
      return this.#faulty(`an inline command has at most ${MAX_INLINE_BYTES} bytes`);
    if (!isWhole) return Found.incomplete;
    let at = this.position;
    const last = lineEnd > at && buffer[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
    while (at < last) {
      const byte = buffer[at] as number;
      if (byte === SPACE || byte === TAB) {
        at++;
        continue;
      }
      if (byte === QUOTE || byte === APOSTROPHE)
        return this.#faulty('an inline command has no quotes here; send an array of bulk strings');
      this.starts[this.count] = at;
      while (at < last && buffer[at] !== SPACE && buffer[at] !== TAB) at++;
      this.ends[this.count++] = at;
    }
    this.position = lineEnd + 1;
    this.isInline = true;
    return Found.request;
  }
}
