/** The contract of a target, against a real Redis. */
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { describeTarget } from 'bedrock-node/conformance';
import backend from '../index.js';
import { config, silent } from './targets.js';
import { RedisServer, skip } from './redis-server.js';

describe('the redis backend', { skip }, () => {
  /** @type {RedisServer} */
  let server;
  let made = 0;
  /** @type {WeakMap<object, import('../redis-pool.js').RedisConfig>} */
  const configs = new WeakMap();

  before(async () => {
    // The contract is the same however often the log is synced, and the tests are faster.
    server = await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'everysec']);
  });
  after(() => server.remove());

  /** @param {import('../redis-pool.js').RedisConfig} settings */
  const targetOf = async (settings) => {
    const target = await backend.create({ ...settings }, silent);
    configs.set(target, settings);
    return target;
  };
  /** @param {number} max_bytes */
  const createBounded = (max_bytes) => targetOf(config(server, { prefix: `pool${made++}`, max_bytes }));

  describeTarget(
    { describe, it, beforeEach, afterEach },
    {
      create: () => createBounded(2 ** 36),
      createBounded,
      reopen: (target) => targetOf(/** @type {any} */ (configs.get(target))),
    },
    backend.capabilities,
  );
});
