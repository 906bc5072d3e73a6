/**
 * What a file pool promises to be durable waits for the addon's commit, which tells of a file that
 * is another one by now as well.
 */
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import type { RegionId, Target } from '../../core/index.js';
import { nativeAddon } from '../fixtures/needs.js';
import { poolFolder, poolTarget } from './pool-factory.js';

const SIZE = 5000;
const BYTES = Buffer.alloc(64, 7);
const PERSIST = { persist: true };
const GONE = { code: 'READ_ONLY' };

const CALLS: Record<string, (target: Target, id: RegionId) => Promise<unknown>> = {
  create: (target) => target.create(SIZE),
  'createAndWrite with persist': (target) => target.createAndWrite(BYTES, PERSIST),
  'write with persist': (target, id) => target.write(id, 100, BYTES, PERSIST),
  'writev with persist': (target, id) => target.writev(id, [{ offset: 100, size: 64 }], BYTES, PERSIST),
  persist: (target, id) => target.persist(id),
  'persist of ranges': (target, id) => target.persist(id, [{ offset: 100, size: 64 }]),
  erase: (target, id) => target.erase(id),
};

nativeAddon.describe('a file pool with the addon', () => {
  let home: string;
  let target: Target;
  let id: RegionId;
  beforeEach(async () => {
    home = await poolFolder();
    target = await poolTarget('file', { path: 'pool', create_if_missing_with_size: 2 ** 23 }, home);
    await target.open();
    id = await target.createAndWrite(Buffer.alloc(SIZE, 1), PERSIST);
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    await target.close().catch(() => undefined);
    await rm(home, { recursive: true });
  });

  it.each(Object.keys(CALLS))(
    'resolves %s only when the commit that it asked for has ended',
    async (name) => {
      const { addon } = await import('../../native/addon.js');
      const commit = addon.commit.bind(addon);
      let asked = (): void => undefined;
      const isAsked = new Promise<void>((resolve) => (asked = resolve));
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => (release = resolve));
      jest.spyOn(addon, 'commit').mockImplementation(async (...given) => {
        asked();
        await released;
        return commit(...given);
      });
      let hasEnded = false;
      const done = CALLS[name]?.(target, id).then(() => (hasEnded = true));
      await isAsked;
      await new Promise(setImmediate);
      expect(hasEnded).toBe(false);
      release();
      await done;
    },
  );

  it.each(Object.keys(CALLS))('refuses %s if its commit fails, and all changes after it', async (name) => {
    const { addon } = await import('../../native/addon.js');
    const failure = Object.assign(new Error('EIO'), { errno: constants.errno.EIO });
    jest.spyOn(addon, 'commit').mockRejectedValueOnce(failure);
    await expect(CALLS[name]?.(target, id)).rejects.toMatchObject(GONE);
    await expect(target.create(1)).rejects.toMatchObject(GONE);
  });

  it('asks again about a file that seems to be another one, and goes on if it is not', async () => {
    const { addon } = await import('../../native/addon.js');
    jest.spyOn(addon, 'commit').mockResolvedValueOnce(false);
    await target.write(id, 0, BYTES, PERSIST);
    await target.create(1);
  });
});
