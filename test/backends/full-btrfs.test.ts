/**
 * A pool on a copy-on-write file system that others have filled: a write to what exists needs space
 * there. It is refused then, and nothing else is: the pool is read and written on, and has what was
 * acknowledged at the next start.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { RegionId, Target } from '../../core/index.js';
import { nativeAddon } from '../fixtures/needs.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { onDisk, SmallDisk } from '../fixtures/small-disk.js';
import { poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const MIB = 2 ** 20;
const BACKENDS: PoolBackend[] = nativeAddon.isHere ? ['file', 'pmem'] : ['file'];

onDisk('btrfs').describe('a pool on a full btrfs', () => {
  let disk: SmallDisk;
  let log: RecordingLogger;
  let target: Target | undefined;
  beforeEach(() => {
    disk = new SmallDisk('btrfs', 130 * MIB);
    log = recordingLogger();
  });
  afterEach(async () => {
    await target?.close().catch(() => undefined);
    disk.remove();
  });

  async function open(type: PoolBackend): Promise<Target> {
    const config = { path: 'pool', create_if_missing_with_size: 32 * MIB } as PoolConfig;
    target = await poolTarget(type, config, disk.folder, log.logger);
    await target.open();
    return target;
  }

  /** Whether the regions hold these contents. */
  async function areSame(
    from: Target,
    ids: readonly RegionId[],
    contents: readonly Buffer[],
  ): Promise<boolean> {
    for (const [index, id] of ids.entries())
      if (contents[index]?.equals(await from.read(id, 0, 4 * MIB)) !== true) return false;
    return true;
  }

  describe.each(BACKENDS)('under %s', (type) => {
    it('refuses what needs space, and has not failed', async () => {
      const pool = await open(type);
      // Nothing that a file system could pack.
      const contents = Array.from({ length: 4 }, () => randomBytes(4 * MIB));
      const ids: RegionId[] = [];
      for (const bytes of contents) ids.push(await pool.createAndWrite(bytes, { persist: true }));
      for (let left = 4; left > 0; left--) disk.fill(0);
      const outcomes = new Set<string>();
      const attempt = async (step: () => Promise<unknown>): Promise<boolean> => {
        try {
          await step();
          outcomes.add('done');
          return true;
        } catch (error) {
          outcomes.add((error as { code: string }).code);
          return false;
        }
      };
      // Of a write that is refused in its midst each byte is old or new.
      for (let round = 0; round < 10; round++)
        await attempt(() => pool.write(ids[0] as RegionId, 0, contents[0] as Buffer, { persist: true }));
      for (let round = 0; round < 20; round++) {
        await attempt(() => pool.createAndWrite(Buffer.from('small'), { persist: true }));
        await attempt(() => pool.create(100));
        await attempt(() =>
          pool.write(ids[1] as RegionId, 0, (contents[1] as Buffer).subarray(0, 10), { persist: true }),
        );
      }
      const isErased = await attempt(() => pool.erase(ids[3] as RegionId));
      expect([...outcomes].filter((outcome) => outcome !== 'done')).toEqual(['OUT_OF_SPACE']);
      expect((await pool.stats()).mode).not.toBe('read-only');
      const kept = isErased ? ids.slice(0, 3) : ids;
      expect(await areSame(pool, kept, contents)).toBe(true);

      rmSync(disk.at('other'));
      await pool.createAndWrite(Buffer.from('there is room again'), { persist: true });
      if (!isErased) await pool.erase(ids[3] as RegionId);
      const { regions } = await pool.stats();
      await pool.close();
      const again = await open(type);
      expect((await again.stats()).recovery).toMatchObject({ regions, quarantined: 0 });
      expect(await areSame(again, ids.slice(0, 3), contents)).toBe(true);
    });
  });
});
