/** The form of a map that shows where a target has free space, for people. */

/**
 * A map of the space of a target: equal buckets, from its first byte to its last. It is made while
 * the target serves, so its parts may show slightly different moments.
 */
export interface SpaceMap {
  /** Bytes that the buckets cover together. */
  readonly totalBytes: number;
  /** Length of each bucket; the last one may be shorter. */
  readonly bucketBytes: number;
  /** Free bytes of each bucket. */
  readonly freeBytes: readonly number[];
  /** Number of regions that begin in each bucket. */
  readonly regions: readonly number[];
  /** Number of free extents: pieces of space between what is in use. */
  readonly freeExtents: number;
  /** How many of them have from 2^n to 2^(n+1) - 1 bytes, for n = 0, 1, 2 and so on. */
  readonly freeExtentsBySize: readonly number[];
}
