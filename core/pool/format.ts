/**
 * A new pool, as the bytes that make one of zeroed space: the first chunk of free descriptors, and a header in both copies. To be
 * durable before anybody can find the pool under its name.
 */
import { randomBytes } from 'node:crypto';
import { MIN_CHUNK_COUNT, chunkLength } from './chunk-directory.js';
import { formatChunk } from './descriptor.js';
import { HEADER_BYTES, alignDown, firstExtentOffset } from './extent.js';
import { KNOWN_FEATURES, encodeHeader, type PoolHeader } from './header.js';

export interface NewPool {
  /** Bytes that are allocated to it; what does not fill an extent stays unused. */
  capacity: number;
  /** A power of two, 64 to 2^20. */
  alignment: number;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** 8 bytes; random unless told. */
  poolId?: Uint8Array | undefined;
}

/** @returns what to write where */
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
    features: KNOWN_FEATURES,
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
