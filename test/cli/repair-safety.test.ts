/** A repair harms nothing but what it is to mend: files of others, the way back, and what it says when it fails. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  chown,
  lstat,
  mkdtemp,
  open,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { BEING_REPAIRED, decodeHeader, encodeHeader, type PoolHeader } from '../../core/pool/header.js';
import { inspectPool } from '../../core/pool/inspection.js';
import { OfflinePool } from '../../core/pool-file/offline-pool.js';
import { repairPool, undoBrokenOff, undoRepair } from '../../core/pool-file/repair-pool.js';
import { backupPath } from '../../core/pool-file/repair-backup.js';
import { poolTarget } from '../backends/pool-factory.js';
import { codeOf, type Ended } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';
import { needs } from '../fixtures/needs.js';

const MIB = 2 ** 20;
const PAGE = 4096;
const DESCRIPTORS = 8192;
const DAMAGED = DESCRIPTORS + 64 * 5;

let home: string;
let file: string;
let damaged: Buffer;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-repair-'));
  file = path.join(home, 'pool');
  const target = await poolTarget(
    'file',
    { path: 'pool', create_if_missing_with_size: 8 * MIB, sync: false },
    home,
  );
  await target.open();
  for (let index = 0; index < 150; index++) await target.createAndWrite(Buffer.from(`region ${index}`));
  await target.close();
  await put(DAMAGED, Buffer.alloc(64, 7));
  damaged = await readFile(file);
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function put(offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

function headerOf(bytes: Uint8Array, copy = 0): PoolHeader {
  const decoded = decodeHeader(bytes.subarray(copy * PAGE, (copy + 1) * PAGE));
  if ('fault' in decoded) throw new Error(decoded.reason);
  return decoded.header;
}

async function withPool(work: (pool: OfflinePool) => Promise<void>): Promise<void> {
  const pool = await OfflinePool.open(file, false);
  try {
    await work(pool);
  } finally {
    await pool.close();
  }
}

const repair = (...args: string[]): Promise<Ended> => run(['pool', 'repair', file, '--quiet', ...args]);

describe('the backup of a repair', () => {
  it('is written through no link, and to be read by its owner alone', async () => {
    const { sequence } = headerOf(damaged);
    const backup = backupPath(file, sequence);
    const victim = path.join(home, 'victim');
    await writeFile(victim, 'precious');
    for (const name of [backup, `${backup}.new`]) await symlink(victim, name);
    expect((await repair()).status).toBe(0);
    await expect(readFile(victim, 'utf8')).resolves.toBe('precious');
    expect((await lstat(backup)).isFile()).toBe(true);
    expect((await stat(backup)).mode & 0o777).toBe(0o600);
    expect((await readdir(home)).sort()).toEqual(
      ['pool', path.basename(backup), `${path.basename(backup)}.new`, 'victim'].sort(),
    );
    expect((await repair('--undo', backup)).status).toBe(0);
    expect(damaged.equals(await readFile(file))).toBe(true);
  });

  it.each([DESCRIPTORS + PAGE, DESCRIPTORS])(
    'is not made, nor anything changed, if a page at %i cannot be read that could be before',
    async (page) => {
      await withPool(async (pool) => {
        const inspection = await inspectPool(pool);
        const read = pool.read.bind(pool);
        const failing = page;
        pool.read = (offset, into) =>
          offset <= failing && failing < offset + into.length
            ? Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))
            : read(offset, into);
        await expect(repairPool(pool, inspection)).rejects.toMatchObject({ code: 'POOL_CORRUPT' });
      });
      expect(damaged.equals(await readFile(file))).toBe(true);
      await expect(readdir(home)).resolves.toEqual(['pool']);
    },
  );

  it('has the header that counted, though it cannot be read a second time', async () => {
    await withPool(async (pool) => {
      const inspection = await inspectPool(pool);
      const read = pool.read.bind(pool);
      let reads = 0;
      pool.read = (offset, into) =>
        offset === 0 && reads++ === 0 ? Promise.reject(new Error('EIO')) : read(offset, into);
      const backup = await repairPool(pool, inspection);
      pool.read = read;
      await undoRepair(pool, backup);
    });
    expect(damaged.equals(await readFile(file))).toBe(true);
  });

  it('is not taken for useless because of a read that fails: the undoing says so, and can be tried again', async () => {
    await withPool(async (pool) => {
      const backup = await repairPool(pool, await inspectPool(pool));
      const read = pool.read.bind(pool);
      const failing = DESCRIPTORS + PAGE;
      pool.read = (offset, into) =>
        offset <= failing && failing < offset + into.length
          ? Promise.reject(new Error('EIO'))
          : read(offset, into);
      await expect(undoRepair(pool, backup)).rejects.toMatchObject({ code: 'POOL_CORRUPT' });
      pool.read = read;
      await undoRepair(pool, backup);
    });
    expect(damaged.equals(await readFile(file))).toBe(true);
  });

  needs('root', process.getuid?.() === 0).it('of another user undoes nothing by itself', async () => {
    let backup = '';
    await withPool(async (pool) => {
      backup = await repairPool(pool, await inspectPool(pool));
    });
    const { sequence, ...others } = headerOf(damaged);
    const features = { ...others.features, incompatible: BEING_REPAIRED };
    const marked = encodeHeader({ ...others, features, sequence: sequence + 1 });
    await put(0, marked);
    await put(PAGE, marked);
    await chown(backup, 12_345, 12_345);
    await withPool((pool) =>
      expect(undoBrokenOff(pool))
        .rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        .then(() => undefined),
    );
    expect((await repair('--undo', backup)).status).toBe(0);
    expect(damaged.equals(await readFile(file))).toBe(true);
  });
});

describe('a repair that fails', () => {
  it.each([
    { title: 'nothing', isTorn: false, outcome: /nothing was changed/ },
    { title: 'a copy of the header', isTorn: true, outcome: /only the header copy that does not count/ },
  ])('says that $title was changed', async ({ isTorn, outcome }) => {
    if (isTorn) await put(PAGE, Buffer.alloc(PAGE, 0xee));
    await withPool(async (pool) => {
      const inspection = await inspectPool(pool);
      const write = pool.write.bind(pool);
      let writes = 0;
      // The first one makes a torn copy whole again, if there is one; the next marks the header.
      pool.write = (offset, bytes) =>
        ++writes > (isTorn ? 1 : 0) ? Promise.reject(new Error('EIO')) : write(offset, bytes);
      await expect(repairPool(pool, inspection)).rejects.toThrow(outcome);
    });
    const target = await poolTarget('file', { path: 'pool' }, home);
    await target.open();
    expect((await target.stats()).regions).toBe(149);
    await target.close();
  });
});

describe('headers that contradict each other, of which one has the mark of a repair', () => {
  let marked: PoolHeader;
  beforeEach(() => {
    const own = headerOf(damaged);
    marked = {
      ...own,
      features: { ...own.features, incompatible: BEING_REPAIRED },
      sequence: own.sequence + 1,
    };
  });

  it('are repaired with the marked one by undoing first, and no mark is left', async () => {
    await withPool(async (pool) => {
      await repairPool(pool, await inspectPool(pool));
    });
    // As if it had been broken off, and the other copy were of a pool of its own.
    await put(0, encodeHeader(marked));
    await put(PAGE, encodeHeader({ ...marked, poolLow: 1 }));
    expect(codeOf(await repair())).toBe('POOL_CORRUPT');
    const ended = await repair('--header', '0');
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 0, stderr: '' });
    for (const copy of [0, 1]) expect(headerOf(await readFile(file), copy).features.incompatible).toBe(0);
    const target = await poolTarget('file', { path: 'pool' }, home);
    await target.open();
    expect((await target.stats()).regions).toBe(149);
    await target.close();
  });

  it('are refused with the marked one if there is no backup, and taken with the other', async () => {
    await put(0, encodeHeader(marked));
    await put(PAGE, encodeHeader({ ...headerOf(damaged), sequence: marked.sequence }));
    const before = await readFile(file);
    expect(codeOf(await repair('--header', '0'))).toBe('POOL_CORRUPT');
    expect(before.equals(await readFile(file))).toBe(true);
    expect((await repair('--header', '1')).status).toBe(0);
    expect(headerOf(await readFile(file)).features.incompatible).toBe(0);
  });
});
