/** What the contract cannot ask for: a daemon that is killed, one that is not alone, and a Redis that comes and goes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from 'redis';
import { RedisTarget } from '../redis-target.js';
import { DeafProxy } from './deaf-proxy.js';
import { RedisServer, skip } from './redis-server.js';
import { config, silent } from './targets.js';

/** @import { ErrorCode, RegionId } from 'bedrock-node' */
/** @import { RedisConfig } from '../redis-pool.js' */

/** Makes regions without end, and says each when it is acknowledged. */
const WRITER = `
  import { RedisTarget } from ${JSON.stringify(new URL('../redis-target.js', import.meta.url).href)};
  import { config, silent } from ${JSON.stringify(new URL('./targets.js', import.meta.url).href)};
  import { writeSync } from 'node:fs';
  const target = new RedisTarget(config({ url: process.argv[1] }, { chunk_bytes: 4096 }), silent);
  await target.open();
  for (let n = 1; ; n++) {
    const id = await target.createAndWrite(Buffer.alloc(10_000, n % 251 + 1), { persist: true });
    if (n % 3 === 0) await target.erase(id);
    await target.put('last', Buffer.alloc(10_000, n % 251 + 1));
    writeSync(1, id.toString() + ' ' + (n % 3 === 0 ? 'erased' : n % 251 + 1) + '\\n');
  }`;

describe('the redis backend', { skip }, () => {
  /** @type {RedisServer} */
  let server;
  /** @type {RedisTarget[]} */
  let targets;

  beforeEach(async () => {
    server = await RedisServer.start();
    targets = [];
  });
  afterEach(async () => {
    await Promise.all(targets.map((target) => target.close().catch(() => undefined)));
    await server.remove();
  });

  /** @param {Partial<RedisConfig>} [changes] */
  const make = (changes) => {
    const target = new RedisTarget(config(server, changes), silent);
    targets.push(target);
    return target;
  };
  /** @param {Partial<RedisConfig>} [changes] */
  const open = async (changes) => {
    const target = make(changes);
    await target.open();
    return target;
  };
  /** @param {Promise<unknown>} promise @param {ErrorCode} code */
  const fails = (promise, code) => assert.rejects(promise, { code });
  const keys = async () => {
    const client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
    const found = await client.keys('*');
    await client.close();
    return found.sort();
  };
  /** @param {() => Promise<unknown>} look */
  const eventually = async (look) => {
    for (let left = 100; ; left--) {
      try {
        return await look();
      } catch (error) {
        if (left === 0) throw error;
        await delay(30);
      }
    }
  };

  it('keeps what was acknowledged when its daemon is killed, and leaves no chunks behind', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, '--', server.url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      if (output.length > 1500) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.once('exit', resolve));

    // Its lock expires: nobody has to be told.
    const target = await open();
    const lines = output.split('\n').slice(0, -1);
    assert.ok(lines.length > 20);
    const { RegionId } = await import('bedrock-node');
    let kept = 0;
    for (const line of lines) {
      const [hex = '', fill] = line.split(' ');
      const id = RegionId.parse(hex);
      if (fill === 'erased') await fails(target.read(id, 0, 1), 'REGION_NOT_FOUND');
      else {
        assert.deepEqual(Buffer.from(await target.read(id, 0, 10_000)), Buffer.alloc(10_000, Number(fill)));
        kept++;
      }
    }
    const { regions } = await target.list();
    // The one of the name, and one more that may have been on its way.
    assert.ok(regions.length - kept <= 2);
    // It is the one of the last line, or the one after.
    const last = Buffer.from(await target.read('last', 0, 10_000));
    const number = lines.length + Number(last[0] !== (lines.length % 251) + 1);
    assert.deepEqual(last, Buffer.alloc(10_000, (number % 251) + 1));
    const chunks = (await keys()).filter((key) => /:\d+-\d+:\d+$/.test(key));
    assert.equal(chunks.length, regions.length * 3);
  });

  it('is POOL_IN_USE while another daemon has it open, and free when that one closes', async () => {
    const first = await open();
    await fails(open(), 'POOL_IN_USE');
    await open({ prefix: 'other' });
    await first.close();
    await open();
  });

  it('lets nobody change a pool that another daemon has taken over', async () => {
    const first = await open({ lease_ms: 3_600_000 });
    const id = await first.createAndWrite(Buffer.from('mine'));
    const client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
    // As if the first one had slept through its lease.
    await client.del('{pool}:lock');
    await client.close();
    const second = await open();
    for (const change of [
      () => first.write(id, 0, Buffer.from('!')),
      () => first.create(1),
      () => first.erase(id),
      () => first.read(id, 0, 1),
    ])
      await fails(change(), 'POOL_IN_USE');
    assert.equal(String(await second.read(id, 0, 4)), 'mine');
    await second.erase(id);
    assert.deepEqual((await second.list()).regions, []);
  });

  it('is UNREACHABLE while Redis is gone, and goes on when it is back', async () => {
    const target = await open();
    const id = await target.createAndWrite(Buffer.from('kept'));
    await server.stop('SIGKILL');
    await eventually(() => fails(target.read(id, 0, 4), 'UNREACHABLE'));
    await fails(target.create(1), 'UNREACHABLE');
    await server.launch();
    await eventually(() => target.read(id, 0, 4));
    assert.equal(String(await target.read(id, 0, 4)), 'kept');
    await target.write(id, 0, Buffer.from('K'), { persist: true });
    assert.equal(String(await target.read(id, 0, 4)), 'Kept');
    // The space of the region that was not made comes back with the next renewal.
    await eventually(async () => assert.equal((await target.stats()).usedBytes, 4));
  });

  it('gives up a connection on which nothing comes back', async () => {
    const target = await open({ timeout_ms: 1000 });
    const id = await target.create(4);
    server.child?.kill('SIGSTOP');
    await fails(target.read(id, 0, 4), 'UNREACHABLE');
    server.child?.kill('SIGCONT');
    await eventually(() => target.read(id, 0, 4));
  });

  it('undoes what has failed because the answer was lost', async () => {
    const deaf = await DeafProxy.start(server);
    try {
      const target = await open({ url: deaf.url, timeout_ms: 300 });
      const [one, two] = [
        await target.put('one', Buffer.from('first')),
        await target.put('two', Buffer.from('second')),
      ];
      const changes = [
        () => target.put('one', Buffer.from('new')),
        () => target.create(5, { name: 'three' }),
        () => target.rename('one', 'two', { replace: true }),
        () => target.rename('two', null),
        () => target.erase('one'),
        () =>
          target.transact([
            { type: 'write', ref: 'one', offset: 2, bytes: Buffer.from('xyz') },
            { type: 'write', ref: 'one', offset: 0, bytes: Buffer.from('abc') },
            { type: 'put', name: 'three', contents: Buffer.from('third') },
            { type: 'rename', ref: 'one', to: 'four' },
            { type: 'erase', ref: 'two' },
          ]),
      ];
      const check = async (/** @type {RedisTarget} */ of) => {
        const { names } = await of.names();
        const found = await Promise.all(
          names.map(async ({ name, id, size }) => `${name} ${id} ${Buffer.from(await of.read(id, 0, size))}`),
        );
        assert.deepEqual(found, [`one ${one} first`, `two ${two} second`]);
        await eventually(async () => assert.equal((await of.stats()).usedBytes, 11));
      };
      for (const change of changes) {
        deaf.losesNext = true;
        await fails(change(), 'UNREACHABLE');
        assert.equal(deaf.losesNext, false);
        await eventually(() => target.read('one', 0, 1));
        await check(target);
      }
      await target.close();
      await check(await open());
    } finally {
      await deaf.stop();
    }
  });

  it('notices that Redis has come back without its pool', async () => {
    const target = await open();
    const id = await target.createAndWrite(Buffer.from('lost'));
    await server.stop('SIGKILL');
    await server.launch(['--appendonly', 'no']);
    await eventually(() => fails(target.read(id, 0, 4), 'POOL_IN_USE'));
    await target.close();
    await target.open();
    await fails(target.read(id, 0, 4), 'REGION_NOT_FOUND');
  });

  it('is UNREACHABLE at once if Redis is not there when it opens', async () => {
    await server.stop();
    await fails(open(), 'UNREACHABLE');
  });

  it('refuses a Redis that drops keys when it is full', async () => {
    await server.stop();
    await server.launch(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru']);
    await fails(open(), 'INVALID_ARGUMENT');
  });

  it('is OUT_OF_SPACE when Redis is full, and still reads', async () => {
    await server.stop();
    await server.launch(['--maxmemory', '4mb']);
    const target = await open();
    const id = await target.createAndWrite(Buffer.from('first'));
    await fails(target.createAndWrite(Buffer.alloc(2 ** 23, 1)), 'OUT_OF_SPACE');
    assert.equal(String(await target.read(id, 0, 5)), 'first');
  });

  it('keeps the chunks of its pool, whatever the configuration says later', async () => {
    const first = await open({ chunk_bytes: 4096 });
    const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, at) => at % 251));
    const id = await first.createAndWrite(bytes);
    await first.close();
    const second = await open({ chunk_bytes: 2 ** 20 });
    assert.deepEqual(Buffer.from(await second.read(id, 0, 20_000)), bytes);
  });

  it('leaves no key behind when it is destroyed', async () => {
    const target = await open();
    await target.createAndWrite(Buffer.alloc(3_000_000, 1));
    await target.destroy();
    assert.deepEqual(await keys(), []);
  });
});
