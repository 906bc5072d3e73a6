/** A caller's own source of contents, watched on the way to a daemon. */
import { BedrockError } from '../errors.js';
import { checkBytes } from '../target/arguments.js';
import type { RegionSource } from '../target/index.js';

/** What the caller's own source threw, told apart from failures of the connection that look the same (EIO, EPIPE). */
export class SourceFailure extends Error {
  override readonly name = 'SourceFailure';

  constructor(override readonly cause: unknown) {
    super('the source of the contents failed');
  }
}

/**
 * The pieces of a source, no fewer and no more bytes than it announced. The last piece waits until the source has ended: once all announced bytes are out the daemon acknowledges them, and it would
 * be too late to find that there are more.
 */
export async function* exactly(size: number, source: RegionSource['source']): AsyncGenerator<Uint8Array> {
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
