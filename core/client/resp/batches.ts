/** Ranges of one call, as many in a command as the daemon takes. */
import type { RegionRange } from '../../target/index.js';
import type { DaemonLimits } from './link.js';
import { PIECE_BYTES } from './pieces.js';

/** Ranges of one command; more of them gain nothing. */
const MAX_RANGES = 1024;
/** What a command has beside its ranges, and a range beside its bytes, at most. */
const COMMAND_BYTES = 1024;
const RANGE_BYTES = 64;

/** In order; a range of more bytes than one command takes is cut. No ranges make no batch. */
export function batchesOf(
  ranges: readonly RegionRange[],
  { maxBulkBytes, maxArguments, maxRequestBytes }: DaemonLimits,
): RegionRange[][] {
  const pieceBytes = Math.min(PIECE_BYTES, maxBulkBytes);
  const most = Math.min(MAX_RANGES, Math.floor((maxArguments - 4) / 2));
  const budget = Math.min(pieceBytes, maxRequestBytes - COMMAND_BYTES);
  const batches: RegionRange[][] = [];
  let batch: RegionRange[] = [];
  let bytes = 0;
  for (const { offset, size } of ranges) {
    for (let at = 0; at === 0 || at < size; at += pieceBytes) {
      const piece = { offset: offset + at, size: Math.min(pieceBytes, size - at) };
      const cost = piece.size + RANGE_BYTES;
      if (batch.length > 0 && (batch.length === most || bytes + cost > budget)) {
        batches.push(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(piece);
      bytes += cost;
    }
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

export function bytesOf(batch: readonly RegionRange[]): number {
  return batch.reduce((sum, { size }) => sum + size, 0);
}
