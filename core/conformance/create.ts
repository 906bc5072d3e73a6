/** Rules of `create` and `stat`: exact sizes, zeros, IDs and times, and that regions do not reach into each other. */
import assert from 'node:assert/strict';
import { RegionId } from '../target/index.js';
import { allZero, listedIds, pattern, sameBytes } from './assertions.js';
import type { Rules } from './describe-target.js';

/** Around the sizes that storage is managed in: words, cache lines, sectors, pages, a MiB. */
const SIZES = [
  1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_576, 1_048_577,
];

/** How far the clock of a target may be off. */
const CLOCK_TOLERANCE_MS = 600_000;

export const createRules: Rules = (rule, { capabilities }) => {
  rule('says the capabilities it was announced with', async ({ target }) => {
    assert.deepEqual({ ...target.capabilities }, { ...capabilities });
    assert.ok(target.type.length > 0, 'a target names its type');
    assert.equal((await target.stats()).type, target.type);
  });

  rule('starts without regions', async ({ target }) => {
    assert.deepEqual((await target.list()).regions, []);
    const { regions, recovery } = await target.stats();
    assert.equal(regions, 0);
    assert.deepEqual([recovery.regions, recovery.bytes, recovery.quarantined], [0, 0, 0]);
  });

  rule('makes regions of exactly the size asked for, all zero', async ({ target }) => {
    for (const size of SIZES) {
      const id = await target.create(size);
      assert.equal((await target.stat(id)).size, size);
      const bytes = await target.read(id, 0, size);
      assert.equal(bytes.length, size);
      allZero(bytes, `a new region of ${size} bytes`);
    }
  });

  rule('makes regions of zero bytes, which are regions like any other', async ({ target }) => {
    const [first, second] = [await target.create(0), await target.create(0)];
    assert.ok(!first.equals(second), 'each has an ID of its own');
    assert.equal((await target.stat(first)).size, 0);
    assert.deepEqual((await listedIds(target)).sort(), [first.toString(), second.toString()].sort());
    assert.equal((await target.read(first, 0, 0)).length, 0);
    await target.write(first, 0, new Uint8Array(0), { persist: true });
    await target.persist(first);
    await target.erase(first);
    assert.deepEqual(await listedIds(target), [second.toString()]);
  });

  rule('gives every region an ID of its own, a RegionId', async ({ target }) => {
    const ids = await Promise.all(Array.from({ length: 100 }, (_, at) => target.create(at % 3)));
    assert.ok(ids.every((id) => id instanceof RegionId));
    assert.equal(new Set(ids.map(String)).size, ids.length, 'two regions have the same ID');
  });

  rule('has a region there, listed and counted, when create resolves', async ({ target }) => {
    for (let count = 1; count <= 20; count++) {
      const id = await target.create(32);
      assert.equal((await target.stat(id)).size, 32);
      assert.ok((await listedIds(target)).includes(id.toString()), 'a new region must be listed');
      assert.equal((await target.stats()).regions, count);
    }
  });

  rule('says what region a stat is of', async ({ target }) => {
    const ids = [await target.create(10), await target.create(20)];
    for (const [at, id] of ids.entries()) {
      const stat = await target.stat(id);
      assert.ok(stat.id.equals(id));
      assert.equal(stat.size, 10 * (at + 1));
    }
  });

  rule('says when a region was created, in whole milliseconds since the epoch', async ({ target }) => {
    const id = await target.create(1);
    const { createdAt } = await target.stat(id);
    assert.ok(Number.isSafeInteger(createdAt), `createdAt is ${createdAt}`);
    const off = Math.abs(createdAt - Date.now());
    assert.ok(off < CLOCK_TOLERANCE_MS, `createdAt is ${createdAt}, ${off} ms from now`);
  });

  rule('never changes the size and the time of a region', async ({ target }) => {
    const id = await target.create(64);
    const { size, createdAt } = await target.stat(id);
    // The clock moves on, so that a time taken anew would show.
    const begin = Date.now();
    while (Date.now() < begin + 3) await target.write(id, 0, pattern(64), { persist: true });
    const later = await target.stat(id);
    assert.deepEqual([later.size, later.createdAt], [size, createdAt]);
    const listed = (await target.list()).regions[0];
    assert.deepEqual([listed?.size, listed?.createdAt], [size, createdAt]);
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
