/**
 * Ranges as a set of bytes: sorted, without empty ones, and with overlapping or touching ones
 * joined. So making bytes durable costs the same however often a byte is named.
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
