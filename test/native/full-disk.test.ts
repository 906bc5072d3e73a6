/** Allocation on a disk that has too little room: all of it, or nothing. */
import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { allocate, mapFile, unshare } from '../../native/index.js';
import { LEAST_BYTES, onDisk, SmallDisk, type FileSystem } from '../fixtures/small-disk.js';

const MIB = 2 ** 20;
const FILE_SYSTEMS: FileSystem[] = ['ext4', 'xfs', 'tmpfs'];

describe.each(FILE_SYSTEMS)('on a full %s', (type) => {
  const { it: test, isHere } = onDisk(type);
  let disk: SmallDisk;
  let free: number;
  beforeEach(() => {
    if (!isHere) return;
    disk = new SmallDisk(type, Math.max(40 * MIB, LEAST_BYTES[type]));
    disk.fill(12 * MIB);
    free = disk.freeBytes;
  });
  afterEach(() => {
    if (isHere) disk.remove();
  });

  /** Within what the file system keeps for its own records. */
  const expectFree = (): void => expect(disk.freeBytes).toBeGreaterThanOrEqual(free - MIB / 2);

  test('allocate takes nothing if it cannot have all', async () => {
    await using file = await open(disk.at('file'), 'w+');
    await file.truncate(64 * MIB);
    await file.write('before', MIB);
    await expect(allocate(file, MIB, 32 * MIB)).rejects.toMatchObject({ code: 'ENOSPC' });
    expectFree();
    await expect(allocate(file, 62 * MIB, 32 * MIB)).rejects.toMatchObject({ code: 'ENOSPC' });
    expectFree();
    expect((await file.stat()).size).toBe(64 * MIB);
    expect((await file.read(Buffer.alloc(6), 0, 6, MIB)).buffer.toString()).toBe('before');
    await allocate(file, 0, 8 * MIB);
  });

  test('allocate that cannot have all takes nothing from what had its space before', async () => {
    await using file = await open(disk.at('file'), 'w+');
    await file.truncate(64 * MIB);
    await allocate(file, MIB, MIB);
    await allocate(file, 4 * MIB, 3 * MIB);
    await file.write('before', 3 * MIB);
    const { blocks } = await file.stat();
    const left = disk.freeBytes;
    await expect(allocate(file, 0, 32 * MIB)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect((await file.stat()).blocks).toBeGreaterThanOrEqual(blocks);
    expect(disk.freeBytes).toBeGreaterThanOrEqual(left - MIB / 2);
    disk.fill(0);
    await file.write(Buffer.alloc(MIB, 1), 0, MIB, MIB);
    await file.write(Buffer.alloc(3 * MIB, 1), 0, 3 * MIB, 4 * MIB);
    await file.sync();
  });

  test('allocate of what has its space already needs none', async () => {
    await using file = await open(disk.at('file'), 'w+');
    await allocate(file, 0, 8 * MIB);
    await file.write('written', 2 * MIB);
    await file.sync();
    disk.fill(0);
    await allocate(file, 0, 8 * MIB);
    await allocate(file, MIB - 1, 3 * MIB + 2);
    expect((await file.stat()).size).toBe(8 * MIB);
  });

  test('mapFile leaves no file where there was none, and one that was there as it was', async () => {
    const all = { create: true, size: 32 * MIB };
    await expect(mapFile(disk.at('new'), all)).rejects.toMatchObject({ code: 'ENOSPC' });
    await expect(mapFile(disk.at('new'), { ...all, exclusive: true })).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    expect(existsSync(disk.at('new'))).toBe(false);
    expectFree();
    writeFileSync(disk.at('old'), 'old');
    await expect(mapFile(disk.at('old'), all)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(statSync(disk.at('old')).size).toBe(3);
    truncateSync(disk.at('old'), 64 * MIB);
    await expect(mapFile(disk.at('old'), { ...all, size: 64 * MIB })).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    expectFree();
    await (await mapFile(disk.at('old'), { create: true, size: 4 * MIB })).close();
  });
});

describe('unshare of a file that shares its blocks with a copy', () => {
  let disk: SmallDisk | undefined;
  afterEach(() => {
    disk?.remove();
    disk = undefined;
  });

  /** 8 MiB, all of it shared. */
  function shared(type: FileSystem): SmallDisk {
    disk = new SmallDisk(type, LEAST_BYTES[type]);
    writeFileSync(disk.at('file'), Buffer.alloc(8 * MIB, 7));
    const copied = spawnSync('cp', ['--reflink=always', disk.at('file'), disk.at('copy')]);
    expect(copied.status).toBe(0);
    spawnSync('sync', ['-f', disk.folder]);
    return disk;
  }

  onDisk('xfs').it('gives the range its own, and no more; the bytes stay', async () => {
    const roomy = shared('xfs');
    const before = roomy.freeBytes;
    await using file = await open(roomy.at('file'), 'r+');
    await unshare(file, 4096, MIB);
    await unshare(file, 4096, MIB);
    expect(roomy.freeBytes).toBeLessThanOrEqual(before - MIB);
    expect(roomy.freeBytes).toBeGreaterThan(before - 2 * MIB);
    await unshare(file, 0, 16 * MIB);
    expect(roomy.freeBytes).toBeLessThanOrEqual(before - 8 * MIB);
    expect((await file.stat()).size).toBe(8 * MIB);
    expect((await file.readFile()).equals(Buffer.alloc(8 * MIB, 7))).toBe(true);
  });

  onDisk('xfs').it('finds no space with ENOSPC, and the bytes stay', async () => {
    const full = shared('xfs');
    for (let left = 3; left > 0; left--) full.fill(0);
    await using file = await open(full.at('file'), 'r+');
    await expect(unshare(file, 0, 8 * MIB)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'unshare' });
    expect((await file.readFile()).equals(Buffer.alloc(8 * MIB, 7))).toBe(true);
    rmSync(full.at('other'));
  });

  onDisk('btrfs').it('is refused by btrfs with ENOTSUP', async () => {
    await using file = await open(shared('btrfs').at('file'), 'r+');
    await expect(unshare(file, 0, 8 * MIB)).rejects.toMatchObject({ code: 'ENOTSUP' });
  });
});
