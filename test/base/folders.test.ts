/** Making folders, also where the system says of each name that it is not there. */
import { mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { makeFolders, unmakeFolders } from '../../core/base/folders.js';
import { LEAST_BYTES, onDisk, SmallDisk } from '../fixtures/small-disk.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-folders-'));
});
afterAll(async () => {
  await rm(home, { recursive: true });
});

it('makes all that are missing, and names the topmost', async () => {
  const folder = path.join(home, 'a/b/c');
  await expect(makeFolders(folder)).resolves.toBe(path.join(home, 'a'));
  expect((await stat(folder)).isDirectory()).toBe(true);
  await expect(makeFolders(folder)).resolves.toBeUndefined();
});

it('is done once by several at the same time', async () => {
  const folder = path.join(home, 'x/y/z');
  await Promise.all([makeFolders(folder), makeFolders(folder), makeFolders(path.join(home, 'x/y/w'))]);
  expect((await stat(folder)).isDirectory()).toBe(true);
});

it('ends where no folder can be made: below a file, a dangling link, /proc, /dev/fd', async () => {
  await writeFile(path.join(home, 'file'), '');
  await symlink('nowhere', path.join(home, 'dangling'));
  const places = [path.join(home, 'file/a'), path.join(home, 'dangling/a/b')];
  if (process.platform === 'linux') places.push('/proc/self/a/b', '/dev/fd/a/b');
  for (const place of places)
    await expect(makeFolders(place)).rejects.toMatchObject({ code: expect.any(String) });
});

onDisk('ext4').it('takes back what it made where the disk has no room for all of them', async () => {
  const disk = new SmallDisk('ext4', LEAST_BYTES.ext4);
  try {
    // Each takes a block.
    disk.fill(4 * 4096);
    const before = await readdir(disk.folder);
    const free = disk.freeBytes;
    await expect(makeFolders(disk.at('a/b/c/d/'.repeat(20)))).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readdir(disk.folder)).toEqual(before);
    expect(disk.freeBytes).toBe(free);
  } finally {
    disk.remove();
  }
});

it('takes back none that somebody uses, nor those above it', async () => {
  const first = await makeFolders(path.join(home, 'used/by/nobody'));
  await writeFile(path.join(home, 'used/file'), '');
  await unmakeFolders(path.join(home, 'used/by/nobody'), first);
  expect(await readdir(path.join(home, 'used'))).toEqual(['file']);
});
