/**
 * Contents of regions that commands put together from bytes in memory, parts of regions, and zeros.
 * Parts of regions are read only when they are needed, so that appending to a large region takes no
 * memory. `Overlay` notices if such a region is changed meanwhile. If one has been erased, the read
 * is REGION_NOT_FOUND.
 */
import { allocateBytes } from '../base/allocation.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionSource, Target } from '../contract/target.js';
import { readPart } from './look-up.js';

type Piece =
  | { readonly size: number; readonly bytes: Uint8Array }
  | { readonly size: number; readonly id: RegionId; readonly offset: number }
  | { readonly size: number };

/** Large contents are moved in pieces of this size. */
const PIECE_BYTES = 2 ** 20;
const ZEROS = new Uint8Array(2 ** 16);

export class Contents {
  static readonly empty = new Contents([], 0);

  private constructor(
    private readonly pieces: readonly Piece[],
    readonly size: number,
  ) {}

  /** @param bytes nobody changes them */
  static of(bytes: Uint8Array): Contents {
    const size = bytes.length;
    return new Contents([{ size, bytes }], size);
  }

  static ofRegion(id: RegionId, size: number): Contents {
    return new Contents([{ size, id, offset: 0 }], size);
  }

  static zeros(size: number): Contents {
    return new Contents([{ size }], size);
  }

  static join(...parts: readonly Contents[]): Contents {
    const pieces = parts.flatMap((part) => part.pieces).filter(({ size }) => size > 0);
    return new Contents(
      pieces,
      pieces.reduce((sum, { size }) => sum + size, 0),
    );
  }

  /** @param end the byte after the last; both are within the contents */
  slice(start: number, end: number): Contents {
    const pieces: Piece[] = [];
    let at = 0;
    for (const piece of this.pieces) {
      const from = Math.max(start - at, 0);
      const to = Math.min(end - at, piece.size);
      at += piece.size;
      if (from < to) pieces.push(partOf(piece, from, to));
    }
    return new Contents(pieces, Math.max(0, end - start));
  }

  /**
   * These contents, overwritten with bytes. If the bytes start beyond the end, there are zeros
   * between.
   */
  overwritten(offset: number, bytes: Contents): Contents {
    const gap = Math.max(0, offset - this.size);
    const behind = offset + bytes.size;
    return Contents.join(
      this.slice(0, Math.min(offset, this.size)),
      Contents.zeros(gap),
      bytes,
      behind < this.size ? this.slice(behind, this.size) : Contents.empty,
    );
  }

  /** The regions that bytes of these contents are still to be read from. */
  get regions(): RegionId[] {
    return this.pieces.flatMap((piece) => ('id' in piece ? [piece.id] : []));
  }

  /** All bytes; nobody changes them. @throws REGION_NOT_FOUND, OVERLOADED */
  async read(target: Target): Promise<Uint8Array> {
    const [only] = this.pieces;
    if (this.pieces.length === 1 && only !== undefined && 'bytes' in only) return only.bytes;
    const buffer = allocateBytes(this.size);
    let at = 0;
    for (const piece of this.pieces) {
      const into = buffer.subarray(at, (at += piece.size));
      // Safe: the ID never names another region, and one that is erased by now fails the read.
      if ('bytes' in piece) into.set(piece.bytes);
      else if ('id' in piece) {
        const pending = readPart(target, piece.id, piece.offset, into);
        if (pending !== undefined) await pending;
      } else into.fill(0);
    }
    return buffer;
  }

  /** The contents as a source, which may be large. */
  source(target: Target): Uint8Array | RegionSource {
    const [only] = this.pieces;
    if (only === undefined) return NOTHING;
    if (this.pieces.length === 1 && 'bytes' in only) return only.bytes;
    return { size: this.size, source: this.#parts(target) };
  }

  async *#parts(target: Target): AsyncGenerator<Uint8Array> {
    for (const piece of this.pieces) {
      for (let at = 0; at < piece.size;) {
        const end = Math.min(piece.size, at + ('id' in piece ? PIECE_BYTES : ZEROS.length));
        if ('bytes' in piece) {
          yield piece.bytes;
          break;
        }
        // Safe: as above.
        yield 'id' in piece
          ? await target.read(piece.id, piece.offset + at, end - at)
          : ZEROS.subarray(0, end - at);
        at = end;
      }
    }
  }
}

const NOTHING = new Uint8Array(0);

function partOf(piece: Piece, from: number, to: number): Piece {
  const size = to - from;
  if ('bytes' in piece) return { size, bytes: piece.bytes.subarray(from, to) };
  if ('id' in piece) return { size, id: piece.id, offset: piece.offset + from };
  return { size };
}
