/**
 * A pool's path that is a symbolic link: what is done, is done to the file that the link names, and
 * the link stays.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lstat, mkdir, readdir, readlink, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import type { RegionId, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { poolFolder, poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';
import { runHere as run } from '../fixtures/run-here.js';

const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];
const SIZE = { create_if_missing_with_size: 2 ** 23 };

let home: string;
beforeEach(async () => {
  home = await poolFolder();
  await mkdir(path.join(home, 'disk'));
  await mkdir(path.join(home, 'conf'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const at = (name: string): string => path.join(home, name);

async function open(type: PoolBackend, config: PoolConfig): Promise<Target> {
  const target = await poolTarget(type, config, home);
  await target.open();
  return target;
}

async function made(type: PoolBackend, name: string, text: string): Promise<RegionId> {
  const target = await open(type, { path: name, ...SIZE });
  const id = await target.createAndWrite(Buffer.from(text), { persist: true });
  await target.close();
  return id;
}

async function expectLink(name: string, target: string): Promise<void> {
  expect((await lstat(at(name))).isSymbolicLink()).toBe(true);
  await expect(readlink(at(name))).resolves.toBe(target);
}

describe.each(BACKENDS)('a %s pool whose path is a link', (type) => {
  it('is opened, replaced and destroyed where the link leads', async () => {
    const id = await made(type, 'disk/pool', 'old');
    await symlink('../disk/pool', at('conf/one'));
    await symlink('one', at('conf/link'));
    const old = await open(type, { path: 'conf/link' });
    expect((await old.stat(id)).size).toBe(3);
    await old.close();
    const fresh = await open(type, { path: 'conf/link', ...SIZE, override_if_exists: true });
    await expect(fresh.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    const kept = await fresh.create(5);
    await fresh.close();
    await expectLink('conf/link', 'one');
    await expectLink('conf/one', '../disk/pool');
    const real = await open(type, { path: 'disk/pool' });
    expect((await real.stat(kept)).size).toBe(5);
    await expect((await poolTarget(type, { path: 'conf/link' }, home)).open()).rejects.toMatchObject({
      code: 'POOL_IN_USE',
    });
    await real.close();
    await (await poolTarget(type, { path: 'conf/link' }, home)).destroy();
    await expect(readdir(at('disk'))).resolves.toEqual([]);
  });

  it('that is not there is made where the link leads, if its folder is there', async () => {
    await symlink(at('disk/pool'), at('conf/link'));
    await made(type, 'conf/link', 'new');
    await expectLink('conf/link', at('disk/pool'));
    await expect(readdir(at('disk'))).resolves.toEqual(['pool']);
    await symlink('../mount/pool', at('conf/unmounted'));
    const refused = await poolTarget(type, { path: 'conf/unmounted', ...SIZE }, home);
    await expect(refused.open()).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining(at('mount/pool')) as unknown as string,
    });
    expect((await readdir(home)).sort()).toEqual(['conf', 'disk']);
  });

  it('is named with the link where there is none and none may be made', async () => {
    await symlink('../disk/pool', at('conf/link'));
    const refused = await poolTarget(type, { path: 'conf/link' }, home);
    const message = `${at('disk/pool')} (to which ${at('conf/link')} leads)`;
    await expect(refused.open()).rejects.toMatchObject({
      code: 'POOL_NOT_FOUND',
      message: expect.stringContaining(message) as unknown as string,
    });
  });

  it('leads nowhere in a circle', async () => {
    await symlink('b', at('conf/a'));
    await symlink('a', at('conf/b'));
    await expect((await poolTarget(type, { path: 'conf/a', ...SIZE }, home)).open()).rejects.toMatchObject({
      code: 'START_FAILED',
    });
  });

  it('may lead through a folder that is a link, and one above it', async () => {
    await mkdir(at('disk/deep'));
    await symlink('../disk/deep', at('conf/folder'));
    await symlink('folder/../pool', at('conf/link'));
    await made(type, 'conf/link', 'x');
    expect((await readdir(at('disk'))).sort()).toEqual(['deep', 'pool']);
  });
});

it('pool copy puts its copy where a link leads', async () => {
  const id = await made('file', 'source', 'copied');
  await made('file', 'disk/pool', 'replaced');
  await symlink('../disk/pool', at('conf/link'));
  await symlink('../disk/other', at('conf/dangling'));
  const there = await run(['pool', 'copy', at('source'), at('conf/link')]);
  expect(there.status).toBe(1);
  for (const [name, options] of [
    ['conf/link', ['--override']],
    ['conf/dangling', []],
  ] as const) {
    const { status, stderr } = await run(['pool', 'copy', at('source'), at(name), ...options, '--quiet']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  }
  await expectLink('conf/link', '../disk/pool');
  await expectLink('conf/dangling', '../disk/other');
  expect((await readdir(at('disk'))).sort()).toEqual(['other', 'pool']);
  for (const name of ['disk/pool', 'disk/other']) {
    const copy = await open('file', { path: name });
    expect((await copy.stat(id)).size).toBe(6);
    await copy.close();
  }
});
