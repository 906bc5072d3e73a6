/** Splits the ranges of one call into commands, with as many ranges in each as the daemon takes. */
import type { RegionRange } from '../../contract/target.js';
import { pieceBytesOf } from './pieces.js';
import type { DaemonLimits } from './region-replies.js';

/** Maximum number of ranges in one command; more would gain nothing. */
const MAX_RANGES = 1024;
/** Upper bound of the bytes of a command without its ranges, and of a range without its contents. */
const COMMAND_BYTES = 1024;
const RANGE_BYTES = 64;

/** Maximum number of ranges in one command. */
function mostRanges({ maxArguments, maxRequestBytes }: DaemonLimits): number {
  const mostBytes = Math.floor((maxRequestBytes - COMMAND_BYTES) / RANGE_BYTES);
  return Math.min(MAX_RANGES, Math.floor((maxArguments - 4) / 2), mostBytes);
}

/** Groups ranges unchanged, for commands that move no bytes. */
export function groupsOf(ranges: readonly RegionRange[], limits: DaemonLimits): RegionRange[][] {
  const most = mostRanges(limits);
  const groups: RegionRange[][] = [];
  for (let at = 0; at < ranges.length; at += most) groups.push(ranges.slice(at, at + most));
  return groups;
}

/**
 * Groups ranges in order. A range with more bytes than one command takes is split, so no range may
 * be larger than its region. An empty list gives no batch.
 */
export function batchesOf(ranges: readonly RegionRange[], limits: DaemonLimits): RegionRange[][] {
  const pieceBytes = pieceBytesOf(limits);
  const most = mostRanges(limits);
  const budget = Math.min(pieceBytes, limits.maxRequestBytes - COMMAND_BYTES);
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

/**
 * Whether the ranges certainly fit into one command. The daemon then checks all their bounds before
 * it does anything.
 */
export function fitInOne(ranges: readonly RegionRange[], total: number, limits: DaemonLimits): boolean {
  const budget = Math.min(pieceBytesOf(limits), limits.maxRequestBytes - COMMAND_BYTES);
  const { length } = ranges;
  return length > 0 && length <= mostRanges(limits) && total + length * RANGE_BYTES <= budget;
}
