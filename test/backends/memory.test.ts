/** The memory backend: the contract of a target, and what it promises beyond it. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { MEMORY_CAPABILITIES, MemoryTarget } from '../../backends/memory/memory-target.js';
import { ProcessMemory, processMemory } from '../../backends/memory/process-memory.js';
import { createLogger } from '../../core/base/logging.js';
import { describeTarget } from '../../core/conformance/index.js';
import type { RegionId, Target } from '../../core/index.js';
import type { MemoryConfig } from '../../schemas/generated/memory.js';
import { runnerOf } from '../conformance/chosen-groups.js';
import { liveHeapBytes } from '../fixtures/live-memory.js';
import { isThorough } from '../fixtures/thoroughness.js';

const GIB = 2 ** 30;
const logger = createLogger({ level: 'off', format: 'text' });

/** Memory of a machine where nothing else is going on. */
function memoryOf(roomBytes: number): ProcessMemory {
  const limits = () => [{ name: 'a test', limitBytes: 2 ** 42, usedBytes: 2 ** 42 - 2 ** 29 - roomBytes }];
  const memory: ProcessMemory = new ProcessMemory({
    limits,
    residentBytes: () => 0,
    engineBytes: () => memory.heldBytes,
  });
  return memory;
}

let time = 1_700_000_000_000;

async function openTarget(config: MemoryConfig = {}, memory?: ProcessMemory): Promise<MemoryTarget> {
  const target = new MemoryTarget(config, { logger, clock: { now: () => time } }, memory);
  await target.open();
  return target;
}

const clock = { now: () => Date.now() };
/** Those that ask what there is room for. The long test has every rule. */
const ABOUT_ROOM = ['create', 'createAndWrite', 'erase', 'stats', 'space', 'lifecycle'];

describe('a memory target without max_bytes', () => {
  describeTarget(
    runnerOf(),
    {
      create: () => new MemoryTarget({}, { logger, clock }),
      createImporting: (poolId) => new MemoryTarget({}, { logger, clock, poolId }),
      maxRegionBytes: processMemory.roomBytes,
    },
    MEMORY_CAPABILITIES,
  );
});

describe('a memory target with max_bytes', () => {
  const bounded = (max_bytes: number): Target => new MemoryTarget({ max_bytes }, { logger, clock });
  describeTarget(
    runnerOf(isThorough ? undefined : ABOUT_ROOM),
    { create: () => bounded(16 * 2 ** 20), createBounded: bounded, maxRegionBytes: 16 * 2 ** 20 },
    MEMORY_CAPABILITIES,
  );
});

describe('MemoryTarget', () => {
  test('shares the memory of the process with its other targets', async () => {
    const memory = memoryOf(100 * 2 ** 20);
    const one = await openTarget({}, memory);
    const other = await openTarget({ max_bytes: Number.MAX_SAFE_INTEGER }, memory);
    const most = (await other.stats()).largestFreeBytes as number;
    expect(most).toBe(100 * 2 ** 20);
    await one.create(most / 2);
    expect(await other.stats()).toMatchObject({ freeBytes: most / 2, largestFreeBytes: most / 2 });
    await expect(other.create(most / 2 + 1)).rejects.toMatchObject({
      code: 'OUT_OF_SPACE',
      details: { requested: most / 2 + 1, used: 0, free: most / 2, largestFree: most / 2 },
      message: expect.stringMatching(/a test allows 4398046511104 bytes/) as unknown,
    });
    await one.close();
    await other.erase(await other.create(most));
    await other.close();
    expect(memory.heldBytes).toBe(0);
  });

  test('refuses small regions, too, where there is no memory for them', async () => {
    const memory = memoryOf(2 ** 20);
    const target = await openTarget({}, memory);
    const ids: RegionId[] = [];
    const fill = async (): Promise<void> => {
      for (;;) ids.push(await target.create(100));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'OUT_OF_SPACE', details: { requested: 100 } });
    expect(memory.heldBytes).toBeLessThanOrEqual(2 ** 20);
    expect(ids.length * 100).toBeGreaterThan(2 ** 19);
    const [first] = ids as [RegionId];
    await target.erase(first);
    await target.create(100);
    await target.create(0);
    await target.close();
    expect(memory.heldBytes).toBe(0);
  });

  test('says volatile, no capacity without max_bytes, and what is free of the memory', async () => {
    const memory = memoryOf(2 ** 30);
    const target = await openTarget({}, memory);
    const id = await target.create(1000);
    const free = 2 ** 30 - memory.heldBytes;
    expect(await target.stats()).toEqual({
      type: 'memory',
      mode: 'volatile',
      state: 'open',
      regions: 1,
      capacityBytes: null,
      usedBytes: 1000,
      freeBytes: free,
      largestFreeBytes: free,
      pendingBytes: 0,
      failedGiveBacks: 0,
      fragmentation: 0,
      recovery: { regions: 0, bytes: 0, quarantined: 0, durationMs: 0 },
    });
    await target.erase(id);
    expect((await target.stats()).usedBytes).toBe(0);
  });

  test('accounts for max_bytes to the byte, without overhead', async () => {
    const target = await openTarget({ max_bytes: 1000 });
    const first = await target.create(600);
    await target.createAndWrite(Buffer.alloc(399));
    expect(await target.stats()).toMatchObject({
      regions: 2,
      capacityBytes: 1000,
      usedBytes: 999,
      freeBytes: 1,
      largestFreeBytes: 1,
      fragmentation: 0,
    });
    await expect(target.create(2)).rejects.toMatchObject({
      code: 'OUT_OF_SPACE',
      details: { requested: 2, used: 999, free: 1, largestFree: 1 },
    });
    await target.create(1);
    await target.create(0);
    expect(await target.stats()).toMatchObject({ usedBytes: 1000, freeBytes: 0, largestFreeBytes: 0 });
    await target.erase(first);
    expect(await target.stats()).toMatchObject({ usedBytes: 400, freeBytes: 600, largestFreeBytes: 600 });
    await target.create(600);
  });

  test('with max_bytes 0 holds regions of zero bytes only', async () => {
    const target = await openTarget({ max_bytes: 0 });
    await expect(target.create(1)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    await target.create(0);
    expect(await target.stats()).toMatchObject({
      regions: 1,
      capacityBytes: 0,
      freeBytes: 0,
      fragmentation: 0,
    });
  });

  test('reserves the announced size while a source is in flight', async () => {
    const target = await openTarget({ max_bytes: 1000 });
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const source = (async function* () {
      yield Buffer.alloc(700);
      await ended;
    })();
    const created = target.createAndWrite({ size: 700, source });
    await expect(target.create(301)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    expect(await target.stats()).toMatchObject({ regions: 0, usedBytes: 700, freeBytes: 300 });
    end();
    await created;
    expect(await target.stats()).toMatchObject({ regions: 1, usedBytes: 700 });
  });

  test('takes the time of creation from the clock', async () => {
    const target = await openTarget();
    time = 1_700_000_000_123;
    const id = await target.create(1);
    time = 1_800_000_000_000;
    expect((await target.stat(id)).createdAt).toBe(1_700_000_000_123);
    expect((await target.list()).regions).toEqual([{ id, size: 1, createdAt: 1_700_000_000_123 }]);
  });

  test('uses the slot of an erased region again, so that its table does not grow for ever', async () => {
    const target = await openTarget({ max_bytes: 100 });
    const id = await target.create(60);
    await target.erase(id);
    const failed = { size: 60, source: [Buffer.alloc(59)] };
    await expect(target.createAndWrite(failed)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const next = await target.create(60);
    expect(next.slot).toBe(id.slot);
    expect(next.generation).toBeGreaterThan(id.generation);
  });

  test('starts empty after a reopen: old IDs are invalid, all space is free', async () => {
    const target = await openTarget({ max_bytes: 100 });
    const id = await target.createAndWrite(Buffer.alloc(100, 7));
    await target.close();
    await target.open();
    expect(await target.stats()).toMatchObject({ regions: 0, usedBytes: 0, freeBytes: 100 });
    const next = await target.create(100);
    expect(next.slot).toBe(id.slot);
    await expect(target.read(id, 0, 1)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await expect(target.list({ after: id })).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect(Buffer.from(await target.read(next, 0, 100)).equals(Buffer.alloc(100))).toBe(true);
  });

  test('is empty after destroy, and can be opened again', async () => {
    const target = await openTarget();
    await target.createAndWrite(Buffer.alloc(100, 7));
    await target.destroy();
    await target.open();
    expect(await target.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
  });

  test('without max_bytes refuses what exceeds the memory with OUT_OF_SPACE', async () => {
    const target = await openTarget();
    for (const size of [2 ** 45, Number.MAX_SAFE_INTEGER]) {
      await expect(target.create(size)).rejects.toMatchObject({
        code: 'OUT_OF_SPACE',
        details: { requested: size, used: 0 },
      });
    }
    expect((await target.stats()).usedBytes).toBe(0);
  });

  describe('with small regions', () => {
    test('takes little more than their bytes for many, and gives it back', async () => {
      const target = await openTarget();
      const heapBytes = liveHeapBytes();
      const before = processMemory.heldBytes;
      const ids: RegionId[] = [];
      for (let index = 0; index < 50_000; index++) {
        const id = await target.create(64);
        // What the test itself keeps is not to count.
        if (index % 100 === 0) ids.push(id);
      }
      expect(processMemory.heldBytes - before).toBeLessThan(50_000 * 64 * 1.5);
      // Objects of their own would be 400 bytes a region; there are none but for the last few thousand.
      expect(liveHeapBytes() - heapBytes).toBeLessThan(50_000 * 60);
      for (const id of ids) expect(await target.read(id, 0, 64)).toEqual(Buffer.alloc(64));
      await target.close();
      expect(processMemory.heldBytes).toBe(before);
    });

    test('never shows the bytes of one in another, however they come and go', async () => {
      const target = await openTarget();
      const sizes = [1, 16, 17, 64, 200, 4096, 8192, 8193];
      for (let round = 0; round < 20; round++) {
        const ids = await Promise.all(sizes.flatMap((size) => [target.create(size), target.create(size)]));
        for (const [index, id] of ids.entries()) {
          const { size } = await target.stat(id);
          expect(Buffer.compare(await target.read(id, 0, size), Buffer.alloc(size))).toBe(0);
          await target.write(id, 0, Buffer.alloc(size, index + 1));
        }
        for (const [index, id] of ids.entries()) {
          const { size } = await target.stat(id);
          expect(Buffer.compare(await target.read(id, 0, size), Buffer.alloc(size, index + 1))).toBe(0);
          if (index % 3 < 2) await target.erase(id);
        }
      }
      await target.close();
    });

    test('gives views that stay those of the region alone, also when they are kept too long', async () => {
      const target = await openTarget();
      const id = await target.createAndWrite(Buffer.from('mapped'));
      const mapping = await target.map(id);
      const [view] = mapping.views as [Uint8Array];
      mapping.release();
      expect(view.buffer.byteLength).toBe(6);
      await target.write(id, 0, Buffer.from('M'));
      expect(Buffer.from(view).toString()).toBe('Mapped');
      // The object that knew the views goes meanwhile.
      for (let index = 0; index < 10_000; index++) await target.create(6);
      await target.write(id, 1, Buffer.from('A'));
      expect(Buffer.from(view).toString()).toBe('MApped');
      expect((await target.map(id)).views[0]?.buffer).toBe(view.buffer);
      await target.erase(id);
      const others = await Promise.all(Array.from({ length: 10 }, () => target.create(6)));
      view.fill(0xff);
      for (const other of others) expect(await target.read(other, 0, 6)).toEqual(Buffer.alloc(6));
    });

    test('has bytes land in larger ones only', async () => {
      const target = await openTarget();
      expect(target.land(await target.create(8192), 0, 8192)).toBeUndefined();
      const id = await target.create(8193);
      const landing = target.land(id, 1, 8192);
      landing?.bytes.fill(5);
      landing?.release();
      expect(await target.read(id, 0, 8193)).toEqual(Buffer.from([0, ...Buffer.alloc(8192, 5)]));
    });

    test('gives space back when the ID of an import is refused', async () => {
      const target = await openTarget();
      const id = await target.create(64);
      const { usedBytes } = await target.stats();
      const before = processMemory.heldBytes;
      await expect(target.importRegion(id, Buffer.alloc(64), { createdAt: 1 })).rejects.toMatchObject({
        code: 'ID_TAKEN',
      });
      expect([(await target.stats()).usedBytes, processMemory.heldBytes]).toEqual([usedBytes, before]);
      await target.close();
    });
  });

  describe('at the boundary of its segments of 1 GiB', () => {
    for (const [size, segments] of [
      [GIB - 1, [GIB - 1]],
      [GIB, [GIB]],
      [GIB + 1, [GIB, 1]],
      [2 * GIB, [GIB, GIB]],
      [2 * GIB + 5, [GIB, GIB, 5]],
    ] as const) {
      test(`holds a region of ${size} bytes in ${segments.length}, down to its last byte`, async () => {
        const target = await openTarget();
        const id = await target.create(size);
        const mapping = await target.map(id);
        expect(mapping.views.map(({ length }) => length)).toEqual(segments);
        for (const end of [size, GIB, GIB + 1].filter((place) => place <= size)) {
          await target.write(id, end - 4, Buffer.from('edge'));
          expect(Buffer.from(await target.read(id, end - 4, 4)).toString()).toBe('edge');
          expect(
            Buffer.from(await target.read(id, end - 6, 6))
              .subarray(2)
              .toString(),
          ).toBe('edge');
        }
        await expect(target.read(id, size - 3, 4)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
        mapping.release();
        await target.close();
      });
    }
  });

  describe('when the system refuses the memory for a segment', () => {
    const Bytes = globalThis.Uint8Array;
    afterEach(() => {
      globalThis.Uint8Array = Bytes;
    });

    /** Lets only so many segments be had. */
    function allowSegments(allowed: number): void {
      globalThis.Uint8Array = new Proxy(Bytes, {
        construct(bytes, [size, ...rest]: [unknown, ...unknown[]]) {
          if (size === GIB && allowed-- === 0) throw new RangeError('Array buffer allocation failed');
          return Reflect.construct(bytes, [size, ...rest]) as Uint8Array;
        },
      });
    }

    test('fails with OUT_OF_SPACE and gives back the segments that it had', async () => {
      const target = await openTarget({ max_bytes: 8 * GIB }, memoryOf(2 ** 40));
      const id = await target.createAndWrite(Buffer.alloc(100, 7));
      const before = await target.stats();
      allowSegments(2);
      await expect(target.create(4 * GIB)).rejects.toMatchObject({
        code: 'OUT_OF_SPACE',
        details: { requested: 4 * GIB, used: 100 },
        cause: { message: 'Array buffer allocation failed' },
      });
      allowSegments(0);
      const contents = { size: 2 * GIB, source: [Buffer.alloc(1)] };
      await expect(target.createAndWrite(contents)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
      globalThis.Uint8Array = Bytes;
      expect(await target.stats()).toEqual(before);
      expect((await target.list()).regions.map((region) => region.id)).toEqual([id]);
      const next = await target.create(10);
      expect(next.slot).toBe(id.slot + 1);
    });
  });
});
