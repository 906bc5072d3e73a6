/** A caller's own source of contents, watched on the way to a daemon. */
import { copyBytes } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import type { RegionSource } from '../../contract/target.js';
import { checkBytes } from '../../targets/arguments.js';
import { within } from './call-options.js';

/** What the caller's own source threw, told apart from failures of the connection that look the same (EIO, EPIPE). */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';

  constructor(override readonly cause: unknown) {
    super('the source of the contents failed');
  }
}

/** What ends the waiting for a source. */
export interface SourceBounds {
  readonly signal?: AbortSignal | undefined;
  /** Where its contents go. */
  readonly where?: string;
}

/** How much of the contents is held back until the source has ended, bytes. */
const HELD_BYTES = 2 ** 12;

/**
 * The pieces of a source, no fewer and no more bytes than it announced. The last bytes wait until the source has ended: once all
 * announced bytes are out the daemon acknowledges them, and it would be too late to find that there are more. They are a copy, as a
 * piece is the source's again when the next one is asked for.
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
    if (given > size) {
      throw new BedrockError('INVALID_ARGUMENT', `the source gave more than the ${size} bytes it announced`);
    }
    if (given < size) yield piece;
    else if (last === undefined) {
      const held = Math.max(0, piece.length - HELD_BYTES);
      if (held > 0) yield piece.subarray(0, held);
      last = copyBytes([piece.subarray(held)]);
    }
  }
  if (given < size)
    throw new BedrockError('INVALID_ARGUMENT', `the source ended after ${given} of ${size} bytes`);
  if (last !== undefined) yield last;
}

/** The same pieces; what the source throws is marked as its own. What the consumer does between two pieces does not throw in here. */
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
    // A source that stalls is told that nobody waits for it any more; it is not waited for.
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
