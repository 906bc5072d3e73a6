/**
 * The descriptor of a slot: 64 bytes, one cache line, never across a sector. The only truth about a region.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | CRC32C of pool id (8), slot (4), bytes 4 to 7, and when live also bytes 8 to 63 |
 * | 4 | 4 | generation * 2 + live |
 * | 8 | 8 | offset of the extent; 0 for a region of no bytes, which has none |
 * | 16 | 8 | size of the region |
 * | 24 | 8 | creation time, milliseconds since the epoch |
 * | 32 | 32 | reserved: written as zeros, ignored on reading |
 *
 * All little-endian. Word 0, the first eight bytes, is the only thing ever published, by one aligned 8-byte store:
 * - create: 1. words 1 to 7, barrier. The slot is free and its checksum does not cover them: any part of them may reach the
 *   medium, and it stays free. 2. word 0 with live and a checksum over all, barrier. Before the store arrives the slot is free,
 *   after it the region is whole. Acknowledged after the second barrier only.
 * - erase: word 0 free with the same generation, barrier. Before the store arrives the region lives, after it the slot is free. The
 *   words behind it are not touched. The slot may be taken again after the barrier only: the words 1 to 7 of a new region
 *   over an old one that still lives would be damage.
 * So any state that a power failure leaves is a valid descriptor. Anything else is damage; an all-zero word 0 always is.
 *
 * On a disk one write of 64 bytes does both steps of a create: it lies within a sector, and a state between is a create that was
 * never acknowledged. Its erase changes the same eight bytes as on pmem and nothing else.
 */
import { crc32c, crc32cOfWord } from './crc32c.js';
import type { PoolId } from './extent.js';

/** Bytes of one descriptor. */
export const DESCRIPTOR_BYTES = 64;

/** Two halves become one number here: shifting numbers of that size would make objects of them on the way. */
const WORD = new DataView(new ArrayBuffer(8));

/** The last generation. A slot that is free with it is retired: it has no generation for another region. */
export const MAX_GENERATION = 0x7fff_ffff;

/** `zeros` is damage too: word 0 is all zeros, as of a page that was lost or punched. */
export type DescriptorState = 'free' | 'live' | 'damaged' | 'zeros';

/**
 * What a descriptor says; one object serves any number of them. Of a free one only the generation counts. Of a damaged one each
 * field is as it stands there, so any may be wrong; a number beyond the safe integers is -1.
 */
export class DescriptorFields {
  generation = 0;
  isLive = false;
  offset = 0;
  size = 0;
  createdAt = 0;
}

/** Writes words 1 to 7 of the descriptor at `at`. */
export function encodeBody(
  bytes: Uint8Array,
  at: number,
  offset: number,
  size: number,
  createdAt: number,
): void {
  setUint64(bytes, at + 8, offset);
  setUint64(bytes, at + 16, size);
  setUint64(bytes, at + 24, createdAt);
  bytes.fill(0, at + 32, at + DESCRIPTOR_BYTES);
}

/** Writes the whole descriptor of a live region at `at`, for media that publish it by one write. */
export function encodeDescriptor(
  bytes: Uint8Array,
  at: number,
  slot: number,
  pool: PoolId,
  generation: number,
  offset: number,
  size: number,
  createdAt: number,
): void {
  encodeBody(bytes, at, offset, size, createdAt);
  encodeWordZero(bytes, at, slot, pool, generation, true);
}

/**
 * The low half of word 0, the checksum. The high half is `wordZeroHigh`.
 * @param bytes the descriptor at `at`, of which a live one's words 1 to 7 are covered; a free one's are not read
 */
export function wordZeroLow(
  bytes: Uint8Array,
  at: number,
  slot: number,
  pool: PoolId,
  generation: number,
  live: boolean,
): number {
  const word = wordZeroHigh(generation, live);
  const checksum = crc32cOfWord(word, seedOf(slot, pool));
  return live ? crc32c(bytes, checksum, at + 8, at + DESCRIPTOR_BYTES) : checksum;
}

/** The high half of word 0: generation and live. */
export function wordZeroHigh(generation: number, live: boolean): number {
  return generation * 2 + (live ? 1 : 0);
}

/** Word 0 as one number, for an 8-byte store. Parameters as of `wordZeroLow`. */
export function wordZero(
  bytes: Uint8Array,
  at: number,
  slot: number,
  pool: PoolId,
  generation: number,
  live: boolean,
): bigint {
  WORD.setUint32(0, wordZeroLow(bytes, at, slot, pool, generation, live), true);
  WORD.setUint32(4, wordZeroHigh(generation, live), true);
  return WORD.getBigUint64(0, true);
}

/** Writes word 0 into the descriptor at `at`. Parameters as of `wordZeroLow`. */
export function encodeWordZero(
  bytes: Uint8Array,
  at: number,
  slot: number,
  pool: PoolId,
  generation: number,
  live: boolean,
): void {
  setUint32(bytes, at, wordZeroLow(bytes, at, slot, pool, generation, live));
  setUint32(bytes, at + 4, wordZeroHigh(generation, live));
}

/** Reads the descriptor of a slot, which stands at `at`, into `fields`. */
export function decodeDescriptor(
  bytes: Uint8Array,
  at: number,
  slot: number,
  pool: PoolId,
  fields: DescriptorFields,
): DescriptorState {
  const checksum = getUint32(bytes, at);
  const word = getUint32(bytes, at + 4);
  const live = (word & 1) === 1;
  fields.generation = word >>> 1;
  fields.isLive = live;
  fields.offset = getUint64(bytes, at + 8);
  fields.size = getUint64(bytes, at + 16);
  fields.createdAt = getUint64(bytes, at + 24);
  if (checksum === 0 && word === 0) return 'zeros';
  let expected = crc32cOfWord(word, seedOf(slot, pool));
  if (live) expected = crc32c(bytes, expected, at + 8, at + DESCRIPTOR_BYTES);
  if (checksum !== expected) return 'damaged';
  if (!live) return 'free';
  // Whole, but nothing that this format writes: a region is never of generation 0, its numbers are safe integers, and one of no bytes has
  // no extent.
  const isSound =
    word > 1 &&
    fields.offset >= 0 &&
    fields.size >= 0 &&
    fields.createdAt >= 0 &&
    (fields.size > 0 || fields.offset === 0);
  return isSound ? 'live' : 'damaged';
}

/**
 * The bytes of a new chunk: free descriptors of generation 0. The one slot in 2^32 whose word 0 would then be all zeros starts
 * with generation 1, so that zeros are damage everywhere.
 */
export function formatChunk(count: number, firstSlot: number, pool: PoolId): Uint8Array {
  const bytes = new Uint8Array(count * DESCRIPTOR_BYTES);
  for (let index = 0; index < count; index++) {
    const slot = firstSlot + index;
    const at = index * DESCRIPTOR_BYTES;
    const generation = wordZeroLow(bytes, at, slot, pool, 0, false) === 0 ? 1 : 0;
    encodeWordZero(bytes, at, slot, pool, generation, false);
  }
  return bytes;
}

function seedOf(slot: number, pool: PoolId): number {
  return crc32cOfWord(slot, crc32cOfWord(pool.poolHigh, crc32cOfWord(pool.poolLow)));
}

function getUint32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

function getUint64(bytes: Uint8Array, at: number): number {
  const high = getUint32(bytes, at + 4);
  return high < 2 ** 21 ? high * 2 ** 32 + getUint32(bytes, at) : -1;
}

function setUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function setUint64(bytes: Uint8Array, at: number, value: number): void {
  setUint32(bytes, at, value >>> 0);
  setUint32(bytes, at + 4, Math.floor(value / 2 ** 32));
}
