/**
 * The descriptor of a slot: 64 bytes, one cache line, never across a sector. Nothing else records a region.
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 4 | CRC32C of pool id (8), slot (4), bytes 4 to 7, and when live also bytes 8 to 63 |
 * | 4 | 4 | generation * 2 + live |
 * | 8 | 8 | offset of the extent; 0 for a region of no bytes, which has none |
 * | 16 | 8 | size of the region |
 * | 24 | 8 | creation time, milliseconds since the epoch |
 * | 32 | 8 | offset of the name; this and the next three are zeros for a region without a name, and ignored without the feature `NAMES` |
 * | 40 | 8 | order: if two live regions have one name, the higher order wins |
 * | 48 | 4 | CRC32C of the name |
 * | 52 | 2 | length of the name, bytes; 0: the region has none |
 * | 54 | 10 | reserved: written as zeros, ignored on reading |
 *
 * All numbers are little-endian. Word 0, the first eight bytes, is the only thing that is ever
 * published, by one aligned 8-byte store:
 * - create: 1. words 1 to 7, barrier. The slot is free, and its checksum does not cover them: any
 *   part of them may reach the medium, and the slot stays free. 2. word 0 with live and a checksum
 *   over all, barrier. Before the store arrives, the slot is free; after it, the region is
 *   complete. The create is acknowledged only after the second barrier.
 * - erase: word 0 free with the same generation, barrier. Before the store arrives, the region
 *   lives; after it, the slot is free. The other words are not touched. The slot may be taken again
 *   only after the barrier: words 1 to 7 of a new region over an old one that still lives would be
 *   damage.
 * So any state that a power failure leaves is a valid descriptor. Anything else is damage, and so
 * is an all-zero word 0.
 *
 * On a disk, one write of 64 bytes does both steps of a create. It is within one sector, and any
 * state between belongs to a create that was never acknowledged. An erase changes the same eight
 * bytes as on pmem, and nothing else.
 */
import { crc32c, crc32cOfWord } from './crc32c.js';
import type { PoolId } from './extent.js';

/** Bytes of one descriptor. */
export const DESCRIPTOR_BYTES = 64;

/** Combines two halves into one number. Shifts of such large numbers would allocate objects. */
const WORD = new DataView(new ArrayBuffer(8));

/**
 * The last generation. A free slot with this generation is retired: no generation is left for
 * another region.
 */
export const MAX_GENERATION = 0x7fff_ffff;

/** `zeros` is damage too: word 0 is all zeros, as in a page that was lost or punched. */
export type DescriptorState = 'free' | 'live' | 'damaged' | 'zeros';

/**
 * The fields of a descriptor; one object can be used again for any number of descriptors. For a
 * free descriptor, only the generation counts. For a damaged one, each field is as stored, so any
 * may be wrong; a number beyond the safe integers is -1.
 */
export class DescriptorFields {
  generation = 0;
  isLive = false;
  offset = 0;
  size = 0;
  createdAt = 0;
  /** The fields of the name count only in a pool with the feature `NAMES`. */
  nameOffset = 0;
  nameLength = 0;
  nameChecksum = 0;
  order = 0;
}

/** What a descriptor records of a region's name. */
export interface NameFields {
  /** Offset of its bytes in the pool. */
  readonly nameOffset: number;
  /** Length in bytes, from 1 up. */
  readonly nameLength: number;
  /** CRC32C of its bytes. */
  readonly nameChecksum: number;
  readonly order: number;
}

/** Writes words 1 to 7 of the descriptor at `at`. */
export function encodeBody(
  bytes: Uint8Array,
  at: number,
  offset: number,
  size: number,
  createdAt: number,
  name?: NameFields,
): void {
  setUint64(bytes, at + 8, offset);
  setUint64(bytes, at + 16, size);
  setUint64(bytes, at + 24, createdAt);
  if (name === undefined) {
    bytes.fill(0, at + 32, at + DESCRIPTOR_BYTES);
    return;
  }
  setUint64(bytes, at + 32, name.nameOffset);
  setUint64(bytes, at + 40, name.order);
  setUint32(bytes, at + 48, name.nameChecksum);
  setUint32(bytes, at + 52, name.nameLength);
  bytes.fill(0, at + 56, at + DESCRIPTOR_BYTES);
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
  name?: NameFields,
): void {
  encodeBody(bytes, at, offset, size, createdAt, name);
  encodeWordZero(bytes, at, slot, pool, generation, true);
}

/**
 * The low half of word 0, the checksum. The high half is `wordZeroHigh`.
 * @param bytes the descriptor at `at`; the checksum covers words 1 to 7 of a live descriptor, and
 *   none of a free one
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

/** Word 0 as one number, for an 8-byte store. The parameters are those of `wordZeroLow`. */
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

/** Writes word 0 into the descriptor at `at`. The parameters are those of `wordZeroLow`. */
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

/** Reads the descriptor of a slot at `at` into `fields`. */
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
  fields.nameOffset = getUint64(bytes, at + 32);
  fields.order = getUint64(bytes, at + 40);
  fields.nameChecksum = getUint32(bytes, at + 48);
  fields.nameLength = getUint32(bytes, at + 52) & 0xffff;
  if (checksum === 0 && word === 0) return 'zeros';
  let expected = crc32cOfWord(word, seedOf(slot, pool));
  if (live) expected = crc32c(bytes, expected, at + 8, at + DESCRIPTOR_BYTES);
  if (checksum !== expected) return 'damaged';
  if (!live) return 'free';
  // The checksum is right, but this format never writes such values: a region's generation is never
  // 0, its numbers are safe integers, and a region of no bytes has no extent.
  const isSound =
    word > 1 &&
    fields.offset >= 0 &&
    fields.size >= 0 &&
    fields.createdAt >= 0 &&
    (fields.size > 0 || fields.offset === 0);
  return isSound ? 'live' : 'damaged';
}

/**
 * The bytes of a new chunk: free descriptors of generation 0. For one slot in 2^32, word 0 would
 * then be all zeros. That slot starts with generation 1, so that zeros always mean damage.
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
