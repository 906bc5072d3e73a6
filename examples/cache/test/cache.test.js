/** What a cache keeps, makes anew and evicts, and what is left of it after a restart. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Cache } from '../cache.js';

/** @import { Daemon } from 'bedrock-node' */

/** @param {object} target */
const configOf = (target) => ({ providers: [{ name: 'store', type: 'warabi', config: { target } }] });
const MEMORY = configOf({ type: 'memory' });
const FILE = configOf({ type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } });

describe('a cache', () => {
  /** @type {string} */
  let directory;
  /** @type {Daemon | undefined} */
  let daemon;
  let made = 0;
  let time = 1000;
  const now = () => time;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bedrock-cache-'));
    made = 0;
    time = 1000;
  });
  afterEach(async () => {
    await close();
    await rm(directory, { recursive: true });
  });

  /** @param {ReturnType<typeof configOf>} config */
  const open = async (config) => {
    daemon = await bootstrap(config, { directory, listen: false, logLevel: 'off' });
    return daemon.target('store');
  };
  const close = async () => {
    await daemon?.close();
    daemon = undefined;
  };
  /** @param {Cache} cache @param {string} key @param {number} [size] */
  const get = async (cache, key, size = 100) => {
    const value = await cache.get(key, async () => {
      made++;
      return Buffer.alloc(size, key);
    });
    assert.deepEqual(Buffer.from(value), Buffer.alloc(size, key));
  };

  it('makes a value once, however many ask for it', async () => {
    const cache = await Cache.open(await open(MEMORY));
    await Promise.all(Array.from({ length: 20 }, () => get(cache, 'key')));
    await get(cache, 'key');
    assert.equal(made, 1);
  });

  it('gives the error of a maker to all who asked, and keeps nothing', async () => {
    const cache = await Cache.open(await open(MEMORY));
    const fails = () => Promise.reject(new Error('not today'));
    const asked = await Promise.allSettled([cache.get('key', fails), cache.get('key', fails)]);
    assert.deepEqual(
      asked.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    await get(cache, 'key');
    assert.equal(made, 1);
  });

  it('makes a value anew after its time', async () => {
    const cache = await Cache.open(await open(MEMORY), { ttlMs: 500, now });
    await get(cache, 'key');
    time += 499;
    await get(cache, 'key');
    assert.equal(made, 1);
    time += 1;
    await get(cache, 'key');
    assert.equal(made, 2);
  });

  it('takes a time without end, and one of part of a millisecond', async () => {
    const target = await open(MEMORY);
    const endless = await Cache.open(target, { ttlMs: Infinity, now });
    await get(endless, 'key');
    time += 1e12;
    await get(endless, 'key');
    assert.equal(made, 1);
    const short = await Cache.open(target, { ttlMs: 0.5, now });
    await get(short, 'other');
    await get(short, 'other');
    assert.equal(made, 3);
  });

  it('evicts what was used least recently', async () => {
    const cache = await Cache.open(await open(MEMORY), { maxBytes: 350 });
    for (const key of ['a', 'b', 'c']) await get(cache, key);
    await get(cache, 'a');
    await get(cache, 'd');
    assert.equal(made, 4);
    assert(cache.bytes <= 350);
    for (const key of ['a', 'c', 'd']) await get(cache, key);
    assert.equal(made, 4);
    await get(cache, 'b');
    assert.equal(made, 5);
  });

  it('holds no more than it may, even if many values are stored at once', async () => {
    const cache = await Cache.open(await open(MEMORY), { maxBytes: 350 });
    await Promise.all(Array.from({ length: 20 }, (_, key) => get(cache, `key ${key}`)));
    assert(cache.bytes <= 350, String(cache.bytes));
  });

  it('goes on without storing what does not fit', async () => {
    const target = await open(configOf({ type: 'memory', config: { max_bytes: 2 ** 16 } }));
    const cache = await Cache.open(target, { maxBytes: 2 ** 20 });
    for (const key of ['a', 'b', 'c', 'd']) await get(cache, key, 30_000);
    await get(cache, 'd', 30_000);
    assert.equal(made, 4);
    await get(cache, 'large', 100_000);
    await get(cache, 'huge', 2 ** 21);
    assert.equal(made, 6);
    assert(cache.bytes <= 2 ** 16);
  });

  it('is warm after a restart, and knows how much it holds', async () => {
    let cache = await Cache.open(await open(FILE));
    for (let key = 0; key < 50; key++) await get(cache, `key ${key}`);
    const { bytes } = cache;
    await close();
    cache = await Cache.open(await open(FILE));
    assert.equal(cache.bytes, bytes);
    for (let key = 0; key < 50; key++) await get(cache, `key ${key}`);
    assert.equal(made, 50);
  });
});
