/** Counters over HTTP: what is answered is durable, wherever the store is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap, connect } from 'bedrock-node';

/** @import { Daemon, ErrorCode, Service } from 'bedrock-node' */
/** @typedef {{ store?: string, config?: object }} Options */

const LIBRARY = path.resolve(import.meta.dirname, '../index.js');

/** A daemon in a process of its own, that increments as fast as it can and says each value that it has. */
const WRITER = `
  import { bootstrap, connect } from 'bedrock-node';
  import { writeSync } from 'node:fs';
  const daemon = await bootstrap(JSON.parse(process.argv[1]), { directory: process.argv[2], logLevel: 'off' });
  const counters = (await connect(daemon.address)).provider('visits');
  const count = async (name) => {
    for (;;) {
      const { value } = await counters.request({ method: 'POST', path: '/counters/' + name });
      writeSync(1, name + ' ' + value + '\\n');
    }
  };
  await Promise.all(['one', 'two', 'two'].map(count));`;

/** @param {Options} [options] */
const configOf = ({ store = 'store', config = {} } = {}) => ({
  margo: { mercury: { address: 'unix:bedrock.sock' } },
  libraries: [LIBRARY],
  providers: [
    {
      name: 'store',
      type: 'warabi',
      config: {
        target: { type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } },
      },
    },
    { name: 'other', type: 'warabi', config: { target: { type: 'memory', config: {} } } },
    { name: 'visits', type: 'counter', dependencies: { store }, config: { max_counters: 100, ...config } },
  ],
});

describe('a counter provider', () => {
  /** @type {string} */
  let folder;
  /** @type {Daemon[]} */
  let daemons;
  /** @type {Service[]} */
  let services;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-counter-'));
    daemons = [];
    services = [];
  });
  afterEach(async () => {
    for (const service of services) await service.close();
    for (const daemon of daemons) await daemon.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** @param {Options} [options] */
  const start = async (options) => {
    const daemon = await bootstrap(configOf(options), { directory: folder, logLevel: 'off' });
    daemons.push(daemon);
    const service = await connect(String(daemon.address));
    services.push(service);
    const visits = service.provider('visits');
    return {
      daemon,
      visits,
      stop: async () => {
        services.splice(services.indexOf(service), 1);
        await service.close();
        await daemon.close();
      },
      /** @param {string} name @param {number} [by] */
      add: async (name, by) => {
        const json = by === undefined ? {} : { json: { by } };
        const answer = await visits.request({ method: 'POST', path: `/counters/${name}`, ...json });
        return /** @type {{ value: number }} */ (answer).value;
      },
      all: async () => {
        const answer = await visits.request({ method: 'GET', path: '/counters' });
        return /** @type {{ counters: Record<string, number> }} */ (answer).counters;
      },
    };
  };
  /** @param {Daemon} daemon */
  const regionOf = (daemon) => String(daemon.config.providers?.[2]?.config?.region);
  /** @param {Promise<unknown>} promise @param {ErrorCode} code */
  const fails = (promise, code) => assert.rejects(promise, { code });

  it('adds, reads and removes', async () => {
    const { add, all, visits, stop } = await start();
    assert.deepEqual(
      [await add('a'), await add('a', 41), await add('a', -2), await add('b%20c', 0)],
      [1, 42, 40, 0],
    );
    assert.deepEqual(await all(), { a: 40, 'b c': 0 });
    assert.deepEqual(await visits.request({ method: 'GET', path: '/counters/a' }), { name: 'a', value: 40 });
    await visits.request({ method: 'DELETE', path: '/counters/a' });
    await fails(visits.request({ method: 'GET', path: '/counters/a' }), 'NOT_FOUND');
    await fails(visits.request({ method: 'DELETE', path: '/counters/a' }), 'NOT_FOUND');
    await fails(add('a', 0.5), 'INVALID_ARGUMENT');
    await fails(add('x'.repeat(48)), 'INVALID_ARGUMENT');
    await add('big', Number.MAX_SAFE_INTEGER);
    await fails(add('big'), 'CONFLICT');
    assert.deepEqual(await all(), { 'b c': 0, big: Number.MAX_SAFE_INTEGER });
    await stop();
  });

  it('counts every one of many at once', async () => {
    const { add, all, stop } = await start();
    const values = await Promise.all(Array.from({ length: 100 }, (_, at) => add(`c${at % 4}`)));
    assert.deepEqual(await all(), { c0: 25, c1: 25, c2: 25, c3: 25 });
    assert.deepEqual(
      values.sort((one, other) => one - other),
      Array.from({ length: 100 }, (_, at) => Math.floor(at / 4) + 1),
    );
    await stop();
  });

  it('is full with max_counters, until one is removed', async () => {
    const { add, visits, stop } = await start({ config: { max_counters: 2 } });
    await add('a');
    await add('b');
    await fails(add('c'), 'OUT_OF_SPACE');
    await visits.request({ method: 'DELETE', path: '/counters/a' });
    assert.equal(await add('c'), 1);
    await stop();
  });

  it('finds its counters again, and says in its configuration where they are', async () => {
    const first = await start();
    await first.add('kept', 7);
    const region = regionOf(first.daemon);
    assert.match(region, /^[0-9a-f]{32}$/);
    await first.stop();
    for (const config of [{}, { region }]) {
      const next = await start({ config });
      assert.deepEqual(await next.all(), { kept: 7 });
      await next.stop();
    }
    await assert.rejects(start({ config: { region: '0'.repeat(32) } }), { code: 'START_FAILED' });
  });

  it('has every increment that was answered after a kill', async () => {
    const args = ['--input-type=module', '-e', WRITER, '--', JSON.stringify(configOf()), folder];
    // From this folder, where the package is found.
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: import.meta.dirname,
    });
    /** @type {Map<string, number>} */
    const answered = new Map();
    let left = 150;
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
      for (const line of text.split('\n').slice(0, -1)) {
        const [name = '', value] = line.split(' ');
        answered.set(name, Math.max(answered.get(name) ?? 0, Number(value)));
        if (--left === 0) child.kill('SIGKILL');
      }
    });
    await new Promise((resolve) => child.once('exit', resolve));
    assert.equal(answered.size, 2);
    const { all, stop } = await start();
    const found = await all();
    for (const [name, value] of answered) {
      const kept = found[name] ?? 0;
      // Those of two clients may have been written without being answered.
      assert.ok(kept >= value && kept <= value + 2, `${name}: ${kept} of ${value}`);
    }
    await stop();
  });

  it('keeps the older value if the newer one is torn', async () => {
    const { daemon, add, stop } = await start();
    await add('a', 5);
    await add('a', 6);
    const region = regionOf(daemon);
    await stop();
    const { RegionId } = await import('bedrock-node');
    for (const [at, expected] of /** @type {const} */ ([
      [64, 5],
      [96, 11],
    ])) {
      const again = await bootstrap(configOf({ store: 'other' }), { directory: folder, logLevel: 'off' });
      const store = again.target('store');
      const id = RegionId.parse(region);
      const whole = await store.read(id, 64 + at, 32);
      await store.write(id, 64 + at + 20, Buffer.from([255]), { persist: true });
      await again.close();
      const torn = await start();
      assert.deepEqual(await torn.all(), { a: expected });
      await torn.daemon.target('store').write(id, 64 + at, whole, { persist: true });
      await torn.stop();
    }
  });

  it('writes its state to a folder and takes it back', async () => {
    const { add, all, visits, daemon, stop } = await start();
    await add('a', 3);
    await visits.snapshot({ path: 'saved', removeSource: true });
    assert.deepEqual(JSON.parse(await readFile(path.join(folder, 'saved/counters.json'), 'utf8')), {
      counters: { a: 3 },
    });
    assert.deepEqual(await all(), {});
    await add('b');
    await visits.restore({ path: 'saved' });
    assert.deepEqual(await all(), { a: 3 });
    await fails(visits.restore({ path: 'nosuch' }), 'INVALID_ARGUMENT');
    await writeFile(path.join(folder, 'saved/counters.json'), '{"counters": {"a": 0.5}}');
    await fails(visits.restore({ path: 'saved' }), 'INVALID_ARGUMENT');
    assert.deepEqual(await all(), { a: 3 });
    // One region, whatever came and went.
    assert.equal((await daemon.target('store').list()).regions.length, 1);
    await fails(visits.migrate({ address: 'http://x:1', provider: 'y' }), 'NOT_SUPPORTED');
    await stop();
    const next = await start();
    assert.deepEqual(await next.all(), { a: 3 });
    await next.stop();
  });

  it('moves to another store with all that it has', async () => {
    const { add, all, daemon, stop } = await start();
    await add('a', 3);
    await fails(daemon.changeDependency('visits', 'store', 'nosuch'), 'DEPENDENCY_UNRESOLVED');
    await Promise.all([add('a'), daemon.changeDependency('visits', 'store', 'other')]);
    assert.equal(await add('a'), 5);
    assert.deepEqual(await all(), { a: 5 });
    assert.equal((await daemon.target('store').list()).regions.length, 0);
    assert.equal((await daemon.target('other').list()).regions.length, 1);
    await stop();
  });

  it('keeps its counters in a store of another daemon', async () => {
    const far = await bootstrap(
      { providers: [{ name: 'far', type: 'warabi', config: { target: { type: 'memory', config: {} } } }] },
      { address: `unix:${folder}/far.sock`, logLevel: 'off' },
    );
    daemons.push(far);
    for (const expected of [2, 4]) {
      const near = await start({ store: `far@${String(far.address)}` });
      await near.add('a');
      assert.equal(await near.add('a'), expected);
      await near.stop();
    }
    const last = await start({ store: 'far@unix:far.sock' });
    assert.deepEqual(last.daemon.config.providers?.[2]?.dependencies, {
      store: `far@unix:${folder}/far.sock`,
    });
    await far.close();
    await fails(last.add('a'), 'UNREACHABLE');
    await last.stop();
  });

  it('counts itself in the metrics', async () => {
    const { add, daemon, stop } = await start();
    await add('a');
    await add('b', 5);
    const { request } = await import('node:http');
    const text = await new Promise((resolve) => {
      const socketPath = String(daemon.address).slice('unix:'.length);
      request({ socketPath, path: '/metrics', headers: { host: 'localhost' } }, async (response) => {
        let all = '';
        for await (const piece of response) all += String(piece);
        resolve(all);
      }).end();
    });
    assert.match(text, /counter_increments_total\{provider="visits"\} 2/);
    assert.match(text, /counter_counters\{provider="visits"\} 2/);
    await stop();
  });
});
