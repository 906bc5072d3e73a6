/** Pairs over a target, where many ask at once. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { Pairs } from '../../providers/yokan/pairs.js';
import { LogKeeper } from '../targets/scripted-target.js';

let target: MemoryTarget;
let pairs: Pairs;

beforeEach(async () => {
  target = new MemoryTarget({}, { logger: new LogKeeper(), clock: { now: () => 1 } });
  await target.open();
  pairs = new Pairs(target, 4096);
});

afterEach(() => target.close());

test('each put of one key by many stores its value once', async () => {
  const put = jest.spyOn(target, 'put');
  const values = Array.from({ length: 50 }, (_, i) => Buffer.of(i));
  await Promise.all(values.map((value) => pairs.put('key', value)));
  expect(put).toHaveBeenCalledTimes(values.length);
  expect(values.map((value) => value[0])).toContain((await pairs.get('key'))[0]);
  expect((await target.list()).regions.length).toBe(1);
});

test('only one of many that put a new key alone stores it', async () => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => pairs.put('key', Buffer.of(i), 'new_only')),
  );
  expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(1);
});

test('a count of many keys leaves others their turn', async () => {
  for (let i = 0; i < 1200; i++) await target.create(0, { name: `key/${i}` });
  const order: string[] = [];
  const turn = nextTurn().then(() => order.push('turn'));
  expect(await pairs.count()).toBe(1200);
  order.push('count');
  await turn;
  expect(order).toEqual(['turn', 'count']);
});
