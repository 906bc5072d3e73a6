/** Contents on their way to a daemon, as bodies of requests. */
import { copyBytes } from '../../base/allocation.js';
import type { RegionSource } from '../../contract/target.js';
import { exactly } from '../remote/source.js';
import type { HttpRequest } from './http-connection.js';

/** Bytes handed to the connection at once, so that a large write never waits whole in its buffers. */
const PIECE_BYTES = 2 ** 20;

/**
 * Pieces of a source below this size are copied: a socket says that it can take more before it has written them, and the next piece
 * may lie in the same memory. It never says so of larger ones.
 */
const COPIED_BELOW_BYTES = 2 ** 17;

type Body = Pick<HttpRequest, 'headers' | 'body'>;

/** A body of bytes that are in memory. */
export function bodyOfBytes(bytes: Uint8Array): Body {
  return { body: bytes.length > PIECE_BYTES ? piecesOf(bytes) : bytes, headers: headersOf(bytes.length) };
}

/** A body that streams, no fewer and no more bytes than the source announced. */
export function bodyOfSource({ size, source }: RegionSource): Body {
  return { body: handedOver(exactly(size, source)), headers: headersOf(size) };
}

async function* handedOver(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield piece.length < COPIED_BELOW_BYTES ? copyBytes([piece]) : piece;
}

function headersOf(size: number): Record<string, string> {
  return { 'content-length': String(size), 'content-type': 'application/octet-stream' };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
