/** Memory that connections share: who gets some, who is refused, and who has to give way. */
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ByteBudget, type Share, type ShareHolder } from '../../core/net/byte-budget.js';
import { stopClock } from '../fixtures/held-time.js';

const LIMIT = 2 ** 20;
const MOVED = 2 ** 16;

let time: number;
let budget: ByteBudget;

beforeEach(() => {
  time = 1000;
  budget = new ByteBudget(LIMIT, () => time);
});

class Holder implements ShareHolder {
  isAwaited = true;
  movedBytes = 0;
  isEvicted = false;
  readonly share: Share = budget.share(this);

  evict(): void {
    this.isEvicted = true;
    this.share.set(0);
  }
}

describe('memory that connections share', () => {
  it('is given until there is none left, and again when some is given back', () => {
    const [one, other] = [new Holder(), new Holder()];
    expect(one.share.take(LIMIT / 2)).toBe(true);
    expect(other.share.take(LIMIT / 2)).toBe(true);
    expect(one.share.take(1)).toBe(false);
    expect(budget.total).toBe(LIMIT);
    other.share.give(1);
    expect(one.share.take(1)).toBe(true);
    expect(budget.total).toBe(LIMIT);
  });

  it('gives one that is alone more than there is', () => {
    const alone = new Holder();
    expect(alone.share.take(LIMIT * 3)).toBe(true);
    expect(new Holder().share.take(1)).toBe(false);
  });

  it('takes it from one that has moved too little in a second, and not before', () => {
    const slow = new Holder();
    slow.share.take(LIMIT);
    const other = new Holder();
    time += 999;
    slow.movedBytes = MOVED - 1;
    expect(other.share.take(1)).toBe(false);
    time += 11;
    expect(other.share.take(1)).toBe(true);
    expect(slow.isEvicted).toBe(true);
    expect(budget.total).toBe(1);
  });

  it('takes it from nobody who moves enough', () => {
    const [busy, other] = [new Holder(), new Holder()];
    busy.share.take(LIMIT);
    for (let second = 0; second < 100; second++) {
      time += 1000;
      busy.movedBytes += MOVED;
      expect(other.share.take(1)).toBe(false);
    }
    time += 1000;
    expect(other.share.take(1)).toBe(true);
  });

  it('takes it from nobody who waits for the daemon, nor from calls that use it', () => {
    const held = new Holder();
    held.isAwaited = false;
    held.share.take(LIMIT / 2);
    budget.share().force(LIMIT / 2);
    time += 10_000;
    expect(new Holder().share.take(1)).toBe(false);
    held.isAwaited = true;
    time += 500;
    expect(new Holder().share.take(1)).toBe(false);
    time += 500;
    expect(new Holder().share.take(1)).toBe(true);
  });

  it('takes it from those first who hold most, and from no more of them than it must', () => {
    const holders = [1, 4, 2].map((part) => {
      const holder = new Holder();
      holder.share.take((LIMIT / 8) * part);
      return holder;
    });
    time += 1000;
    expect(new Holder().share.take(LIMIT / 2)).toBe(true);
    expect(holders.map(({ isEvicted }) => isEvicted)).toEqual([false, true, false]);
  });

  it('lets small amounts in whatever there is, at the cost of the slow', () => {
    const slow = new Holder();
    slow.share.take(LIMIT);
    const small = new Holder();
    small.share.force(100);
    expect(budget.total).toBe(LIMIT + 100);
    time += 1000;
    small.share.force(100);
    expect(slow.isEvicted).toBe(true);
    expect(budget.total).toBe(200);
  });
});

it('holds a standstill of the process against nobody', () => {
  const clock = stopClock();
  try {
    budget = new ByteBudget(LIMIT);
    const held = new Holder();
    held.share.take(LIMIT);
    clock.pass(600_000);
    expect(new Holder().share.take(1)).toBe(false);
    expect(held.isEvicted).toBe(false);
  } finally {
    jest.restoreAllMocks();
  }
});
