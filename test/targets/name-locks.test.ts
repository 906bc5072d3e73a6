/** Locks of names: all keys at once, in the order in which they are asked for. */
import { describe, expect, test } from '@jest/globals';
import { isPending } from '../../core/conformance/assertions.js';
import { NameLocks, type Release } from '../../core/targets/name-locks.js';

function now(locks: NameLocks, ...keys: string[]): Release {
  const release = locks.acquire(keys);
  if (release instanceof Promise) throw new Error(`${keys.join(' ')} is not free`);
  return release;
}

describe('locks of names', () => {
  test('are had in the same step where nobody has one of the keys', () => {
    const locks = new NameLocks();
    const one = now(locks, 'a', 'b');
    const other = now(locks, 'c');
    expect(locks.isIdle).toBe(false);
    expect(['a', 'b', 'c', 'd'].map((key) => locks.isHeld(key))).toEqual([true, true, true, false]);
    one();
    other();
    expect(locks.isIdle).toBe(true);
    now(locks, 'a', 'b', 'c')();
  });

  test('are had in the order in which they are asked for', async () => {
    const locks = new NameLocks();
    const order: string[] = [];
    const first = now(locks, 'a');
    const waiting = ['second', 'third', 'fourth'].map(async (who) => {
      const release = await locks.acquire(['a']);
      order.push(who);
      release();
    });
    first();
    await Promise.all(waiting);
    expect(order).toEqual(['second', 'third', 'fourth']);
    expect(locks.isIdle).toBe(true);
  });

  test('of several keys wait for all of them, and keep their place meanwhile', async () => {
    const locks = new NameLocks();
    const [a, b] = [now(locks, 'a'), now(locks, 'b')];
    const both = locks.acquire(['a', 'b']) as Promise<Release>;
    const later = locks.acquire(['b']) as Promise<Release>;
    b();
    expect(await isPending(both)).toBe(true);
    expect(await isPending(later)).toBe(true);
    a();
    const release = await both;
    expect(await isPending(later)).toBe(true);
    release();
    (await later)();
    expect(locks.isIdle).toBe(true);
  });

  test('that cross each other come to an end', async () => {
    const locks = new NameLocks();
    const keys = ['a', 'b', 'c', 'd'];
    let ended = 0;
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        const wanted = keys.filter((__, key) => ((at * 7) >> key) & 1);
        const release = await locks.acquire(wanted);
        await Promise.resolve();
        ended++;
        release();
      }),
    );
    expect(ended).toBe(50);
    expect(locks.isIdle).toBe(true);
  });
});
