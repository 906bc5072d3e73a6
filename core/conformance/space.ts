/**
 * Rules of running out of space: OUT_OF_SPACE with the exact figures in its details, and no other
 * change; the largest free piece of `stats` can be allocated; erased space can be reused, without
 * end.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  changesNothing,
  failureOf,
  hasCode,
  isUnchanged,
  pattern,
  rejects,
  sameBytes,
  snapshotOf,
} from './assertions.js';
import { holds, is, sameFigures } from './findings.js';
import type { Rules } from './rules.js';

const CAPACITY = 4 * 2 ** 20;

async function largestFree(target: Target): Promise<number> {
  const { largestFreeBytes } = await target.stats();
  holds(largestFreeBytes !== null, 'largestFreeBytes of a bounded target', largestFreeBytes, 'a number');
  return largestFreeBytes;
}

/** Asserts that a create fails with the figures of `stats`. */
async function isOutOfSpace(target: Target, requested: number, create: Promise<RegionId>): Promise<void> {
  const what = `creating ${requested} bytes`;
  const failure = await failureOf(create, 'OUT_OF_SPACE', what);
  hasCode(failure, 'OUT_OF_SPACE', what);
  const { details } = failure as { details?: object };
  const { usedBytes, freeBytes, largestFreeBytes } = await target.stats();
  const expected = { requested, used: usedBytes, free: freeBytes, largestFree: largestFreeBytes };
  sameFigures(details ?? {}, expected, `the details of OUT_OF_SPACE of ${what}`);
}

/** A source that has no fault itself when its region is refused: it continues until nobody asks for more. */
async function* unending(): AsyncGenerator<Uint8Array> {
  for (;;) {
    yield pattern(9);
    await turn();
  }
}

export const spaceRules: Rules = (rule, { isBounded }) => {
  rule('refuses a region of 2^53 - 1 bytes with OUT_OF_SPACE, changing nothing', async ({ target }) => {
    await target.createAndWrite(pattern(100));
    await changesNothing(target, async () => {
      await rejects(target.create(Number.MAX_SAFE_INTEGER), 'OUT_OF_SPACE', 'create');
      const contents = { size: Number.MAX_SAFE_INTEGER, source: unending() };
      await rejects(target.createAndWrite(contents), 'OUT_OF_SPACE', 'createAndWrite');
    });
  });

  if (!isBounded) return;

  rule('creates what stats call the largest free piece, and no byte more', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    for (let round = 0; round < 3; round++) {
      const most = await largestFree(target);
      holds(most > 0, 'largestFreeBytes of an empty target', most, 'more than 0');
      await rejects(
        target.create(most + 1),
        'OUT_OF_SPACE',
        `create(${most + 1}) with ${most} free in one piece`,
      );
      const id = await target.create(most);
      await target.write(id, most - 8, pattern(8));
      const left = await largestFree(target);
      await rejects(target.create(left + 1), 'OUT_OF_SPACE', `create(${left + 1}) with ${left} left`);
      sameBytes(await target.read(id, most - 8, 8), pattern(8), 'the end of the region');
      await target.erase(id);
    }
  });

  rule('says requested, used, free and largestFree in the details of OUT_OF_SPACE', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    const most = await largestFree(target);
    await isOutOfSpace(target, most + 1, target.create(most + 1));
    await target.create(most >> 1);
    await isOutOfSpace(target, most, target.create(most));
    await isOutOfSpace(target, most, target.createAndWrite(new Uint8Array(most)));
    await isOutOfSpace(target, most, target.createAndWrite({ size: most, source: [new Uint8Array(most)] }));
    await isOutOfSpace(target, Number.MAX_SAFE_INTEGER, target.create(Number.MAX_SAFE_INTEGER));
  });

  rule('changes nothing when space runs out, however often', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    await target.createAndWrite(pattern(10_000));
    const most = await largestFree(target);
    await changesNothing(target, async () => {
      for (let count = 0; count < 25; count++) {
        await rejects(target.create(most + 1), 'OUT_OF_SPACE', 'create');
        const contents = { size: most + 1, source: unending() };
        await rejects(target.createAndWrite(contents), 'OUT_OF_SPACE', 'createAndWrite');
      }
    });
    // If something had leaked, this would no longer fit.
    await target.erase(await target.create(most));
  });

  rule('goes on serving what it has when it is full', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    const small = await target.createAndWrite(pattern(5000));
    await target.create(await largestFree(target));
    const left = await largestFree(target);
    await rejects(target.create(left + 1), 'OUT_OF_SPACE', `create(${left + 1}) with ${left} left`);
    await target.write(small, 0, pattern(5000, 2), { persist: true });
    sameBytes(await target.read(small, 0, 5000), pattern(5000, 2), 'a region of a full target');
    await target.erase(small);
    const next = await target.createAndWrite(pattern(5000, 3));
    sameBytes(await target.read(next, 0, 5000), pattern(5000, 3), 'a region in the place of an erased one');
  });

  rule('gives space back forever: fills and empties it again and again', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    const part = Math.floor((await largestFree(target)) / 5);
    await target.erase(await target.create(part));
    const empty = await snapshotOf(target);
    for (let round = 0; round < 20; round++) {
      const ids: RegionId[] = [];
      for (let count = 0; count < 4; count++) ids.push(await target.create(part));
      for (let count = round % 4; count > 0; count--) ids.push(...ids.splice(0, 1));
      for (const id of ids) await target.erase(id);
      await isUnchanged(target, empty, `after round ${round} of filling and emptying`);
    }
  });

  rule('gives the space of failed sources back', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    const most = await largestFree(target);
    for (let round = 0; round < 10; round++) {
      const source = [pattern(1000)];
      await rejects(
        target.createAndWrite({ size: most, source }),
        'INVALID_ARGUMENT',
        'a source that ends early',
      );
      await bench.settled(async () =>
        is(await largestFree(target), most, 'largestFreeBytes after a source that failed'),
      );
    }
    await target.create(most);
  });

  rule('promises the same space to no two of many concurrent creates', async (bench) => {
    const target = await bench.bounded(CAPACITY);
    const part = Math.floor((await largestFree(target)) / 4) + 1;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, at) => target.createAndWrite(pattern(part, at + 1))),
    );
    let made = 0;
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') {
        hasCode(outcome.reason, 'OUT_OF_SPACE', `create ${at}`);
        continue;
      }
      made++;
      sameBytes(await target.read(outcome.value, 0, part), pattern(part, at + 1), `region ${at}`);
    }
    is(made, 3, 'the number of regions made of a little more than a quarter of the space each');
  });
};
