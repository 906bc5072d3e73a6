/**
 * The map of a pool's space, from its free extents and its rows. A pool may have a million of both:
 * after each few thousand, others can run. What changes meanwhile shows only in the rest of the
 * map.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { SpaceMap } from '../contract/space-map.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { alignUp } from './extent.js';
import type { FreeExtents } from './free-extents.js';

/** Extents or rows between two turns of the event loop. */
export const SLICE = 8192;

export interface MappedSpace {
  readonly capacity: number;
  readonly alignment: number;
  readonly table: SlotTable;
  /** The first free extents after an offset, at most `SLICE`, in order. */
  freeAfter(offset: number): FreeExtents;
}

/** @param most the number of buckets, at most */
export async function mapSpace(space: MappedSpace, most: number): Promise<SpaceMap> {
  const { capacity: totalBytes, alignment, table } = space;
  const bucketBytes = alignUp(Math.max(1, Math.ceil(totalBytes / most)), alignment);
  const count = Math.ceil(totalBytes / bucketBytes);
  const freeBytes = new Array<number>(count).fill(0);
  const regions = new Array<number>(count).fill(0);
  const freeExtentsBySize: number[] = [];
  let freeExtents = 0;

  for (let after = -1; ;) {
    const extents = space.freeAfter(after);
    for (const { offset, length } of extents) {
      after = offset;
      // The pool may have grown.
      const end = Math.min(offset + length, totalBytes);
      for (let at = offset; at < end;) {
        const bucket = Math.floor(at / bucketBytes);
        const next = Math.min(end, (bucket + 1) * bucketBytes);
        freeBytes[bucket] = (freeBytes[bucket] ?? 0) + next - at;
        at = next;
      }
      if (end <= offset) continue;
      freeExtents++;
      const power = Math.floor(Math.log2(end - offset));
      while (freeExtentsBySize.length <= power) freeExtentsBySize.push(0);
      freeExtentsBySize[power] = (freeExtentsBySize[power] ?? 0) + 1;
    }
    if (extents.length < SLICE) break;
    // Safe: the next slice begins after the last offset, even if that extent has changed.
    await turn();
  }

  for (let slot = 0; slot < table.slots; slot++) {
    // Safe: rows are read again, each in one step.
    if (slot % SLICE === SLICE - 1) await turn();
    if (table.state(slot) !== SlotState.live || table.size(slot) === 0) continue;
    const bucket = Math.floor(table.offset(slot) / bucketBytes);
    if (bucket < count) regions[bucket] = (regions[bucket] ?? 0) + 1;
  }
  return { totalBytes, bucketBytes, freeBytes, regions, freeExtents, freeExtentsBySize };
}
