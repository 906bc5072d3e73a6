/**
 * What may come between two steps of a pool that belong together: somebody who looks, or takes, in
 * every microtask.
 */
import { describe, expect, test } from '@jest/globals';
import { RegionId, type Target } from '../../core/index.js';
import { PoolTarget } from '../../core/pool/pool-target.js';
import { recoverPool } from '../../core/pool/recover-pool.js';
import type { NewSlot } from '../../core/pool/region-extents.js';
import { formatSmallPool, SMALL_POOL } from '../crash/simulated-pool.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { MemoryMedium } from './memory-medium.js';

const SIZE = 64;
/** More microtasks than any step of a pool takes. */
const HOPS = 40;

/** Memory that is to be had without a copy, as persistent memory, but ends its stores later, as a disk. */
class LateMedium extends MemoryMedium {
  override publish(offset: number, descriptor: Uint8Array): undefined {
    return Promise.resolve().then(() => super.publish(offset, descriptor)) as never;
  }

  override publishWord(offset: number, word: bigint): undefined {
    return Promise.resolve().then(() => super.publishWord(offset, word)) as never;
  }

  override clear(offset: number, length: number): undefined {
    return Promise.resolve().then(() => super.clear(offset, length)) as never;
  }

  override writeDurably(offset: number, bytes: Uint8Array): undefined {
    return Promise.resolve().then(() => super.writeDurably(offset, bytes)) as never;
  }

  map(offset: number, length: number): Uint8Array[] {
    return [this.bytes.subarray(offset, offset + length)];
  }
}

function newMedium(shape = SMALL_POOL): LateMedium {
  return new LateMedium(formatSmallPool(shape, 1, 2));
}

async function openTarget(): Promise<Target> {
  const medium = newMedium();
  const target = new PoolTarget({
    type: 'late',
    capabilities: {
      persistent: true,
      mappable: true,
      growable: false,
      importable: true,
      snapshots: false,
      named: false,
      transactional: false,
    },
    storage: { open: () => Promise.resolve({ medium, maxBytes: 0 }), destroy: () => Promise.resolve() },
    isReadOnly: false,
    logger: recordingLogger().logger,
    clock: { now: () => 1 },
  });
  await target.open();
  return target;
}

/** Does something in each of the microtasks to come. */
async function inEachMicrotask(work: () => void): Promise<void> {
  for (let hop = 0; hop < HOPS; hop++) {
    work();
    await Promise.resolve();
  }
}

describe('between the steps of a pool', () => {
  test('a region that is found as it appears keeps its space as long as it is mapped', async () => {
    const target = await openTarget();
    const other = await target.create(0);
    const id = RegionId.of(other.slot + 1, 1, other.poolLow, other.poolHigh);
    const contents = Buffer.alloc(SIZE, 'A');
    const mappings: Promise<{ views: readonly Uint8Array[]; release: () => void }>[] = [];
    const looking = inEachMicrotask(() => {
      const mapped = target.map(id);
      mapped.then(
        () => mappings.push(mapped),
        () => undefined,
      );
    });
    await target.importRegion(id, contents, { createdAt: 1 });
    await looking;
    const [first, ...rest] = await Promise.all(mappings);
    for (const mapping of rest) mapping.release();
    await target.erase(id);
    const ids = await Promise.all([0, 1, 2].map(() => target.createAndWrite(Buffer.alloc(SIZE, 'Z'))));
    expect(Buffer.from(first?.views[0] ?? []).toString()).toBe(contents.toString());
    first?.release();
    for (const made of ids)
      expect(Buffer.from(await target.read(made, 0, SIZE)).toString()).toBe('Z'.repeat(SIZE));
    await target.close();
  });

  test('a region that is mapped as it is erased either refuses, or keeps its space', async () => {
    const target = await openTarget();
    const id = await target.createAndWrite(Buffer.alloc(SIZE, 'A'));
    const first = await target.map(id);
    let found = 0;
    const looking = inEachMicrotask(() => {
      target.read(id, 0, 1).then(
        () => found++,
        () => undefined,
      );
    });
    const erased = target.erase(id);
    await Promise.all([erased, looking]);
    // The first look came before the erase.
    expect(found).toBe(1);
    await target.createAndWrite(Buffer.alloc(SIZE, 'Z'));
    expect(Buffer.from(first.views[0] ?? []).toString()).toBe('A'.repeat(SIZE));
    first.release();
    await target.close();
  });

  test('a creation that has slots added gets one, though others take all that are new at once', async () => {
    const shape = { ...SMALL_POOL, slots: 1, space: 2 ** 19 };
    const { pool } = await recoverPool(newMedium(shape), { maxBytes: 0, isReadOnly: false });
    const { table } = pool;
    const taken = [await pool.allocate(0)];
    let slots = table.slots;
    let bursts = 0;
    const greedy = inEachMicrotask(() => {
      if (table.slots === slots || bursts === 2) return;
      bursts++;
      for (; slots < table.slots; slots++) {
        const slot = pool.allocate(0);
        if (slot instanceof Promise) throw new Error('there were fewer slots than there are');
        taken.push(slot);
      }
    });
    taken.push(await pool.allocate(SIZE));
    await greedy;
    expect(bursts).toBeGreaterThan(0);
    expect(new Set(taken.map(({ slot }) => slot)).size).toBe(taken.length);
    expect(Math.min(...taken.map(({ slot }) => slot))).toBe(0);
  });

  test('a creation that is to be refused takes what others give back while the file system is asked', async () => {
    class FullMedium extends LateMedium {
      asked = (): Promise<void> => Promise.resolve();

      async space(): Promise<{ freeBytes: number; path: string }> {
        await this.asked();
        return { freeBytes: 0, path: 'pool' };
      }
    }
    const medium = new FullMedium(formatSmallPool(SMALL_POOL, 1, 2));
    const { pool } = await recoverPool(medium, { maxBytes: medium.size + 2 ** 20, isReadOnly: false });
    await pool.space.ask();
    const size = pool.space.largestFreeBytes;
    let all: NewSlot | undefined = await pool.allocate(size);
    medium.asked = async () => {
      const given = all;
      all = undefined;
      if (given !== undefined) await pool.release(given);
    };
    await expect(pool.allocate(size)).resolves.toMatchObject({ size });
  });

  test('slots of erased IDs are given back when nothing is stored into them any more, also after a failure', async () => {
    const stores: string[] = [];
    class HalfFailing extends LateMedium {
      isFailing = false;

      override writeDurably(offset: number, bytes: Uint8Array): undefined {
        if (!this.isFailing) return super.writeDurably(offset, bytes);
        const number = stores.push('begun') - 1;
        if (number === 0) return Promise.reject(new Error('a medium that fails')) as never;
        return inEachMicrotask(() => undefined).then(() => (stores[number] = 'ended')) as never;
      }
    }
    const medium = new HalfFailing(formatSmallPool(SMALL_POOL, 1, 2));
    const { pool } = await recoverPool(medium, { maxBytes: 0, isReadOnly: false });
    medium.isFailing = true;
    const ids = [0, 3].map((slot) => RegionId.of(slot, 5, 1, 2));
    await expect(pool.takeErased(ids)).rejects.toThrow('a medium that fails');
    expect(stores).toEqual(['begun', 'ended']);
    // What failed is stored when it is asked for again, and not taken for done.
    await pool.takeErased(ids);
    expect(stores).toHaveLength(4);
  });
});
