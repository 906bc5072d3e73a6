/**
 * The file backend where the native addon is not to be had: the same contract, by the command flock
 * and by writing zeros.
 *
 * @jest-environment node
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { FILE_CAPABILITIES } from '../../backends/file/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import { fileOperations } from '../../core/pool-file/file-operations.js';
import { runnerOf } from '../conformance/chosen-groups.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { poolFactory, poolFolder, poolTarget, type PoolConfig } from './pool-factory.js';

// Of this file alone, which has modules of its own. The addon is looked for when a target first opens.
process.env.BEDROCK_NATIVE_ADDON = '/nonexistent/addon.node';

const MIB = 2 ** 20;

// Each pool is written whole when it is made, so in memory.
const factory = poolFactory('file', { where: 'memory' });
/** What the addon has a part in: space and locks. The long test has every rule. */
const GROUPS = ['lifecycle', 'create', 'erase', 'space'];
describeTarget(runnerOf(isThorough ? undefined : GROUPS), factory, FILE_CAPABILITIES);

describe('a file pool without the addon', () => {
  let home: string;
  beforeEach(async () => {
    home = await poolFolder();
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const config = { path: 'pool', create_if_missing_with_size: 8 * MIB } as PoolConfig;

  it('drops nothing from the cache, so that the way it works is known to be the other one', async () => {
    expect(Object.keys(await fileOperations())).not.toContain('dropCache');
  });

  it('is opened by one at a time for writing, and shared for reading', async () => {
    const first = await poolTarget('file', config, home);
    await first.open();
    const second = await poolTarget('file', config, home);
    const reader = await poolTarget('file', { ...config, read_only: true }, home);
    for (const other of [second, reader])
      await expect(other.open()).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    await first.close();
    const another = await poolTarget('file', { ...config, read_only: true }, home);
    await reader.open();
    await another.open();
    await expect(second.open()).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    await Promise.all([reader.close(), another.close()]);
    await second.open();
    await second.close();
  });

  it('has its space from the start', async () => {
    const target = await poolTarget('file', { ...config, max_size: 32 * MIB }, home);
    await target.open();
    const { size, blocks } = await stat(path.join(home, 'pool'));
    expect(size).toBe(32 * MIB);
    expect(blocks * 512).toBeGreaterThanOrEqual(8 * MIB);
    const id = await target.createAndWrite(Buffer.alloc(20 * MIB, 7));
    await target.erase(id);
    const fresh = await target.create(20 * MIB);
    expect(Buffer.from(await target.read(fresh, 0, 20 * MIB)).equals(Buffer.alloc(20 * MIB))).toBe(true);
    await target.close();
  });

  it('is not served by pmem, which says what is missing', async () => {
    await expect(poolTarget('pmem', config, home)).rejects.toMatchObject({ code: 'NATIVE_UNAVAILABLE' });
  });
});
