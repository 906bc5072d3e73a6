/**
 * Replies of the Redis protocol, versions 2 and 3, as bytes. What version 2 has no type for it gets in the form that Redis gives it
 * there: a map as an array of keys and values, a set as an array, null as a bulk string of length -1.
 */
import { copyBytes, encodeText } from '../base/allocation.js';
import type { BedrockError } from '../base/errors.js';

export type Protocol = 2 | 3;

/** A reply as a value; bytes and strings are bulk strings. */
export type Reply =
  | null
  | number
  | string
  | Uint8Array
  | Simple
  | Failure
  | ReplyMap
  | ReplySet
  | readonly Reply[];

/** A line without bytes that could end it, such as `OK`. */
export class Simple {
  constructor(readonly text: string) {}
}

export class Failure {
  constructor(
    readonly code: string,
    readonly message: string,
  ) {}
}

/** Keys and values in turn. */
export class ReplyMap {
  constructor(readonly entries: readonly (readonly [string, Reply])[]) {}
}

/** Values in no order. */
export class ReplySet {
  constructor(readonly members: readonly Reply[]) {}
}

export const OK = new Simple('OK');

/** @param isDetailed whether the text is JSON, message and details; plain text else */
export function failureOf({ code, message, details }: BedrockError, isDetailed = false): Failure {
  return new Failure(code, isDetailed ? JSON.stringify({ message, details }) : message);
}

/** What is answered where there is not even memory for an error. */
export const OUT_OF_MEMORY = Buffer.from('-OVERLOADED the system gives no memory; try again later\r\n');

/** Texts of replies that are put together before they become bytes: shorter ones by far are most. */
const TEXT_LENGTH = 2 ** 16;

/** @throws OVERLOADED if there is no memory for it */
export function encodeReply(reply: Reply, protocol: Protocol): Buffer {
  const pieces: (string | Uint8Array)[] = [];
  addReply(pieces, reply, protocol);
  const encoded: Uint8Array[] = [];
  let text = '';
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      text += piece;
      if (text.length < TEXT_LENGTH) continue;
      encoded.push(encodeText(text));
    } else if (text === '') encoded.push(piece);
    else encoded.push(encodeText(text), piece);
    text = '';
  }
  if (encoded.length === 0) return encodeText(text);
  return copyBytes([...encoded, encodeText(text)]);
}

function addReply(pieces: (string | Uint8Array)[], reply: Reply, protocol: Protocol): void {
  if (reply === null) pieces.push(protocol === 3 ? '_\r\n' : '$-1\r\n');
  else if (typeof reply === 'number') pieces.push(numberReply(reply));
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
  } else {
    pieces.push(`*${reply.length}\r\n`);
    for (const each of reply) addReply(pieces, each, protocol);
  }
}

/** Integers of the protocol have 64 bits; anything that is no integer goes as text, as version 2 has no other form. */
function numberReply(value: number): string {
  if (Number.isInteger(value)) return `:${value}\r\n`;
  const text = String(value);
  return `$${text.length}\r\n${text}\r\n`;
}

/** A message must not end its line. */
function lineOf(message: string): string {
  return message.replace(/[\r\n]+/g, ' ');
}
