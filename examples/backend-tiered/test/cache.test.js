/** That the cache is used, keeps to its budget, and never gives what the store no longer has. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Tiers } from './daemons.js';
import { replace } from './replace.js';

/** @import { Target } from 'bedrock-node' */

const BLOCK = 1024;
const memory = { type: 'memory', config: {} };
const settings = { cache_bytes: 16 * BLOCK, block_bytes: BLOCK };

describe('the cache of a tiered target', () => {
  /** @type {Tiers} */
  let tiers;
  /** @type {Target} */
  let target;
  /** @type {Target} */
  let fast;
  /** @type {Target} */
  let slow;
  let storeReads = 0;

  beforeEach(async () => {
    tiers = await Tiers.make(memory, settings);
    const daemon = await tiers.start();
    target = daemon.target('tiered');
    fast = daemon.target('fast');
    slow = daemon.target('slow');
    storeReads = 0;
    replace(slow, 'read', (read, ...args) => (storeReads++, read(...args)));
  });
  afterEach(() => tiers.remove());

  const contents = (/** @type {number} */ size, seed = 1) =>
    Buffer.alloc(size).map((_, at) => (at * 31 + seed) % 251);
  const used = async () => (await fast.stats()).usedBytes;

  it('is asked before the store, which gives each block once', async () => {
    const bytes = contents(10 * BLOCK + 7);
    const id = await target.createAndWrite(bytes);
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 4 * BLOCK; at += 100)
        assert.deepEqual(Buffer.from(await target.read(id, at, 300)), bytes.subarray(at, at + 300));
    }
    assert.equal(storeReads, 5);
    assert.deepEqual(Buffer.from(await target.read(id, 10 * BLOCK - 5, 12)), bytes.subarray(10 * BLOCK - 5));
  });

  it('keeps to its budget, and keeps what was used last', async () => {
    const id = await target.createAndWrite(contents(100 * BLOCK));
    for (let block = 0; block < 100; block++) {
      await target.read(id, 0, 1);
      await target.read(id, block * BLOCK, 1);
    }
    assert.equal(storeReads, 100);
    assert.equal(await used(), 16 * BLOCK);
    await Promise.all(Array.from({ length: 100 }, (_, block) => target.read(id, block * BLOCK, 1)));
    assert.ok((await used()) <= 16 * BLOCK);
  });

  it('is not swept by a large read', async () => {
    const id = await target.createAndWrite(contents(100 * BLOCK));
    await target.read(id, 0, 1);
    await target.read(id, 0, 100 * BLOCK);
    assert.equal(await used(), BLOCK);
  });

  it('does not keep what a write has overtaken', async () => {
    const [before, after] = [contents(BLOCK, 1), contents(BLOCK, 2)];
    // A write begins before, while and after the store is read for a fill, and ends before or after the fill.
    for (const moment of ['before', 'while', 'after']) {
      for (const isSlow of [false, true]) {
        const id = await target.createAndWrite(before);
        /** @type {Promise<void> | undefined} */
        let writing;
        let finish = () => {};
        const finished = new Promise((resolve) => (finish = () => resolve(undefined)));
        const write = () => (writing = target.write(id, 0, after));
        const restoreWrite = replace(slow, 'write', async (original, ...args) => {
          await original(...args);
          if (isSlow) await finished;
        });
        const restoreRead = replace(slow, 'read', async (original, ...args) => {
          if (moment === 'while') void write();
          const bytes = await original(...args);
          if (moment === 'after') void write();
          return bytes;
        });
        if (moment === 'before') void write();
        await target.read(id, 0, BLOCK);
        finish();
        await writing;
        restoreRead();
        restoreWrite();
        assert.deepEqual(Buffer.from(await target.read(id, 0, BLOCK)), after, `${moment} ${isSlow}`);
        await target.erase(id);
      }
    }
  });

  it('gives what the store has under many reads and writes at once', async () => {
    const size = 8 * BLOCK;
    const id = await target.create(size);
    let value = 0;
    let isOver = false;
    // Each write is of one value over one block; a read that begins after it has ended must not be older.
    const written = new Array(8).fill(0);
    const writer = async (/** @type {number} */ block) => {
      for (let round = 0; round < 60; round++) {
        const now = (value += 1) % 65536;
        const bytes = Buffer.alloc(BLOCK);
        bytes.writeUInt16LE(now, 0);
        await target.write(id, block * BLOCK, bytes);
        written[block] = now;
      }
    };
    const reader = async () => {
      for (let block = 0; !isOver; block = (block + 1) % 8) {
        const least = written[block];
        const found = Buffer.from(await target.read(id, block * BLOCK, 2)).readUInt16LE(0);
        assert.ok(found >= least, `block ${block}: ${found} after ${least}`);
      }
    };
    const readers = Promise.all([reader(), reader(), reader()]);
    await Promise.all(Array.from({ length: 8 }, (_, block) => writer(block)));
    isOver = true;
    await readers;
  });

  it('is gone with its region, and with the target', async () => {
    const id = await target.createAndWrite(contents(4 * BLOCK));
    await target.read(id, 0, 4 * BLOCK);
    await target.erase(id);
    assert.equal(await used(), 0);
    const other = await target.createAndWrite(contents(4 * BLOCK));
    await target.read(other, 0, 4 * BLOCK);
    await target.close();
    assert.equal(await used(), 0);
  });

  it('may fail or be full without harm', async () => {
    const bytes = contents(4 * BLOCK);
    const id = await target.createAndWrite(bytes);
    const restore = replace(fast, 'readInto', () => Promise.reject(new Error('a fault')));
    for (let round = 0; round < 2; round++)
      assert.deepEqual(Buffer.from(await target.read(id, 0, 4 * BLOCK)), bytes);
    restore();
    const [large] = [await fast.create(2 ** 20 - (await used()))];
    const other = await target.createAndWrite(bytes);
    assert.deepEqual(Buffer.from(await target.read(other, 0, 4 * BLOCK)), bytes);
    await fast.erase(large);
    await fast.close();
    assert.deepEqual(Buffer.from(await target.read(id, 0, 4 * BLOCK)), bytes);
  });

  it('has no part in a store on another daemon: only the bytes come from there', async () => {
    const { bootstrap } = await import('bedrock-node');
    const far = await bootstrap(
      { providers: [{ name: 'far', type: 'warabi', config: { target: memory } }] },
      { address: `unix:${tiers.folder}/far.sock`, logLevel: 'off' },
    );
    const library = new URL('../index.js', import.meta.url).pathname;
    const near = await bootstrap(
      {
        libraries: [library],
        providers: [
          { name: 'fast', type: 'warabi', config: { target: memory } },
          {
            name: 'tiered',
            type: 'warabi',
            config: { target: { type: 'tiered', config: settings } },
            dependencies: { cache: 'fast', store: `far@${String(far.address)}` },
          },
        ],
      },
      { listen: false, logLevel: 'off' },
    );
    const id = await near.target('tiered').createAndWrite(contents(4 * BLOCK));
    await near.target('tiered').read(id, 0, 10);
    assert.deepEqual(Buffer.from(await far.target('far').read(id, 0, 4 * BLOCK)), contents(4 * BLOCK));
    await near.close();
    await far.close();
  });
});
