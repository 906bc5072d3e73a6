/** Snapshots that build on an earlier one, and those that go on after they were broken off. */
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { type Daemon, type RegionId, type Target, verifySnapshot } from '../../core/index.js';
import { readManifest } from '../../core/snapshot/format.js';
import { runHere as run } from '../fixtures/run-here.js';
import { LEAST_BYTES, onDisk, SmallDisk } from '../fixtures/small-disk.js';
import { contentsOf } from '../warabi/migration-daemons.js';

const KIB = 2 ** 10;
const PIECE = 256 * KIB;
const SIGNAL = new AbortController().signal;
const coded = (code: string): unknown => expect.objectContaining({ code });

let home: string;
let daemon: Daemon;
let made = 0;
let target: Target;
let large: RegionId;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-incremental-'));
  const provider = (name: string, id: number): object => ({
    name,
    type: 'warabi',
    provider_id: id,
    config: { target: { type: 'memory', config: {} } },
  });
  daemon = await bootstrap(
    { providers: [provider('store', 1), provider('back', 2), provider('other', 3)] as never },
    { directory: home, address: 'http://127.0.0.1:0', logLevel: 'off' },
  );
  target = daemon.target('store');
});
afterAll(async () => {
  await daemon.close();
  await rm(home, { recursive: true, force: true });
});

async function empty(one: Target): Promise<void> {
  for (const { id } of (await one.list()).regions) await one.erase(id);
}

beforeEach(async () => {
  await empty(target);
  large = await target.createAndWrite(Buffer.alloc(4 * PIECE + 5, 1), { name: 'large' });
  for (let at = 0; at < 20; at++) await target.put(`small ${at}`, Buffer.alloc(100, at));
});

const folder = (): string => path.join(home, `snapshot-${made++}`);

async function take(
  options: Record<string, unknown> = {},
  at = folder(),
): Promise<{ at: string; told: object }> {
  const { result } = await daemon.snapshot('store', { path: at, options });
  return { at, told: result as object };
}

/** Is whole, is the target as it is now, and holds no file that it needs elsewhere. */
async function expectIsTarget(at: string): Promise<void> {
  const alone = folder();
  await cp(at, alone, { recursive: true });
  expect((await verifySnapshot(alone, { signal: SIGNAL })).faults).toEqual([]);
  const back = daemon.target('back');
  await empty(back);
  await daemon.restore('back', { path: alone });
  expect(await contentsOf(daemon.target('back'))).toEqual(await contentsOf(target));
}

/** The files that hold the bytes, by inode. */
async function packsOf(at: string): Promise<number[]> {
  const packs = (await readdir(at)).filter((name) => name.endsWith('.pack'));
  return Promise.all(packs.map(async (name) => (await stat(path.join(at, name))).ino));
}

describe('an incremental snapshot', () => {
  it('writes what has changed, and is complete without the earlier one', async () => {
    const { at: monday } = await take();
    await target.write(large, 2 * PIECE + 7, Buffer.from('changed'));
    await target.put('small 3', Buffer.from('other'));
    await target.put('new', Buffer.alloc(50, 5));
    await target.erase('small 4');
    await target.rename('small 5', 'renamed');
    const { at: tuesday, told } = await take({ incremental: monday });
    expect(told).toMatchObject({ writtenBytes: PIECE + 5 + 50, reusedBytes: 3 * PIECE + 5 + 18 * 100 });
    await expectIsTarget(tuesday);
    // One more on top, and nothing that it needs in those before.
    const { at: wednesday, told: again } = await take({ incremental: tuesday });
    expect(again).toMatchObject({ writtenBytes: 0 });
    // The packs have other numbers if another region was copied first.
    expect(await packsOf(wednesday)).toEqual(expect.arrayContaining(await packsOf(monday)));
    for (const at of [monday, tuesday]) await rm(at, { recursive: true });
    await expectIsTarget(wednesday);
  });

  it('takes over no damage: what is damaged in the earlier one is written again', async () => {
    const { at: monday } = await take();
    const pack = path.join(monday, 'data-000000.pack');
    const bytes = await readFile(pack);
    const place = bytes.indexOf(Buffer.alloc(PIECE, 1));
    bytes[place + 9] = 2;
    await writeFile(pack, bytes);
    const { at: tuesday, told } = await take({ incremental: monday });
    expect(told).toMatchObject({ writtenBytes: PIECE });
    await expectIsTarget(tuesday);
  });

  it('keeps no pack of which all has changed', async () => {
    const { at: monday } = await take();
    await empty(target);
    await target.put('only', Buffer.from('this'));
    const { at: tuesday } = await take({ incremental: monday });
    expect((await stat(path.join(tuesday, 'data-000000.pack'))).nlink).toBe(1);
    await expectIsTarget(tuesday);
  });

  it('is refused for a folder that is none, is not complete, is of another target, or is the same', async () => {
    const { at: monday } = await take();
    const { result } = await daemon.snapshot('other', { path: folder() });
    const unfinished = folder();
    await cp(monday, unfinished, { recursive: true });
    await rm(path.join(unfinished, 'manifest.json'));
    await writeFile(path.join(unfinished, 'unfinished.json'), '{}');
    for (const [incremental, code] of [
      [folder(), 'NOT_FOUND'],
      [unfinished, 'SNAPSHOT_INCOMPLETE'],
      [(result as { path: string }).path, 'INVALID_ARGUMENT'],
      ['monday', 'INVALID_ARGUMENT'],
      [7, 'INVALID_ARGUMENT'],
    ] as const) {
      const at = folder();
      await expect(take({ incremental }, at)).rejects.toEqual(coded(code));
      await expect(readdir(at)).rejects.toEqual(coded('ENOENT'));
    }
    await expect(take({ incremental: monday }, monday)).rejects.toEqual(coded('CONFLICT'));
    expect((await verifySnapshot(monday, { signal: SIGNAL })).damaged).toBe(0);
  });

  onDisk('tmpfs').it('is refused on another file system, and leaves nothing there', async () => {
    const { at: monday } = await take();
    const disk = new SmallDisk('tmpfs', 64 * LEAST_BYTES.tmpfs);
    try {
      await expect(take({ incremental: monday }, disk.at('tuesday'))).rejects.toEqual(
        coded('INVALID_ARGUMENT'),
      );
      expect(await readdir(disk.folder)).toEqual([]);
    } finally {
      disk.remove();
    }
  });

  it('is taken by the command, which tells what was reused', async () => {
    const { at: monday } = await take();
    const at = folder();
    const env = { BEDROCK_ADDRESS: String(daemon.address) };
    const done = await run(['snapshot', 'store', at, '--incremental', monday], { env });
    expect(done.stdout).toMatch(/^21 regions, .*; 0 B written, 1\.0 MiB reused\n$/);
    await expectIsTarget(at);
  });
});

describe('a snapshot that was broken off', () => {
  /** What a kill leaves: some of the data, a part of the lines, and no manifest. */
  async function brokenOff(): Promise<string> {
    const { at } = await take();
    const lines = await readFile(path.join(at, 'regions.jsonl'), 'utf8');
    // The large one first.
    const sorted = lines
      .trimEnd()
      .split('\n')
      .sort((one, other) => other.length - one.length);
    await writeFile(path.join(at, 'regions.jsonl'), sorted.join('\n').slice(0, -40));
    for (const name of ['manifest.json', 'erased.txt']) await rm(path.join(at, name));
    await writeFile(path.join(at, 'unfinished.json'), '{}');
    return at;
  }

  it('goes on: what is there and has not changed is not written again', async () => {
    const at = await brokenOff();
    await target.write(large, 0, Buffer.from('changed'));
    const { told } = await take({}, at);
    expect(told).toMatchObject({ reusedBytes: expect.any(Number) as unknown });
    const { reusedBytes, writtenBytes } = told as { reusedBytes: number; writtenBytes: number };
    expect(reusedBytes).toBeGreaterThan(3 * PIECE);
    expect(writtenBytes).toBeLessThanOrEqual(PIECE + 100);
    await expectIsTarget(at);
    expect(await readdir(at)).not.toContain('unfinished.json');
  });

  it.each([
    [
      'of another target',
      async (at: string) => {
        await empty(target);
        await target.put('x', Buffer.alloc(9));
        return at;
      },
    ],
    [
      'whose data is gone',
      async (at: string) => {
        await rm(path.join(at, 'data-000000.pack'));
        return at;
      },
    ],
    [
      'whose data is other',
      async (at: string) => {
        await writeFile(path.join(at, 'data-000000.pack'), Buffer.alloc(9 * PIECE));
        return at;
      },
    ],
    [
      'whose lines are none',
      async (at: string) => {
        await writeFile(path.join(at, 'regions.jsonl'), 'x\n{}\n');
        return at;
      },
    ],
  ])('is written anew if it left what is of no use: %s', async (_, spoil) => {
    const at = await spoil(await brokenOff());
    await take({}, at);
    await expectIsTarget(at);
    const { packs } = await readManifest(at);
    expect((await readdir(at)).filter((name) => name.endsWith('.pack'))).toHaveLength(
      packs.filter((size) => size > 0).length,
    );
  });
});
