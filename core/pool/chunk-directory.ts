/**
 * The directory of descriptor chunks: it tells which extents hold the descriptors, and for which slots.
 *
 * A chunk is an extent of `count` descriptors of 64 bytes each, for the slots `firstSlot` to
 * `firstSlot + count - 1`. The slots of successive chunks follow without a gap; the chunks may be
 * anywhere in the pool. The header holds up to 240 entries of 16 bytes:
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 8 | offset of the chunk in the pool, u64 |
 * | 8 | 4 | first slot, u32 |
 * | 12 | 4 | count of descriptors, u32 |
 *
 * Write order: free descriptors into the whole chunk, barrier, then a header that names it. A crash
 * before the header leaves free space. After the header, every descriptor is valid. A chunk never
 * moves, shrinks or disappears.
 */
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { alignUp, extentFault, type ExtentFault, firstExtentOffset, type PoolGeometry } from './extent.js';

export const MAX_CHUNKS = 240;

export const MIN_CHUNK_COUNT = 1024;

export const MAX_CHUNK_COUNT = 2 ** 18;

/** Bytes of one directory entry. */
export const CHUNK_ENTRY_BYTES = 16;

export interface Chunk {
  readonly offset: number;
  readonly firstSlot: number;
  /** Descriptors in it, 1 to MAX_CHUNK_COUNT. */
  readonly count: number;
}

/** Slots that the directory covers. */
export function slotsOf(chunks: readonly Chunk[]): number {
  const last = chunks.at(-1);
  return last === undefined ? 0 : last.firstSlot + last.count;
}

/** Bytes of the extent of a chunk. */
export function chunkLength(count: number, alignment: number): number {
  return alignUp(count * DESCRIPTOR_BYTES, alignment);
}

/**
 * How many descriptors the next chunk should have: 1024, then twice the last one, at most 2^18. If
 * no free extent is large enough, half as many will do, and so on.
 * @returns 0 if the directory is full
 */
export function nextChunkCount(chunks: readonly Chunk[]): number {
  if (chunks.length >= MAX_CHUNKS) return 0;
  const last = chunks.at(-1);
  return last === undefined
    ? MIN_CHUNK_COUNT
    : Math.max(MIN_CHUNK_COUNT, Math.min(MAX_CHUNK_COUNT, 2 * last.count));
}

/** The offset of a slot's descriptor in the pool; -1 if no chunk has it. */
export function descriptorOffset(chunks: readonly Chunk[], slot: number): number {
  let low = 0;
  let high = chunks.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const chunk = chunks[middle] as Chunk;
    if (slot < chunk.firstSlot) high = middle - 1;
    else if (slot >= chunk.firstSlot + chunk.count) low = middle + 1;
    else return chunk.offset + (slot - chunk.firstSlot) * DESCRIPTOR_BYTES;
  }
  return -1;
}

/**
 * What is wrong with a directory.
 * @param freshFrom bytes from here on were never written, so no chunk extends beyond it
 */
export function directoryFault(
  chunks: readonly Chunk[],
  pool: PoolGeometry,
  freshFrom: number,
): string | undefined {
  if (chunks.length > MAX_CHUNKS) return `${chunks.length} chunks, more than ${MAX_CHUNKS}`;
  let slot = 0;
  for (const [index, { offset, firstSlot, count }] of chunks.entries()) {
    if (!Number.isSafeInteger(offset)) return `chunk ${index} has no usable offset`;
    if (firstSlot !== slot) return `chunk ${index} starts at slot ${firstSlot} instead of ${slot}`;
    if (!Number.isInteger(count) || count < 1 || count > MAX_CHUNK_COUNT)
      return `chunk ${index} has ${count} descriptors, not 1 to ${MAX_CHUNK_COUNT}`;
    const length = chunkLength(count, pool.alignment);
    const fault = extentFault(pool, offset, length);
    if (fault !== undefined) return `chunk ${index} at ${offset} ${MEANINGS[fault]}`;
    if (offset + length > freshFrom)
      return `chunk ${index} ends at ${offset + length}, beyond freshFrom ${freshFrom}`;
    slot += count;
  }
  let end = firstExtentOffset(pool.alignment);
  for (const { offset, count } of chunks.toSorted((one, other) => one.offset - other.offset)) {
    if (offset < end) return `the chunk at ${offset} overlaps another one, which ends at ${end}`;
    end = offset + chunkLength(count, pool.alignment);
  }
  return undefined;
}

const MEANINGS: Record<ExtentFault, string> = {
  outside: 'is not between the headers and the capacity',
  misaligned: 'is not aligned',
};
