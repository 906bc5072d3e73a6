/** The contract of a target, against a real Redis. */
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { describeTarget } from 'bedrock-node/conformance';
import { createClient } from 'redis';
import backend from '../index.js';
import { config, silent } from './targets.js';
import { RedisServer, skip } from './redis-server.js';

const COPY_POOL = `for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  if key ~= ARGV[1] .. 'lock' then redis.call('COPY', key, ARGV[2] .. string.sub(key, #ARGV[1] + 1)) end
end`;

describe('the redis backend', { skip }, () => {
  /** @type {RedisServer} */
  let server;
  let made = 0;
  /** @type {WeakMap<object, import('../redis-pool.js').RedisConfig>} */
  const configs = new WeakMap();

  /** @type {ReturnType<typeof createClient>} */
  let client;

  before(async () => {
    // The contract is the same however often the log is synced, and the tests are faster.
    server = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'everysec']);
    client = createClient({ socket: { path: server.socket, tls: false } });
    await client.connect();
  });
  after(async () => {
    await client.close();
    await server.remove();
  });

  /** @param {import('../redis-pool.js').RedisConfig} settings */
  const targetOf = async (settings) => {
    const target = await backend.create({ ...settings }, silent);
    configs.set(target, settings);
    return target;
  };
  /** @param {object} target */
  const settingsOf = (target) => /** @type {import('../redis-pool.js').RedisConfig} */ (configs.get(target));
  /** What a daemon that is killed now leaves: its keys, copied all at once, without the lock. @param {{ prefix: string }} pool */
  const copyPool = async ({ prefix }) => {
    const copy = `pool${made++}`;
    await client.eval(COPY_POOL, { arguments: [`{${prefix}}:`, `{${copy}}:`] });
    return copy;
  };
  /** @param {number} max_bytes */
  const createBounded = (max_bytes) => targetOf(config(server, { prefix: `pool${made++}`, max_bytes }));

  describeTarget(
    { describe, it, beforeEach, afterEach },
    {
      create: () => createBounded(2 ** 36),
      createBounded,
      reopen: (target) => targetOf(settingsOf(target)),
      crash: async (target) =>
        targetOf({ ...settingsOf(target), prefix: await copyPool(settingsOf(target)) }),
    },
    backend.capabilities,
  );
});
