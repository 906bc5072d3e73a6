/**
 * SlabHeap: cells that share no byte, zeroed for whoever comes next, in slabs that are given back
 * when they are empty.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProcessMemory, processMemory } from '../../backends/memory/process-memory.js';
import {
  MAX_CELL_BYTES,
  NO_CELL,
  SlabHeap,
  cellBytesOf,
  sizeIndex,
} from '../../backends/memory/slab-heap.js';
import { isThorough } from '../fixtures/thoroughness.js';

/** Bytes of slabs that were taken since. */
function heldSince(before: number): number {
  return processMemory.heldBytes - before;
}

function cell(heap: SlabHeap, number: number, size: number): Uint8Array {
  return heap.bytesAt(number).subarray(heap.startAt(number), heap.startAt(number) + size);
}

function isFilled(bytes: Uint8Array, value: number): boolean {
  return Buffer.compare(bytes, Buffer.alloc(bytes.length, value)) === 0;
}

describe('sizes of cells', () => {
  test('hold every size with little to spare', () => {
    const isRight = (size: number): boolean => {
      const index = sizeIndex(size);
      const bytes = cellBytesOf(index);
      const isLeast = index === 0 || cellBytesOf(index - 1) < size;
      return isLeast && bytes >= size && bytes - size < Math.max(16, size / 8) && sizeIndex(bytes) === index;
    };
    const sizes = Array.from({ length: MAX_CELL_BYTES }, (_, index) => index + 1);
    expect(sizes.filter((size) => !isRight(size))).toEqual([]);
  });
});

describe('SlabHeap', () => {
  test('gives cells that share no byte and are zero, through every history', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: MAX_CELL_BYTES }));
    const step = fc.record({
      kind: fc.constantFrom('take', 'take', 'give'),
      size,
      which: fc.nat(),
      count: fc.integer({ min: 1, max: 40 }),
    });
    const before = processMemory.heldBytes;
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const heap = new SlabHeap();
        const cells: { number: number; size: number; mark: number }[] = [];
        let mark = 0;
        for (const { kind, size, which, count } of steps) {
          for (let round = 0; round < count; round++) {
            if (kind === 'take') {
              const number = heap.allocate(size);
              const bytes = cell(heap, number, cellBytesOf(sizeIndex(size)));
              expect(isFilled(bytes, 0)).toBe(true);
              mark = (mark % 255) + 1;
              bytes.fill(mark);
              cells.push({ number, size: bytes.length, mark });
            } else {
              const [gone] = cells.splice((which + 7 * round) % Math.max(1, cells.length), 1);
              if (gone === undefined) break;
              // Whoever had it wrote all of it last, and nobody else did.
              expect(isFilled(cell(heap, gone.number, gone.size), gone.mark)).toBe(true);
              heap.free(gone.number);
            }
          }
        }
        for (const { number, size, mark } of cells)
          expect(isFilled(cell(heap, number, size), mark)).toBe(true);
        heap.clear();
        expect(heldSince(before)).toBe(0);
      }),
      { numRuns: isThorough ? 100 : 25 },
    );
  });

  test.each([1, 64, 100, 1000, MAX_CELL_BYTES])('holds many cells of %i bytes in little more', (size) => {
    const heap = new SlabHeap();
    const before = processMemory.heldBytes;
    const count = Math.ceil(2 ** 23 / size);
    const cellBytes = cellBytesOf(sizeIndex(size));
    for (let index = 0; index < Math.min(count, 100_000); index++) heap.allocate(size);
    expect(heldSince(before)).toBeLessThan(1.5 * Math.min(count, 100_000) * cellBytes + 2 ** 17);
    heap.clear();
    expect(heldSince(before)).toBe(0);
  });

  test('gives slabs back as they become empty, all but a small one of each size', () => {
    const heap = new SlabHeap();
    const before = processMemory.heldBytes;
    const numbers = Array.from({ length: 100_000 }, () => heap.allocate(64));
    const held = heldSince(before);
    const half = numbers.splice(0, 50_000);
    for (const number of half) heap.free(number);
    expect(heldSince(before)).toBeLessThan(0.85 * held);
    for (const number of numbers) heap.free(number);
    expect(heldSince(before)).toBeLessThanOrEqual(2 ** 16);
    heap.clear();
    expect(heldSince(before)).toBe(0);
  });

  test('takes and gives no slab for cells that come and go', () => {
    const heap = new SlabHeap();
    for (const kept of [0, 1024, 100_000]) {
      for (let index = 0; index < kept; index++) heap.allocate(64);
      heap.free(heap.allocate(64));
      const held = new Set<number>();
      for (let round = 0; round < 1000; round++) {
        const number = heap.allocate(64);
        held.add(processMemory.heldBytes);
        heap.free(number);
        held.add(processMemory.heldBytes);
      }
      expect(held.size).toBe(1);
    }
    heap.clear();
  });

  test('fills up the slabs that are in use before an empty one', () => {
    const heap = new SlabHeap();
    const numbers = Array.from({ length: 3000 }, () => heap.allocate(64));
    const [first] = numbers as [number];
    const last = numbers.filter((number) => heap.bytesAt(number) !== heap.bytesAt(first));
    const ofLast = last.filter((number) => heap.bytesAt(number) === heap.bytesAt(last.at(-1) as number));
    for (const number of ofLast) heap.free(number);
    heap.free(first);
    expect(heap.allocate(64)).toBe(first);
    heap.clear();
  });

  test('takes a small slab where a larger one would leave the process too little, and then none', () => {
    const roomBytes = 2 ** 21;
    const limits = () => [{ name: 'a test', limitBytes: 2 ** 42, usedBytes: 2 ** 42 - 2 ** 29 - roomBytes }];
    const memory: ProcessMemory = new ProcessMemory({
      limits,
      residentBytes: () => 0,
      engineBytes: () => memory.heldBytes,
    });
    const heap = new SlabHeap(memory);
    let cells = 0;
    while (heap.allocate(64) !== NO_CELL) cells++;
    expect(memory.heldBytes).toBe(cells * 64);
    expect(memory.roomBytes).toBeLessThan(2 ** 16);
    heap.clear();
    expect(memory.heldBytes).toBe(0);
  });

  test('is as it was when the system refuses a slab', () => {
    const heap = new SlabHeap();
    const before = processMemory.heldBytes;
    const Bytes = globalThis.Uint8Array;
    globalThis.Uint8Array = new Proxy(Bytes, {
      construct() {
        throw new RangeError('Array buffer allocation failed');
      },
    });
    try {
      expect(() => heap.allocate(64)).toThrow(RangeError);
    } finally {
      globalThis.Uint8Array = Bytes;
    }
    expect(heldSince(before)).toBe(0);
    expect(heap.allocate(64)).toBe(0);
    heap.clear();
  });
});
