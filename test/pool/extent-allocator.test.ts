/**
 * ExtentAllocator: the free space is exactly what was given minus what was taken, whatever the
 * order; full means full.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ExtentAllocator, type Extent } from '../../core/pool/extent-allocator.js';
import { isThorough } from '../fixtures/thoroughness.js';

const UNIT = 64;

/** The same contract over one flag a unit: slow, and too simple to be wrong. */
class NaiveSpace {
  readonly units: boolean[] = [];

  set(offset: number, length: number, isFree: boolean): void {
    for (let unit = offset; unit < offset + length; unit++) this.units[unit] = isFree;
  }

  countFree(offset: number, length: number): number {
    return Array.from({ length }, (_, index) => this.units[offset + index]).filter(Boolean).length;
  }

  list(): Extent[] {
    const extents: Extent[] = [];
    for (let unit = 0; unit < this.units.length; unit++) {
      if (!this.units[unit]) continue;
      const last = extents.at(-1);
      if (last !== undefined && last.offset + last.length === unit) last.length++;
      else extents.push({ offset: unit, length: 1 });
    }
    return extents;
  }

  /** The shortest that is long enough, the lowest among equals. */
  fit(length: number): number {
    const [best] = this.list()
      .filter((extent) => extent.length >= length)
      .sort((a, b) => a.length - b.length || a.offset - b.offset);
    return best?.offset ?? -1;
  }
}

function expectSame(allocator: ExtentAllocator, expected: Extent[]): void {
  expect(allocator.list()).toEqual(expected);
  expect(allocator.extents).toBe(expected.length);
  expect(allocator.freeBytes).toBe(expected.reduce((sum, { length }) => sum + length, 0));
  expect(allocator.largestFree).toBe(Math.max(0, ...expected.map(({ length }) => length)));
}

function expectRefused(change: () => void): void {
  expect(change).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
}

/** Deterministic numbers in [0, 1). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const spot = fc.record({ offset: fc.nat(300), length: fc.integer({ min: 1, max: 12 }) });
const operation = fc.oneof(
  spot.map((at) => ({ kind: 'give' as const, ...at })),
  spot.map((at) => ({ kind: 'reserve' as const, ...at })),
  spot.map((at) => ({ kind: 'allocate' as const, ...at })),
);

describe('ExtentAllocator', () => {
  test('does what a list of flags does, in any order of operations', () => {
    const shift = fc.constantFrom(0, 2 ** 31 - 150, 2 ** 47 - 312);
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 400 }), shift, fc.boolean(), (operations, first, adds) => {
        const allocator = new ExtentAllocator(UNIT);
        const naive = new NaiveSpace();
        for (const { kind, offset, length } of operations) {
          const bytesAt = (first + offset) * UNIT;
          const free = naive.countFree(offset, length);
          if (kind === 'allocate') {
            const expected = naive.fit(length);
            expect(allocator.allocate(length * UNIT)).toBe(expected < 0 ? -1 : (first + expected) * UNIT);
            if (expected >= 0) naive.set(expected, length, false);
          } else if (kind === 'reserve') {
            expect(allocator.reserve(bytesAt, length * UNIT)).toBe(free === length);
            naive.set(offset, length, false);
          } else {
            const give = (): void =>
              adds ? allocator.add(bytesAt, length * UNIT) : allocator.free(bytesAt, length * UNIT);
            if (free > 0) {
              expectRefused(give);
            } else {
              give();
              naive.set(offset, length, true);
            }
          }
        }
        expectSame(
          allocator,
          naive.list().map(({ offset, length }) => ({
            offset: (first + offset) * UNIT,
            length: length * UNIT,
          })),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('keeps thousands of extents through a long churn, with nothing lost or given out twice', () => {
    const random = randomNumbers(7);
    const capacity = 60_000;
    const allocator = new ExtentAllocator(UNIT);
    const owner = new Int32Array(capacity).fill(-1);
    const live: Extent[] = [];
    allocator.add(0, capacity * UNIT);
    // Filling and emptying in turn makes the indexes grow and shrink by whole levels.
    for (const [steps, share] of [
      [20_000, 0.9],
      [12_000, 0.1],
      [30_000, 0.55],
      [60_000, 0],
    ] as const) {
      for (let step = 0; step < steps; step++) {
        if (random() < share) {
          const length = 1 + Math.floor(random() ** 3 * 12);
          const offset = allocator.allocate(length * UNIT) / UNIT;
          if (offset < 0) continue;
          for (let unit = offset; unit < offset + length; unit++) {
            if (owner[unit] !== -1) throw new Error(`unit ${unit} was given out twice`);
            owner[unit] = step;
          }
          live.push({ offset, length });
        } else if (live.length > 0) {
          const [extent] = live.splice(Math.floor(random() * live.length), 1);
          if (extent === undefined) continue;
          owner.fill(-1, extent.offset, extent.offset + extent.length);
          allocator.free(extent.offset * UNIT, extent.length * UNIT);
        }
      }
      const naive = new NaiveSpace();
      owner.forEach((step, unit) => (naive.units[unit] = step === -1));
      expectSame(
        allocator,
        naive.list().map(({ offset, length }) => ({ offset: offset * UNIT, length: length * UNIT })),
      );
    }
    expect(live).toEqual([]);
    expect(allocator.list()).toEqual([{ offset: 0, length: capacity * UNIT }]);
  });

  test('takes the shortest extent that is long enough, the lowest among equals, from its lower end', () => {
    const allocator = new ExtentAllocator(4096);
    for (const [page, pages] of [
      [900, 3],
      [10, 8],
      [500, 5],
      [100, 5],
    ] as const)
      allocator.add(page * 4096, pages * 4096);
    expect(allocator.allocate(4 * 4096)).toBe(100 * 4096);
    expect(allocator.allocate(4 * 4096)).toBe(500 * 4096);
    expect(allocator.allocate(4 * 4096)).toBe(10 * 4096);
    expect(allocator.allocate(4 * 4096)).toBe(14 * 4096);
    expect(allocator.allocate(4 * 4096)).toBe(-1);
    expect(allocator.largestFree).toBe(3 * 4096);
  });

  test('is full only when it is full: the longest extent can always be had, to its last byte', () => {
    const random = randomNumbers(3);
    const allocator = new ExtentAllocator(UNIT);
    const LENGTHS = isThorough ? 5000 : 1500;
    // Lengths that differ by one unit in thousands: whatever groups lengths into classes has them
    // all in a few.
    for (let number = 0; number < LENGTHS; number++)
      allocator.add(number * 2 ** 20, (8000 + Math.floor(random() * 200)) * UNIT);
    for (let left = LENGTHS; left > 0; left--) {
      const { largestFree } = allocator;
      expect(allocator.allocate(largestFree + UNIT)).toBe(-1);
      expect(allocator.allocate(largestFree)).not.toBe(-1);
    }
    expectSame(allocator, []);
    expect(allocator.allocate(UNIT)).toBe(-1);
  });

  test.each([
    ['the same extent', 10, 10],
    ['its lower end', 5, 6],
    ['its upper end', 19, 6],
    ['its middle', 14, 1],
    ['it and more on both sides', 5, 20],
    ['it and the next one', 5, 40],
  ])('refuses to free or add what is free already: %s', (_, offset, length) => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(10 * UNIT, 10 * UNIT);
    allocator.add(30 * UNIT, 10 * UNIT);
    const before = allocator.list();
    expectRefused(() => allocator.free(offset * UNIT, length * UNIT));
    expectRefused(() => allocator.add(offset * UNIT, length * UNIT));
    expectSame(allocator, before);
  });

  test('refuses to free an extent twice, also after it was joined with its neighbours', () => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(0, 100 * UNIT);
    const [first, second] = [allocator.allocate(10 * UNIT), allocator.allocate(10 * UNIT)];
    allocator.free(first, 10 * UNIT);
    expectRefused(() => allocator.free(first, 10 * UNIT));
    allocator.free(second, 10 * UNIT);
    expectRefused(() => allocator.free(first, 10 * UNIT));
    expectRefused(() => allocator.free(second, 10 * UNIT));
    expect(allocator.list()).toEqual([{ offset: 0, length: 100 * UNIT }]);
  });

  test.each([
    ['an offset off the alignment', 32, 64],
    ['a length off the alignment', 64, 96],
    ['no bytes', 64, 0],
    ['a negative length', 64, -64],
    ['a negative offset', -64, 64],
    ['a fraction', 0.5, 64],
    ['NaN', Number.NaN, 64],
    ['an end beyond 2^53', 2 ** 53 - 64, 128],
  ])('refuses %s', (_, offset, length) => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(0, 2 ** 30);
    expectRefused(() => allocator.add(offset, length));
    expectRefused(() => allocator.free(offset, length));
    expectRefused(() => allocator.reserve(offset, length));
    expectSame(allocator, [{ offset: 0, length: 2 ** 30 }]);
  });

  test.each([0, -64, 63, 65, Number.NaN, Infinity])('refuses to allocate %p bytes', (length) => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(0, 2 ** 30);
    expectRefused(() => allocator.allocate(length));
    expect(allocator.freeBytes).toBe(2 ** 30);
  });

  test.each([0, 1, 32, 96, 2 ** 21, -64, Number.NaN])('refuses an alignment of %p', (alignment) => {
    expectRefused(() => new ExtentAllocator(alignment));
  });

  test('holds all of 2^53 bytes, and extents at its very end', () => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(0, 2 ** 53);
    expect(allocator.largestFree).toBe(2 ** 53);
    expect(allocator.reserve(2 ** 53 - UNIT, UNIT)).toBe(true);
    expect(allocator.allocate(2 ** 52)).toBe(0);
    expect(allocator.allocate(2 ** 52)).toBe(-1);
    expect(allocator.allocate(2 ** 52 - UNIT)).toBe(2 ** 52);
    expectSame(allocator, []);
    allocator.free(2 ** 53 - UNIT, UNIT);
    allocator.free(2 ** 52, 2 ** 52 - UNIT);
    expect(allocator.list()).toEqual([{ offset: 2 ** 52, length: 2 ** 52 }]);
  });

  test('reserves what is free of a range, and says whether that was all of it', () => {
    const allocator = new ExtentAllocator(UNIT);
    allocator.add(0, 100 * UNIT);
    expect(allocator.reserve(40 * UNIT, 10 * UNIT)).toBe(true);
    expect(allocator.reserve(40 * UNIT, 10 * UNIT)).toBe(false);
    expect(allocator.reserve(30 * UNIT, 40 * UNIT)).toBe(false);
    expect(allocator.reserve(200 * UNIT, UNIT)).toBe(false);
    expectSame(allocator, [
      { offset: 0, length: 30 * UNIT },
      { offset: 70 * UNIT, length: 30 * UNIT },
    ]);
  });

  test('holds many extents, in at most 75 bytes of memory each, and joins them all again', () => {
    const count = isThorough ? 200_000 : 20_000;
    const allocator = new ExtentAllocator(UNIT);
    // A step without a common factor visits every extent once, in an order without locality.
    const step = 123_457;
    const offsetOf = (number: number): number => ((number * step) % count) * 2 * UNIT;
    for (let number = 0; number < count; number++) allocator.add(offsetOf(number), UNIT);
    expect(allocator.extents).toBe(count);
    expect(allocator.freeBytes).toBe(count * UNIT);
    expect(allocator.largestFree).toBe(UNIT);
    expect(allocator.memoryBytes / count).toBeLessThan(75);
    expect(allocator.allocate(2 * UNIT)).toBe(-1);
    for (let number = 0; number < count; number++) allocator.free(offsetOf(number) + UNIT, UNIT);
    expect(allocator.list()).toEqual([{ offset: 0, length: count * 2 * UNIT }]);
    expect(allocator.largestFree).toBe(count * 2 * UNIT);
  });
});
