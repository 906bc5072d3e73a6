/** Contents on their way to a daemon, as bodies of requests. */
import { BedrockError } from '../errors.js';
import { checkBytes } from '../target/arguments.js';
import type { RegionSource } from '../target/index.js';
import type { HttpRequest } from './connection.js';

/** Bytes handed to the connection at once, so that a large write never waits whole in its buffers. */
const PIECE_BYTES = 2 ** 20;

type Body = Pick<HttpRequest, 'headers' | 'body'>;

/** What the caller's own source threw, told apart from failures of the connection that look the same (EIO, EPIPE). */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';

  constructor(override readonly cause: unknown) {
    super('the source of the contents failed');
  }
}

/** A body of bytes that are in memory. */
export function bodyOfBytes(bytes: Uint8Array): Body {
  return { body: bytes.length > PIECE_BYTES ? piecesOf(bytes) : bytes, headers: headersOf(bytes.length) };
}

/** A body that streams, no fewer and no more bytes than the source announced. */
export function bodyOfSource({ size, source }: RegionSource): Body {
  return { body: exactly(size, source), headers: headersOf(size) };
}

function headersOf(size: number): Record<string, string> {
  return { 'content-length': String(size), 'content-type': 'application/octet-stream' };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/**
 * The last piece waits until the source has ended: once all announced bytes are out the daemon acknowledges them, and it would
 * be too late to find that there are more.
 */
async function* exactly(size: number, source: RegionSource['source']): AsyncGenerator<Uint8Array> {
  let given = 0;
  let last: Uint8Array | undefined;
  for await (const piece of failing(source)) {
    checkBytes('a piece of the source', piece);
    given += piece.length;
    if (given > size) {
      throw new BedrockError('INVALID_ARGUMENT', `the source gave more than the ${size} bytes it announced`);
    }
    if (given < size) yield piece;
    else last ??= piece;
  }
  if (given < size)
    throw new BedrockError('INVALID_ARGUMENT', `the source ended after ${given} of ${size} bytes`);
  if (last !== undefined) yield last;
}

/** The same pieces; what the source throws is marked as its own. */
async function* failing(source: RegionSource['source']): AsyncGenerator<Uint8Array> {
  try {
    // What the consumer does between two pieces does not throw in here.
    for await (const piece of source) yield piece;
  } catch (error) {
    throw new SourceFailure(error);
  }
}
