/** Ranges of a mapping, as callers write them and as the addon takes them: offset and length in turn, in a Float64Array. */
import { invalidArgument, show } from './errors.js';

export interface ByteRange {
  readonly offset: number;
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
    // What is no number must not become one: null would be 0 in the array.
    pairs[2 * i] = typeof offset === 'number' ? offset : NaN;
    pairs[2 * i + 1] = typeof size === 'number' ? size : NaN;
  }
  return pairs;
}

/** The smallest range that holds the first `count` of them, empty ones aside. */
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
