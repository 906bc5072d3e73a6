/**
 * Reads replies of the Redis protocol, versions 2 and 3
 * (https://redis.io/docs/latest/develop/reference/protocol-spec/), from bytes that arrive in any
 * pieces.
 *
 * - Bulk strings go to the call's own memory (`into`), one after another if there are several.
 *   Others are copied, so the input may be overwritten after `next` has returned. The missing bytes
 *   of a long one can be read from the socket directly to their place (`landing`, `landed`).
 * - If there is no memory for a bulk string, it is dropped, and the reply is an error with the code
 *   OVERLOADED.
 * - A peer is not trusted: its announced lengths are checked against `into` or the limits before
 *   memory is taken.
 * - The parsed part of an incomplete reply is kept. Only an incomplete line is scanned again, and
 *   lines are bounded.
 */
import { allocateShared } from '../base/allocation.js';
import { asBedrockError } from '../base/errors.js';
import { type Reply, ReplyError, textOf } from './reply.js';

export interface ReplyLimits {
  /** Maximum size of a reply, not counting the bytes that go into a call's own memory. */
  maxReplyBytes: number;
}

/** Results of `next`. */
export const Found = {
  /** Nothing yet. */
  incomplete: 0,
  /** The reply to a request: `value`. */
  reply: 1,
  /** Not a reply of this protocol; `fault` says why. */
  fault: 2,
} as const;
export type Found = (typeof Found)[keyof typeof Found];

/** As `into`: the reply is read, and its bytes are dropped. */
export const DISCARD = new Uint8Array(0);

const LF = 10;
const CR = 13;
const BANG = 33;
const PLUS = 43;
const DOLLAR = 36;
const MINUS = 45;
const ZERO = 48;
const COLON = 58;
const EQUALS = 61;

/** Longest line: the message of an error, or a number. */
const MAX_LINE_BYTES = 2 ** 14;
/** Integers with this many digits are always numbers. */
const MAX_NUMBER_DIGITS = 15;
/** Maximum depth of nested arrays. */
const MAX_NESTING = 8;
/** Cost of an array element against the limit, in addition to its bytes. */
const ELEMENT_BYTES = 16;
/** Fewer bytes are copied by a loop, which is faster than a call. */
const LOOP_BYTES = 96;
/** Prefix of a verbatim string: three letters of its format, and a colon. */
const FORMAT_BYTES = 4;

type Kind = 'array' | 'map' | 'push' | 'attribute';

/** An incomplete array or map. */
interface Frame {
  readonly kind: Kind;
  /** Elements that are still missing; keys and values count separately. */
  left: number;
  readonly items: Reply[];
}

const AGGREGATES: Readonly<Record<string, Kind>> = {
  '*': 'array',
  '~': 'array',
  '%': 'map',
  '>': 'push',
  '|': 'attribute',
};

export class ReplyParser {
  /** The first byte that was not consumed yet. */
  position = 0;
  /** The reply that was found. If its bytes went to `into`, their number; null if it had none. */
  value: Reply = null;
  fault = '';

  readonly #stack: Frame[] = [];
  /** Why the reply cannot be returned as it came. */
  #refusal: ReplyError | undefined;
  /** Size of the reply so far. */
  #replyBytes = 0;
  /** Type of the expected bulk string. */
  #bulkType = DOLLAR;
  /** Its destination; undefined: dropped. */
  #bulk: Uint8Array | undefined;
  /** Number of its bytes that are still missing; -1: no bulk string is expected. */
  #bulkLeft = -1;
  /** Destination offset of the next byte. */
  #bulkAt = 0;
  #isInto = false;
  /** Bytes that went to `into`; -1: the reply has had no bulk string so far. */
  #filled = -1;

  constructor(private readonly limits: ReplyLimits) {}

  /** Missing bytes of a bulk string; -1 outside of one. */
  get missing(): number {
    return this.#bulkLeft;
  }

  /** Their destination; undefined if they are dropped. */
  get landing(): Uint8Array | undefined {
    return this.#bulk?.subarray(this.#bulkAt, this.#bulkAt + this.#bulkLeft);
  }

  /** Bytes have arrived at `landing`. */
  landed(count: number): void {
    this.#bulkAt += count;
    this.#bulkLeft -= count;
  }

  /** Drops the missing bytes that would go to `into`; the next calls of `next` must pass DISCARD. */
  discard(): void {
    if (this.#isInto) this.#bulk = undefined;
  }

  /**
   * Continues to read, from `position`.
   * @param end  the byte after the last one that has arrived
   * @param into destination of the reply's bytes; undefined: new memory
   */
  next(bytes: Buffer, end: number, into: Uint8Array | undefined): Found {
    for (;;) {
      let value: Reply | undefined;
      if (this.#bulkLeft >= 0) {
        if (!this.#takeBulk(bytes, end)) return this.#stopped;
        value = this.#endBulk();
      } else {
        const lineEnd = this.#lineEnd(bytes, end);
        if (lineEnd < 0) return this.#stopped;
        const begin = this.position;
        this.position = lineEnd + 2;
        value = this.#line(bytes, begin, lineEnd, into);
        if (value === undefined) {
          if (this.fault !== '') return Found.fault;
          continue;
        }
      }
      if (this.#stack.length > 0 && (value = this.#folded(value)) === undefined) continue;
      this.value =
        this.#refusal ?? (into === undefined || value instanceof ReplyError ? value : this.#intoValue);
      this.#refusal = undefined;
      this.#filled = -1;
      this.#replyBytes = 0;
      return Found.reply;
    }
  }

  get #stopped(): Found {
    return this.fault === '' ? Found.incomplete : Found.fault;
  }

  get #intoValue(): Reply {
    return this.#filled < 0 ? null : this.#filled;
  }

  /** The end of the line at `position`; -1 if it is incomplete or not a line. */
  #lineEnd(bytes: Buffer, end: number): number {
    const { position } = this;
    const last = Math.min(end - 1, position + MAX_LINE_BYTES);
    for (let at = position + 1; at < last; at++) {
      if (bytes[at] !== CR) continue;
      if (bytes[at + 1] === LF) return at;
      return this.#faulty('a line ends without a line feed');
    }
    if (position < end && !isType(bytes[position] as number))
      return this.#faulty(`a reply begins with byte ${bytes[position]}`);
    return end - position > MAX_LINE_BYTES ? this.#faulty('a line is too long') : -1;
  }

  /** The value of a line, including its type. @returns undefined if there is more to it, or a fault */
  #line(bytes: Buffer, begin: number, end: number, into: Uint8Array | undefined): Reply | undefined {
    const type = bytes[begin] as number;
    switch (type) {
      case DOLLAR:
        return this.#beginBulk(type, bytes, begin + 1, end, into);
      case PLUS:
        return isOk(bytes, begin + 1, end) ? 'OK' : bytes.toString('utf8', begin + 1, end);
      case COLON:
        return this.#integer(bytes, begin + 1, end);
      case MINUS:
        return new ReplyError(bytes.toString('utf8', begin + 1, end));
      case BANG:
      case EQUALS:
        return this.#beginBulk(type, bytes, begin + 1, end, undefined);
      default:
        return this.#rareLine(String.fromCharCode(type), bytes.toString('latin1', begin + 1, end));
    }
  }

  #rareLine(type: string, text: string): Reply | undefined {
    const kind = AGGREGATES[type];
    if (kind !== undefined) return this.#beginAggregate(kind, text);
    if (type === '_' && text === '') return null;
    if (type === '#' && (text === 't' || text === 'f')) return text === 't';
    if (type === ',') return doubleOf(text) ?? this.#fail(`${JSON.stringify(text)} is not a number`);
    if (type === '(' && /^[+-]?\d+$/.test(text)) return BigInt(text);
    return this.#fail(`a reply begins with ${JSON.stringify(type + text.slice(0, 32))}`);
  }

  #beginAggregate(kind: Kind, text: string): Reply | undefined {
    if (text === '-1' && kind === 'array') return null;
    if (!/^\d{1,9}$/.test(text)) return this.#fail(`${JSON.stringify(text)} is not a number of elements`);
    if (this.#stack.length >= MAX_NESTING) return this.#fail('arrays are nested too deep');
    if (kind === 'push' && this.#stack.length > 0) return this.#fail('a push within a reply');
    const isPaired = kind === 'map' || kind === 'attribute';
    const left = isPaired ? 2 * Number(text) : Number(text);
    if (!this.#takesMemory(left * ELEMENT_BYTES)) return undefined;
    if (left > 0) {
      this.#stack.push({ kind, left, items: [] });
      return undefined;
    }
    if (kind === 'map') return new Map<string, Reply>();
    if (kind === 'array') {
      if (this.#stack.length === 0) this.#filled = 0;
      return [];
    }
    return undefined;
  }

  /** Adds a value to the array that contains it. @returns the value that this completes, if any */
  #folded(element: Reply): Reply | undefined {
    const stack = this.#stack;
    let value = element;
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      frame.items.push(value);
      if (--frame.left > 0) return undefined;
      stack.pop();
      // Data that no call requested, or that precedes a reply to describe it.
      if (frame.kind === 'push' || frame.kind === 'attribute') return undefined;
      value = frame.kind === 'map' ? mapOf(frame.items) : frame.items;
    }
    return value;
  }

  #integer(bytes: Buffer, begin: number, end: number): Reply | undefined {
    const value = digits(bytes, begin, end);
    if (value >= 0) return value;
    const text = bytes.toString('latin1', begin, end);
    if (!/^[+-]?\d{1,20}$/.test(text)) return this.#fail(`${JSON.stringify(text)} is not an integer`);
    return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
  }

  /** The head of a bulk string. */
  #beginBulk(
    type: number,
    bytes: Buffer,
    begin: number,
    end: number,
    into: Uint8Array | undefined,
  ): Reply | undefined {
    const length = digits(bytes, begin, end);
    if (length < 0) {
      const text = bytes.toString('latin1', begin, end);
      return text === '-1' ? null : this.#fail(`${JSON.stringify(text)} is not a length`);
    }
    this.#bulkType = type;
    this.#isInto = into !== undefined && !this.#isBesideReply;
    if (into === DISCARD) {
      this.#bulk = undefined;
      this.#bulkAt = 0;
    } else if (into !== undefined && this.#isInto) {
      if (this.#filled < 0) this.#filled = 0;
      if (length > into.length - this.#filled)
        return this.#fail(`${length} bytes came where at most ${into.length - this.#filled} were asked for`);
      this.#bulk = into;
      this.#bulkAt = this.#filled;
      this.#filled += length;
    } else {
      if (!this.#takesMemory(length)) return undefined;
      this.#bulk = this.#allocate(length);
      this.#bulkAt = 0;
    }
    this.#bulkLeft = length;
    return undefined;
  }

  /** @returns undefined if there is no memory for it */
  #allocate(length: number): Buffer | undefined {
    try {
      return allocateShared(length);
    } catch (error) {
      const { code, message } = asBedrockError(error);
      if (!this.#isBesideReply) this.#refusal = new ReplyError(`${code} ${message}`);
      return undefined;
    }
  }

  /** Whether the current value is a push or an attribute, not a reply. */
  get #isBesideReply(): boolean {
    return this.#stack.some(({ kind }) => kind === 'push' || kind === 'attribute');
  }

  /** Consumes the available part of a bulk string. @returns whether it is complete */
  #takeBulk(bytes: Buffer, end: number): boolean {
    const { position } = this;
    const here = Math.min(this.#bulkLeft, end - position);
    if (here > 0) {
      if (this.#bulk !== undefined) copy(bytes, position, position + here, this.#bulk, this.#bulkAt);
      this.#bulkAt += here;
      this.#bulkLeft -= here;
      this.position += here;
    }
    if (this.#bulkLeft > 0 || end - this.position < 2) return false;
    if (bytes[this.position] !== CR || bytes[this.position + 1] !== LF) {
      this.#faulty('a bulk string is longer than its length');
      return false;
    }
    this.position += 2;
    return true;
  }

  #endBulk(): Reply {
    const bulk = this.#bulk;
    this.#bulk = undefined;
    this.#bulkLeft = -1;
    if (this.#isInto || !Buffer.isBuffer(bulk)) return null;
    if (this.#bulkType === BANG) return new ReplyError(bulk.toString());
    return this.#bulkType === EQUALS ? bulk.subarray(FORMAT_BYTES) : bulk;
  }

  #takesMemory(bytes: number): boolean {
    this.#replyBytes += bytes;
    if (this.#replyBytes <= this.limits.maxReplyBytes) return true;
    this.#faulty(`a reply has more than ${this.limits.maxReplyBytes} bytes`);
    return false;
  }

  #fail(fault: string): undefined {
    this.#faulty(fault);
    return undefined;
  }

  #faulty(fault: string): -1 {
    this.fault = fault;
    return -1;
  }
}

const TYPES = new Set(Buffer.from('$+:-*_,#!=(%~>|'));

function isType(byte: number): boolean {
  return TYPES.has(byte);
}

function isOk(bytes: Buffer, begin: number, end: number): boolean {
  return end - begin === 2 && bytes[begin] === 79 && bytes[begin + 1] === 75;
}

/** A number from decimal digits; -1 if it is anything else, or too long to be exact. */
function digits(bytes: Buffer, begin: number, end: number): number {
  if (end === begin || end - begin > MAX_NUMBER_DIGITS) return -1;
  let value = 0;
  for (let at = begin; at < end; at++) {
    const digit = (bytes[at] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function doubleOf(text: string): number | undefined {
  if (/^[+-]?inf$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(text)) return NaN;
  return /^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

function mapOf(items: readonly Reply[]): Map<string, Reply> {
  const map = new Map<string, Reply>();
  for (let index = 0; index < items.length; index += 2)
    map.set(textOf(items[index]), items[index + 1] as Reply);
  return map;
}

function copy(from: Buffer, begin: number, end: number, to: Uint8Array, at: number): void {
  if (end - begin > LOOP_BYTES) {
    to.set(from.subarray(begin, end), at);
    return;
  }
  for (let index = begin, target = at; index < end; index++, target++) to[target] = from[index] as number;
}
