/** Ranges as a set of bytes. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RegionRange } from '../../core/index.js';
import { unionOf } from '../../core/targets/range-union.js';

function bytesOf(ranges: readonly RegionRange[]): number[] {
  const bytes = new Set<number>();
  for (const { offset, size } of ranges) for (let at = offset; at < offset + size; at++) bytes.add(at);
  return [...bytes].sort((one, other) => one - other);
}

describe('the union of ranges', () => {
  const range = fc.record({ offset: fc.nat(60), size: fc.nat(12) });

  it('holds the bytes that they hold, in ranges that are sorted and apart', () => {
    fc.assert(
      fc.property(fc.array(range, { maxLength: 20 }), (ranges) => {
        const given = structuredClone(ranges);
        const union = unionOf(ranges);
        expect(ranges).toEqual(given);
        expect(bytesOf(union)).toEqual(bytesOf(ranges));
        for (const [at, { offset }] of union.entries()) {
          const before = union[at - 1];
          if (before !== undefined) expect(offset).toBeGreaterThan(before.offset + before.size);
        }
      }),
    );
  });

  it('is one range of ten thousand times the same', () => {
    expect(unionOf(Array<RegionRange>(10_000).fill({ offset: 5, size: 9 }))).toEqual([
      { offset: 5, size: 9 },
    ]);
  });

  it('is exact to the end of what a region can be', () => {
    const end = Number.MAX_SAFE_INTEGER;
    const ranges = [
      { offset: end - 2, size: 2 },
      { offset: end - 4, size: 2 },
    ];
    expect(unionOf(ranges)).toEqual([{ offset: end - 4, size: 4 }]);
  });
});
