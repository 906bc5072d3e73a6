/** Snapshots of targets that serve, their verification, and their return into empty targets. */
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import {
  type BedrockConfig,
  connect,
  type Daemon,
  type RegionId,
  type Target,
  verifySnapshot,
} from '../../core/index.js';
import { encodeManifest, type Manifest, readManifest } from '../../core/snapshot/format.js';
import { LEAST_BYTES, onDisk, SmallDisk } from '../fixtures/small-disk.js';
import { runHere as run } from '../fixtures/run-here.js';

const MIB = 2 ** 20;
const TYPES = ['memory', 'file', 'pmem'] as const;
const SIGNAL = new AbortController().signal;
const coded = (code: string): unknown => expect.objectContaining({ code });

let home: string;
let daemon: Daemon;
let made = 0;

type Providers = NonNullable<BedrockConfig['providers']>;

function store(name: string, id: number, type: string, bytes = 32 * MIB): Providers[number] {
  const config = type === 'memory' ? {} : { path: `${name}.pool`, create_if_missing_with_size: bytes };
  return { name, type: 'warabi', provider_id: id, config: { target: { type, config } } };
}

const bootstrapped = (providers: Providers): Promise<Daemon> =>
  bootstrap({ providers }, { directory: home, address: 'http://127.0.0.1:0', logLevel: 'off' });

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-snapshot-'));
  const providers = TYPES.flatMap((type, at) => [
    store(type, at + 1, type),
    store(`${type}_empty`, at + 11, type),
    store(`${type}_free`, at + 21, type),
  ]);
  const memory = { type: 'memory', config: {} };
  const pair = { name: 'pair', type: 'warabi', provider_id: 50, config: { targets: [memory, memory] } };
  daemon = await bootstrapped([...providers, pair, store('small', 51, 'file', 8 * MIB)]);
});
afterAll(async () => {
  await daemon.close();
  await rm(home, { recursive: true, force: true });
});

/** A folder that is not there yet. */
const folder = (): string => path.join(home, `snapshot-${made++}`);

async function erase(target: Target): Promise<void> {
  for (const { id } of (await target.list()).regions) await target.erase(id);
}

const SIZES = [0, 1, 64, 2 ** 18 - 1, 2 ** 18, 2 ** 18 + 1, 3 * 2 ** 18 + 5];
const NAMES = ['a', 'a/b', 'ü\u0000"\\\n', 'z'.repeat(1024), '../../x', '\u{1f600}'];

/** Regions of all kinds of sizes, half of them with names, and some erased ones. */
async function fill(target: Target): Promise<{ erased: RegionId[] }> {
  const erased: RegionId[] = [];
  for (const [at, size] of SIZES.entries()) {
    const name = NAMES[at];
    const bytes = Buffer.alloc(size, at + 1);
    await target.createAndWrite(bytes, { ...(name !== undefined && { name }), persist: true });
    const gone = await target.create(10);
    erased.push(gone);
    await target.erase(gone);
    await target.create(3);
  }
  return { erased };
}

async function contentsOf(target: Target): Promise<unknown[]> {
  const { regions } = await target.list();
  return Promise.all(
    regions.map(async (stat) => ({
      ...stat,
      bytes: Buffer.from(await target.read(stat.id, 0, stat.size)).toString('base64'),
    })),
  );
}

describe.each(TYPES)('a snapshot of a %s target', (type) => {
  it.each(TYPES)(
    'is restored into an empty %s target: IDs, names, times, bytes and erased IDs',
    async (into) => {
      const from = daemon.target(type);
      const to = daemon.target(`${into}_empty`);
      await erase(from);
      await erase(to);
      const { erased } = await fill(from);
      const dir = folder();
      const taken = await daemon.snapshot(type, { path: dir });
      expect(taken.result).toMatchObject({
        path: dir,
        regions: 2 * SIZES.length,
        holdMs: expect.any(Number) as unknown,
      });
      expect((await verifySnapshot(dir, { signal: SIGNAL })).damaged).toBe(0);
      const restored = await daemon.restore(`${into}_empty`, { path: dir });
      expect(restored.result).toMatchObject({ regions: 2 * SIZES.length });
      expect(await contentsOf(to)).toEqual(await contentsOf(from));
      for (const id of erased) await expect(to.stat(id)).rejects.toEqual(coded('REGION_NOT_FOUND'));
      const next = await to.create(1);
      for (const id of erased) expect(next.equals(id)).toBe(false);
      // What was restored can be saved again.
      const again = folder();
      await daemon.snapshot(`${into}_empty`, { path: again });
      expect((await verifySnapshot(again, { signal: SIGNAL })).manifest.poolId).toBe(
        (await readManifest(dir)).poolId,
      );
    },
  );

  it('is the target at one moment, whatever is written meanwhile', async () => {
    const from = daemon.target(type);
    const to = daemon.target(`${type}_free`);
    await erase(from);
    await erase(to);
    for (let at = 0; at < 300; at++) await from.createAndWrite(Buffer.alloc(100), { name: `still ${at}` });
    await from.put('large', Buffer.alloc(2 ** 20));
    for (const name of ['left', 'right']) await from.put(name, Buffer.alloc(64));
    const saving = { isOver: false };
    const load = (async () => {
      for (let turn = 1; !saving.isOver; turn = (turn % 250) + 1) {
        const bytes = Buffer.alloc(64, turn);
        // Both in one step, once by contents and once by name, and a large region in one write.
        await from.transact([
          { type: 'write', ref: 'left', offset: 0, bytes },
          { type: 'write', ref: 'right', offset: 0, bytes },
        ]);
        await from.put(`moving ${turn % 5}`, bytes);
        await from.write('large', 0, Buffer.alloc(2 ** 20, turn));
        await from.rename(`still ${turn}`, `still ${turn} moved`);
        await from.rename(`still ${turn} moved`, `still ${turn}`);
        await from.erase(await from.create(7));
        // In memory nothing of this waits, and nothing else would run.
        await nextTurn();
      }
    })();
    const dir = folder();
    await daemon.snapshot(type, { path: dir }).finally(() => (saving.isOver = true));
    await load;
    expect((await verifySnapshot(dir, { signal: SIGNAL })).damaged).toBe(0);
    await daemon.restore(`${type}_free`, { path: dir });
    expect(Buffer.from(await to.read('left', 0, 64))).toEqual(Buffer.from(await to.read('right', 0, 64)));
    const large = Buffer.from(await to.read('large', 0, 2 ** 20));
    expect(large.equals(Buffer.alloc(large.length, large[0]))).toBe(true);
    const { names } = await to.names();
    // No name twice, none lost, none of a region that is not there.
    expect(names.filter(({ name }) => name.startsWith('still'))).toHaveLength(300);
    for (const { name, id } of names) expect((await to.stat(id)).name).toBe(name);
  });
});

describe('a snapshot', () => {
  let dir: string;
  beforeAll(async () => {
    await erase(daemon.target('memory_free'));
    await erase(daemon.target('memory'));
    await fill(daemon.target('memory'));
    dir = folder();
    await daemon.snapshot('memory', { path: dir });
  });

  it.each([
    [
      'a folder that is not empty',
      async (at: string) => writeFile(path.join(at, 'mine'), ''),
      'INVALID_ARGUMENT',
    ],
    ['a complete snapshot', async (at: string) => cp(dir, at, { recursive: true }), 'CONFLICT'],
  ])('is not written to %s', async (_, prepare, code) => {
    const at = folder();
    await mkdir(at);
    await prepare(at);
    const before = await readdir(at);
    await expect(daemon.snapshot('memory', { path: at })).rejects.toEqual(coded(code));
    expect(await readdir(at)).toEqual(before);
  });

  it('is not written to a file, nor below one, nor to a folder that cannot be made', async () => {
    const file = folder();
    await writeFile(file, 'x');
    for (const at of [file, path.join(file, 'x'), '/proc/none', `/${'x'.repeat(300)}`])
      await expect(daemon.snapshot('memory', { path: at })).rejects.toEqual(coded('INVALID_ARGUMENT'));
  });

  it('may be written below the folder of a pool, and through a symbolic link', async () => {
    const link = folder();
    await mkdir(`${link}-there`);
    await symlink(`${link}-there`, link);
    await daemon.snapshot('file', { path: link });
    expect(await readdir(`${link}-there`)).toContain('manifest.json');
  });

  it.each([
    [{ nosuch: 1 }, 'INVALID_ARGUMENT'],
    [{ target: -1 }, 'INVALID_ARGUMENT'],
    [{ target: 1 }, 'INVALID_ARGUMENT'],
    [{ max_hold_ms: 'x' }, 'INVALID_ARGUMENT'],
  ])('takes no options %j', async (options, code) => {
    await expect(daemon.snapshot('memory', { path: folder(), options })).rejects.toEqual(coded(code));
  });

  it('of a provider with several targets says which', async () => {
    await daemon.target('pair', 1).put('second', Buffer.from('2'));
    await expect(daemon.snapshot('pair', { path: folder() })).rejects.toEqual(coded('INVALID_ARGUMENT'));
    const at = folder();
    expect((await daemon.snapshot('pair', { path: at, options: { target: 1 } })).result).toMatchObject({
      regions: 1,
    });
    await daemon.restore('pair', { path: at, options: { target: 0 } });
    expect(Buffer.from(await daemon.target('pair', 0).read('second', 0, 1)).toString()).toBe('2');
  });

  it('drops no data of its source', async () => {
    const refused = daemon.snapshot('memory', { path: folder(), removeSource: true });
    await expect(refused).rejects.toEqual(coded('NOT_SUPPORTED'));
  });

  it('that is cancelled leaves the target as it was, and a folder that says so; the next one begins anew', async () => {
    const at = folder();
    const controller = new AbortController();
    const taking = daemon.snapshot('memory', { path: at }, { signal: controller.signal });
    // Two providers may not write to one folder.
    const other = daemon.snapshot('file', { path: at });
    const results = await Promise.allSettled([
      other,
      taking.finally(() => undefined),
      Promise.resolve().then(() => controller.abort()),
    ]);
    expect(results[1]).toMatchObject({ status: 'rejected', reason: coded('ABORTED') });
    await rm(at, { recursive: true, force: true });
    await mkdir(at);
    await writeFile(path.join(at, 'unfinished.json'), '{}');
    await writeFile(path.join(at, 'data-000000.pack'), 'old');
    await expect(daemon.restore('memory_free', { path: at })).rejects.toEqual(coded('SNAPSHOT_INCOMPLETE'));
    await expect(verifySnapshot(at, { signal: SIGNAL })).rejects.toEqual(coded('SNAPSHOT_INCOMPLETE'));
    await daemon.snapshot('memory', { path: at });
    expect((await verifySnapshot(at, { signal: SIGNAL })).damaged).toBe(0);
    expect(await readdir(at)).not.toContain('unfinished.json');
  });

  onDisk('tmpfs').it(
    'is OUT_OF_SPACE on a full disk, and the next one into the folder is complete',
    async () => {
      const disk = new SmallDisk('tmpfs', 2 ** 18 + LEAST_BYTES.tmpfs);
      try {
        const at = path.join(disk.folder, 'snapshot');
        await expect(daemon.snapshot('memory', { path: at })).rejects.toEqual(coded('OUT_OF_SPACE'));
        await expect(daemon.restore('memory_free', { path: at })).rejects.toEqual(
          coded('SNAPSHOT_INCOMPLETE'),
        );
        await erase(daemon.target('pair', 0));
        await daemon.snapshot('pair', { path: at, options: { target: 0 } });
        expect((await verifySnapshot(at, { signal: SIGNAL })).damaged).toBe(0);
      } finally {
        disk.remove();
      }
    },
  );

  it('is refused by name by a target that is not empty, which serves on', async () => {
    const to = daemon.target('file');
    await to.put('here', Buffer.from('x'));
    const refused = daemon.restore('file', { path: dir });
    await expect(refused).rejects.toMatchObject({
      code: 'TARGET_NOT_EMPTY',
      details: { provider: 'file', target: 0 },
    });
    expect((await to.find('here')).size).toBe(1);
  });

  it('that is larger than the target is refused, and the target is empty as before', async () => {
    const large = folder();
    await daemon.target('memory').put('large', Buffer.alloc(9 * MIB));
    await daemon.snapshot('memory', { path: large });
    await daemon.target('memory').erase('large');
    await expect(daemon.restore('small', { path: large })).rejects.toEqual(coded('OUT_OF_SPACE'));
    expect((await daemon.target('small').stats()).regions).toBe(0);
    await daemon.target('small').create(1);
  });

  it('that is not there, or relative for whoever calls the provider, is refused', async () => {
    await expect(daemon.restore('memory_free', { path: folder() })).rejects.toEqual(coded('NOT_FOUND'));
    await expect(verifySnapshot(folder(), { signal: SIGNAL })).rejects.toEqual(coded('NOT_FOUND'));
  });
});

describe('a snapshot that is damaged or lies', () => {
  let dir: string;
  beforeAll(async () => {
    await erase(daemon.target('memory'));
    await fill(daemon.target('memory'));
    dir = folder();
    await daemon.snapshot('memory', { path: dir });
  });

  async function changed(change: (at: string, manifest: Manifest) => Promise<unknown>): Promise<string> {
    const at = folder();
    await cp(dir, at, { recursive: true });
    const manifest = await change(at, await readManifest(at));
    if (manifest !== undefined)
      await writeFile(path.join(at, 'manifest.json'), encodeManifest(manifest as Manifest));
    return at;
  }
  const flip = async (file: string, at: number): Promise<void> => {
    const bytes = await readFile(file);
    bytes[at] = (bytes[at] as number) ^ 1;
    await writeFile(file, bytes);
  };

  it.each<[string, (at: string, manifest: Manifest) => Promise<unknown>, string]>([
    ['a byte of the data', (at) => flip(path.join(at, 'data-000000.pack'), 70), 'SNAPSHOT_CORRUPT'],
    ['a line of a region', (at) => flip(path.join(at, 'regions.jsonl'), 80), 'SNAPSHOT_CORRUPT'],
    ['an erased ID', (at) => flip(path.join(at, 'erased.txt'), 3), 'SNAPSHOT_CORRUPT'],
    ['the manifest', (at) => flip(path.join(at, 'manifest.json'), 40), 'SNAPSHOT_CORRUPT'],
    ['the end of the data', (at) => truncate(path.join(at, 'data-000000.pack'), 99), 'SNAPSHOT_CORRUPT'],
    ['the end of the regions', (at) => truncate(path.join(at, 'regions.jsonl'), 99), 'SNAPSHOT_CORRUPT'],
    [
      'more behind the regions',
      (at) => appendFile(path.join(at, 'regions.jsonl'), '{}\n'),
      'SNAPSHOT_CORRUPT',
    ],
    ['the data as a whole', (at) => rm(path.join(at, 'data-000000.pack')), 'SNAPSHOT_CORRUPT'],
    [
      'a link in place of the data',
      async (at) => {
        await rename(path.join(at, 'data-000000.pack'), path.join(at, 'elsewhere'));
        await symlink('elsewhere', path.join(at, 'data-000000.pack'));
      },
      'SNAPSHOT_CORRUPT',
    ],
    ['the pool id', (_, m) => Promise.resolve({ ...m, poolId: '0011223344556677' }), 'SNAPSHOT_CORRUPT'],
    [
      'a pool id that is none',
      (_, m) => Promise.resolve({ ...m, poolId: '../../../../etc' }),
      'SNAPSHOT_CORRUPT',
    ],
    ['too many regions', (_, m) => Promise.resolve({ ...m, regions: 2 ** 50 }), 'SNAPSHOT_CORRUPT'],
    ['too few regions', (_, m) => Promise.resolve({ ...m, regions: 1 }), 'SNAPSHOT_CORRUPT'],
    ['packs that are shorter', (_, m) => Promise.resolve({ ...m, packs: [10] }), 'SNAPSHOT_CORRUPT'],
    [
      'packs that are no numbers',
      (_, m) => Promise.resolve({ ...m, packs: ['../x'] as never }),
      'SNAPSHOT_CORRUPT',
    ],
    ['another version', (_, m) => Promise.resolve({ ...m, version: 2 }), 'NOT_SUPPORTED'],
  ])('is not restored, and the target is empty: %s', async (_, change, code) => {
    const at = await changed(change);
    const to = daemon.target('pmem_free');
    await erase(to);
    await expect(daemon.restore('pmem_free', { path: at })).rejects.toEqual(coded(code));
    expect(await daemon.target('pmem_free').stats()).toMatchObject({ state: 'open', regions: 0 });
    const verified = await verifySnapshot(at, { signal: SIGNAL }).catch((error: unknown) => error);
    if (verified instanceof Error) expect(verified).toEqual(coded(code));
    else expect(verified).toMatchObject({ faults: expect.arrayContaining([expect.any(String)]) as unknown });
    // And the sound one is, afterwards.
    expect((await daemon.restore('pmem_free', { path: dir })).result).toMatchObject({
      regions: 2 * SIZES.length,
    });
    await erase(daemon.target('pmem_free'));
  });

  it('is told apart region by region: one that is damaged costs no other', async () => {
    const at = await changed((there) => flip(path.join(there, 'data-000000.pack'), 70));
    const { regions, damaged, faults } = await verifySnapshot(at, { signal: SIGNAL });
    expect([regions, damaged]).toEqual([2 * SIZES.length - 1, 1]);
    expect(faults[0]).toMatch(/region [0-9a-f]{32}/);
  });
});

describe('a restore that was broken off', () => {
  it('leaves a target that refuses everything, after a restart as well, until the next restore', async () => {
    const at = folder();
    await daemon.snapshot('memory', { path: at });
    const providers = [store('broken', 1, 'file')];
    const first = await bootstrapped(providers);
    await first.target('broken').beginFilling?.(Buffer.from((await readManifest(at)).poolId, 'hex'));
    await first.close();
    const second = await bootstrapped(providers);
    await expect(second.target('broken').create(1)).rejects.toEqual(coded('NOT_READY'));
    await expect(second.snapshot('broken', { path: folder() })).rejects.toEqual(coded('NOT_READY'));
    await second.restore('broken', { path: at });
    expect(await contentsOf(second.target('broken'))).toEqual(await contentsOf(daemon.target('memory')));
    await second.close();
  });
});

describe('bedrock snapshot, restore and verify', () => {
  it('do what they say, over a daemon and without', async () => {
    const env = { BEDROCK_ADDRESS: String(daemon.address) };
    const at = folder();
    await erase(daemon.target('memory_empty'));
    const { regions } = await daemon.target('memory').stats();
    const saved = await run(['snapshot', 'memory', at], { env });
    expect(saved).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(`^${regions} regions, .* from memory to `) as unknown,
    });
    const verified = await run(['verify', at, '--json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({ path: at, regions, damaged: 0, faults: [] });
    const restored = await run(['restore', 'memory_empty', at, '--json'], { env });
    expect(JSON.parse(restored.stdout)).toMatchObject({
      state: 'done',
      type: 'restore',
      result: { regions },
    });
    const again = await run(['restore', 'memory_empty', at], { env });
    expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/^error TARGET_NOT_EMPTY: /)]);
    const relative = await run(['snapshot', 'memory', 'here'], { env });
    expect([relative.status, relative.stderr]).toEqual([
      2,
      expect.stringMatching(/^error INVALID_ARGUMENT: /),
    ]);
    await truncate(path.join(at, 'data-000000.pack'), 1);
    const damaged = await run(['verify', at]);
    expect([damaged.status, damaged.stderr]).toEqual([
      1,
      expect.stringMatching(/error SNAPSHOT_CORRUPT: .*\n$/),
    ]);
    expect((await run(['verify', folder()])).status).toBe(1);
  });

  it('reach a target by its number, and by the client', async () => {
    const env = { BEDROCK_ADDRESS: String(daemon.address) };
    expect((await run(['snapshot', 'pair.1', folder()], { env })).status).toBe(0);
    const service = await connect(String(daemon.address));
    const done = await service.provider('pair').snapshot({ path: folder(), options: { target: 1 } });
    expect(done).toMatchObject({ state: 'done', result: { regions: 1 } });
    await service.close();
  });
});

describe('the transfer manager of a provider', () => {
  const most = async (target: Target, method: 'readInto' | 'importRegion', work: () => Promise<unknown>) => {
    let [now, highest] = [0, 0];
    const before = (target[method] as (...args: unknown[]) => Promise<unknown>).bind(target);
    Object.assign(target, {
      async [method](...args: unknown[]) {
        highest = Math.max(highest, ++now);
        await nextTurn();
        await before(...args).finally(() => now--);
      },
    });
    await work();
    return highest;
  };

  it.each([
    [undefined, 32, 40],
    [{ type: 'pipeline', config: { num_buffers_per_pool: 3, first_buffer_size: 2 ** 18 } }, 3, 3],
    [{ type: 'pipeline', config: { num_buffers_per_pool: 1, first_buffer_size: 4096 } }, 1, 1],
  ])('%j limits what is in flight of a snapshot and a restore', async (manager, ofSnapshot, ofRestore) => {
    const config = {
      target: { type: 'memory' },
      ...(manager !== undefined && { transfer_manager: manager }),
    };
    for (const name of ['from', 'to']) await daemon.addProvider({ name, type: 'warabi', config });
    const [from, to] = [daemon.target('from'), daemon.target('to')];
    for (let at = 0; at < 40; at++) await from.createAndWrite(Buffer.from(`region ${at}`));
    const path = folder();
    expect(await most(from, 'readInto', () => daemon.snapshot('from', { path }))).toBe(ofSnapshot);
    expect(await most(to, 'importRegion', () => daemon.restore('to', { path }))).toBe(ofRestore);
    for (const name of ['from', 'to']) await daemon.removeProvider(name);
  });
});
