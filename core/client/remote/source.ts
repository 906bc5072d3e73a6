/**
 * Reads a caller's own source of contents that are sent to a daemon: as many bytes as announced, and
 * with errors that tell the source from the connection.
 */
import { copyBytes } from '../../base/allocation.js';
import type { RegionSource } from '../../contract/target.js';
import { checkBytes, checkGiven } from '../../targets/arguments.js';
import { within } from './call-options.js';

/**
 * An error of the caller's own source. It is marked, because connection failures can look the same
 * (EIO, EPIPE).
 */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';

  constructor(override readonly cause: unknown) {
    super('the source of the contents failed');
  }
}

/** An error of the caller's own source, unwrapped; other errors unchanged. */
export function callersOwn(error: unknown): unknown {
  return error instanceof SourceFailure ? error.cause : error;
}

/** What ends the wait for a source. */
export interface SourceBounds {
  readonly signal?: AbortSignal | undefined;
  /** URL of the daemon, for errors. */
  readonly where?: string;
}

/** Number of bytes held back until the source has ended. */
const HELD_BYTES = 2 ** 12;

/**
 * Gives the pieces of a source, and checks that it gives exactly the announced number of bytes. The
 * last bytes are held back until the source has ended: the daemon acknowledges a write as soon as
 * it has all announced bytes, and then it would be too late to refuse further ones. The held bytes
 * are copied, because a piece belongs to the source again when the next one is requested.
 * @throws INVALID_ARGUMENT, SourceFailure, TIMEOUT, ABORTED, OVERLOADED
 */
export async function* exactly(
  size: number,
  source: RegionSource['source'],
  bounds: SourceBounds = {},
): AsyncGenerator<Uint8Array> {
  let given = 0;
  let last: Uint8Array | undefined;
  for await (const piece of failing(source, bounds)) {
    checkBytes('a piece of the source', piece);
    given += piece.length;
    checkGiven(given, size);
    if (given < size) yield piece;
    else if (last === undefined) {
      const held = Math.max(0, piece.length - HELD_BYTES);
      if (held > 0) yield piece.subarray(0, held);
      last = copyBytes([piece.subarray(held)]);
    }
  }
  checkGiven(given, size, true);
  if (last !== undefined) yield last;
}

/**
 * Gives the same pieces, and marks errors of the source as SourceFailure. Errors of the consumer
 * between two pieces are not thrown in here.
 */
async function* failing(
  source: RegionSource['source'],
  { signal, where = '' }: SourceBounds,
): AsyncGenerator<Uint8Array> {
  const pieces = await ofSource(() => piecesOf(source));
  let isAtPiece = false;
  try {
    for (;;) {
      isAtPiece = false;
      const next = await within(
        ofSource(() => pieces.next()),
        signal,
        where,
      );
      if (next.done === true) return;
      isAtPiece = true;
      yield next.value;
    }
  } catch (error) {
    // A stalled source is told to stop, but nobody waits for it.
    if (!(error instanceof SourceFailure)) void ofSource(() => pieces.return?.()).catch(() => undefined);
    throw error;
  } finally {
    if (isAtPiece) await pieces.return?.();
  }
}

type Pieces = AsyncIterator<Uint8Array, unknown> | Iterator<Uint8Array, unknown>;

function piecesOf(source: RegionSource['source']): Pieces {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

async function ofSource<T>(step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new SourceFailure(error);
  }
}
