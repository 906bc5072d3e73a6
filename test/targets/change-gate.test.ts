/**
 * What somebody hears of changes who copies a target while it serves, and the pause in which there
 * are none.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fileBackend from '../../backends/file/index.js';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { isPending } from '../../core/conformance/assertions.js';
import { BedrockError, type RegionId } from '../../core/index.js';
import type { BaseTarget } from '../../core/targets/base-target.js';
import type { ChangeListener } from '../../core/targets/change-gate.js';
import { DirectTarget } from '../../core/targets/direct-target.js';
import { Random } from '../fixtures/random.js';
import { LogKeeper } from './scripted-target.js';

let folder = '';
let target: BaseTarget;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'gate-'));
});
afterEach(async () => {
  await target.close();
  await rm(folder, { recursive: true });
});

async function open(type: string): Promise<void> {
  const context = { logger: new LogKeeper(), clock: { now: () => 1 }, baseDirectory: folder };
  const config = { path: 'pool', create_if_missing_with_size: 8 * 2 ** 20, max_size: 8 * 2 ** 20 };
  target = (
    type === 'memory'
      ? new MemoryTarget({}, context)
      : await fileBackend.create({ ...FILE_DEFAULTS, ...config }, context as never)
  ) as BaseTarget;
  await target.open();
}
const FILE_DEFAULTS = { override_if_exists: false, read_only: false, alignment: 256, sync_writes: false };

/** Remembers the IDs of which it heard. */
class Heard implements ChangeListener {
  readonly ids = new Map<string, RegionId>();
  wrote(id: RegionId): void {
    this.ids.set(id.toString(), id);
  }
  changed(id: RegionId): void {
    this.ids.set(id.toString(), id);
  }
  take(): RegionId[] {
    const taken = [...this.ids.values()];
    this.ids.clear();
    return taken;
  }
}

/** A copy that follows a target by what it hears. */
class Mirror {
  readonly regions = new Map<string, { name: string | undefined; bytes: string }>();

  async follow(ids: readonly RegionId[]): Promise<void> {
    for (const id of ids) {
      const now = await stateOf(id);
      if (now === undefined) this.regions.delete(id.toString());
      else this.regions.set(id.toString(), now);
    }
  }
}

async function stateOf(id: RegionId): Promise<{ name: string | undefined; bytes: string } | undefined> {
  try {
    const { size, name } = await target.stat(id);
    return { name, bytes: Buffer.from(await target.read(id, 0, size)).toString('hex') };
  } catch (error) {
    if ((error as BedrockError).code === 'REGION_NOT_FOUND') return undefined;
    throw error;
  }
}

describe.each(['memory', 'file'])('changes of a %s target', (type) => {
  test('are all heard of, whoever makes them, so that a copy can follow', async () => {
    await open(type);
    const random = new Random(7);
    const pick = (count: number): number => random.below(count);
    const name = (): string => `n${pick(4)}`;
    const heard = new Heard();
    const watch = target.watchChanges(heard);
    const mirror = new Mirror();
    const ids: RegionId[] = [];
    const idle = (): undefined => undefined;
    const change = async (): Promise<unknown> => {
      const id = ids[pick(ids.length)];
      const bytes = Buffer.alloc(8, pick(256));
      const what = pick(id === undefined ? 3 : 10);
      if (what === 0) return ids.push(await target.create(16));
      if (what === 1) return ids.push(await target.put(name(), Buffer.alloc(16, pick(256))));
      if (what === 2) return ids.push(await target.createAndWrite(Buffer.alloc(16, pick(256))));
      if (id === undefined) return undefined;
      if (what === 3) return target.write(id, pick(9), bytes, { persist: pick(2) === 0 });
      if (what === 4) return target.writev(id, [{ offset: pick(9), size: 8 }], bytes);
      if (what === 5) return target.erase(id);
      if (what === 6) return target.rename(id, name(), { replace: true });
      if (what === 7)
        return target.transact([
          { type: 'write', ref: id, offset: 0, bytes },
          { type: 'put', name: name(), contents: Buffer.alloc(16, 1) },
        ]);
      if (what === 8) {
        if (!(target instanceof DirectTarget)) return undefined;
        const landing = target.land(id, 0, 8);
        landing?.bytes.set(bytes);
        landing?.release();
        return target.isDirect ? target.writeNow(id, 0, bytes, false) : undefined;
      }
      const mapping = await target.map(id);
      mapping.views[0]?.set(bytes);
      return mapping.release();
    };
    for (let round = 0; round < 5; round++) {
      const busy = Array.from({ length: 16 }, () => change().catch(idle));
      await mirror.follow(heard.take());
      await Promise.all(busy);
    }
    const last = Array.from({ length: 16 }, () => change().catch(idle));
    await watch.hold(60_000);
    const late = change().catch(idle);
    await mirror.follow(heard.take());
    const all = new Map<string, unknown>();
    for (const { id } of (await target.list()).regions) all.set(id.toString(), await stateOf(id));
    expect(Object.fromEntries(mirror.regions)).toEqual(Object.fromEntries(all));
    watch.end();
    await Promise.all([...last, late]);
  });

  test('wait while they are held, and go on after that', async () => {
    await open(type);
    const id = await target.createAndWrite(Buffer.from('before'), { persist: true });
    const watch = target.watchChanges(new Heard());
    await watch.hold(60_000);
    const calls = [
      target.create(1),
      target.createAndWrite(Buffer.from('x')),
      target.put('name', Buffer.from('x')),
      target.write(id, 0, Buffer.from('after!')),
      target.writev(id, [{ offset: 0, size: 6 }], Buffer.from('after!')),
      target.rename(id, 'new'),
      target.transact([{ type: 'write', ref: id, offset: 0, bytes: Buffer.from('after!') }]),
      target.erase(id),
    ];
    for (const call of calls) expect(await isPending(call)).toBe(true);
    expect(Buffer.from(await target.read(id, 0, 6)).toString()).toBe('before');
    expect((await target.list()).regions).toHaveLength(1);
    watch.release();
    const results = await Promise.allSettled(calls);
    // The region is erased by one of them, before or after the others.
    const codes = results.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as BedrockError).code] : [],
    );
    expect(new Set([...codes, 'REGION_NOT_FOUND'])).toEqual(new Set(['REGION_NOT_FOUND']));
    watch.end();
  });

  test('are refused with the error that ends the target, and so are reads', async () => {
    await open(type);
    const id = await target.create(8);
    const watch = target.watchChanges(new Heard());
    await watch.hold(60_000);
    const waiting = target.write(id, 0, Buffer.from('x'));
    target.refuseAll(new BedrockError('CONFLICT', 'gone'));
    await expect(waiting).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(target.create(1)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(target.read(id, 0, 1)).rejects.toMatchObject({ code: 'CONFLICT' });
    await target.close();
    await expect(target.stat(id)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(target.put('name', Buffer.from('x'))).rejects.toMatchObject({ code: 'CONFLICT' });
    target.refuseAll(undefined);
    await expect(target.stat(id)).rejects.toMatchObject({ code: 'TARGET_CLOSED' });
    await target.open();
    await target.create(1);
  });
});

describe('a hold', () => {
  test('waits for bytes that land, and for mappings', async () => {
    await open('memory');
    const id = await target.create(2 ** 16);
    const landing = (target as DirectTarget).land(id, 0, 2 ** 16);
    const mapping = await target.map(id);
    const heard = new Heard();
    const watch = target.watchChanges(heard);
    const held = watch.hold(60_000);
    landing?.release();
    expect(await isPending(held)).toBe(true);
    mapping.release();
    await held;
    expect(heard.take()).toHaveLength(1);
    watch.end();
  });

  test('that takes too long ends with TIMEOUT, and changes go on', async () => {
    await open('memory');
    const id = await target.create(8);
    const mapping = await target.map(id);
    const watch = target.watchChanges(new Heard());
    await expect(watch.hold(1)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await target.write(id, 0, Buffer.from('x'));
    mapping.release();
    watch.end();
  });

  test('keeps a region from being mapped, and bytes from landing', async () => {
    await open('memory');
    const id = await target.create(2 ** 16);
    const watch = target.watchChanges(new Heard());
    expect((target as DirectTarget).land(id, 0, 2 ** 16)).toBeUndefined();
    await watch.hold(60_000);
    const mapping = target.map(id);
    expect(await isPending(mapping)).toBe(true);
    watch.end();
    await nextTurn();
    (await mapping).release();
  });

  test('has one listener at a time', async () => {
    await open('memory');
    const watch = target.watchChanges(new Heard());
    expect(() => target.watchChanges(new Heard())).toThrow(expect.objectContaining({ code: 'CONFLICT' }));
    watch.end();
    target.watchChanges(new Heard()).end();
  });
});
