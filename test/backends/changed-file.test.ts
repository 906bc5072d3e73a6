/**
 * What a pool does when others change its file under it: nothing that is acknowledged afterwards
 * may be lost at the next start. Nobody waits here for the file to be looked at: the very next
 * change notices.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  copyFile,
  link,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RegionId, Target } from '../../core/index.js';
import { checkPool, notesOf } from '../../core/pool/check.js';
import { inspectPool } from '../../core/pool/inspection.js';
import { OfflinePool } from '../../core/pool-file/offline-pool.js';
import { holdTimers, turns } from '../fixtures/held-time.js';
import { nativeAddon } from '../fixtures/needs.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const MIB = 2 ** 20;
const POOL_BYTES = 8 * MIB;
/** Of a region in the second half of the pool. */
const LARGE_BYTES = 5 * MIB;
const BACKENDS: PoolBackend[] = nativeAddon.isHere ? ['file', 'pmem'] : ['file'];
const GONE = { code: 'READ_ONLY' };
/** At least the time between two looks of a pool at its file. */
const LOOK_MS = 1000;

let home: string;
let file: string;
let log: RecordingLogger;
let opened: Target[];
beforeEach(async () => {
  holdTimers('setInterval');
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-changed-'));
  file = path.join(home, 'pool');
  log = recordingLogger();
  opened = [];
});
afterEach(async () => {
  jest.useRealTimers();
  for (const target of opened) await target.close().catch(() => undefined);
  await rm(home, { recursive: true, force: true });
});

async function openPool(type: PoolBackend, config: Partial<PoolConfig> = {}): Promise<Target> {
  const settings = { path: 'pool', create_if_missing_with_size: POOL_BYTES, ...config } as PoolConfig;
  const target = await poolTarget(type, settings, home, log.logger);
  await target.open();
  opened.push(target);
  return target;
}

/** Why it takes no more changes: what could not be given back then is logged behind it. */
function reason(): string | undefined {
  return log.entries.find(({ level }) => level === 'error')?.message;
}

const yes = (): boolean => true;
const no = (): boolean => false;

/** The target looks at its file, and has seen that it is not what it was. */
async function noticed(target: Target): Promise<void> {
  while ((await target.stats()).mode !== 'read-only') {
    jest.advanceTimersByTime(LOOK_MS);
    await turns();
  }
}

/** Two regions: one at the beginning of the pool, one that reaches into its second half. */
async function filled(target: Target): Promise<{ first: RegionId; large: RegionId }> {
  const first = await target.createAndWrite(Buffer.from('first'), { persist: true });
  const large = await target.createAndWrite(Buffer.alloc(LARGE_BYTES, 7), { persist: true });
  return { first, large };
}

/** What `bedrock pool check` notes; it has no findings. */
async function expectNote(text: string): Promise<void> {
  const pool = await OfflinePool.open(file, true);
  const inspection = await inspectPool(pool);
  await pool.close();
  expect([...checkPool(inspection)]).toEqual([]);
  expect(notesOf(inspection)).toEqual(nativeAddon.isHere ? [expect.stringContaining(text)] : []);
}

describe.each(BACKENDS)('a %s pool', (type) => {
  const changes: Record<
    string,
    (target: Target, ids: { first: RegionId; large: RegionId }) => Promise<unknown>
  > = {
    create: (target) => target.create(100),
    'a durable write beyond the cut': (target, { large }) =>
      target.write(large, LARGE_BYTES - 100, Buffer.from('x'), { persist: true }),
    erase: (target, { large }) => target.erase(large),
    'a durable write before the cut': (target, { first }) =>
      target.write(first, 0, Buffer.from('F'), { persist: true }),
    persist: (target, { first }) => target.persist(first),
  };

  it.each(Object.keys(changes))(
    'that was cut off refuses %s, stays short, and serves what is left',
    async (name) => {
      const target = await openPool(type);
      const ids = await filled(target);
      await truncate(file, 4 * MIB);
      const isMemory = (await target.stats()).mode === 'pmem-forced';
      const change = changes[name]?.(target, ids);
      // A store into memory that is there is not lost, and asks nobody: it is made, unless
      // another's look at the file came first.
      const isMade = isMemory && (await change?.then(yes, no)) === true;
      if (!isMemory) await expect(change).rejects.toMatchObject(GONE);
      if (isMemory) await noticed(target);
      expect((await stat(file)).size).toBeLessThan(POOL_BYTES);
      expect(reason()).toMatch(/ truncated .* from 8388608 to \d+ bytes/);
      expect(Buffer.from(await target.read(ids.first, 1, 4)).toString()).toBe('irst');
      const isErased = isMade && name === 'erase';
      await expect(target.read(ids.large, LARGE_BYTES - 10, 10)).rejects.toMatchObject({
        code: isErased ? 'REGION_NOT_FOUND' : 'POOL_CORRUPT',
      });
      await expect(target.stats()).resolves.toMatchObject({ mode: 'read-only', state: 'open' });
      for (const other of isErased ? [] : Object.values(changes))
        await expect(other(target, ids)).rejects.toMatchObject(GONE);
      await expect(target.close()).rejects.toMatchObject(GONE);
      const again = await openPool(type, { read_only: true });
      // What was refused may be there or not.
      expect((await again.stats()).recovery).toMatchObject({ regions: 1 });
    },
  );

  it('that was cut off is not made long again by a write that reaches its end', async () => {
    const target = await openPool(type);
    const all = (await target.stats()).largestFreeBytes ?? 0;
    const id = await target.createAndWrite(Buffer.alloc(all, 7), { persist: true });
    await truncate(file, 4 * MIB);
    await expect(target.write(id, all - 100, Buffer.alloc(100, 8))).rejects.toMatchObject(GONE);
    await expect(target.write(id, 0, Buffer.alloc(all, 8))).rejects.toMatchObject(GONE);
    expect((await stat(file)).size).toBe(4 * MIB);
  });

  it('that was cut off does not grow', async () => {
    const target = await openPool(type, { max_size: 64 * MIB });
    await filled(target);
    await truncate(file, 4 * MIB);
    await expect(target.create(30 * MIB)).rejects.toMatchObject(GONE);
    expect((await stat(file)).size).toBe(4 * MIB);
  });

  it('whose file was replaced, and has another name left, refuses what the next start would not find', async () => {
    const target = await openPool(type);
    const { first } = await filled(target);
    await link(file, path.join(home, 'kept'));
    await copyFile(file, path.join(home, 'backup'));
    await rename(path.join(home, 'backup'), file);
    // On persistent memory, where stores ask nobody, it takes the next look.
    if ((await target.stats()).mode !== 'pmem-forced')
      await expect(target.create(100)).rejects.toMatchObject(GONE);
    await expect(target.close()).rejects.toMatchObject(GONE);
    expect(reason()).toContain('its file was replaced by another one');
    const again = await openPool(type);
    expect(Buffer.from(await again.read(first, 0, 5)).toString()).toBe('first');
  });

  it('whose file was moved away says so, and has everything when it is moved back', async () => {
    const target = await openPool(type);
    const { first } = await filled(target);
    await rename(file, path.join(home, 'elsewhere'));
    await expect(target.close()).rejects.toMatchObject(GONE);
    expect(reason()).toContain(`move it back to ${file}`);
    await rename(path.join(home, 'elsewhere'), file);
    const again = await openPool(type);
    expect(Buffer.from(await again.read(first, 0, 5)).toString()).toBe('first');
  });

  it('whose link was made to lead elsewhere refuses what the next start would not find there', async () => {
    const link = path.join(home, 'link');
    await symlink('pool', link);
    const target = await openPool(type, { path: 'link' });
    const { first } = await filled(target);
    await rm(link);
    await symlink('other', link);
    if ((await target.stats()).mode !== 'pmem-forced')
      await expect(target.create(100)).rejects.toMatchObject(GONE);
    await expect(target.close()).rejects.toMatchObject(GONE);
    expect(reason()).toContain(`make it lead to ${file} again`);
    await rm(link);
    await symlink('pool', link);
    const again = await openPool(type, { path: 'link' });
    expect(Buffer.from(await again.read(first, 0, 5)).toString()).toBe('first');
    await again.create(100);
  });

  it('shows no byte that stood behind its capacity before it grew', async () => {
    const small = await openPool(type);
    const first = await small.createAndWrite(Buffer.from('first'), { persist: true });
    await small.close();
    const bytes = await readFile(file);
    // As where a backup of a smaller pool was written over a larger one.
    await writeFile(file, Buffer.concat([bytes, Buffer.alloc(32 * MIB, 'old')]));
    await expectNote(` from ${POOL_BYTES} on`);
    const target = await openPool(type, { max_size: 40 * MIB });
    for (let left = 3; left > 0; left--) {
      const id = await target.create(10 * MIB);
      expect(Buffer.from(await target.read(id, 0, 10 * MIB)).equals(Buffer.alloc(10 * MIB))).toBe(true);
    }
    expect(Buffer.from(await target.read(first, 0, 5)).toString()).toBe('first');
  });

  it('shows no byte of a newer pool that an older backup was written over, but for its holes', async () => {
    const settings = { create_if_missing_with_size: 40 * MIB };
    const older = await openPool(type, settings);
    const first = await older.createAndWrite(Buffer.from('first'), { persist: true });
    await older.close();
    const backup = await readFile(file);
    const newer = await openPool(type, settings);
    for (let left = 3; left > 0; left--) await newer.createAndWrite(Buffer.alloc(12 * MIB, 'new'));
    await newer.close();
    // As dd with conv=sparse,notrunc restores it.
    await using handle = await open(file, 'r+');
    const BLOCK = 4096;
    for (let at = 0; at < backup.length; at += BLOCK) {
      const block = backup.subarray(at, at + BLOCK);
      if (!block.equals(Buffer.alloc(block.length))) await handle.write(block, 0, block.length, at);
    }
    await expectNote('where the pool has stored nothing');
    const target = await openPool(type, settings);
    expect((await target.stats()).regions).toBe(1);
    for (let left = 3; left > 0; left--) {
      const id = await target.create(12 * MIB);
      expect(Buffer.from(await target.read(id, 0, 12 * MIB)).equals(Buffer.alloc(12 * MIB))).toBe(true);
    }
    expect(Buffer.from(await target.read(first, 0, 5)).toString()).toBe('first');
    expect(log.entries.filter(({ message }) => message.includes('has stored nothing'))).toHaveLength(2);
  });

  it('that is read only is left as it is, whatever stands behind its capacity', async () => {
    await (await openPool(type)).close();
    const bytes = Buffer.concat([await readFile(file), Buffer.alloc(MIB, 'old')]);
    await writeFile(file, bytes);
    await (await openPool(type, { read_only: true, max_size: 64 * MIB })).close();
    expect((await readFile(file)).equals(bytes)).toBe(true);
  });
});

it('a file pool that waits for no disk says of its lost bytes that they are not kept', async () => {
  const target = await openPool('file', { sync: false });
  const { first } = await filled(target);
  await target.persist(first);
  await truncate(file, 4 * MIB);
  await noticed(target);
  await expect(target.persist(first)).rejects.toMatchObject(GONE);
});

nativeAddon.it(
  'a view of a region that was cut off shows zeros, and its target takes no more changes',
  async () => {
    const target = await openPool('pmem');
    const { first, large } = await filled(target);
    const mapped = await target.map(large);
    const [view] = mapped.views as [Uint8Array];
    await truncate(file, 4 * MIB);
    expect([view[0], view[LARGE_BYTES - 1]]).toEqual([7, 0]);
    view[LARGE_BYTES - 1] = 9;
    await expect(target.persist(large)).rejects.toMatchObject(GONE);
    expect(reason()).toContain('truncated');
    await expect(target.map(first)).rejects.toMatchObject(GONE);
    expect(Buffer.from(await target.read(first, 0, 5)).toString()).toBe('first');
    mapped.release();
  },
);
