/** The parts of requests to a daemon over HTTP: regions in paths, bodies, and conditions. */
import { copyBytes, encodeText } from '../../base/allocation.js';
import type { PutOptions, RegionRef } from '../../contract/names.js';
import type { RegionSource } from '../../contract/target.js';
import { exactly } from '../remote/source.js';
import type { HttpRequest } from './http-connection.js';

/** Bytes passed to the connection at once, so that its buffers never hold all of a large write. */
const BODY_PIECE_BYTES = 2 ** 20;

/**
 * Smaller pieces of a source are copied: a socket may ask for more before it has written them, and
 * the source may put the next piece into the same memory. A socket writes a larger piece before it
 * asks for the next.
 */
const COPIED_BELOW_BYTES = 2 ** 17;

type Body = Pick<HttpRequest, 'headers' | 'body'>;

/**
 * A region in a path. A name is encoded as one path segment, so that proxies do not interpret dots
 * in it.
 */
export function inPath(ref: RegionRef): string {
  if (typeof ref !== 'string') return ref.toString();
  return ref === '.' || ref === '..' ? ref.replaceAll('.', '%2E') : encodeURIComponent(ref);
}

/** A body of bytes, or of what a source gives. */
export function bodyOf(contents: RegionSource | Uint8Array): Body {
  return ArrayBuffer.isView(contents) ? bodyOfBytes(contents) : bodyOfSource(contents);
}

/** A body of bytes that are in memory. */
export function bodyOfBytes(bytes: Uint8Array): Body {
  return {
    body: bytes.length > BODY_PIECE_BYTES ? piecesOf(bytes) : bytes,
    headers: headersOf(bytes.length),
  };
}

/** A streamed body of exactly the number of bytes that the source announced. */
export function bodyOfSource({ size, source }: RegionSource): Body {
  return { body: handedOver(exactly(size, source)), headers: headersOf(size) };
}

export function jsonBody(value: object): Body {
  return { body: encodeText(JSON.stringify(value)), headers: { 'content-type': 'application/json' } };
}

/** The headers that make a put depend on which region has the name. */
export function headersOfCondition(condition: PutOptions['if']): Record<string, string> {
  if (condition === undefined) return {};
  return condition === 'absent' ? { 'if-none-match': '*' } : { 'if-match': `"${condition.toString()}"` };
}

async function* handedOver(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield piece.length < COPIED_BELOW_BYTES ? copyBytes([piece]) : piece;
}

function headersOf(size: number): Record<string, string> {
  return { 'content-length': String(size), 'content-type': 'application/octet-stream' };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += BODY_PIECE_BYTES) yield bytes.subarray(at, at + BODY_PIECE_BYTES);
}
