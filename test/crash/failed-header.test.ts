/** A header change that failed half-way, and a power failure after it. */
import { expect, it } from '@jest/globals';
import type { PoolMedium } from '../../core/index.js';
import { HEADER_BYTES } from '../../core/pool/extent.js';
import { SimulatedMedia } from './simulated-media.js';
import { SMALL_POOL, formatSmallPool, simulatedTarget, unitBytesOf, type Flaw } from './simulated-pool.js';
import { SimulatedProcess } from './simulated-process.js';

/** So much of a header arrives, which tears it. */
const TORN_BYTES = 64;

const clock = { now: () => 1 };

/** The medium with a method of its own. */
function overriding(real: PoolMedium, own: Partial<PoolMedium>): PoolMedium {
  return new Proxy(real, {
    get(target, key) {
      if (key in own) return own[key as keyof PoolMedium];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

it('is not followed by another one, which could tear the copy that is still whole', async () => {
  const shape = { ...SMALL_POOL, space: 128, growth: 512 };
  const media = new SimulatedMedia(formatSmallPool(shape, 1), unitBytesOf(shape.mode), false);
  let isBroken = false;
  const flaw: Flaw = {
    medium: (real) =>
      overriding(real, {
        writeDurably: async (offset: number, bytes: Uint8Array) => {
          if (offset < HEADER_BYTES && !isBroken) return real.writeDurably(offset, bytes);
          isBroken = true;
          await real.writeDurably(offset, bytes.subarray(0, TORN_BYTES));
          throw Object.assign(new Error('input/output error'), { code: 'EIO' });
        },
      }),
  };
  const target = simulatedTarget(shape, media, new SimulatedProcess(), clock, flaw);
  await target.open();
  await expect(target.create(300)).rejects.toMatchObject({ code: 'EIO' });
  await expect(target.create(8)).rejects.toMatchObject({ code: 'EIO' });

  const after = simulatedTarget(shape, media, new SimulatedProcess(), clock);
  await after.open();
  await after.create(8);
  await after.close();
});
