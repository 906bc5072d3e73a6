/**
 * A new pool, as the bytes to write into zeroed space: the first chunk of free descriptors, and a
 * header in both copies. They must be durable before the pool can be found under its name.
 */
import { randomBytes } from 'node:crypto';
import { MIN_CHUNK_COUNT, chunkLength } from './chunk-directory.js';
import { formatChunk } from './descriptor.js';
import { HEADER_BYTES, alignDown, firstExtentOffset } from './extent.js';
import { NO_FEATURES, encodeHeader, type PoolHeader } from './header.js';

export interface NewPool {
  /** Bytes that are allocated to it. A rest that is too small for an extent stays unused. */
  capacity: number;
  /** A power of two, 64 to 2^20. */
  alignment: number;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** 8 bytes; random by default. */
  poolId?: Uint8Array | undefined;
}

/** @returns the bytes to write, with their offsets */
export function formatPool({
  capacity,
  alignment,
  createdAt,
  poolId = randomBytes(8),
}: NewPool): { offset: number; bytes: Uint8Array }[] {
  const id = Buffer.from(poolId);
  const pool = { poolLow: id.readUInt32LE(0), poolHigh: id.readUInt32LE(4) };
  const offset = firstExtentOffset(alignment);
  const header: PoolHeader = {
    ...pool,
    features: NO_FEATURES,
    sequence: 1,
    createdAt,
    capacity: alignDown(capacity, alignment),
    alignment,
    freshFrom: offset + chunkLength(MIN_CHUNK_COUNT, alignment),
    chunks: [{ offset, firstSlot: 0, count: MIN_CHUNK_COUNT }],
  };
  const bytes = encodeHeader(header);
  return [
    { offset, bytes: formatChunk(MIN_CHUNK_COUNT, 0, pool) },
    { offset: 0, bytes },
    { offset: HEADER_BYTES, bytes },
  ];
}
