/** Rules of `create` and `stat`: exact sizes, zeros, IDs and times, and regions that do not overlap. */
import { RegionId } from '../contract/region-id.js';
import { allZero, counts, listedIds, pattern, sameBytes } from './assertions.js';
import { holds, is, sameFigures, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Around the units of storage: words, cache lines, sectors, pages, a MiB. */
const SIZES = [
  1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_576, 1_048_577,
];

/** Maximum deviation of a target's clock. */
const CLOCK_TOLERANCE_MS = 600_000;

export const createRules: Rules = (rule, { capabilities }) => {
  rule('says the capabilities it was announced with', async ({ target }) => {
    sameFigures(target.capabilities, capabilities, 'the capabilities of the target');
    holds(target.type !== '', 'the type of the target', target.type, 'a name');
    is((await target.stats()).type, target.type, 'the type that stats give');
  });

  rule('starts without regions', async ({ target }) => {
    sameList((await target.list()).regions, [], 'the regions of a fresh target');
    await counts(target, 0, 'of a fresh target');
    const { recovery } = await target.stats();
    sameFigures(recovery, { regions: 0, bytes: 0, quarantined: 0 }, 'what stats say was recovered');
  });

  rule('makes regions of exactly the size asked for, all zero', async ({ target }) => {
    for (const size of SIZES) {
      const id = await target.create(size);
      is((await target.stat(id)).size, size, 'the size that stat gives');
      const bytes = await target.read(id, 0, size);
      sameBytes(bytes, new Uint8Array(size), `a new region of ${size} bytes`);
    }
  });

  rule('makes regions of zero bytes, which are regions like any other', async ({ target }) => {
    const [first, second] = [await target.create(0), await target.create(0)];
    holds(!first.equals(second), 'the ID of a second region', second, 'another than that of the first');
    is((await target.stat(first)).size, 0, 'the size that stat gives');
    sameItems(await listedIds(target), [first, second].map(String), 'the listed regions');
    sameBytes(await target.read(first, 0, 0), new Uint8Array(0), 'what a read gives');
    await target.write(first, 0, new Uint8Array(0), { persist: true });
    await target.persist(first);
    await target.erase(first);
    sameList(await listedIds(target), [second.toString()], 'the listed regions after an erase');
  });

  rule('gives every region an ID of its own, a RegionId', async ({ target }) => {
    const ids = await Promise.all(Array.from({ length: 100 }, (_, at) => target.create(at % 3)));
    for (const id of ids) holds(id instanceof RegionId, 'what create gives', id, 'a RegionId');
    is(new Set(ids.map(String)).size, ids.length, `the number of different IDs of ${ids.length} regions`);
  });

  rule('has a region there, listed and counted, when create resolves', async ({ target }) => {
    for (let count = 1; count <= 20; count++) {
      const id = await target.create(32);
      is((await target.stat(id)).size, 32, 'the size that stat gives');
      const listed = await listedIds(target);
      holds(listed.includes(id.toString()), 'the list after create', listed, `the ID ${id.toString()} in it`);
      await counts(target, count, 'after create');
    }
  });

  rule('says what region a stat is of', async ({ target }) => {
    const ids = [await target.create(10), await target.create(20)];
    for (const [at, id] of ids.entries()) {
      const stat = await target.stat(id);
      is(String(stat.id), String(id), 'the ID that stat gives');
      is(stat.size, 10 * (at + 1), 'the size that stat gives');
    }
  });

  rule('says when a region was created, in whole milliseconds since the epoch', async ({ target }) => {
    const id = await target.create(1);
    const { createdAt } = await target.stat(id);
    holds(Number.isSafeInteger(createdAt), 'createdAt', createdAt, 'a whole number');
    const now = Date.now();
    const isNow = Math.abs(createdAt - now) < CLOCK_TOLERANCE_MS;
    holds(isNow, 'createdAt of a new region', createdAt, `about ${now}, the milliseconds since 1970 by now`);
  });

  rule('never changes the size and the time of a region', async ({ target }) => {
    const id = await target.create(64);
    const { size, createdAt } = await target.stat(id);
    // The clock advances, so that a new timestamp would be noticed.
    const begin = Date.now();
    while (Date.now() < begin + 3) await target.write(id, 0, pattern(64), { persist: true });
    const later = await target.stat(id);
    sameFigures(later, { size, createdAt }, 'what stat gives later');
    const { regions } = await target.list();
    sameFigures(regions[0] ?? {}, { size, createdAt }, 'what list gives later');
  });

  rule('keeps regions apart: writing all of one changes no other', async ({ target }) => {
    const contents = SIZES.slice(0, 14).map((size, at) => pattern(size, at + 1));
    const ids = await Promise.all(contents.map(({ length }) => target.create(length)));
    for (const [at, id] of ids.entries()) {
      const bytes = contents[at] ?? new Uint8Array(0);
      await target.write(id, 0, bytes);
      for (const [other, otherId] of ids.entries()) {
        const expected = contents[other] ?? new Uint8Array(0);
        const found = await target.read(otherId, 0, expected.length);
        if (other > at) allZero(found, `region ${other}, not yet written`);
        else sameBytes(found, expected, `region ${other} after a write to region ${at}`);
      }
    }
  });
};
