/**
 * What a pool does when its file fails it. The calls of the system fail as they are told to here,
 * below the real backends.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  copyFile,
  mkdtemp,
  open,
  readlink,
  rename,
  rm,
  truncate,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import type { RegionId, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { holdTimers, turns } from '../fixtures/held-time.js';
import { nativeAddon } from '../fixtures/needs.js';
import { recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const MIB = 2 ** 20;
const KIB = 2 ** 10;
const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];
const CONFIG = { path: 'pool', create_if_missing_with_size: 8 * MIB } as PoolConfig;
const GONE = { code: 'READ_ONLY' };
/** At least the time between two looks of a pool at its file. */
const LOOK_MS = 1000;
/** After so long it is tried for the first time again to give space back. */
const RETRY_MS = 1000;

let home: string;
let log: RecordingLogger;
let opened: Target[];
/** That of all file handles. */
let files: FileHandle;
beforeEach(async () => {
  holdTimers('setInterval');
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-failures-'));
  log = recordingLogger();
  opened = [];
  const some = await open(home);
  files = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
});
afterEach(async () => {
  jest.useRealTimers();
  jest.restoreAllMocks();
  // One that has failed cannot end durable, and says so.
  for (const target of opened) await target.close().catch(() => undefined);
  await rm(home, { recursive: true, force: true });
});

async function openPool(type: PoolBackend, config: Partial<PoolConfig> = {}): Promise<Target> {
  const target = await poolTarget(type, { ...CONFIG, ...config }, home, log.logger);
  await target.open();
  opened.push(target);
  return target;
}

type Method = (...args: unknown[]) => Promise<unknown>;

/** What file handles do by themselves, to be applied to one. */
function methodOf(name: 'read' | 'write'): Method {
  return Reflect.get(files, name) as Method;
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: as the test has it`), { code });
}

async function failing(method: 'datasync' | 'write' | 'read', code: string): Promise<void> {
  jest.spyOn(files, method as 'datasync').mockImplementation(() => Promise.reject(systemError(code)));
  // Small writes, commits and reads of what is cached go by the addon, if it is there.
  if (addonState().attributes === undefined) return;
  const { addon } = await import('../../native/addon.js');
  const errno = constants.errno[code as 'EIO'];
  if (method === 'read') {
    jest.spyOn(addon, 'readNow').mockReturnValue(-errno);
    return;
  }
  const byAddon = method === 'write' ? 'writeMany' : 'commit';
  jest.spyOn(addon, byAddon).mockRejectedValue(Object.assign(new Error(code), { errno }));
}

/** Has all reads go by the thread pool. */
async function nothingCached(): Promise<void> {
  if (addonState().attributes === undefined) return;
  const { addon } = await import('../../native/addon.js');
  jest.spyOn(addon, 'readNow').mockReturnValue(-constants.errno.EAGAIN);
}

async function failMsync(): Promise<void> {
  const { mapFile } = await import('../../native/index.js');
  const mapping = await mapFile(path.join(home, 'other'), { create: true, size: 4096 });
  const all = Object.getPrototypeOf(mapping) as typeof mapping;
  await mapping.close();
  for (const method of ['persist', 'persistAsync', 'persistRanges', 'fillAsync'] as const)
    jest.spyOn(all, method).mockImplementation(() => Promise.reject(systemError('EIO')));
}

const text = async (target: Target, id: RegionId, size: number): Promise<string> =>
  Buffer.from(await target.read(id, 0, size)).toString();

function errors(): number {
  return log.entries.filter(({ level }) => level === 'error').length;
}

/** Everything that changes is refused, and what was acknowledged is served, now and after a restart. */
async function expectReadOnly(target: Target, id: RegionId): Promise<void> {
  const logged = errors();
  expect(logged).toBeGreaterThan(0);
  for (const change of [
    () => target.create(1),
    () => target.create(0),
    () => target.createAndWrite(Buffer.from('x'), { persist: true }),
    () => target.write(id, 0, Buffer.from('x')),
    () => target.write(id, 0, Buffer.from('x'), { persist: true }),
    () => target.persist(id),
    () => target.erase(id),
  ])
    await expect(change()).rejects.toMatchObject(GONE);
  await expect(text(target, id, 12)).resolves.toBe('acknowledged');
  expect((await target.list()).regions.map((region) => region.id.toString())).toContain(id.toString());
  await expect(target.stats()).resolves.toMatchObject({ mode: 'read-only', state: 'open' });
  // Nobody who goes on trying fills the log.
  expect(errors()).toBe(logged);
  await expect(target.close()).rejects.toMatchObject(GONE);
  expect(target.state).toBe('closed');
}

async function expectRestart(type: PoolBackend, id: RegionId): Promise<void> {
  jest.restoreAllMocks();
  const again = await openPool(type);
  await expect(text(again, id, 12)).resolves.toBe('acknowledged');
  expect((await again.stats()).recovery.quarantined).toBe(0);
  await again.create(1);
}

describe.each(BACKENDS)('a %s pool', (type) => {
  it.each(['EIO', 'ENOSPC', 'EDQUOT'])('takes no more changes after a flush failed with %s', async (code) => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await failing('datasync', code);
    if (type === 'pmem') await failMsync();
    await expect(target.createAndWrite(Buffer.from('lost'), { persist: true })).rejects.toMatchObject(GONE);
    await expectReadOnly(target, id);
    await expectRestart(type, id);
  });

  it('takes no more changes once a descriptor could not be written', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await failing('write', 'EIO');
    await expect(target.create(1)).rejects.toMatchObject(GONE);
    await expectReadOnly(target, id);
    await expectRestart(type, id);
  });

  it('that has no room for the bytes of a region goes on with the others', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await failing('write', 'ENOSPC');
    await expect(target.write(id, 0, Buffer.from('x'))).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    jest.restoreAllMocks();
    await target.write(id, 0, Buffer.from('ACKNOWLEDGED'));
    await expect(text(target, id, 12)).resolves.toBe('ACKNOWLEDGED');
    await expect(target.stats()).resolves.not.toMatchObject({ mode: 'read-only' });
  });

  it('gives the error of a read that failed to whom it concerns, and serves on', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await failing('read', 'EIO');
    await expect(target.read(id, 0, 12)).rejects.toMatchObject({ code: 'EIO' });
    jest.restoreAllMocks();
    await expect(text(target, id, 12)).resolves.toBe('acknowledged');
    await target.create(1);
  });

  it('reads and writes on where the system does a part of what it was asked for', async () => {
    const [read, write] = [methodOf('read'), methodOf('write')];
    await nothingCached();
    const part = (length: number): number => Math.max(1, Math.floor(length / 3));
    const short = (method: Method) =>
      function (this: FileHandle, bytes: Uint8Array, offset: number, length: number, position: number) {
        return Reflect.apply(method, this, [bytes, offset, part(length), position]) as never;
      };
    jest.spyOn(files, 'read').mockImplementation(short(read) as never);
    jest.spyOn(files, 'write').mockImplementation(short(write) as never);
    const target = await openPool(type);
    const contents = Buffer.from(Array.from({ length: 40 * KIB }, (_, index) => index * 7));
    const id = await target.createAndWrite(contents, { persist: true });
    await target.close();
    const again = await openPool(type);
    expect(Buffer.from(await again.read(id, 0, contents.length)).equals(contents)).toBe(true);
  });

  it('is not opened where what is cached cannot be written', async () => {
    await (await openPool(type)).close();
    await failing('datasync', 'EIO');
    await expect(openPool(type)).rejects.toMatchObject({ code: 'START_FAILED' });
    jest.restoreAllMocks();
    await openPool(type);
  });

  describe('that is opened on a full file system', () => {
    const datasync = (): jest.SpiedFunction<FileHandle['datasync']> => jest.spyOn(files, 'datasync');

    async function filled(config: Partial<PoolConfig> = {}): Promise<RegionId> {
      const target = await openPool(type, config);
      const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
      await target.close();
      return id;
    }

    const warnings = (): number => log.entries.filter(({ level }) => level === 'warning').length;

    nativeAddon.it('drops what was stored and not made durable', async () => {
      const id = await filled();
      for (const [index, code] of ['ENOSPC', 'EDQUOT'].entries()) {
        datasync().mockRejectedValueOnce(systemError(code));
        const target = await openPool(type);
        expect(warnings()).toBe(index + 1);
        await expect(text(target, id, 12)).resolves.toBe('acknowledged');
        await target.createAndWrite(Buffer.from('more'), { persist: true });
        await target.close();
      }
    });

    nativeAddon.it(
      'is opened whichever of its own barriers finds it full, also with a header to mend',
      async () => {
        const id = await filled();
        const { addon } = await import('../../native/addon.js');
        const { mapFile } = await import('../../native/index.js');
        const mapping = await mapFile(path.join(home, 'other'), { create: true, size: 4096 });
        const mappings = Object.getPrototypeOf(mapping) as typeof mapping;
        await mapping.close();
        const errno = constants.errno.ENOSPC;
        let refusals = 0;
        for (let failing = 0; ; failing++) {
          const file = await open(path.join(home, 'pool'), 'r+');
          await file.write(Buffer.alloc(4096), 0, 4096, 4096);
          await file.close();
          let asked = 0;
          const fail = (): boolean => asked++ === failing;
          const commit = addon.commit.bind(addon);
          jest.spyOn(addon, 'commit').mockImplementation((...args) => {
            if (fail()) return Promise.reject(Object.assign(new Error('ENOSPC'), { errno }));
            return commit(...args);
          });
          for (const method of ['persist', 'persistRanges'] as const) {
            const sound = Reflect.get(mappings, method) as (...args: unknown[]) => undefined;
            jest.spyOn(mappings, method).mockImplementation(function (this: unknown, ...args: unknown[]) {
              if (fail()) return Promise.reject(systemError('ENOSPC')) as never;
              return sound.apply(this, args);
            });
          }
          const target = await openPool(type).catch((error: unknown) => {
            // Before a pool is mapped, its holes must have been given space for certain.
            expect([type, error]).toEqual(['pmem', expect.objectContaining({ code: 'OUT_OF_SPACE' })]);
            refusals++;
          });
          const barriers = asked;
          jest.restoreAllMocks();
          if (target === undefined) continue;
          await expect(text(target, id, 12)).resolves.toBe('acknowledged');
          await target.erase(await target.createAndWrite(Buffer.from('more'), { persist: true }));
          await target.close();
          if (barriers <= failing) break;
        }
        expect(refusals).toBeLessThanOrEqual(1);
        await expectRestart(type, id);
      },
    );

    it('is refused where it keeps bytes that the file system does not take, and can be read all the same', async () => {
      const id = await filled();
      datasync().mockImplementation(() => Promise.reject(systemError('ENOSPC')));
      await expect(openPool(type)).rejects.toMatchObject({ code: 'START_FAILED', cause: { code: 'ENOSPC' } });
      const reader = await openPool(type, { read_only: true });
      await expect(text(reader, id, 12)).resolves.toBe('acknowledged');
      await reader.close();
      jest.restoreAllMocks();
      await openPool(type);
    });

    it('is served without growing where its file cannot be made longer, and grows at a later start', async () => {
      const id = await filled();
      const longer = { max_size: 64 * MIB };
      const truncated = jest.spyOn(files, 'truncate').mockRejectedValue(systemError('ENOSPC'));
      const target = await openPool(type, longer);
      expect(truncated).toHaveBeenCalledTimes(1);
      expect(warnings()).toBe(1);
      expect((await target.stats()).capacityBytes).toBeLessThanOrEqual(8 * MIB);
      await expect(target.create(20 * MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
      await expect(text(target, id, 12)).resolves.toBe('acknowledged');
      await target.createAndWrite(Buffer.from('more'), { persist: true });
      await target.close();
      jest.restoreAllMocks();
      await (await openPool(type, longer)).create(20 * MIB);
    });
  });

  it('that is deleted under the target takes no more changes, and can be saved as the log says', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await unlink(path.join(home, 'pool'));
    while ((await target.stats()).mode !== 'read-only') {
      jest.advanceTimersByTime(LOOK_MS);
      await turns();
    }
    const { message = '' } = log.entries.find(({ level }) => level === 'error') ?? {};
    const [, from = '', to = ''] = /cp --sparse=always (\S+) (\S+)$/.exec(message) ?? [];
    expect(to).toBe(path.join(home, 'pool'));
    await copyFile(from, to);
    await expectReadOnly(target, id);
    await expectRestart(type, id);
  });

  it('that another file is moved over takes no more changes, and is saved beside that one', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await copyFile(path.join(home, 'pool'), path.join(home, 'backup'));
    const later = await target.createAndWrite(Buffer.from('later'), { persist: true });
    await rename(path.join(home, 'backup'), path.join(home, 'pool'));
    while ((await target.stats()).mode !== 'read-only') {
      jest.advanceTimersByTime(LOOK_MS);
      await turns();
    }
    const { message = '' } = log.entries.find(({ level }) => level === 'error') ?? {};
    const [, from = '', to = ''] = /cp --sparse=always (\S+) (\S+)$/.exec(message) ?? [];
    expect(to).toBe(path.join(home, 'pool.replaced'));
    await copyFile(from, to);
    await expectReadOnly(target, id);
    await expectRestart(type, id);
    const saved = await openPool(type, { path: 'pool.replaced' });
    expect(Buffer.from(await saved.read(later, 0, 5)).toString()).toBe('later');
  });
});

describe('space of erased regions that cannot be cleared', () => {
  /** So that a file pool's zeros fail as the disk has it; small ones are written with others. */
  async function failZeros(code: string): Promise<void> {
    const { addon } = await import('../../native/addon.js');
    const errno = constants.errno[code as 'EIO'];
    jest.spyOn(addon, 'zeroRange').mockRejectedValue(Object.assign(new Error(code), { errno }));
  }

  nativeAddon.it('is used until it is given back, and is tried again when space is short', async () => {
    const target = await openPool('file');
    const id = await target.createAndWrite(Buffer.alloc(5 * MIB, 1), { persist: true });
    await failZeros('EIO');
    await target.erase(id);
    await expect(target.read(id, 0, 1)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect(await target.stats()).toMatchObject({ regions: 0, pendingBytes: 5 * MIB, failedGiveBacks: 1 });
    const refusal = await target.create(6 * MIB).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'OUT_OF_SPACE' });
    const [line] = log.entries.filter(({ level }) => level === 'error');
    expect(line?.message).toMatch(/could not be given back: EIO/);
    expect(errors()).toBe(1);
    jest.restoreAllMocks();
    const next = await target.create(6 * MIB);
    expect(Buffer.from(await target.read(next, 0, 6 * MIB)).equals(Buffer.alloc(6 * MIB))).toBe(true);
    expect(await target.stats()).toMatchObject({ regions: 1, pendingBytes: 0, failedGiveBacks: 1 });
  });

  nativeAddon.it('is given back by itself once that can be, and at the next open', async () => {
    const target = await openPool('file');
    const ids = await Promise.all([1, 2].map(() => target.createAndWrite(Buffer.alloc(2 * MIB, 1))));
    const empty = (await target.stats()).usedBytes - 4 * MIB;
    holdTimers('setTimeout');
    await failZeros('EIO');
    for (const id of ids) await target.erase(id);
    expect((await target.stats()).pendingBytes).toBe(4 * MIB);
    jest.restoreAllMocks();
    while ((await target.stats()).pendingBytes > 0) {
      jest.advanceTimersByTime(RETRY_MS);
      await turns();
    }
    expect((await target.stats()).usedBytes).toBe(empty);
    const last = await target.createAndWrite(Buffer.alloc(2 * MIB, 1), { persist: true });
    await failZeros('EIO');
    await target.erase(last);
    await target.close();
    jest.restoreAllMocks();
    const again = await openPool('file');
    expect(await again.stats()).toMatchObject({ usedBytes: empty, pendingBytes: 0, failedGiveBacks: 0 });
    const made = await again.create(6 * MIB);
    expect(Buffer.from(await again.read(made, 0, 6 * MIB)).equals(Buffer.alloc(6 * MIB))).toBe(true);
  });
});

nativeAddon.describe('an open that asks for space', () => {
  type Asked = 'allocate' | 'unshare';

  async function refusing(asked: Asked, code: string): Promise<void> {
    const { addon } = await import('../../native/addon.js');
    const errno = constants.errno[code as 'EIO'];
    jest.spyOn(addon, asked).mockRejectedValue(Object.assign(new Error(code), { errno }));
  }

  const warnings = (pattern: RegExp): number =>
    log.entries.filter(({ level, message }) => level === 'warning' && pattern.test(message)).length;

  /** A pool with a region, whole or as a sparse copy. */
  async function pool(isSparse = false): Promise<RegionId> {
    const target = await openPool('file');
    const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
    await target.close();
    if (isSparse) {
      const { punchHole } = await import('../../native/index.js');
      await using file = await open(path.join(home, 'pool'), 'r+');
      await punchHole(file, 4 * MIB, 4 * MIB);
    }
    return id;
  }

  async function expectServed(target: Target, id: RegionId): Promise<void> {
    await expect(text(target, id, 12)).resolves.toBe('acknowledged');
    await target.createAndWrite(Buffer.from('more'), { persist: true });
  }

  it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])(
    'for holes is served without it by file, and refused as OUT_OF_SPACE by pmem, where the system has none (%s)',
    async (code) => {
      const id = await pool(true);
      await refusing('allocate', code);
      await expect(openPool('pmem')).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
      const target = await openPool('file');
      expect(warnings(/has holes/)).toBe(1);
      await expect(text(target, id, 12)).resolves.toBe('acknowledged');
    },
  );

  it.each(['ENOSPC', 'EDQUOT'])(
    'for shared blocks is served with a warning where the system has none (%s)',
    async (code) => {
      const id = await pool();
      await refusing('unshare', code);
      for (const type of BACKENDS) {
        const target = await openPool(type);
        await expectServed(target, id);
        await target.close();
      }
      expect(warnings(/shares blocks/)).toBe(BACKENDS.length);
    },
  );

  it.each(['allocate', 'unshare'] as const)(
    'fails for what the system says, and not for want of space, where %s fails otherwise, and lets go of the pool',
    async (asked) => {
      const id = await pool();
      for (const code of ['EIO', 'EPERM']) {
        await refusing(asked, code);
        for (const type of BACKENDS)
          await expect(openPool(type)).rejects.toMatchObject({ code: 'START_FAILED', cause: { code } });
      }
      expect(warnings(/has holes|shares blocks/)).toBe(0);
      jest.restoreAllMocks();
      for (const type of BACKENDS) {
        const target = await openPool(type);
        await expectServed(target, id);
        await target.close();
      }
    },
  );

  it('needs none where the file system cannot give it, unless the pool has holes', async () => {
    const id = await pool();
    for (const asked of ['allocate', 'unshare'] as const) await refusing(asked, 'EOPNOTSUPP');
    for (const type of BACKENDS) {
      const target = await openPool(type);
      await expectServed(target, id);
      await target.close();
    }
    expect(warnings(/has holes|shares blocks/)).toBe(0);
    const { punchHole } = await import('../../native/index.js');
    await using file = await open(path.join(home, 'pool'), 'r+');
    await punchHole(file, 4 * MIB, 4 * MIB);
    await expect(openPool('pmem')).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    await expect(text(await openPool('file'), id, 12)).resolves.toBe('acknowledged');
    expect(warnings(/has holes/)).toBe(1);
  });
});

it.each(['ENOSPC', 'EIO', 'EFBIG'])(
  'a pool whose growth the system refuses with %s is full, and says why',
  async (code) => {
    const target = await openPool('file', { max_size: 64 * MIB });
    const operations =
      addonState().attributes === undefined ? undefined : await import('../../native/addon.js');
    const errno = constants.errno[code as 'EIO'];
    if (operations === undefined) await failing('write', code);
    else
      jest.spyOn(operations.addon, 'allocate').mockRejectedValue(Object.assign(new Error(code), { errno }));
    const refusal = await target.create(20 * MIB).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'OUT_OF_SPACE', details: { requested: 20 * MIB } });
    expect(String(refusal)).toContain(code);
    jest.restoreAllMocks();
    await target.create(20 * MIB);
  },
);

it('a file pool that is cut off under the target takes no more changes', async () => {
  const target = await openPool('file');
  const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
  await truncate(path.join(home, 'pool'), 4 * MIB);
  while ((await target.stats()).mode !== 'read-only') {
    jest.advanceTimersByTime(LOOK_MS);
    await turns();
  }
  await expectReadOnly(target, id);
  await expectRestart('file', id);
});

it('all who wait for a flush that fails are refused, and none before it', async () => {
  const target = await openPool('file');
  const id = await target.createAndWrite(Buffer.from('acknowledged'), { persist: true });
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  let flushes = 0;
  const flush = async (): Promise<void> => {
    begin();
    if (++flushes > 1) throw Object.assign(systemError('EIO'), { errno: constants.errno.EIO });
    await released;
  };
  if (addonState().attributes === undefined) jest.spyOn(files, 'datasync').mockImplementation(flush);
  else {
    const { addon } = await import('../../native/addon.js');
    jest.spyOn(addon, 'commit').mockImplementation(() => flush().then(() => true));
  }
  const first = target.persist(id);
  // Who comes before it has begun is taken along.
  await begun;
  const others = Array.from({ length: 10 }, () => target.persist(id));
  release();
  await first;
  for (const other of await Promise.allSettled(others))
    expect(other).toMatchObject({ status: 'rejected', reason: GONE });
  expect(flushes).toBe(2);
});

it.each([
  ['a/b/pool', ['', 'a', 'a/b']],
  ['a/', ['', 'a']],
])('a pool at %s has each folder that was made for it on the medium', async (given, expected) => {
  const synced: string[] = [];
  const sync = Reflect.get(files, 'sync') as Method;
  jest.spyOn(files, 'sync').mockImplementation(async function (this: FileHandle) {
    synced.push(path.relative(home, await readlink(`/proc/self/fd/${this.fd}`)));
    await sync.call(this);
  });
  await openPool('file', { path: given });
  expect(synced).toEqual(expect.arrayContaining(expected));
});
