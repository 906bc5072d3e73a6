/**
 * Ranges as a set of bytes: sorted, those that overlap or touch made one, empty ones left out. Whoever makes bytes durable does as much for
 * a byte that is named ten thousand times as for any other.
 */
import type { RegionRange } from '../contract/target.js';

/** @param ranges of one region, within it */
export function unionOf(ranges: readonly RegionRange[]): readonly RegionRange[] {
  if (ranges.length === 1 && ranges[0]?.size !== 0) return ranges;
  const sorted = ranges.filter(({ size }) => size > 0).sort((one, other) => one.offset - other.offset);
  const union: RegionRange[] = [];
  let start = 0;
  let end = -1;
  for (const { offset, size } of sorted) {
    if (offset > end) {
      if (end >= 0) union.push({ offset: start, size: end - start });
      start = offset;
      end = offset;
    }
    end = Math.max(end, offset + size);
  }
  if (end >= 0) union.push({ offset: start, size: end - start });
  return union;
}
