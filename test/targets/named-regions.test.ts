/**
 * Names in BaseTarget, with slow hooks and hooks that fail: who changes a name waits for who
 * changes it, and nothing is half done.
 */
import { describe, expect, test } from '@jest/globals';
import { inFlight, isPending } from '../../core/conformance/assertions.js';
import type { RegionId, Target } from '../../core/index.js';
import { NamedScriptedTarget } from './scripted-target.js';

const bytes = Buffer.alloc(8);

async function openTarget(): Promise<NamedScriptedTarget> {
  const target = new NamedScriptedTarget();
  await target.open();
  return target;
}

/** Which region has which name, and how many there are. */
async function stateOf(target: Target): Promise<{ names: Record<string, string>; regions: string[] }> {
  const { names } = await target.names();
  const { regions } = await target.list();
  return {
    names: Object.fromEntries(names.map(({ name, id }) => [name, id.toString()])),
    regions: regions.map(({ id }) => id.toString()),
  };
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? (error as Error).message,
  );
}

/** All calls that change the name `a`, or the region that has it. */
const CHANGES: readonly [string, (target: Target, id: RegionId) => Promise<unknown>][] = [
  ['put', (target) => target.put('a', bytes)],
  ['a conditional put', (target, id) => target.put('a', bytes, { if: id })],
  ['createAndWrite', (target) => target.createAndWrite(bytes, { name: 'a' })],
  ['erase by the name', (target) => target.erase('a')],
  ['erase by the ID', (target, id) => target.erase(id)],
  ['rename away', (target, id) => target.rename(id, 'b')],
  ['rename of another to it', (target) => target.rename('c', 'a', { replace: true })],
  ['taking it away', (target) => target.rename('a', null)],
  ['a transaction', (target) => target.transact([{ type: 'put', name: 'a', contents: bytes }])],
  ['a transaction that erases', (target, id) => target.transact([{ type: 'erase', ref: id }])],
];

describe('changes of one name', () => {
  test.each(CHANGES.flatMap((one) => CHANGES.map((other) => [one[0], other[0], one[1], other[1]] as const)))(
    '%s and %s at once come one after another',
    async (_, __, one, other) => {
      const target = await openTarget();
      const id = await target.put('a', bytes);
      await target.put('c', bytes);
      const gates = (['publish', 'unpublish', 'rename', 'commit'] as const).map((hook) => target.hold(hook));
      const calls = [inFlight(one(target, id)), inFlight(other(target, id))];
      // Those that are refused at once end here.
      await Promise.all(calls.map((call) => isPending(call)));
      const changing = target.hooks.filter((hook) => /^(?:publish|unpublish|rename|commit)/.test(hook));
      // Two were for the regions made before.
      expect(changing.length - 2).toBeLessThanOrEqual(1);
      for (const gate of gates) gate.open();
      for (const outcome of await Promise.all(calls.map(codeOf)))
        expect(['done', 'REGION_NOT_FOUND', 'NAME_TAKEN', 'CONDITION_FAILED']).toContain(outcome);
      const { names, regions } = await stateOf(target);
      for (const named of Object.values(names)) expect(regions).toContain(named);
      for (const name of Object.keys(names))
        expect((await target.find(name)).id.toString()).toBe(names[name]);
      await target.close();
      // Whatever was taken and is not there any more was given back.
      expect(target.count('allocate') - target.count('release')).toBe(regions.length);
    },
  );

  test('are made at once where the names differ', async () => {
    const target = await openTarget();
    const gate = target.hold('publish');
    const puts = ['a', 'b', 'c'].map((name) => inFlight(target.put(name, bytes)));
    expect(await isPending(Promise.all(puts))).toBe(true);
    expect(target.count('publish')).toBe(3);
    gate.open();
    await Promise.all(puts);
  });

  test('leave calls alone that only read', async () => {
    const target = await openTarget();
    const id = await target.put('a', bytes);
    const gates = [target.hold('publish'), target.hold('rename')];
    const calls = [inFlight(target.put('a', bytes)), inFlight(target.rename('a', 'b'))];
    expect((await target.find('a')).id).toEqual(id);
    expect((await target.read('a', 0, 8)).length).toBe(8);
    await target.write('a', 0, bytes);
    expect((await target.names()).names.length).toBe(1);
    for (const gate of gates) gate.open();
    await Promise.all(calls);
    // The rename came first, as the contents of the put had to come.
    expect((await target.find('b')).id).toEqual(id);
    expect((await target.find('a')).id).not.toEqual(id);
  });

  test('wait for the contents of a put only when they have come', async () => {
    const target = await openTarget();
    const gate = target.hold('write');
    const slow = inFlight(target.put('a', bytes));
    await target.createAndWrite({ size: 0, source: [] }, { name: 'a' });
    gate.open();
    await slow;
    expect((await target.find('a')).size).toBe(8);
    expect((await target.list()).regions.length).toBe(1);
  });
});

describe('a hook that fails', () => {
  test.each(['allocate', 'write', 'publish'] as const)('%s leaves a put without effect', async (hook) => {
    const target = await openTarget();
    await target.put('a', bytes);
    const before = await stateOf(target);
    target.failing.add(hook);
    expect(await codeOf(target.put('a', bytes))).toBe(`${hook} failed`);
    expect(await codeOf(target.put('new', bytes))).toBe(`${hook} failed`);
    expect(await codeOf(target.createAndWrite(bytes, { name: 'other' }))).toBe(`${hook} failed`);
    expect(await stateOf(target)).toEqual(before);
    target.failing.clear();
    await target.read('a', 0, 8);
    await target.put('a', bytes);
    expect(target.count('allocate') - target.count('release')).toBe(hook === 'allocate' ? 4 : 1);
    await target.close();
  });

  test.each([
    ['rename', 'rename', (target: Target) => target.rename('a', 'x')],
    ['rename', 'a rename that replaces', (target: Target) => target.rename('a', 'b', { replace: true })],
    ['unpublish', 'an erase', (target: Target) => target.erase('a')],
  ] as const)('%s leaves %s without effect', async (hook, _, change) => {
    const target = await openTarget();
    await target.put('a', bytes);
    await target.put('b', bytes);
    const before = await stateOf(target);
    target.failing.add(hook);
    expect(await codeOf(change(target))).toBe(`${hook} failed`);
    expect(await stateOf(target)).toEqual(before);
    for (const name of ['a', 'b']) await target.read(name, 0, 8);
    target.failing.clear();
    await change(target);
    expect(await stateOf(target)).not.toEqual(before);
    await target.close();
  });

  test.each(['allocate', 'write', 'commit'] as const)(
    '%s leaves a transaction without effect',
    async (hook) => {
      const target = await openTarget();
      const id = await target.put('a', bytes);
      await target.put('b', bytes);
      const before = await stateOf(target);
      const transact = (): Promise<unknown> =>
        target.transact([
          { type: 'put', name: 'new', contents: bytes },
          { type: 'put', name: 'a', contents: bytes },
          { type: 'put', name: 'passing', contents: bytes },
          { type: 'erase', ref: 'passing' },
          { type: 'rename', ref: 'b', to: 'c' },
        ]);
      target.failing.add(hook);
      // An error of the system is INTERNAL with the place of its change; one of the hook that makes
      // them all has none.
      expect(await codeOf(transact())).toBe(hook === 'commit' ? 'commit failed' : 'INTERNAL');
      expect(await stateOf(target)).toEqual(before);
      target.failing.clear();
      await transact();
      expect(await codeOf(target.read(id, 0, 8))).toBe('REGION_NOT_FOUND');
      await target.close();
      const left = target.count('allocate') - target.count('release');
      expect(left).toBe(hook === 'allocate' ? 4 : 3);
    },
  );
});

describe('a replaced region', () => {
  test('keeps its space until the last call on it has ended', async () => {
    const target = await openTarget();
    await target.put('a', bytes);
    await target.put('b', bytes);
    const mapping = await target.map('a');
    const gate = target.hold('read');
    const reads = [inFlight(target.read('a', 0, 8)), inFlight(target.read('b', 0, 8))];
    await target.put('a', bytes);
    await target.rename('a', 'b', { replace: true });
    expect(target.count('release')).toBe(0);
    gate.open();
    await Promise.all(reads);
    expect(target.count('release')).toBe(1);
    mapping.release();
    expect(target.count('release')).toBe(2);
    await target.close();
  });
});

describe('a transaction', () => {
  test('waits for calls in flight on regions that it writes to, and new calls wait for it', async () => {
    const target = await openTarget();
    const id = await target.put('a', bytes);
    await target.put('b', bytes);
    const mapping = await target.map('a');
    const reading = target.hold('read');
    const read = inFlight(target.read('a', 0, 8));
    const committing = target.hold('commit');
    const done = inFlight(target.transact([{ type: 'write', ref: 'a', offset: 0, bytes }]));
    expect(await isPending(done)).toBe(true);
    expect(target.count('commit')).toBe(0);
    const later: Promise<unknown>[] = [
      ...[target.read(id, 0, 8), target.readInto(id, 0, Buffer.alloc(8)), target.readv('a', [])],
      ...[target.write('a', 0, bytes), target.writev('a', [], Buffer.alloc(0)), target.persist(id)],
      ...[target.map(id).then((mapped) => mapped.release()), target.erase('a')],
    ].map((call: Promise<unknown>) => inFlight(call));
    const before = target.hooks.length;
    reading.open();
    await read;
    expect(await isPending(done)).toBe(true);
    expect(target.hooks.slice(before)).toEqual(['commit 0 0 0']);
    expect(await Promise.all(later.map((call) => isPending(call)))).toEqual(later.map(() => true));
    committing.open();
    await done;
    await Promise.all(later.map(codeOf));
    expect(await codeOf(target.read(id, 0, 8))).toBe('REGION_NOT_FOUND');
    mapping.release();
    await target.close();
  });

  test('has those who waited by a name find the region that has it then', async () => {
    const target = await openTarget();
    await target.createAndWrite(Buffer.alloc(100), { name: 'a' });
    await target.put('b', bytes);
    const committing = target.hold('commit');
    const done = inFlight(
      target.transact([
        { type: 'write', ref: 'a', offset: 0, bytes },
        { type: 'rename', ref: 'a', to: 'old' },
        { type: 'put', name: 'a', contents: bytes },
      ]),
    );
    expect(await isPending(done)).toBe(true);
    const read = inFlight(target.read('a', 0, 8));
    const tooLong = inFlight(target.read('a', 0, 100));
    expect(await isPending(Promise.race([read, tooLong]))).toBe(true);
    committing.open();
    await done;
    await read;
    expect(await codeOf(tooLong)).toBe('OUT_OF_RANGE');
    await target.close();
  });

  test('that changes nothing asks the backend for nothing', async () => {
    const target = await openTarget();
    const id = await target.put('a', bytes);
    await target.transact([
      { type: 'rename', ref: 'a', to: 'b' },
      { type: 'rename', ref: 'b', to: 'a' },
      { type: 'expect', name: 'a', id },
      { type: 'write', ref: 'a', offset: 8, bytes: new Uint8Array(0) },
    ]);
    expect(target.count('commit')).toBe(0);
  });

  test('comes after those before it, also if they fail', async () => {
    const target = await openTarget();
    const gate = target.hold('commit');
    target.failing.add('commit');
    const first = inFlight(target.transact([{ type: 'put', name: 'a', contents: bytes }]));
    const second = inFlight(target.transact([{ type: 'put', name: 'b', contents: bytes }]));
    expect(await isPending(first)).toBe(true);
    expect(target.count('commit')).toBe(1);
    gate.open();
    expect(await codeOf(first)).toBe('commit failed');
    target.failing.clear();
    await second;
    expect(Object.keys((await stateOf(target)).names)).toEqual(['b']);
  });

  test('is waited for by close', async () => {
    const target = await openTarget();
    const gate = target.hold('commit');
    const done = inFlight(target.transact([{ type: 'put', name: 'a', contents: bytes }]));
    expect(await isPending(done)).toBe(true);
    const closed = inFlight(target.close());
    expect(await isPending(closed)).toBe(true);
    gate.open();
    await done;
    await closed;
    expect(await codeOf(target.transact([]))).toBe('TARGET_CLOSED');
  });
});
