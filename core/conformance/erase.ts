/**
 * Rules of `erase`: the ID is refused from the call on, forever; calls in flight are not affected,
 * and end as if the region still existed; its bytes are never visible again.
 */
import type { RegionId } from '../contract/region-id.js';
import {
  allZero,
  callsOn,
  counts,
  eventually,
  hasCode,
  inFlight,
  listedIds,
  pattern,
  rejects,
  sameBytes,
  uses,
} from './assertions.js';
import { is, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Size of a region that is erased while calls on it are in flight. */
const SIZE = 320_000;

/** Such a region in many pieces, so that a call takes long. */
const PARTS = Array.from({ length: 64 }, (_, at) => ({ offset: at * 5000, size: 5000 }));

export const eraseRules: Rules = (rule, { isRemote, isBounded }) => {
  rule('has a region gone, from the list and the count too, when erase resolves', async ({ target }) => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => target.create(16)));
    for (const [at, id] of ids.entries()) {
      await target.erase(id);
      await rejects(target.stat(id), 'REGION_NOT_FOUND', 'stat after erase');
      const left = ids.slice(at + 1);
      sameItems(await listedIds(target), left.map(String), 'the listed regions after an erase');
      await counts(target, left.length, 'after an erase');
    }
  });

  rule('refuses to erase a region twice, with REGION_NOT_FOUND', async ({ target }) => {
    const id = await target.create(16);
    await target.erase(id);
    for (let count = 0; count < 3; count++)
      await rejects(target.erase(id), 'REGION_NOT_FOUND', 'a later erase');
  });

  rule('lets exactly one of many concurrent erases succeed', async ({ target }) => {
    const kept = await target.createAndWrite(pattern(16));
    const id = await target.create(16);
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => target.erase(id)));
    const succeeded = outcomes.filter(({ status }) => status === 'fulfilled').length;
    is(succeeded, 1, 'the number of erases that succeeded');
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        hasCode(outcome.reason, 'REGION_NOT_FOUND', 'the erase that came late');
      }
    }
    await counts(target, 1, 'after the erases');
    sameBytes(await target.read(kept, 0, 16), pattern(16), 'the region beside it');
  });

  rule('leaves the other regions as they are', async ({ target }) => {
    const ids: RegionId[] = [];
    for (let seed = 1; seed <= 9; seed++) ids.push(await target.createAndWrite(pattern(seed * 100, seed)));
    const erased = [4, 0, 8];
    for (const at of erased) await target.erase(ids[at] as RegionId);
    for (const [at, id] of ids.entries()) {
      if (erased.includes(at)) continue;
      sameBytes(await target.read(id, 0, (at + 1) * 100), pattern((at + 1) * 100, at + 1), `region ${at}`);
    }
  });

  rule("never shows an erased region's bytes in a new one", async (bench) => {
    // With little capacity the new region must be where the old one was.
    const target = isBounded ? await bench.bounded(4 * 2 ** 20) : bench.target;
    const { capacityBytes, largestFreeBytes } = await target.stats();
    const most = capacityBytes === null || largestFreeBytes === null ? 2 ** 20 : largestFreeBytes;
    for (const size of [64, 4096, 4097, 100_000, most]) {
      for (let round = 1; round <= 3; round++) {
        await target.erase(await target.createAndWrite(pattern(size, round), { persist: round === 2 }));
        const next = await target.create(size);
        allZero(await target.read(next, 0, size), 'a region in the place of an erased one');
        await target.erase(next);
        // Smaller ones; the second begins within the old one.
        const part = size >> 2;
        for (const id of [await target.create(part), await target.create(part)]) {
          allZero(await target.read(id, 0, part), 'a smaller region in the place of an erased one');
          await target.erase(id);
        }
      }
    }
  });

  rule("never shows an erased region's bytes beside what is written to a new one", async (bench) => {
    const target = isBounded ? await bench.bounded(4 * 2 ** 20) : bench.target;
    for (const size of [64, 4096, 4097, 200_000]) {
      for (const part of [1, size >> 3]) {
        await target.erase(await target.createAndWrite(pattern(size)));
        const next = await target.create(size);
        // Storage that allocates a block at the first write must zero the rest of it.
        const expected = new Uint8Array(size);
        for (const offset of [size >> 2, size - part]) {
          expected.set(pattern(part, 2), offset);
          await target.write(next, offset, pattern(part, 2));
          const what = `a new region of ${size} bytes after a write of ${part} at ${offset}`;
          sameBytes(await target.read(next, 0, size), expected, what);
        }
        await target.erase(next);
      }
    }
  });

  rule('never shows the bytes of a createAndWrite that failed', async (bench) => {
    const target = isBounded ? await bench.bounded(4 * 2 ** 20) : bench.target;
    const size = 65_536;
    for (let round = 1; round <= 5; round++) {
      const source = [pattern(size - 1, round)];
      await rejects(target.createAndWrite({ size, source }), 'INVALID_ARGUMENT', 'a source that ends early');
      const id = await target.create(size);
      allZero(await target.read(id, 0, size), 'a region made after a createAndWrite that failed');
      await target.erase(id);
    }
  });

  // Calls to a server may arrive in a different order.
  if (isRemote) return;

  rule('refuses the ID from the call of erase on, not from its end', async ({ target }) => {
    const id = await target.create(64);
    const erasing = inFlight(target.erase(id));
    const calls = callsOn(target, id).map(([name, call]) =>
      rejects(call(), 'REGION_NOT_FOUND', `${name}, called while erase runs`),
    );
    const listing = inFlight(listedIds(target));
    await Promise.all(calls);
    sameList(await listing, [], 'the listed regions while one is erased');
    await erasing;
  });

  rule('lets reads in flight end as if the region were still there', async (bench) => {
    // With little capacity, the next region takes the space.
    const target = isBounded ? await bench.bounded(4 * 2 ** 20) : bench.target;
    for (let round = 0; round < 5; round++) {
      const id = await target.createAndWrite(pattern(SIZE));
      const into = new Uint8Array(SIZE);
      const read = inFlight(target.read(id, 0, SIZE));
      const filled = inFlight(target.readInto(id, 0, into));
      const vectored = inFlight(target.readv(id, PARTS));
      await target.erase(id);
      const next = await target.createAndWrite(pattern(SIZE, 2));
      sameBytes(await read, pattern(SIZE), 'a read that was in flight');
      sameBytes(await vectored, pattern(SIZE), 'a readv that was in flight');
      await filled;
      sameBytes(into, pattern(SIZE), 'a readInto that was in flight');
      await target.erase(next);
    }
  });

  rule('lets writes in flight end, and none of their bytes reach another region', async (bench) => {
    const target = isBounded ? await bench.bounded(4 * 2 ** 20) : bench.target;
    for (let round = 0; round < 5; round++) {
      const id = await target.create(SIZE);
      const writes = inFlight(
        Promise.all([
          target.write(id, 0, pattern(SIZE)),
          target.write(id, 0, pattern(SIZE), { persist: true }),
          target.writev(id, PARTS, pattern(SIZE), { persist: true }),
          target.persist(id),
        ]),
      );
      await target.erase(id);
      const next = await target.create(SIZE);
      await writes;
      allZero(await target.read(next, 0, SIZE), 'a region made while writes to an erased one were in flight');
      await target.erase(next);
    }
  });

  rule('goes on with sources in flight while other regions are erased', async (bench) => {
    const { target } = bench;
    const others = await Promise.all([1, 2, 3].map((seed) => target.createAndWrite(pattern(5000, seed))));
    const tooShort = bench.beginCreate(target, 5000, pattern(4000, 9));
    const whole = bench.beginCreate(target, 4000, pattern(4000, 8));
    for (const id of others) await target.erase(id);
    const next = await target.create(5000);
    tooShort.finish();
    whole.finish();
    await rejects(tooShort.created, 'INVALID_ARGUMENT', 'a source that ends early');
    sameBytes(await target.read(await whole.created, 0, 4000), pattern(4000, 8), 'the region of the source');
    allZero(await target.read(next, 0, 5000), 'a region made meanwhile');
    await counts(target, 2, 'after the sources have ended');
  });

  rule('lets a source read from a region until that is erased', async ({ target }) => {
    const from = await target.createAndWrite(pattern(400));
    async function* copying(): AsyncGenerator<Uint8Array> {
      for (let offset = 0; offset < 400; offset += 100) {
        yield await target.read(from, offset, 100);
        if (offset === 200) await target.erase(from);
      }
    }
    const call = target.createAndWrite({ size: 400, source: copying() });
    await rejects(call, 'REGION_NOT_FOUND', 'createAndWrite from a region that was erased meanwhile');
    sameList((await target.list()).regions, [], 'the listed regions after a createAndWrite that failed');
  });

  rule('gives the space of a region back, after its calls in flight at the latest', async (bench) => {
    const { target } = bench;
    // Storage may keep space for its own records after the first region.
    await target.erase(await target.create(100_000));
    const { usedBytes } = await target.stats();
    const id = await target.create(100_000);
    await uses(target, usedBytes + bench.spaceOf(100_000), 'with a region of 100000 bytes');
    await target.erase(id);
    await uses(target, usedBytes, 'after its erase');
    const busy = await target.create(100_000);
    const read = inFlight(target.read(busy, 0, 100_000));
    await target.erase(busy);
    await read;
    await eventually(() => uses(target, usedBytes, 'after an erase and the last read in flight'));
  });
};
