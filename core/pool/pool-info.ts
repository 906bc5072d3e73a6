/** The facts of a pool, as `bedrock pool info` shows them. */
import { SlotState } from '../targets/slot-table.js';
import { type Chunk, slotsOf } from './chunk-directory.js';
import { type FeatureFlags, FORMAT_VERSION } from './header.js';
import type { Inspection, UsableHeaders } from './inspection.js';

export interface PoolInfo {
  /** 16 hexadecimal digits, as at the end of every region ID. */
  poolId: string;
  formatVersion: number;
  features: FeatureFlags;
  /** Milliseconds since the epoch. */
  createdAt: number;
  alignment: number;
  capacityBytes: number;
  fileBytes: number;
  /** Nothing was ever written from here on. */
  freshFrom: number;
  sequence: number;
  chunks: readonly Chunk[];
  headers: readonly HeaderCopyInfo[];
  /** Regions that have a name. */
  names: number;
  /**
   * Bytes of each of the journal's two areas, and whether it holds a change that the next open
   * completes; null without a journal.
   */
  journal: { areaBytes: number; isPending: boolean } | null;
  /** Bytes of the log, and its records that the next open stores in their places; null without a log. */
  log: { bytes: number; pendingRecords: number } | null;
  slots: { total: number; live: number; free: number; retired: number; quarantined: number };
  /** Regions that are served, and the sum of their sizes. */
  regions: number;
  regionBytes: number;
  /** Capacity that is not free: headers, chunks, regions, and what is reserved because of damage. */
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

/** The facts of a pool with a header that counts. */
export function poolInfo(
  { copies, fileBytes }: Inspection,
  { choice, recovery, table, names, journal, log }: UsableHeaders,
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
    names: names.named,
    journal:
      header.journal === undefined
        ? null
        : { areaBytes: header.journal.length, isPending: journal?.pending !== undefined },
    log: header.log === undefined ? null : { bytes: header.log.length, pendingRecords: log?.records ?? 0 },
    regions: table.live,
    regionBytes: table.liveBytes,
    usedBytes: header.capacity - freeBytes,
    freeBytes,
    largestFreeBytes,
    fragmentation: freeBytes === 0 ? 0 : 1 - largestFreeBytes / freeBytes,
  };
}

/** The eight bytes of a pool id in hexadecimal, as at the end of every region ID. */
export function poolIdText({ poolLow, poolHigh }: { poolLow: number; poolHigh: number }): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(poolLow, 0);
  bytes.writeUInt32LE(poolHigh, 4);
  return bytes.toString('hex');
}
