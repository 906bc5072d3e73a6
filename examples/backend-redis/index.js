/** The library: the backend type `redis`. */
import { defineBackend } from 'bedrock-node';
import { CAPABILITIES, RedisTarget } from './redis-target.js';

/** @import { RedisConfig } from './redis-pool.js' */

export default defineBackend({
  apiVersion: 1,
  type: 'redis',
  capabilities: CAPABILITIES,
  schema: new URL('./schema.json', import.meta.url),
  create: (/** @type {RedisConfig} */ config, context) => new RedisTarget(config, context),
});
