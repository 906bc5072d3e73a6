/**
 * The layout of a pool, and the arithmetic of offsets that all other files of the pool share.
 *
 * | offset | size | what |
 * |---|---|---|
 * | 0 | 4096 | header copy 0 |
 * | 4096 | 4096 | header copy 1 |
 * | `firstExtentOffset` | to the capacity | extents: regions and descriptor chunks, each at a multiple of the alignment |
 *
 * An extent is its contents rounded up to the alignment. All offsets and lengths are safe integers,
 * in bytes; offsets count from the start of the pool.
 */

/** Bytes of one header copy; there are two. */
export const HEADER_BYTES = 4096;

/** Bytes that the two header copies take. */
export const HEADERS_BYTES = 2 * HEADER_BYTES;

/** One descriptor is a cache line. */
export const MIN_ALIGNMENT = 64;

export const MAX_ALIGNMENT = 2 ** 20;

/** The pool id, as in each of the pool's RegionIds. A PoolHeader is one. */
export interface PoolId {
  /** Bytes 0 to 3 of the pool id, little-endian. */
  readonly poolLow: number;
  /** Bytes 4 to 7. */
  readonly poolHigh: number;
}

/** The values that decide which extents a pool can have. A PoolHeader has them. */
export interface PoolGeometry {
  /** A power of two, MIN_ALIGNMENT to MAX_ALIGNMENT. */
  readonly alignment: number;
  /** Bytes that are allocated to the pool, including the headers; a multiple of the alignment. */
  readonly capacity: number;
}

/** What is wrong with an extent: it is not between the headers and the capacity, or it is misaligned. */
export type ExtentFault = 'outside' | 'misaligned';

export function isAlignment(alignment: number): boolean {
  return (
    Number.isInteger(alignment) &&
    alignment >= MIN_ALIGNMENT &&
    alignment <= MAX_ALIGNMENT &&
    (alignment & (alignment - 1)) === 0
  );
}

/** Rounds up to a multiple of the alignment. */
export function alignUp(bytes: number, alignment: number): number {
  return alignDown(bytes + alignment - 1, alignment);
}

/**
 * Rounds down to a multiple of the alignment. Exact, since the alignment is a power of two. For
 * numbers beyond 32 bits the remainder operator is a call, and many times slower.
 */
export function alignDown(bytes: number, alignment: number): number {
  return Math.floor(bytes / alignment) * alignment;
}

/** The first byte after the headers at which an extent may start. */
export function firstExtentOffset(alignment: number): number {
  return Math.max(HEADERS_BYTES, alignment);
}

/** What prevents `size` bytes at `offset` from being the contents of an extent. Sizes are not negative. */
export function extentFault(pool: PoolGeometry, offset: number, size: number): ExtentFault | undefined {
  if (offset < firstExtentOffset(pool.alignment) || size > pool.capacity || offset > pool.capacity - size)
    return 'outside';
  return alignDown(offset, pool.alignment) === offset ? undefined : 'misaligned';
}
