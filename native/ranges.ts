/**
 * Ranges of a mapping: converts them from the form of callers to that of the addon, alternating
 * offsets and lengths in a Float64Array.
 */
import { invalidArgument, show } from './errors.js';

/** A part of a mapping. */
export interface ByteRange {
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** Length, bytes. 0 does nothing. */
  readonly size: number;
}

/** @throws INVALID_ARGUMENT */
export function toPairs(ranges: Float64Array | readonly ByteRange[]): Float64Array {
  if (ranges instanceof Float64Array) return ranges;
  if (!Array.isArray(ranges)) {
    throw invalidArgument(`ranges must be a Float64Array or an array of {offset, size}, not ${show(ranges)}`);
  }
  const pairs = new Float64Array(2 * ranges.length);
  for (const [i, range] of ranges.entries() as Iterable<[number, Partial<ByteRange> | undefined]>) {
    const { offset, size } = range ?? {};
    // Other values must not become numbers: null would be 0 in the array.
    pairs[2 * i] = typeof offset === 'number' ? offset : NaN;
    pairs[2 * i + 1] = typeof size === 'number' ? size : NaN;
  }
  return pairs;
}

/** The smallest range that spans the first `count` ranges, ignoring empty ones. */
export function spanOf(pairs: Float64Array, count: number): ByteRange {
  let start = Infinity;
  let end = 0;
  for (let i = 0; i < count; i++) {
    const offset = pairs[2 * i] ?? 0;
    const size = pairs[2 * i + 1] ?? 0;
    if (size === 0) continue;
    start = Math.min(start, offset);
    end = Math.max(end, offset + size);
  }
  return start < end ? { offset: start, size: end - start } : { offset: 0, size: 0 };
}
