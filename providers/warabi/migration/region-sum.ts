/** The SHA-256 of a part of a region, as it is stored: read back in pieces. */
import { createHash } from 'node:crypto';
import type { RegionId, Target } from '../../../core/index.js';

const PIECE_BYTES = 2 ** 18;

/** @throws what the reads throw */
export async function sumOf(target: Target, id: RegionId, offset: number, length: number): Promise<string> {
  const hash = createHash('sha256');
  const end = offset + length;
  // Safe: each read finds the region again, or fails.
  for (let at = offset; at < end; at += PIECE_BYTES)
    hash.update(await target.read(id, at, Math.min(PIECE_BYTES, end - at)));
  return hash.digest('hex');
}

export function sumOfBytes(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
