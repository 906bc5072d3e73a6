/** What only pools in files have: making, finding, locking, switching the backend, growing, damage. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { RegionId, Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { poolFolder, poolTarget, type PoolBackend, type PoolConfig } from './pool-factory.js';

const MIB = 2 ** 20;
const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];

let home: string;
let opened: Target[];
beforeEach(async () => {
  home = await poolFolder();
  opened = [];
});
afterEach(async () => {
  for (const target of opened) await target.close();
  await rm(home, { recursive: true, force: true });
});

const BASE = { path: 'pool', create_if_missing_with_size: 8 * MIB } as PoolConfig;

async function openPool(type: PoolBackend, config: Partial<PoolConfig> = {}): Promise<Target> {
  const target = await poolTarget(type, { ...BASE, ...config }, home);
  await target.open();
  opened.push(target);
  return target;
}

const text = async (target: Target, id: RegionId, size: number): Promise<string> =>
  Buffer.from(await target.read(id, 0, size)).toString();

describe.each(BACKENDS)('a %s pool', (type) => {
  it('must be there unless a size says that it may be made', async () => {
    const target = await poolTarget(type, { path: 'pool' }, home);
    await expect(target.open()).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
    await expect(readdir(home)).resolves.toEqual([]);
  });

  it('is pool.pmem in a directory, by its older form, by a slash, or because one is there', async () => {
    for (const config of [{ path: 'older', size: 8 * MIB }, { path: 'slash/' }, { path: 'older' }]) {
      const given =
        config.size === undefined ? config : { ...config, create_if_missing_with_size: undefined };
      const target = await openPool(type, given as Partial<PoolConfig>);
      await target.close();
    }
    await expect(readdir(path.join(home, 'older'))).resolves.toEqual(['pool.pmem']);
    await expect(readdir(path.join(home, 'slash'))).resolves.toEqual(['pool.pmem']);
  });

  it('is opened by one at a time', async () => {
    await openPool(type);
    const second = await poolTarget(type, BASE, home);
    await expect(second.open()).rejects.toMatchObject({ code: 'POOL_IN_USE' });
  });

  it('that is in use is not overridden, and one that is not, is', async () => {
    const first = await openPool(type);
    const id = await first.create(10);
    const second = await poolTarget(type, { ...BASE, override_if_exists: true }, home);
    await expect(second.open()).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    await first.close();
    const fresh = await openPool(type, { override_if_exists: true });
    await expect(fresh.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await expect(readdir(home)).resolves.toEqual(['pool']);
  });

  it('opened with read_only serves, takes no change, and shares its lock', async () => {
    const writer = await openPool(type);
    const id = await writer.createAndWrite(Buffer.from('contents'));
    await writer.close();
    const before = await readFile(path.join(home, 'pool'));
    const [one, other] = [
      await openPool(type, { read_only: true }),
      await openPool(type, { read_only: true }),
    ];
    for (const reader of [one, other]) {
      await expect(text(reader, id, 8)).resolves.toBe('contents');
      await expect(reader.write(id, 0, Buffer.from('x'))).rejects.toMatchObject({ code: 'READ_ONLY' });
      await expect(reader.create(1)).rejects.toMatchObject({ code: 'READ_ONLY' });
      await expect(reader.erase(id)).rejects.toMatchObject({ code: 'READ_ONLY' });
      await expect(reader.persist(id)).rejects.toMatchObject({ code: 'READ_ONLY' });
      await expect(text(reader, id, 8)).resolves.toBe('contents');
      await reader.close();
    }
    expect(before.equals(await readFile(path.join(home, 'pool')))).toBe(true);
  });

  it('grows in place up to max_size, with every region staying, and not beyond', async () => {
    const target = await openPool(type, { max_size: 64 * MIB });
    const first = await target.createAndWrite(Buffer.from('before'));
    const large = await target.createAndWrite(Buffer.alloc(40 * MIB, 7));
    await expect(target.create(40 * MIB)).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    await target.close();
    const again = await openPool(type);
    await expect(text(again, first, 6)).resolves.toBe('before');
    expect(Buffer.from(await again.read(large, 40 * MIB - 3, 3))).toEqual(Buffer.alloc(3, 7));
  });

  it('gives the space of an erased region to new ones, all zero', async () => {
    const target = await openPool(type);
    for (let round = 0; round < 5; round++) {
      const id = await target.createAndWrite(Buffer.alloc(6 * MIB, 255), { persist: true });
      await target.erase(id);
      const fresh = await target.create(6 * MIB);
      expect(Buffer.from(await target.read(fresh, 0, 6 * MIB)).equals(Buffer.alloc(6 * MIB))).toBe(true);
      await target.erase(fresh);
    }
  });

  it('holds more regions than its first descriptors, before and after a restart', async () => {
    const target = await openPool(type, { sync: type === 'pmem' });
    const ids = await Promise.all(
      Array.from({ length: 1500 }, (_, index) => target.createAndWrite(Buffer.from(`region ${index}`))),
    );
    await target.close();
    const again = await openPool(type);
    expect((await again.stats()).recovery).toMatchObject({ regions: 1500, quarantined: 0 });
    for (const index of [0, 1023, 1024, 1499]) {
      const expected = `region ${index}`;
      await expect(text(again, ids[index] as RegionId, expected.length)).resolves.toBe(expected);
    }
  });

  it('with a damaged descriptor loses that region alone, and says so', async () => {
    const target = await openPool(type);
    const [lost, kept] = [
      await target.createAndWrite(Buffer.from('lost')),
      await target.createAndWrite(Buffer.from('kept')),
    ];
    await target.close();
    const file = await open(path.join(home, 'pool'), 'r+');
    // The first chunk follows the headers; a bit of the first slot's extent.
    await file.write(Buffer.from([0x41]), 0, 1, 8192 + 9);
    await file.close();
    const again = await openPool(type);
    await expect(again.stat(lost)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await expect(text(again, kept, 4)).resolves.toBe('kept');
    expect((await again.stats()).recovery).toMatchObject({
      ...{ regions: 1, quarantined: 1 },
      findings: [expect.any(String)],
    });
    await expect(again.createAndWrite(Buffer.from('new'))).resolves.toBeDefined();
  });

  it('never gives an ID that was given before, nor serves a region that was erased before the last restart', async () => {
    const seen = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const target = await openPool(type);
      for (let index = 0; index < 10; index++) {
        const id = await target.create(100);
        expect(seen.has(id.toString())).toBe(false);
        seen.add(id.toString());
        await target.erase(id);
      }
      await target.close();
    }
    const target = await openPool(type);
    expect((await target.stats()).regions).toBe(0);
  });

  it.each([0, 4096])('with the header at %i damaged opens all the same', async (offset) => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('kept'));
    await target.close();
    const file = await open(path.join(home, 'pool'), 'r+');
    await file.write(Buffer.alloc(4096, 0xee), 0, 4096, offset);
    await file.close();
    const again = await openPool(type);
    await expect(text(again, id, 4)).resolves.toBe('kept');
  });

  it('that is cut off, empty, or no pool is refused or loses only what is gone', async () => {
    const target = await openPool(type);
    const id = await target.createAndWrite(Buffer.from('kept'));
    await target.createAndWrite(Buffer.alloc(5 * MIB, 1));
    await target.close();
    await truncate(path.join(home, 'pool'), 2 * MIB);
    const again = await openPool(type);
    await expect(text(again, id, 4)).resolves.toBe('kept');
    expect((await again.stats()).recovery).toMatchObject({ regions: 1, quarantined: 1 });
    await again.close();
    for (const contents of [Buffer.alloc(0), Buffer.alloc(10_000, 1), Buffer.from('no pool')]) {
      await writeFile(path.join(home, 'pool'), contents);
      const wrong = await poolTarget(type, { ...BASE, max_size: 16 * MIB }, home);
      await expect(wrong.open()).rejects.toMatchObject({ code: 'POOL_CORRUPT' });
      expect((await stat(path.join(home, 'pool'))).size).toBe(contents.length);
    }
  });
});

describe('a pool', () => {
  it('is the same for both backends: what one wrote the other serves, back and forth', async () => {
    const ids: RegionId[] = [];
    for (let round = 0; round < 6; round++) {
      const target = await openPool(BACKENDS[round % BACKENDS.length] as PoolBackend);
      for (const [index, id] of ids.entries())
        await expect(text(target, id, 7)).resolves.toBe(`round ${index}`);
      ids.push(await target.createAndWrite(Buffer.from(`round ${round}`), { persist: true }));
      const gone = await target.create(100_000);
      await target.erase(gone);
      await target.close();
    }
  });
});
