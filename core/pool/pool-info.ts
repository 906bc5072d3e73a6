/** The facts of a pool, as `bedrock pool info` tells them. */
import { SlotState } from '../targets/slot-table.js';
import { type Chunk, slotsOf } from './chunk-directory.js';
import { type FeatureFlags, FORMAT_VERSION } from './header.js';
import type { Inspection, UsableHeaders } from './inspection.js';

export interface PoolInfo {
  /** 16 hexadecimal digits, as they end every region ID. */
  poolId: string;
  formatVersion: number;
  features: FeatureFlags;
  /** Milliseconds since the epoch. */
  createdAt: number;
  alignment: number;
  capacityBytes: number;
  fileBytes: number;
  /** From here on nothing was ever written. */
  freshFrom: number;
  sequence: number;
  chunks: readonly Chunk[];
  headers: readonly HeaderCopyInfo[];
  slots: { total: number; live: number; free: number; retired: number; quarantined: number };
  /** Regions that are served, and the sum of their sizes. */
  regions: number;
  regionBytes: number;
  /** Capacity that is not free: headers, chunks, regions, what damage reserves. */
  usedBytes: number;
  freeBytes: number;
  largestFreeBytes: number;
  /** 0: all free space is in one piece; towards 1: scattered. */
  fragmentation: number;
}

export interface HeaderCopyInfo {
  state: 'in use' | 'equal' | 'older' | 'damaged' | 'unreadable' | 'contradicting';
  sequence?: number;
  reason?: string;
}

/** Of a pool of which a header counts. */
export function poolInfo(
  { copies, fileBytes }: Inspection,
  { choice, recovery, table }: UsableHeaders,
): PoolInfo {
  const { header } = choice;
  let [freeBytes, largestFreeBytes] = [0, 0];
  for (let index = 0; index < recovery.free.length; index++) {
    const length = recovery.free.lengthAt(index);
    freeBytes += length;
    if (length > largestFreeBytes) largestFreeBytes = length;
  }
  return {
    poolId: poolIdText(header),
    formatVersion: FORMAT_VERSION,
    features: header.features,
    createdAt: header.createdAt,
    alignment: header.alignment,
    capacityBytes: header.capacity,
    fileBytes,
    freshFrom: header.freshFrom,
    sequence: header.sequence,
    chunks: header.chunks,
    headers: copies.map((copy, index): HeaderCopyInfo => {
      if (copy === undefined) return { state: 'unreadable' };
      if ('fault' in copy) return { state: 'damaged', reason: copy.reason };
      const { sequence } = copy.header;
      if (index === choice.copy) return { state: 'in use', sequence };
      if (choice.rewrite === undefined) return { state: 'equal', sequence };
      return { state: choice.damage === undefined ? 'older' : 'contradicting', sequence };
    }),
    slots: {
      total: slotsOf(header.chunks),
      live: table.live,
      free: table.count(SlotState.free),
      retired: table.count(SlotState.retired),
      quarantined: table.count(SlotState.quarantined),
    },
    regions: recovery.regions,
    regionBytes: recovery.bytes,
    usedBytes: header.capacity - freeBytes,
    freeBytes,
    largestFreeBytes,
    fragmentation: freeBytes === 0 ? 0 : 1 - largestFreeBytes / freeBytes,
  };
}

/** The eight bytes of a pool id, in hexadecimal as they end every region ID. */
export function poolIdText({ poolLow, poolHigh }: { poolLow: number; poolHigh: number }): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(poolLow, 0);
  bytes.writeUInt32LE(poolHigh, 4);
  return bytes.toString('hex');
}
