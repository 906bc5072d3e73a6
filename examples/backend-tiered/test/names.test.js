/** That a region which is replaced is read to its end by whoever has begun, leaves the cache, and is refused to all others. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Tiers } from './daemons.js';
import { replace } from './replace.js';

/** @import { RegionSource, Target } from 'bedrock-node' */

const BLOCK = 1024;
const SIZE = 4 * BLOCK;

describe('names of a tiered target', () => {
  /** @type {Tiers} */
  let tiers;
  /** @type {Target} */
  let target;
  /** @type {Target} */
  let fast;
  /** @type {Target} */
  let slow;

  beforeEach(async () => {
    tiers = await Tiers.make({ type: 'memory', config: {} }, { cache_bytes: 64 * BLOCK, block_bytes: BLOCK });
    const daemon = await tiers.start();
    target = daemon.target('tiered');
    fast = daemon.target('fast');
    slow = daemon.target('slow');
  });
  afterEach(() => tiers.remove());

  const contents = (/** @type {number} */ seed) => Buffer.alloc(SIZE, seed);
  const used = async () => (await fast.stats()).usedBytes;
  const missing = { code: 'REGION_NOT_FOUND' };

  /** Lets the store's reads begin, and end one after another when told. */
  const slowReads = () => {
    let open = () => {};
    const gate = new Promise((resolve) => (open = () => resolve(undefined)));
    const restore = replace(slow, 'read', async (read, ...args) => {
      const bytes = await read(...args);
      await gate;
      return bytes;
    });
    return () => {
      restore();
      open();
    };
  };

  it('leave the cache with the region that they meant', async () => {
    for (const change of [
      () => target.put('name', contents(2)),
      () => target.rename('other', 'name', { replace: true }),
      () => target.erase('name'),
    ]) {
      const id = await target.put('name', contents(1));
      await target.put('other', contents(2));
      await target.read('name', 0, SIZE);
      assert.equal(await used(), SIZE);
      await change();
      assert.equal(await used(), 0);
      await assert.rejects(target.read(id, 0, 1), missing);
    }
  });

  it('keep their blocks where a put or a rename is refused', async () => {
    const id = await target.put('name', contents(1));
    const other = await target.put('other', contents(2));
    await target.read('name', 0, SIZE);
    await assert.rejects(target.put('name', contents(3), { if: other }), { code: 'CONDITION_FAILED' });
    await target.rename('name', 'name', { replace: true });
    await target.rename('name', 'new');
    assert.equal(await used(), SIZE);
    assert.deepEqual(Buffer.from(await target.read(id, 0, SIZE)), contents(1));
  });

  it('wait for the reads in flight, which see the old region, before they mean the new one', async () => {
    const id = await target.put('name', contents(1));
    const finish = slowReads();
    const early = [target.read('name', 0, SIZE), target.read(id, 0, SIZE)];
    await turn();
    let isReplaced = false;
    const put = target.put('name', contents(2)).then((next) => ((isReplaced = true), next));
    await turn();
    const late = [target.read('name', 0, SIZE), target.read(id, 0, SIZE)];
    const refused = assert.rejects(/** @type {Promise<unknown>} */ (late[1]), missing);
    await turn();
    assert.equal(isReplaced, false);
    finish();
    for (const read of early) assert.deepEqual(Buffer.from(await read), contents(1));
    const next = await put;
    assert.deepEqual(Buffer.from(await /** @type {Promise<Uint8Array>} */ (late[0])), contents(2));
    await refused;
    assert.ok((await target.find('name')).id.equals(next));
  });

  it('wait for those who look them up', async () => {
    await target.put('name', contents(1));
    let answer = () => {};
    const restore = replace(slow, 'find', async (find, ...args) => {
      restore();
      const found = await find(...args);
      await new Promise((resolve) => (answer = () => resolve(undefined)));
      return found;
    });
    const read = target.read('name', 0, SIZE);
    await turn();
    const put = target.put('name', contents(2));
    for (let turns = 0; turns < 5; turns++) await turn();
    answer();
    assert.deepEqual(Buffer.from(await read), contents(1));
    await put;
  });

  it('never mean a mixture, nor nothing, beside puts, renames and reads', async () => {
    await target.put('name', contents(0));
    let isOver = false;
    const reader = async () => {
      while (!isOver) {
        const bytes = await target.read('name', 0, SIZE);
        assert.deepEqual(Buffer.from(bytes), contents(/** @type {number} */ (bytes[0])));
        await turn();
      }
    };
    const readers = Promise.all([reader(), reader(), reader()]);
    const writer = async (/** @type {number} */ seed) => {
      for (let round = 0; round < 40; round++) {
        if (round % 3 > 0) await target.put('name', { size: SIZE, source: [contents(seed)] });
        else {
          await target.put(`next ${seed}`, contents(seed));
          await target.rename(`next ${seed}`, 'name', { replace: true });
        }
      }
    };
    await Promise.all([writer(1), writer(2), writer(3)]);
    isOver = true;
    await readers;
    assert.equal((await target.list()).regions.length, 1);
  });

  it('are read before a transaction or after it, and never out of a stale block', async () => {
    const one = await target.put('one', contents(0));
    const two = await target.put('two', contents(0));
    let isOver = false;
    const reader = async () => {
      while (!isOver) {
        const first = /** @type {number} */ ((await target.read('one', BLOCK, 1))[0]);
        for (const ref of ['two', two]) {
          const bytes = Buffer.from(await target.read(ref, 0, SIZE));
          assert.deepEqual(bytes, contents(/** @type {number} */ (bytes[0])));
          assert.ok(/** @type {number} */ (bytes[0]) >= first);
        }
        await turn();
      }
    };
    const readers = Promise.all([reader(), reader()]);
    for (let round = 1; round <= 60; round++) {
      const bytes = contents(round);
      const changes = [one, 'two'].map((ref) => ({
        type: /** @type {const} */ ('write'),
        ref,
        offset: 0,
        bytes,
      }));
      // Beside another one, which tells of the same regions in the other order.
      await Promise.all([target.transact(changes), target.transact(changes.toReversed())]);
    }
    isOver = true;
    await readers;
    await target.transact([
      { type: 'put', name: 'one', contents: contents(7) },
      { type: 'erase', ref: two },
    ]);
    assert.equal(await used(), 0);
    await assert.rejects(target.read(one, 0, 1), missing);
    await assert.rejects(target.read('two', 0, 1), missing);
  });

  it('can be put while the old region is erased by its ID', async () => {
    for (let round = 0; round < 20; round++) {
      const id = await target.put('name', contents(1));
      const read = target.read(id, 0, SIZE);
      const first = [() => target.erase(id), () => target.put('name', contents(2))];
      if (round % 2 === 1) first.reverse();
      const ended = await Promise.allSettled(first.map((call) => call()));
      assert.deepEqual(Buffer.from(await read), contents(1));
      for (const one of ended) if (one.status === 'rejected') assert.equal(one.reason.code, missing.code);
      assert.deepEqual(Buffer.from(await target.read('name', 0, SIZE)), contents(2));
      assert.equal((await target.list()).regions.length, 1);
      await target.erase('name');
      assert.equal(await used(), 0);
    }
  });

  it('are free again after a store that broke off a put', async () => {
    await target.put('name', contents(1));
    const restore = replace(slow, 'put', async (_put, _name, /** @type {RegionSource} */ { source }) => {
      // As over a connection that is lost while the last bytes are asked for.
      const pieces = /** @type {AsyncIterable<Uint8Array>} */ (source)[Symbol.asyncIterator]();
      void pieces.next();
      await turn();
      throw new Error('broken off');
    });
    const finish = slowReads();
    const read = target.read('name', 0, SIZE);
    await turn();
    const put = assert.rejects(target.put('name', { size: SIZE, source: [contents(2)] }));
    for (let turns = 0; turns < 5; turns++) await turn();
    finish();
    await Promise.all([read, put]);
    restore();
    await target.put('name', contents(3));
    assert.deepEqual(Buffer.from(await target.read('name', 0, SIZE)), contents(3));
  });
});
