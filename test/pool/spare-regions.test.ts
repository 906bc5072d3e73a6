/** Slots and space of replaced regions on persistent memory, which the next regions take. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PoolTarget } from '../../core/pool/pool-target.js';
import { SimulatedMedia } from '../crash/simulated-media.js';
import { formatSmallPool, simulatedTarget, SMALL_POOL, unitBytesOf } from '../crash/simulated-pool.js';
import { SimulatedProcess } from '../crash/simulated-process.js';

const SLOTS = 256;
const SHAPE = { ...SMALL_POOL, mode: 'pmem' as const, slots: SLOTS, space: 2 ** 17 };
const VALUE = Buffer.alloc(64, 7);
/** More than end together. */
const PUTS = 200;

describe('a region that is replaced again and again on persistent memory', () => {
  let target: PoolTarget;
  let usedBytes = 0;

  beforeEach(async () => {
    const media = new SimulatedMedia(formatSmallPool(SHAPE, 1), unitBytesOf('pmem'), false);
    target = simulatedTarget(SHAPE, media, new SimulatedProcess(), { now: () => 1 });
    await target.open();
    await target.put('name', VALUE);
    ({ usedBytes } = await target.stats());
    for (let count = 0; count < PUTS; count++) await target.put('name', VALUE);
  });

  afterEach(() => target.close());

  it('never gets an ID twice, although its slots are taken again', async () => {
    const ids = new Set<string>();
    const slots = new Set<number>();
    for (let count = 0; count < PUTS; count++) {
      const id = await target.put('name', VALUE);
      ids.add(id.toString());
      slots.add(id.slot);
    }
    expect(ids.size).toBe(PUTS);
    expect(slots.size).toBeLessThan(PUTS);
  });

  it('leaves space of zeros to the regions that follow', async () => {
    for (let count = 0; count < PUTS / 4; count++) {
      const id = await target.create(VALUE.length);
      expect(Buffer.from(await target.read(id, 0, VALUE.length)).equals(Buffer.alloc(VALUE.length))).toBe(
        true,
      );
    }
  });

  it('holds no more space than one, in the figures and for a region that needs all of it', async () => {
    const { usedBytes: after, largestFreeBytes } = await target.stats();
    expect(after).toBe(usedBytes);
    for (let count = 0; count < PUTS; count++) await target.put('name', VALUE);
    const id = await target.create(largestFreeBytes as number);
    expect((await target.stat(id)).size).toBe(largestFreeBytes);
  });

  it('keeps no slot from the regions that need all of them', async () => {
    const ids = [];
    for (let count = 1; count < SLOTS; count++) ids.push(await target.create(0));
    expect(new Set(ids.map(({ slot }) => slot)).size).toBe(SLOTS - 1);
  });
});
