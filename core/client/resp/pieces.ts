/** Large transfers in pieces, several on their way at once. */
import { allocateBytes } from '../../base/allocation.js';
import type { RegionSource } from '../../contract/target.js';
import { exactly, type SourceBounds } from '../remote/source.js';

/** Bytes of one piece. */
export const PIECE_BYTES = 2 ** 20;
/** Pieces on their way at once. */
export const WINDOW = 4;

/** Work in flight, no more than `WINDOW` at once. */
export class Window {
  readonly #inFlight = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /** Adds work that has begun. @returns when more can be added @throws what failed, when nothing is in flight any more */
  async add(work: Promise<void>): Promise<void> {
    const watched = work.then(
      () => {
        this.#inFlight.delete(watched);
      },
      (error: unknown) => {
        this.#failure ??= { error };
        this.#inFlight.delete(watched);
      },
    );
    this.#inFlight.add(watched);
    if (this.#inFlight.size >= WINDOW) await Promise.race(this.#inFlight);
    if (this.#failure !== undefined) await this.end();
  }

  /** Waits for all of it. @throws what failed first */
  async end(): Promise<void> {
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Moves a piece; resolves when its memory is free again. */
export type MovePiece = (piece: Uint8Array, at: number) => Promise<void>;

/** Moves bytes that are in memory. @throws what the first piece to fail throws, when nothing is on its way any more */
export async function moveBytes(bytes: Uint8Array, pieceBytes: number, move: MovePiece): Promise<void> {
  const window = new Window();
  for (let at = 0; at < bytes.length; at += pieceBytes)
    await window.add(move(bytes.subarray(at, at + pieceBytes), at));
  await window.end();
}

/** All that a source gives. @throws INVALID_ARGUMENT, SourceFailure, TIMEOUT, ABORTED, OVERLOADED */
export async function gathered({ size, source }: RegionSource, bounds: SourceBounds): Promise<Buffer> {
  const buffer = allocateBytes(size);
  let filled = 0;
  for await (const piece of exactly(size, source, bounds)) {
    buffer.set(piece, filled);
    filled += piece.length;
  }
  return buffer;
}

/**
 * Moves what a source gives. It is copied together into pieces, as the source may be done with its own when it is asked for the next.
 * @throws as `moveBytes`, INVALID_ARGUMENT, SourceFailure, TIMEOUT, ABORTED, OVERLOADED
 */
export async function moveSource(
  { size, source }: RegionSource,
  bounds: SourceBounds,
  pieceBytes: number,
  move: MovePiece,
): Promise<void> {
  const window = new Window();
  const spare: Buffer[] = [];
  const take = (): Buffer => spare.pop() ?? allocateBytes(Math.min(pieceBytes, size));
  const send = async (buffer: Buffer, length: number, at: number): Promise<void> => {
    await window.add(move(buffer.subarray(0, length), at).finally(() => spare.push(buffer)));
  };
  let buffer = take();
  let filled = 0;
  let at = 0;
  try {
    for await (const piece of exactly(size, source, bounds)) {
      for (let from = 0; from < piece.length;) {
        const count = Math.min(piece.length - from, buffer.length - filled);
        buffer.set(piece.subarray(from, from + count), filled);
        from += count;
        filled += count;
        if (filled < buffer.length) continue;
        await send(buffer, filled, at);
        at += filled;
        buffer = take();
        filled = 0;
      }
    }
    if (filled > 0) await send(buffer, filled, at);
  } catch (error) {
    await window.end().catch(() => undefined);
    throw error;
  }
  await window.end();
}
