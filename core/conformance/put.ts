/**
 * Rules of `put`, where a target has names: for every reader a name means the old region or the new
 * one, complete; the old region is gone when the new one is there; conditions are judged when the
 * name changes; a put that fails changes nothing.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { PutOptions } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import {
  changesNothing,
  counts,
  eventually,
  Gate,
  heldBack,
  inFlight,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  rejectsWith,
  sameBytes,
  uses,
} from './assertions.js';
import { BrokenRule, holds, is, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Sizes of contents that follow each other under a name. */
const SIZES = [100, 0, 5000, 1, 70_000, 100, 4096];

export const putRules: Rules = (rule, { capabilities, isBounded, isRemote }) => {
  if (!capabilities.named) return;

  rule('makes a region under a new name, and gives its ID', async ({ target }) => {
    const id = await target.put('new', pattern(100));
    holds(id instanceof RegionId, 'what put gives', id, 'a RegionId');
    is(String((await target.find('new')).id), String(id), 'the region of the name');
    is((await target.stat(id)).name, 'new', 'the name that stat gives');
    sameBytes(await target.read('new', 0, 100), pattern(100), 'the contents under the name');
    await counts(target, 1, 'after a put');
  });

  rule(
    'replaces the region of a name by a new one, whatever the sizes, and erases the old',
    async (bench) => {
      const { target } = bench;
      let old: RegionId | undefined;
      for (const [at, size] of SIZES.entries()) {
        const contents = at % 2 === 0 ? pattern(size, at) : { size, source: [pattern(size, at)] };
        const id = await target.put('name', contents);
        const found = await target.find('name');
        is(String(found.id), String(id), 'the region of the name');
        is(found.size, size, 'its size');
        sameBytes(await target.read('name', 0, size), pattern(size, at), 'the contents under the name');
        sameList(await listedIds(target), [String(id)], 'the listed regions');
        if (old !== undefined)
          await refusesAllCalls(target, old, 'REGION_NOT_FOUND', 'a region that was replaced');
        old = id;
      }
    },
  );

  rule('gives the space of what it replaces back', async (bench) => {
    const { target } = bench;
    for (let round = 0; round < 3; round++) await target.put('name', pattern(10_000, round));
    const { usedBytes } = await target.stats();
    for (let round = 0; round < 20; round++) await target.put('name', pattern(10_000, round));
    // What the last ones had may be given back with the next change only.
    await target.erase(await target.create(10_000));
    await eventually(async () => {
      const { usedBytes: now } = await target.stats();
      holds(now <= usedBytes + bench.spaceOf(10_000), 'usedBytes after many puts', now, `about ${usedBytes}`);
    });
    await target.erase('name');
    await counts(target, 0, 'after the erase of the name');
  });

  rule('replaces a region that has got its name in another way', async ({ target }) => {
    const first = await target.createAndWrite(pattern(10), { name: 'a' });
    await target.put('a', pattern(10, 2));
    await refusesAllCalls(target, first, 'REGION_NOT_FOUND', 'the region of createAndWrite');
    const second = await target.createAndWrite(pattern(10, 3));
    await target.rename(second, 'b');
    await target.put('b', pattern(10, 4));
    await refusesAllCalls(target, second, 'REGION_NOT_FOUND', 'the region of rename');
    await target.rename('b', 'c');
    await target.put('b', pattern(10, 5));
    sameBytes(await target.read('c', 0, 10), pattern(10, 4), 'the region that was renamed before');
    await counts(target, 3, 'in the end');
  });

  rule('has the old region under the name until the new one is whole', async (bench) => {
    const { target } = bench;
    const old = await target.put('name', pattern(100, 1));
    const gate = new Gate();
    const put = inFlight(target.put('name', { size: 50, source: heldBack([pattern(50, 2)], gate) }));
    try {
      is(String((await target.find('name')).id), String(old), 'the region of the name meanwhile');
      await target.write('name', 0, pattern(10, 3));
      sameBytes(
        await target.read('name', 10, 90),
        pattern(100, 1).subarray(10),
        'the old contents meanwhile',
      );
      sameList(await listedIds(target), [String(old)], 'the listed regions meanwhile');
    } finally {
      gate.open();
    }
    const id = await put;
    is(String((await target.find('name')).id), String(id), 'the region of the name afterwards');
    sameBytes(await target.read('name', 0, 50), pattern(50, 2), 'the new contents');
  });

  rule('shows readers one region or the other, never a mixture, and always one', async ({ target }) => {
    const size = 20_000;
    await target.put('name', pattern(size, 1));
    const isOne = (bytes: Uint8Array): boolean =>
      [1, 2].some((seed) => Buffer.compare(bytes, pattern(size, seed)) === 0);
    let isOver = false;
    const reader = async (): Promise<void> => {
      while (!isOver) {
        // Others have their turn, whatever the calls wait for.
        await turn();
        const bytes = await target.read('name', 0, size);
        if (!isOne(bytes))
          throw new BrokenRule('a read beside puts', 'a mixture', 'the one or the other contents');
      }
    };
    const readers = [inFlight(reader()), inFlight(reader())];
    for (let round = 0; round < 20; round++) {
      await target.put('name', pattern(size, 1 + (round % 2)));
      await turn();
    }
    isOver = true;
    await Promise.all(readers);
  });

  rule(
    'ends puts of one name at once with one region, the one of a put that ended last',
    async ({ target }) => {
      const puts = await Promise.all(
        Array.from({ length: 10 }, (_, at) => target.put('name', pattern(64, at))),
      );
      const { id } = await target.find('name');
      const winner = puts.findIndex((put) => put.equals(id));
      holds(winner >= 0, 'the region of the name', id, 'that of one of the puts');
      sameBytes(await target.read('name', 0, 64), pattern(64, winner), 'its contents');
      await counts(target, 1, 'after all puts');
      for (const [at, put] of puts.entries())
        if (at !== winner)
          await refusesAllCalls(target, put, 'REGION_NOT_FOUND', 'a region that was replaced');
    },
  );

  rule('keeps puts of many names at once apart', async ({ target }) => {
    const names = Array.from({ length: 30 }, (_, at) => `name ${at}`);
    for (let round = 0; round < 3; round++)
      await Promise.all(names.map((name, at) => target.put(name, pattern(at * 31, at + round))));
    for (const [at, name] of names.entries())
      sameBytes(await target.read(name, 0, at * 31), pattern(at * 31, at + 2), `the contents of "${name}"`);
    await counts(target, names.length, 'after all puts');
  });

  rule('lets calls in flight on the old region end as if it were there', async ({ target }) => {
    await target.put('name', pattern(300_000, 1));
    const parts = Array.from({ length: 30 }, (_, at) => ({ offset: at * 10_000, size: 10_000 }));
    const reads = [target.read('name', 0, 300_000), target.readv('name', parts)].map(inFlight);
    await target.put('name', pattern(300_000, 2));
    for (const read of reads) {
      const bytes = await read;
      // Where calls travel, one may begin behind the put.
      const seed = isRemote && bytes[0] === pattern(1, 2)[0] ? 2 : 1;
      sameBytes(bytes, pattern(300_000, seed), 'a read that was in flight');
    }
  });

  // ---- conditions ----

  rule('makes a put with `if: absent` only where no region has the name', async ({ target }) => {
    const id = await target.put('name', pattern(10), { if: 'absent' });
    await changesNothing(target, async () => {
      await rejects(target.put('name', pattern(10, 2), { if: 'absent' }), 'NAME_TAKEN', 'put if absent');
    });
    await target.erase(id);
    await target.put('name', pattern(10, 3), { if: 'absent' });
    sameBytes(await target.read('name', 0, 10), pattern(10, 3), 'the contents under the name');
  });

  rule('makes a put with `if: id` only where that region has the name', async ({ target }) => {
    const first = await target.put('name', pattern(10, 1));
    const second = await target.put('name', pattern(10, 2), { if: first });
    const other = await target.put('other', pattern(10, 3));
    await changesNothing(target, async () => {
      for (const id of [first, other, RegionId.random()]) {
        await rejects(
          target.put('name', pattern(10), { if: id }),
          'CONDITION_FAILED',
          'put if another region',
        );
        await rejects(
          target.put('nobody', pattern(10), { if: id }),
          'CONDITION_FAILED',
          'put if a region, of no name',
        );
      }
    });
    is(String((await target.find('name')).id), String(second), 'the region of the name');
  });

  rule('lets one of many conditional puts at once win', async ({ target }) => {
    const start = await target.put('name', pattern(8));
    for (const [condition, code] of [
      [start, 'CONDITION_FAILED'],
      ['absent', 'NAME_TAKEN'],
    ] as const) {
      if (condition === 'absent') await target.erase('name');
      const puts = Array.from({ length: 8 }, (_, at) =>
        inFlight(target.put('name', pattern(8, at), { if: condition })),
      );
      const ended = await Promise.allSettled(puts);
      const won = ended.filter(({ status }) => status === 'fulfilled').length;
      is(won, 1, 'the number of conditional puts that succeed');
      for (const [at, put] of puts.entries())
        if (ended[at]?.status === 'rejected')
          await rejects(put, code, 'a conditional put that came too late');
      await counts(target, 1, 'after all of them');
    }
  });

  rule('judges a condition when the contents have come', async (bench) => {
    const { target } = bench;
    const first = await target.put('name', pattern(10, 1));
    const gate = new Gate();
    const contents = { size: 5, source: heldBack([pattern(5)], gate) };
    const put = inFlight(target.put('name', contents, { if: first }));
    const second = await target.put('name', pattern(10, 2));
    gate.open();
    await rejects(put, 'CONDITION_FAILED', 'a put whose condition ceased to hold meanwhile');
    is(String((await target.find('name')).id), String(second), 'the region of the name');
    await bench.settled(() => counts(target, 1, 'after both'));
  });

  // ---- failures ----

  rule('changes nothing where the source fails, or gives more or fewer bytes', async (bench) => {
    const { target } = bench;
    await target.put('name', pattern(10));
    const own = new Error('the source broke');
    // oxlint-disable-next-line require-yield -- it breaks before that
    const broken = (async function* (): AsyncGenerator<Uint8Array> {
      await Promise.resolve();
      throw own;
    })();
    const { usedBytes } = await target.stats();
    for (const name of ['name', 'no name']) {
      const short = target.put(name, { size: 10, source: [pattern(9)] });
      await rejects(short, 'INVALID_ARGUMENT', 'put of a source that ends early');
      const long = target.put(name, { size: 10, source: [pattern(11)] });
      await rejects(long, 'INVALID_ARGUMENT', 'put of a source that gives too much');
    }
    await rejectsWith(target.put('name', { size: 10, source: broken }), own, 'put of a source that fails');
    await bench.settled(async () => {
      sameBytes(await target.read('name', 0, 10), pattern(10), 'the contents under the name');
      await counts(target, 1, 'after puts that failed');
      await uses(target, usedBytes, 'after puts that failed');
    });
    await rejects(target.find('no name'), 'REGION_NOT_FOUND', 'find of the name of a put that failed');
  });

  rule('rejects options that are wrong with INVALID_ARGUMENT', async ({ target }) => {
    await target.put('name', pattern(10));
    await changesNothing(target, async () => {
      for (const options of [null, 'absent', { if: 'present' }, { if: '' }, { if: 7 }]) {
        const put = target.put('name', pattern(10), options as PutOptions);
        await rejects(put, 'INVALID_ARGUMENT', `put with options ${JSON.stringify(options)}`);
      }
      for (const contents of [null, 5, 'text', [1, 2], { size: -1, source: [] }])
        await rejects(
          target.put('name', contents as unknown as Uint8Array),
          'INVALID_ARGUMENT',
          'put of wrong contents',
        );
    });
  });

  if (isBounded)
    rule('changes nothing where the new contents do not fit beside the old', async (bench) => {
      const target = await bench.bounded(400_000);
      await target.put('name', pattern(10_000, 1));
      const { largestFreeBytes } = await target.stats();
      const size = (largestFreeBytes ?? 400_000) + 1;
      await changesNothing(target, async () => {
        await rejects(
          target.put('name', new Uint8Array(size)),
          'OUT_OF_SPACE',
          'a put larger than what is free',
        );
        await rejects(target.put('other', new Uint8Array(size)), 'OUT_OF_SPACE', 'the same under a new name');
      });
    });
};
