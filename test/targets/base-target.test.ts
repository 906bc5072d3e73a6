/**
 * BaseTarget: regions stay in place while calls are in flight on them, and what a failing hook
 * leaves behind.
 */
import { describe, expect, test } from '@jest/globals';
import { inFlight, isPending } from '../../core/conformance/assertions.js';
import type { RegionId } from '../../core/index.js';
import { Arena, ArenaTarget } from './arena-target.js';
import { LogKeeper, ScriptedTarget } from './scripted-target.js';

async function openTarget(): Promise<ScriptedTarget> {
  const target = new ScriptedTarget();
  await target.open();
  return target;
}

async function withRegion(): Promise<{ target: ScriptedTarget; id: RegionId }> {
  const target = await openTarget();
  return { target, id: await target.create(64) };
}

const bytes = Buffer.alloc(8);
const range = { offset: 0, size: 8 };

describe('an erased region', () => {
  test('is released once, after the last of many calls in flight on it', async () => {
    const { target, id } = await withRegion();
    const mapping = await target.map(id);
    const gates = [target.hold('read'), target.hold('write'), target.hold('persist')];
    const groups = [
      [target.read(id, 0, 8), target.readInto(id, 0, Buffer.alloc(8)), target.readv(id, [range])],
      [target.write(id, 0, bytes), target.writev(id, [range], bytes)],
      [target.persist(id), target.persist(id, [range])],
    ];
    // It does not wait for them.
    await target.erase(id);
    for (const [at, calls] of groups.entries()) {
      expect(target.count('release')).toBe(0);
      gates[at]?.open();
      await Promise.all(calls);
    }
    expect(await isPending(new Promise(() => undefined))).toBe(true);
    expect(target.count('release')).toBe(0);
    mapping.release();
    mapping.release();
    await target.close();
    expect(target.count('release')).toBe(1);
  });

  test('is released before erase resolves if no call is in flight on it', async () => {
    const { target, id } = await withRegion();
    const gate = target.hold('release');
    const erased = target.erase(id);
    expect(await isPending(erased)).toBe(true);
    gate.open();
    await erased;
    expect(target.hooks.slice(-2)).toEqual(['unpublish', 'release']);
  });

  test('is released once if its calls end while it is unpublished', async () => {
    const { target, id } = await withRegion();
    const reading = target.hold('read');
    const unpublishing = target.hold('unpublish');
    const read = target.read(id, 0, 8);
    const erased = inFlight(target.erase(id));
    reading.open();
    await read;
    expect(await isPending(erased)).toBe(true);
    expect(target.count('release')).toBe(0);
    unpublishing.open();
    await erased;
    await target.close();
    expect(target.count('release')).toBe(1);
  });

  test('is released by a call in flight that fails', async () => {
    const { target, id } = await withRegion();
    const gate = target.hold('write');
    target.failing.add('write');
    const write = inFlight(target.write(id, 0, bytes));
    await target.erase(id);
    expect(target.count('release')).toBe(0);
    gate.open();
    await expect(write).rejects.toThrow('write failed');
    await target.close();
    expect(target.count('release')).toBe(1);
  });

  test('is refused and not listed while it is unpublished', async () => {
    const { target, id } = await withRegion();
    const gate = target.hold('unpublish');
    const erased = target.erase(id);
    await expect(target.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await expect(target.erase(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect((await target.list()).regions).toEqual([]);
    gate.open();
    await erased;
    expect(target.count('unpublish')).toBe(1);
  });

  test('stays usable if it cannot be unpublished, and can be erased later', async () => {
    const { target, id } = await withRegion();
    target.failing.add('unpublish');
    await expect(target.erase(id)).rejects.toThrow('unpublish failed');
    await target.write(id, 0, bytes);
    expect((await target.stat(id)).size).toBe(64);
    expect((await target.list()).regions).toHaveLength(1);
    expect(target.count('release')).toBe(0);
    target.failing.clear();
    await target.erase(id);
    expect(target.count('release')).toBe(1);
    await target.close();
  });

  test('stays usable if it cannot be unpublished, with calls in flight on it', async () => {
    const { target, id } = await withRegion();
    target.failing.add('unpublish');
    const gate = target.hold('read');
    const read = target.read(id, 0, 8);
    await expect(target.erase(id)).rejects.toThrow('unpublish failed');
    gate.open();
    await read;
    expect((await target.stat(id)).size).toBe(64);
    await target.close();
    expect(target.count('release')).toBe(0);
  });

  test('is gone though its space cannot be given back', async () => {
    const { target, id } = await withRegion();
    target.failing.add('release');
    await target.erase(id);
    await expect(target.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await target.close();
    expect(target.count('release')).toBe(1);
  });
});

describe('a region that does not come to be', () => {
  const source = [Buffer.alloc(64)];

  test('takes nothing if it cannot be allocated', async () => {
    const target = await openTarget();
    target.failing.add('allocate');
    await expect(target.create(64)).rejects.toThrow('allocate failed');
    await expect(target.createAndWrite({ size: 64, source })).rejects.toThrow('allocate failed');
    expect(target.count('release')).toBe(0);
    await target.close();
  });

  for (const hook of ['publish', 'write', 'persist'] as const) {
    test(`is released once if ${hook} fails, and never appears`, async () => {
      const target = await openTarget();
      target.failing.add(hook);
      const call = target.createAndWrite({ size: 64, source }, { persist: true });
      await expect(call).rejects.toThrow(`${hook} failed`);
      expect(target.count('release')).toBe(1);
      expect((await target.list()).regions).toEqual([]);
      await target.close();
    });

    test(`fails with what ${hook} failed with, though its space cannot be given back`, async () => {
      const target = await openTarget();
      target.failing.add(hook).add('release');
      const call = target.createAndWrite({ size: 64, source }, { persist: true });
      await expect(call).rejects.toThrow(`${hook} failed`);
      expect(target.log.lines).toEqual([expect.stringMatching(/^error: /)]);
      await target.close();
    });
  }

  test('is released if create cannot publish it', async () => {
    const target = await openTarget();
    target.failing.add('publish');
    await expect(target.create(64)).rejects.toThrow('publish failed');
    expect(target.hooks.slice(-3)).toEqual(['allocate', 'publish', 'release']);
    target.failing.clear();
    await target.create(64);
    expect((await target.list()).regions).toHaveLength(1);
  });

  test('is not published before it is filled', async () => {
    const target = await openTarget();
    const pieces = [Buffer.alloc(30), Buffer.alloc(34)];
    await target.createAndWrite({ size: 64, source: pieces }, { persist: true });
    expect(target.hooks).toEqual([
      'openStorage',
      'allocate',
      'write 0+30',
      'write 30+34',
      'persist all',
      'publish',
    ]);
  });
});

describe('a write', () => {
  test('persists what it wrote, only if asked to', async () => {
    const { target, id } = await withRegion();
    target.hooks.length = 0;
    await target.write(id, 3, bytes);
    await target.write(id, 3, bytes, { persist: false });
    await target.write(id, 3, bytes, {});
    expect(target.hooks).toEqual(['write 3+8', 'write 3+8', 'write 3+8']);
    await target.write(id, 5, bytes, { persist: true });
    expect(target.hooks.slice(3)).toEqual(['write 5+8', 'persist 5+8']);
  });

  test('of ranges goes in their order and persists them together', async () => {
    const { target, id } = await withRegion();
    target.hooks.length = 0;
    const ranges = [
      { offset: 20, size: 3 },
      { offset: 0, size: 5 },
    ];
    await target.writev(id, ranges, bytes);
    expect(target.hooks).toEqual(['write 20+3', 'write 0+5']);
    await target.writev(id, ranges, bytes, { persist: true });
    expect(target.hooks.slice(2)).toEqual(['write 20+3', 'write 0+5', 'persist 0+5,20+3']);
  });

  test('goes by the ranges as they were when it was called', async () => {
    const { target, id } = await withRegion();
    target.hooks.length = 0;
    const ranges = [
      { offset: 20, size: 3 },
      { offset: 0, size: 5 },
    ];
    const writing = target.writev(id, ranges, bytes, { persist: true });
    Object.assign(ranges[1] ?? {}, { offset: 2 ** 40 });
    ranges.pop();
    await writing;
    expect(target.hooks).toEqual(['write 20+3', 'write 0+5', 'persist 0+5,20+3']);
  });

  test('that is out of range reaches no hook', async () => {
    const { target, id } = await withRegion();
    target.hooks.length = 0;
    const ranges = [range, { offset: 60, size: 5 }];
    await expect(target.writev(id, ranges, Buffer.alloc(13))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    await expect(target.write(id, 60, Buffer.alloc(5))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(target.hooks).toEqual([]);
  });
});

test('a mapping that fails does not hold its region', async () => {
  const { target, id } = await withRegion();
  target.failing.add('map');
  await expect(target.map(id)).rejects.toThrow('map failed');
  await target.erase(id);
  expect(target.count('release')).toBe(1);
  await target.close();
});

describe('ranges of one call', () => {
  const ranges = (count: number, offset: number): { offset: number; size: number }[] =>
    Array.from({ length: count }, () => ({ offset, size: 8 }));

  test('are made durable once, however often their bytes are named', async () => {
    const { target, id } = await withRegion();
    await target.persist(id, [...ranges(1000, 8), ...ranges(1000, 0), ...ranges(1000, 32)]);
    await target.writev(id, [...ranges(2, 40), ...ranges(2, 48)], Buffer.alloc(32), { persist: true });
    expect(target.hooks.filter((hook) => hook.startsWith('persist'))).toEqual([
      'persist 0+16,32+8',
      'persist 40+16',
    ]);
  });

  test('that hold no bytes are durable already, and their bounds are checked all the same', async () => {
    const { target, id } = await withRegion();
    await target.persist(id, []);
    await target.persist(id, [{ offset: 64, size: 0 }]);
    expect(target.count('persist')).toBe(0);
    await expect(target.persist(id, [{ offset: 65, size: 0 }])).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
    });
  });

  test.each(['readv', 'writev'] as const)(
    '%s leaves the event loop to others while it moves many',
    async (call) => {
      const target = new ArenaTarget(new Arena(2 ** 16), new LogKeeper());
      await target.open();
      const id = await target.create(64);
      let turns = 0;
      let isOver = false;
      const count = (): void => {
        turns++;
        if (!isOver) setImmediate(count);
      };
      setImmediate(count);
      const many = ranges(50_000, 8);
      await (call === 'readv' ? target.readv(id, many) : target.writev(id, many, Buffer.alloc(400_000)));
      isOver = true;
      expect(turns).toBeGreaterThan(5);
      await target.close();
    },
  );
});
