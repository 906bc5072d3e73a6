/** Empty targets that take the place of another one: its pool id, its regions, and its erased IDs. */
import { rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import memory from '../../backends/memory/index.js';
import { createLogger } from '../../core/base/logging.js';
import type { BackendContext, RegionId, Target } from '../../core/index.js';
import { copyRegions } from '../../core/targets/copy.js';
import { poolFolder, poolTarget, type PoolBackend } from '../backends/pool-factory.js';
import { runHere } from '../fixtures/run-here.js';

const MIB = 2 ** 20;
const WATCH = { signal: new AbortController().signal, onBytes: () => undefined };
const coded = (code: string): unknown => expect.objectContaining({ code });

let home: string;
let from: Target;
let poolId: Uint8Array;
let erased: RegionId;
let made = 0;
const opened: Target[] = [];

async function make(type: string, settings: object = {}): Promise<Target> {
  const target =
    type === 'memory'
      ? await memory.create({}, {
          logger: createLogger({ level: 'off', format: 'text' }),
          clock: { now: () => 1 },
        } as unknown as BackendContext)
      : await poolTarget(
          type as PoolBackend,
          { path: `pool${made++}`, create_if_missing_with_size: 8 * MIB, ...settings },
          home,
        );
  await target.open();
  opened.push(target);
  return target;
}

beforeAll(async () => {
  home = await poolFolder();
  from = await make('memory');
  for (let index = 0; index < 20; index++)
    await from.createAndWrite(Buffer.from(`region ${index}`), index % 2 === 0 ? { name: `n${index}` } : {});
  erased = (await from.find('n8')).id;
  await from.erase(erased);
  poolId = erased.toBytes().subarray(8);
});
afterEach(async () => {
  for (const target of opened.splice(1)) await target.close();
});
afterAll(async () => {
  await from.close();
  await rm(home, { recursive: true, force: true });
});

async function begin(target: Target): Promise<void> {
  await target.beginFilling?.(poolId);
}

describe.each(['memory', 'file', 'pmem'])('an empty %s target', (type) => {
  it('takes the pool id, the regions, the names and the erased IDs of another one', async () => {
    const to = await make(type);
    const before = await to.createAndWrite(Buffer.from('gone'), { name: 'n2' });
    await to.erase(before);
    expect(to.isFilling).toBe(false);
    await begin(to);
    expect([to.isFilling, to.state]).toEqual([true, 'open']);
    await copyRegions(from, to, WATCH);
    await to.endFilling?.();
    expect(to.isFilling).toBe(false);
    expect(await to.list()).toEqual(await from.list());
    expect(Buffer.from(await to.read('n2', 0, 8)).toString()).toBe('region 2');
    for (const id of [before, erased]) await expect(to.stat(id)).rejects.toEqual(coded('REGION_NOT_FOUND'));
    // The slot of the erased one is used again, its ID is not.
    const next = await to.create(1);
    expect([next.slot, next.equals(erased)]).toEqual([erased.slot, false]);
    await to.endFilling?.();
  });

  it('begins anew if it is being filled already, and drops only what came', async () => {
    const to = await make(type);
    await begin(to);
    const { usedBytes } = await to.stats();
    await copyRegions(from, to, WATCH);
    await begin(to);
    expect(await to.stats()).toMatchObject({ regions: 0, usedBytes });
    expect((await to.names()).names).toEqual([]);
    await copyRegions(from, to, WATCH);
    await to.endFilling?.();
    expect(await to.list()).toEqual(await from.list());
  });

  it('is refused with TARGET_NOT_EMPTY as soon as it holds a region, and serves on', async () => {
    const to = await make(type);
    const id = await to.createAndWrite(Buffer.from('here'));
    await expect(to.beginFilling?.(poolId)).rejects.toEqual(coded('TARGET_NOT_EMPTY'));
    expect(Buffer.from(await to.read(id, 0, 4)).toString()).toBe('here');
    await to.erase(id);
    // A region that a call in flight makes counts as well.
    let go!: () => void;
    const wait = new Promise<void>((resolve) => (go = resolve));
    async function* source(): AsyncGenerator<Uint8Array> {
      await wait;
      yield Buffer.from('late');
    }
    const making = to.createAndWrite({ size: 4, source: source() });
    const beginning = to.beginFilling?.(poolId);
    await expect(to.create(1)).rejects.toEqual(coded('TARGET_CLOSED'));
    go();
    const late = await making;
    await expect(beginning).rejects.toEqual(coded('TARGET_NOT_EMPTY'));
    expect(Buffer.from(await to.read(late, 0, 4)).toString()).toBe('late');
  });

  it('takes no pool id that is none, and none while it is closed', async () => {
    const to = await make(type);
    for (const wrong of [Buffer.alloc(7), Buffer.alloc(9), 'x' as unknown as Uint8Array])
      await expect(to.beginFilling?.(wrong)).rejects.toEqual(coded('INVALID_ARGUMENT'));
    await to.close();
    await expect(to.beginFilling?.(poolId)).rejects.toEqual(coded('TARGET_CLOSED'));
    await expect(to.endFilling?.()).rejects.toEqual(coded('TARGET_CLOSED'));
  });

  it('closes after it has begun, if it is told to meanwhile', async () => {
    const to = await make(type);
    await Promise.all([begin(to), to.close()]);
    expect(to.state).toBe('closed');
  });
});

describe.each(['file', 'pmem'] as const)('a %s target that is being filled', (type) => {
  it('says so after a reopen, until the end, and a copy of its pool is refused', async () => {
    const path = `kept-${type}`;
    const to = await make(type, { path });
    await begin(to);
    await copyRegions(from, to, WATCH);
    await to.close();
    const copied = await runHere(['pool', 'copy', `${type}:${home}/${path}`, `${home}/copy-${type}`]);
    expect([copied.status, copied.stderr]).toEqual([1, expect.stringMatching(/^error CONFLICT: /)]);
    const again = await make(type, { path });
    expect(again.isFilling).toBe(true);
    expect(await again.list()).toEqual(await from.list());
    await again.endFilling?.();
    await again.close();
    expect((await make(type, { path })).isFilling).toBe(false);
  });

  it('is not begun in a pool that is read only', async () => {
    const path = `only-${type}`;
    await (await make(type, { path })).close();
    const to = await make(type, { path, read_only: true });
    await expect(to.beginFilling?.(poolId)).rejects.toEqual(coded('READ_ONLY'));
    expect(to.state).toBe('open');
  });
});
