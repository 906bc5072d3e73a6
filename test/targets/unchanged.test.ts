/**
 * Changes that depend on bytes which somebody has read: made only if nobody has changed these in
 * place since, by whatever call.
 */
import { describe, expect, test } from '@jest/globals';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { systemClock } from '../../core/base/clock.js';
import { inFlight, isPending } from '../../core/conformance/assertions.js';
import type { RegionId } from '../../core/index.js';
import { ChangeCounts } from '../../core/targets/change-counts.js';
import type { SeenBytes } from '../../core/targets/named-store.js';
import { LogKeeper, NamedScriptedTarget } from './scripted-target.js';

const OLD = Buffer.from('old bytes');
const NEW = Buffer.from('new');

type Tested = MemoryTarget | NamedScriptedTarget;

async function openMemory(): Promise<MemoryTarget> {
  const target = new MemoryTarget({}, { logger: new LogKeeper(), clock: systemClock });
  await target.open();
  return target;
}

async function openScripted(): Promise<NamedScriptedTarget> {
  const target = new NamedScriptedTarget();
  await target.open();
  return target;
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'done',
    (error: unknown) => (error as { code?: string }).code ?? (error as Error).message,
  );
}

const seenNow = (target: Tested, id: RegionId): SeenBytes => ({ id, changes: target.changesOf(id) });

const WRITES: readonly [string, (target: MemoryTarget, id: RegionId) => unknown][] = [
  ['write', (target, id) => target.write(id, 0, NEW)],
  ['write by the name', (target) => target.write('a', 0, NEW)],
  ['durable write', (target, id) => target.write(id, 0, NEW, { persist: true })],
  ['writev', (target, id) => target.writev(id, [{ offset: 1, size: 3 }], NEW)],
  ['writeNow', (target, id) => target.writeNow(id, 0, NEW, false)],
  ['transaction', (target, id) => target.transact([{ type: 'write', ref: id, offset: 0, bytes: NEW }])],
  ['mapping that is released', async (target, id) => (await target.map(id)).release()],
];

const CHANGES: readonly [string, (target: Tested, seen: SeenBytes) => Promise<unknown>][] = [
  ['putUnchanged', (target, seen) => target.putUnchanged('a', NEW, seen)],
  [
    'transactUnchanged with a put',
    (target, seen) => target.transactUnchanged([{ type: 'put', name: 'a', contents: NEW }], [seen]),
  ],
  [
    'transactUnchanged of another name',
    (target, seen) => target.transactUnchanged([{ type: 'put', name: 'b', contents: NEW }], [seen]),
  ],
  ['transactUnchanged with nothing to do', (target, seen) => target.transactUnchanged([], [seen])],
  [
    'transactNow',
    async (target, seen) =>
      target instanceof MemoryTarget
        ? target.transactNow([{ type: 'put', name: 'a', contents: NEW }], [seen])
        : target.transactUnchanged([{ type: 'put', name: 'a', contents: NEW }], [seen]),
  ],
];

describe.each(CHANGES)('%s', (_, change) => {
  test('is made if the bytes are as they were', async () => {
    const target = await openMemory();
    const id = await target.put('a', OLD);
    await target.read(id, 0, 1);
    expect(await codeOf(change(target, seenNow(target, id)))).toBe('done');
  });

  test.each(WRITES)('is refused after a %s, and changes nothing', async (__, write) => {
    const target = await openMemory();
    const id = await target.put('a', OLD);
    const seen = seenNow(target, id);
    await write(target, id);
    const before = await target.names();
    expect(await codeOf(change(target, seen))).toBe('CONDITION_FAILED');
    expect(await target.names()).toEqual(before);
    expect(await codeOf(change(target, seenNow(target, id)))).toBe('done');
  });

  test('is refused if the region is gone', async () => {
    const target = await openMemory();
    const id = await target.put('a', OLD);
    const seen = seenNow(target, id);
    await target.put('a', OLD);
    expect(await codeOf(change(target, seen))).toBe('CONDITION_FAILED');
  });

  test('waits for a write in flight, and is refused', async () => {
    const target = await openScripted();
    const id = await target.put('a', OLD);
    const gate = target.hold('write');
    const writing = target.write(id, 0, NEW);
    const changing = inFlight(change(target, seenNow(target, id)));
    expect(await isPending(changing)).toBe(true);
    gate.open();
    await writing;
    expect(await codeOf(changing)).toBe('CONDITION_FAILED');
  });

  test.each(['write', 'writev'] as const)('has a %s wait until it has ended', async (call) => {
    const target = await openScripted();
    const id = await target.put('a', OLD);
    const gates = (['publish', 'commit'] as const).map((hook) => target.hold(hook));
    const changing = inFlight(change(target, seenNow(target, id)));
    if (!(await isPending(changing))) return;
    const writing = inFlight(
      call === 'write' ? target.write(id, 0, NEW) : target.writev(id, [{ offset: 0, size: 3 }], NEW),
    );
    expect(await isPending(writing)).toBe(true);
    for (const gate of gates) gate.open();
    expect(await codeOf(changing)).toBe('done');
    const isGone = (await codeOf(target.stat(id))) === 'REGION_NOT_FOUND';
    expect(await codeOf(writing)).toBe(isGone ? 'REGION_NOT_FOUND' : 'done');
  });
});

describe('putNow of what depends on a region', () => {
  test('leaves it to others while a call on the region is in flight', async () => {
    const target = await openMemory();
    const id = await target.put('a', OLD);
    const ranges = [
      { offset: 0, size: 2 },
      { offset: 4, size: 1 },
    ];
    const writing = target.writev(id, ranges, NEW);
    expect(target.putNow('a', NEW, id)).toBeUndefined();
    await writing;
    expect(target.putNow('a', NEW, id)).toBeDefined();
  });

  test('refuses if another region has the name', async () => {
    const target = await openMemory();
    await target.put('a', OLD);
    expect(await codeOf((async () => target.putNow('a', NEW, null))())).toBe('NAME_TAKEN');
  });
});

describe('counts of changes', () => {
  test('are of one slot each, up to a million slots', () => {
    const counts = new ChangeCounts();
    for (const slot of [0, 1, 1023, 1024, 2 ** 20 - 1]) counts.raise(slot);
    counts.raise(1);
    expect([0, 1, 2, 1022, 1023, 1024, 1025, 2 ** 20 - 1].map((slot) => counts.of(slot))).toEqual([
      1, 2, 0, 0, 1, 1, 0, 1,
    ]);
  });

  test('of slots beyond that are shared, so that no change is missed', () => {
    const counts = new ChangeCounts();
    counts.raise(2 ** 32 - 1);
    expect(counts.of(2 ** 32 - 1)).toBe(1);
    expect(counts.of(2 ** 20 - 1)).toBe(1);
  });
});
