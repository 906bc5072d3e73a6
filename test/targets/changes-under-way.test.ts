/**
 * Changes of names, and transactions, that are under way: while regions by the thousand are used,
 * and while the target closes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { Gate, inFlight, isPending } from '../../core/conformance/assertions.js';
import {
  type Change,
  DEFAULT_MAX_TRANSACTION_BYTES,
  type RegionId,
  type Target,
  type Transaction,
} from '../../core/index.js';
import { LogKeeper, NamedScriptedTarget } from './scripted-target.js';

const bytes = Buffer.from('12345678');

async function openTarget(): Promise<MemoryTarget> {
  const target = new MemoryTarget({}, { logger: new LogKeeper(), clock: { now: () => 1 } });
  await target.open();
  return target;
}

const textOf = async (target: Target, ref: RegionId | string): Promise<string> =>
  Buffer.from(await target.read(ref, 0, 8)).toString();

describe('a transaction', () => {
  // A target keeps the objects of some thousand regions that are not in use; the next one may take
  // the place of another.
  test('writes to its region, though others are used and the region is mapped meanwhile', async () => {
    const target = await openTarget();
    const ids: RegionId[] = [];
    for (let i = 0; i < 4096 + 16; i++) ids.push(await target.createAndWrite(Buffer.from('aaaaaaaa')));
    for (let turns = 0; turns < 16; turns++) {
      const region = ids[turns] as RegionId;
      await target.stat(region);
      const changes = [
        { type: 'write', ref: region, offset: 0, bytes },
        { type: 'put', name: 'x', contents: bytes },
        { type: 'put', name: 'y', contents: bytes },
      ] as const;
      const done = target.transact(changes);
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      const reading = target.read(ids[turns + 4096] as RegionId, 0, 1);
      // A region that is mapped moves, and another one gets its place.
      const mapping = target.map(region);
      const other = await target.createAndWrite(Buffer.from('oooooooo'));
      await Promise.all([done, reading]);
      expect(await textOf(target, other)).toBe('oooooooo');
      expect(await textOf(target, region)).toBe('12345678');
      (await mapping).release();
    }
    await target.close();
  });

  test('leaves others their turn while it makes regions', async () => {
    const target = await openTarget();
    const puts = Array.from(
      { length: 300 },
      (_, i) => ({ type: 'put', name: `n${i}`, contents: bytes }) as const,
    );
    const order: string[] = [];
    const turn = nextTurn().then(() => order.push('turn'));
    await target.transact(puts).then(() => order.push('transaction'));
    await turn;
    expect(order).toEqual(['turn', 'transaction']);
    await target.close();
  });

  test('is bounded in changes as well, which may have no bytes', async () => {
    const target = await openTarget();
    const id = await target.create(8);
    const writes = (length: number): Change[] =>
      Array.from({ length }, () => ({ type: 'write', ref: id, offset: 0, bytes: Buffer.alloc(0) }));
    const most = DEFAULT_MAX_TRANSACTION_BYTES / 64;
    await target.transact(writes(most));
    await expect(target.transact(writes(most + 1))).rejects.toMatchObject({
      code: 'TRANSACTION_TOO_LARGE',
      details: { bytes: 64 * (most + 1), limit: DEFAULT_MAX_TRANSACTION_BYTES },
    });
    await target.close();
  });
});

/** One that goes on with a change when others see it already, as it may have to be made durable. */
class SlowToEnd extends NamedScriptedTarget {
  readonly end = new Gate();

  protected override async renameRegion(
    ...change: Parameters<NamedScriptedTarget['renameRegion']>
  ): Promise<void> {
    await super.renameRegion(...change);
    await this.end.passed;
  }
  protected override async commit(transaction: Transaction): Promise<void> {
    await super.commit(transaction);
    await this.end.passed;
  }
}

test.each<[string, (target: Target) => Promise<unknown>]>([
  ['rename', (target) => target.rename('a', null)],
  ['transaction', (target) => target.transact([{ type: 'rename', ref: 'a', to: null }])],
])('a %s that takes a name away keeps others from the region until it is over', async (_, change) => {
  const target = new SlowToEnd();
  await target.open();
  const id = await target.put('a', bytes);
  const changing = inFlight(change(target));
  expect(await isPending(changing)).toBe(true);
  await expect(target.find('a')).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
  const erasing = inFlight(target.erase(id));
  expect(await isPending(erasing)).toBe(true);
  expect(target.count('unpublish')).toBe(0);
  target.end.open();
  await Promise.all([changing, erasing]);
  expect(target.count('unpublish')).toBe(1);
  await target.close();
});

describe('close', () => {
  test.each<[string, (target: Target, id: RegionId) => Promise<unknown>]>([
    ['a put in place of a region', (target) => target.put('a', bytes)],
    ['a rename', (target) => target.rename('a', 'b')],
    ['an erase by name', (target) => target.erase('a')],
    ['an erase by ID', (target, id) => target.erase(id)],
    ['a transaction that puts', (target) => target.transact([{ type: 'put', name: 'a', contents: bytes }])],
    [
      'a transaction that writes',
      (target, id) => target.transact([{ type: 'write', ref: id, offset: 0, bytes }]),
    ],
    [
      'a transaction behind another',
      (target) => {
        void target.transact([{ type: 'rename', ref: 'a', to: 'b' }]);
        return target.transact([{ type: 'erase', ref: 'b' }]);
      },
    ],
  ])('waits for %s that has begun', async (_, call) => {
    const target = await openTarget();
    await target.put('a', bytes);
    const calling = call(target, await target.create(8));
    const closing = target.close();
    await expect(calling).resolves.not.toThrow();
    await closing;
    expect(target.state).toBe('closed');
  });
});

test('a read at once waits for a transaction that holds the region, as other reads do', async () => {
  const gate = new Gate();
  const target = new MemoryTarget({}, { logger: new LogKeeper(), clock: { now: () => 1 } });
  Object.assign(target, { readBytes: () => gate.passed, readBytesNow: () => true });
  await target.open();
  const id = await target.create(8);
  const into = Buffer.alloc(8);
  expect(target.readNow(id, 0, into)).toBe(true);
  const reading = target.read(id, 0, 8);
  const changing = inFlight(
    target.transact([{ type: 'write', ref: id, offset: 0, bytes: Buffer.alloc(8, 1) }]),
  );
  expect(await isPending(changing)).toBe(true);
  expect(target.readNow(id, 0, into)).toBe(false);
  gate.open();
  await Promise.all([reading, changing]);
  expect(target.readNow(id, 0, into)).toBe(true);
  await target.close();
});
