/**
 * Pools on a disk that others fill: what a create has answered can be written, and what is refused
 * takes nothing.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rmSync, statSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { RegionId, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { nativeAddon } from '../fixtures/needs.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { LEAST_BYTES, onDisk, SmallDisk, type FileSystem } from '../fixtures/small-disk.js';
import { poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const MIB = 2 ** 20;
const hasAddon = addonState().attributes !== undefined;
const BACKENDS: PoolBackend[] = hasAddon ? ['file', 'pmem'] : ['file'];

let disk: SmallDisk;
let disks: SmallDisk[] = [];
let log: RecordingLogger;
let opened: Target[];

function makeDisk(type: FileSystem, bytes = 40 * MIB): void {
  disk = new SmallDisk(type, Math.max(bytes, LEAST_BYTES[type]));
  disks.push(disk);
}
beforeEach(() => {
  log = recordingLogger();
  opened = [];
});
afterEach(async () => {
  for (const target of opened) await target.close();
  for (const one of disks) one.remove();
  disks = [];
});

async function openPool(type: PoolBackend, config: Partial<PoolConfig>, name = 'pool'): Promise<Target> {
  const settings = { path: name, create_if_missing_with_size: 8 * MIB, ...config } as PoolConfig;
  const target = await poolTarget(type, settings, disk.folder, log.logger);
  await target.open();
  opened.push(target);
  return target;
}

function lines(pattern: RegExp): number {
  return log.entries.filter(({ message }) => pattern.test(message)).length;
}

/** Bytes that are not zeros, made durable, which is where a promise of space shows. */
async function fillRegion(target: Target, id: RegionId, size: number): Promise<void> {
  await target.write(id, 0, Buffer.alloc(size, 7), { persist: true });
}

async function fillPool(target: Target, size: number): Promise<RegionId[]> {
  const ids: RegionId[] = [];
  for (;;) {
    const id = await target
      .createAndWrite(Buffer.alloc(size, 3), { persist: true })
      .catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'OUT_OF_SPACE' });
        return undefined;
      });
    if (id === undefined) return ids;
    ids.push(id);
  }
}

for (const system of ['ext4', 'xfs'] as const) {
  describe.each(BACKENDS)(`a %s pool that may grow, on ${system} with less free than it grows by`, (type) => {
    const test = onDisk(system).it;

    test('grows by what there is, and a refusal takes nothing and says where', async () => {
      makeDisk(system);
      const target = await openPool(type, { max_size: 256 * MIB });
      disk.fill(12 * MIB);
      const { largestFreeBytes: first, capacityBytes } = await target.stats();
      expect(capacityBytes).toBeLessThan(8 * MIB + 12 * MIB);
      const ids = await fillPool(target, MIB);
      expect(ids.length).toBeGreaterThan(14);
      expect(ids.length * MIB).toBeLessThanOrEqual((first ?? 0) + MIB);
      const free = disk.freeBytes;
      const refusal = await target.create(MIB * 2).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'OUT_OF_SPACE' });
      expect(String(refusal)).toContain(`the file system of ${disk.at('pool')} has`);
      const stats = await target.stats();
      expect((refusal as { details: object }).details).toEqual({
        requested: 2 * MIB,
        used: stats.usedBytes,
        free: stats.freeBytes,
        largestFree: stats.largestFreeBytes,
      });
      expect(disk.freeBytes).toBe(free);
      // What it says can be had, can.
      if ((stats.largestFreeBytes ?? 0) > 0) await target.create(stats.largestFreeBytes ?? 0);
      expect(lines(/the pool cannot grow/)).toBe(1);
      rmSync(disk.at('other'));
      // xfs frees what was deleted by and by.
      while (((await target.stats()).largestFreeBytes ?? 0) < 6 * MIB) await delay(10);
      await target.create(6 * MIB);
      expect(lines(/grows again/)).toBe(1);
    });
  });
}

describe('on ext4', () => {
  const test = onDisk('ext4').it;

  describe.each(BACKENDS)('a %s pool', (type) => {
    test('keeps the space of erased regions: a create that answers can be written', async () => {
      makeDisk('ext4');
      const target = await openPool(type, { create_if_missing_with_size: 16 * MIB });
      const ids = await fillPool(target, 2 * MIB);
      for (const id of ids) await target.erase(id);
      disk.fill(0);
      for (let made = 0; made < ids.length; made++) {
        const id = await target.create(2 * MIB);
        expect(Buffer.from(await target.read(id, 0, 2 * MIB)).equals(Buffer.alloc(2 * MIB))).toBe(true);
        await fillRegion(target, id, 2 * MIB);
      }
    });
  });

  test('a file pool with reclaim gives the space of erased regions back, and promises what it can get', async () => {
    makeDisk('ext4');
    const target = await openPool('file', { create_if_missing_with_size: 16 * MIB, reclaim: true });
    const ids = await fillPool(target, 2 * MIB);
    const blocks = statSync(disk.at('pool')).blocks;
    for (const id of ids) await target.erase(id);
    expect(statSync(disk.at('pool')).blocks).toBeLessThan(blocks / 4);
    disk.fill(5 * MIB);
    const { freeBytes, largestFreeBytes } = await target.stats();
    expect(freeBytes).toBeLessThan(7 * MIB);
    await expect(target.create((largestFreeBytes ?? 0) + MIB)).rejects.toMatchObject({
      code: 'OUT_OF_SPACE',
    });
    const id = await target.create(3 * MIB);
    expect(Buffer.from(await target.read(id, 0, 3 * MIB)).equals(Buffer.alloc(3 * MIB))).toBe(true);
    disk.fill(0);
    await expect(target.create(6 * MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    await fillRegion(target, id, 3 * MIB);
    rmSync(disk.at('other'));
    await fillRegion(target, await target.create(6 * MIB), 6 * MIB);
  });

  describe.each(BACKENDS)('a refusal of a %s pool', (type) => {
    test('has the figures of now, whatever it is refused for', async () => {
      makeDisk('ext4');
      const target = await openPool(type, { max_size: 256 * MIB, reclaim: true });
      const ids = await fillPool(target, MIB);
      for (const id of ids.slice(0, 6)) await target.erase(id);
      // Nothing has asked the file system since it had room for all this.
      disk.fill(0);
      for (const size of [type === 'file' ? MIB : 8 * MIB, 100 * MIB, 300 * MIB]) {
        const refusal: unknown = await target.create(size).catch((error: unknown) => error);
        const { usedBytes, freeBytes, largestFreeBytes } = await target.stats();
        expect(refusal).toMatchObject({
          code: 'OUT_OF_SPACE',
          details: { requested: size, used: usedBytes, free: freeBytes, largestFree: largestFreeBytes },
        });
        expect(largestFreeBytes).toBeLessThan(size);
      }
    });
  });

  /** As `cp --sparse=always` leaves a pool that holds one region. */
  async function sparseCopy(): Promise<void> {
    const target = await openPool('file', { create_if_missing_with_size: 24 * MIB });
    await target.createAndWrite(Buffer.alloc(MIB, 5), { persist: true });
    await target.close();
    const copied = spawnSync('cp', ['--sparse=always', disk.at('pool'), disk.at('copy')]);
    expect(copied.status).toBe(0);
    rmSync(disk.at('pool'));
  }

  test('a file pool that is a sparse copy is served, and new regions get their space when they are made', async () => {
    makeDisk('ext4');
    await sparseCopy();
    disk.fill(4 * MIB);
    const free = disk.freeBytes;
    const target = await openPool('file', {}, 'copy');
    expect(lines(/has holes/)).toBe(1);
    expect(disk.freeBytes).toBeGreaterThan(free - MIB / 2);
    await expect(target.create(8 * MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    const id = await target.create(2 * MIB);
    disk.fill(0);
    await fillRegion(target, id, 2 * MIB);
    expect((await target.list()).regions).toHaveLength(2);
  });

  (hasAddon ? test : it.skip)(
    `a pmem pool that is a sparse copy is not opened, and takes nothing${hasAddon ? '' : ' [skipped: needs the native addon]'}`,
    async () => {
      makeDisk('ext4');
      await sparseCopy();
      disk.fill(4 * MIB);
      const free = disk.freeBytes;
      await expect(openPool('pmem', {}, 'copy')).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
      expect(disk.freeBytes).toBe(free);
      rmSync(disk.at('other'));
      const target = await openPool('pmem', {}, 'copy');
      await fillRegion(target, await target.create(20 * MIB), 20 * MIB);
    },
  );
});

/** `cp` shares blocks, where the file system can, and a write to shared ones needs space. */
nativeAddon.describe('a pool that shares its blocks with a copy', () => {
  const test = onDisk('xfs').it;

  async function shared(type: PoolBackend): Promise<RegionId> {
    makeDisk('xfs');
    const target = await openPool(type, { create_if_missing_with_size: 16 * MIB });
    const id = await target.create(8 * MIB);
    await fillRegion(target, id, 8 * MIB);
    await target.close();
    expect(spawnSync('cp', ['--reflink=always', disk.at('pool'), disk.at('backup')]).status).toBe(0);
    return id;
  }

  describe.each(BACKENDS)('under %s', (type) => {
    test('gets its own when it is opened: a region that exists can be written on a full disk', async () => {
      const id = await shared(type);
      const target = await openPool(type, {});
      for (let left = 3; left > 0; left--) disk.fill(0);
      await target.write(id, 0, Buffer.alloc(8 * MIB, 9), { persist: true });
      expect(lines(/shares blocks/)).toBe(0);
    });

    test('is served with a warning where there is no room for that', async () => {
      const id = await shared(type);
      for (let left = 3; left > 0; left--) disk.fill(0);
      const target = await openPool(type, {});
      expect(lines(/shares blocks/)).toBe(1);
      expect((await target.read(id, 0, 8 * MIB)).every((byte) => byte === 7)).toBe(true);
    });
  });
});
