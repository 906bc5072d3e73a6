/** Pairs in order, their bytes where they lie, and what happens to a value that is replaced while it is used. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Pairs } from '../pairs.js';

/** @import { Daemon, Target } from 'bedrock-node' */

const PMEM = { type: 'pmem', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } };

describe('pairs', () => {
  /** @type {string} */
  let directory;
  /** @type {Daemon | undefined} */
  let daemon;
  /** @type {Target} */
  let target;
  /** @type {Pairs} */
  let pairs;

  const open = async () => {
    const config = { providers: [{ name: 'store', type: 'warabi', config: { target: PMEM } }] };
    daemon = await bootstrap(config, { directory, listen: false, logLevel: 'off' });
    target = daemon.target('store');
    pairs = new Pairs(target);
  };
  const all = async (prefix = '') => {
    /** @type {string[]} */
    const found = [];
    await pairs.forEach((key, value) => void found.push(`${key}=${Buffer.from(value).toString()}`), prefix);
    return found;
  };

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bedrock-pairs-'));
    await open();
  });
  afterEach(async () => {
    await daemon?.close();
    await rm(directory, { recursive: true });
  });

  it('come in the order of their keys, and survive a restart', async () => {
    for (const key of ['key3', 'key1', 'other', 'key2']) await pairs.set(key, `of ${key}`);
    await pairs.set('key2', 'another');
    await pairs.set('empty', '');
    await pairs.delete('other');
    const expected = ['empty=', 'key1=of key1', 'key2=another', 'key3=of key3'];
    assert.deepEqual(await all(), expected);
    await daemon?.close();
    await open();
    assert.deepEqual(await all(), expected);
    assert.deepEqual(await all('key'), expected.slice(1));
  });

  it('are the bytes of the region itself', async () => {
    await pairs.set('key', 'value');
    await pairs.forEach((_key, value) => value.set(Buffer.from('V')));
    assert.deepEqual(await all(), ['key=Value']);
  });

  it('stay as they are while they are used, and leave nothing behind', async () => {
    await pairs.set('key', 'before');
    const { usedBytes } = await target.stats();
    await pairs.forEach(async (key, value) => {
      await pairs.set(key, 'after!');
      assert.equal(Buffer.from(value).toString(), 'before');
    });
    assert.deepEqual(await all(), ['key=after!']);
    const failure = new Error('stop');
    await assert.rejects(
      pairs.forEach(() => Promise.reject(failure)),
      failure,
    );
    assert.equal((await target.stats()).usedBytes, usedBytes);
  });
});
