/** Allocation on a disk that has too little room: all of it, or nothing. */
import { afterEach, beforeEach, describe, expect } from '@jest/globals';
import { existsSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { allocate, mapFile } from '../../native/index.js';
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
