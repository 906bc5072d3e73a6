/** Large transfers in pieces, with several pieces in flight at once. */
import { allocateBytes } from '../../base/allocation.js';
import type { RegionSource } from '../../contract/target.js';
import { exactly, type SourceBounds } from '../remote/source.js';
import type { DaemonLimits } from './region-replies.js';

/** Size of one piece, in bytes, unless the daemon takes less. */
const PIECE_BYTES = 2 ** 20;
/** Maximum number of pieces in flight. */
export const MAX_PIECES_IN_FLIGHT = 4;

/** Maximum size of a piece, in bytes. */
export function pieceBytesOf({ maxBulkBytes }: DaemonLimits): number {
  return Math.min(PIECE_BYTES, maxBulkBytes);
}

/** Work in flight, at most `MAX_PIECES_IN_FLIGHT` at once. */
export class PiecesInFlight {
  readonly #inFlight = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  /**
   * Adds work that has begun.
   * @returns when more can be added
   * @throws the first failure, after all work in flight has ended
   */
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
    if (this.#inFlight.size >= MAX_PIECES_IN_FLIGHT) await Promise.race(this.#inFlight);
    if (this.#failure !== undefined) await this.end();
  }

  /** Waits for all work. @throws the first failure */
  async end(): Promise<void> {
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** Moves a piece. Resolves when its memory can be used again. */
export type MovePiece = (piece: Uint8Array, at: number) => Promise<void>;

/**
 * Moves bytes that are in memory.
 * @throws the error of the first piece that failed, after all pieces in flight have ended
 */
export async function moveBytes(bytes: Uint8Array, pieceBytes: number, move: MovePiece): Promise<void> {
  const inFlight = new PiecesInFlight();
  for (let at = 0; at < bytes.length; at += pieceBytes)
    await inFlight.add(move(bytes.subarray(at, at + pieceBytes), at));
  await inFlight.end();
}

/**
 * Collects everything that a source gives.
 * @throws INVALID_ARGUMENT, SourceFailure, TIMEOUT, ABORTED, OVERLOADED
 */
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
 * Moves the contents of a source. They are copied into pieces, because a source may reuse its
 * memory when the next piece is requested.
 * @throws as `moveBytes`, INVALID_ARGUMENT, SourceFailure, TIMEOUT, ABORTED, OVERLOADED
 */
export async function moveSource(
  { size, source }: RegionSource,
  bounds: SourceBounds,
  pieceBytes: number,
  move: MovePiece,
): Promise<void> {
  const inFlight = new PiecesInFlight();
  const spare: Buffer[] = [];
  const take = (): Buffer => spare.pop() ?? allocateBytes(Math.min(pieceBytes, size));
  const send = async (buffer: Buffer, length: number, at: number): Promise<void> => {
    await inFlight.add(move(buffer.subarray(0, length), at).finally(() => spare.push(buffer)));
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
    await inFlight.end().catch(() => undefined);
    throw error;
  }
  await inFlight.end();
}
