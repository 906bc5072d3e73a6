/**
 * Replies of the Redis protocol, versions 2 and 3, as bytes. Types that version 2 lacks get the
 * form that Redis uses there: a map becomes an array of keys and values, a set becomes an array,
 * and null becomes a bulk string of length -1.
 */
import { copyBytes, encodeText } from '../base/allocation.js';
import { type BedrockError, ERROR_CODES, type ErrorCode } from '../base/errors.js';
import { hideTokens } from '../security/hidden-tokens.js';
import { RedisFault } from './redis-fault.js';

export type Protocol = 2 | 3;

/** A reply as a value; bytes and strings are bulk strings. */
export type Reply =
  | null
  | number
  | bigint
  | string
  | Uint8Array
  | Simple
  | Failure
  | ReplyMap
  | ReplySet
  | EncodedArray
  | NullArray
  | readonly Reply[];

/** A line such as `OK`, without bytes that could end it. */
export class Simple {
  constructor(readonly text: string) {}
}

export class Failure {
  constructor(
    readonly code: string,
    readonly message: string,
  ) {}
}

/** Keys and values, alternating. */
export class ReplyMap {
  constructor(readonly entries: readonly (readonly [string, Reply])[]) {}
}

/** Values in no order. */
export class ReplySet {
  constructor(readonly members: readonly Reply[]) {}
}

/** An array whose members are already encoded. */
export class EncodedArray {
  /** @param members buffers of `encodeMembers`, with one or several members each */
  constructor(
    readonly count: number,
    readonly members: readonly Uint8Array[],
  ) {}
}

/** A null array. */
export class NullArray {
  static readonly only = new NullArray();
  private constructor() {}
}

export const OK = new Simple('OK');

/** @param isDetailed whether the text is JSON, with message and details; otherwise it is plain text */
export function failureOf(error: BedrockError, isDetailed = false): Failure {
  const { message, details } = error;
  const code = error instanceof RedisFault ? error.word : wordOf(error.code);
  return new Failure(code, hideTokens(isDetailed ? JSON.stringify({ message, details }) : message));
}

/** A code in the form that clients of Redis know, if there is one. */
function wordOf(code: ErrorCode): string {
  const entry = ERROR_CODES[code];
  return 'redis' in entry ? entry.redis : code;
}

/** The reply when there is not even memory for an error. */
export const OUT_OF_MEMORY = Buffer.from('-OVERLOADED the system gives no memory; try again later\r\n');

/** Texts of replies are joined up to this length before they become bytes; most are much shorter. */
const TEXT_LENGTH = 2 ** 16;

/** @throws OVERLOADED if there is no memory for it */
export function encodeReply(reply: Reply, protocol: Protocol): Buffer {
  const pieces: (string | Uint8Array)[] = [];
  addReply(pieces, reply, protocol);
  return encoded(pieces);
}

/** Encodes members of an array, without its head. @throws OVERLOADED as above */
export function encodeMembers(members: readonly Reply[], protocol: Protocol): Buffer {
  const pieces: (string | Uint8Array)[] = [];
  for (const each of members) addReply(pieces, each, protocol);
  return encoded(pieces);
}

/** An array whose members are encoded piece by piece, as they are found. */
export class ArrayInPieces {
  #count = 0;
  readonly #pieces: Uint8Array[] = [];

  constructor(private readonly protocol: Protocol) {}

  /** @returns how many bytes the members take @throws OVERLOADED as above */
  add(members: readonly Reply[]): number {
    const piece = encodeMembers(members, this.protocol);
    this.#count += members.length;
    this.#pieces.push(piece);
    return piece.length;
  }

  get encoded(): EncodedArray {
    return new EncodedArray(this.#count, this.#pieces);
  }
}

function encoded(pieces: readonly (string | Uint8Array)[]): Buffer {
  const chunks: Uint8Array[] = [];
  let text = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      text += piece;
      if (text.length < TEXT_LENGTH) continue;
      chunks.push(encodeText(text));
    } else if (text === '') chunks.push(piece);
    else chunks.push(encodeText(text), piece);
    text = '';
  }
  if (chunks.length === 0) return encodeText(text);
  return copyBytes([...chunks, encodeText(text)]);
}

function addReply(pieces: (string | Uint8Array)[], reply: Reply, protocol: Protocol): void {
  if (reply === null) pieces.push(protocol === 3 ? '_\r\n' : '$-1\r\n');
  else if (typeof reply === 'number') pieces.push(numberReply(reply));
  else if (typeof reply === 'bigint') pieces.push(`:${reply}\r\n`);
  else if (reply instanceof NullArray) pieces.push(protocol === 3 ? '_\r\n' : '*-1\r\n');
  else if (typeof reply === 'string') pieces.push(`$${Buffer.byteLength(reply)}\r\n${reply}\r\n`);
  else if (reply instanceof Uint8Array) pieces.push(`$${reply.length}\r\n`, reply, '\r\n');
  else if (reply instanceof Simple) pieces.push(`+${reply.text}\r\n`);
  else if (reply instanceof Failure) pieces.push(`-${lineOf(`${reply.code} ${reply.message}`)}\r\n`);
  else if (reply instanceof ReplyMap) {
    const { entries } = reply;
    pieces.push(protocol === 3 ? `%${entries.length}\r\n` : `*${2 * entries.length}\r\n`);
    for (const [key, value] of entries) {
      addReply(pieces, key, protocol);
      addReply(pieces, value, protocol);
    }
  } else if (reply instanceof ReplySet) {
    const { members } = reply;
    pieces.push(`${protocol === 3 ? '~' : '*'}${members.length}\r\n`);
    for (const each of members) addReply(pieces, each, protocol);
  } else if (reply instanceof EncodedArray) {
    pieces.push(`*${reply.count}\r\n`, ...reply.members);
  } else {
    pieces.push(`*${reply.length}\r\n`);
    for (const each of reply) addReply(pieces, each, protocol);
  }
}

/**
 * Integers of the protocol have 64 bits. Other numbers are sent as text, as version 2 has no other
 * form.
 */
function numberReply(value: number): string {
  if (Number.isInteger(value)) return `:${value}\r\n`;
  const text = String(value);
  return `$${text.length}\r\n${text}\r\n`;
}

/** A message must not contain the end of a line. */
function lineOf(message: string): string {
  return message.replace(/[\r\n]+/g, ' ');
}
