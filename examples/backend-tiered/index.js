/** The library: the backend type `tiered`, over the targets of two other providers. */
import { BedrockError, defineBackend } from 'bedrock-node';
import { TieredTarget } from './tiered-target.js';

/** @import { ProviderDependency, Target } from 'bedrock-node' */
/** @import { TieredConfig } from './tiered-target.js' */

export default defineBackend({
  apiVersion: 1,
  type: 'tiered',
  schema: new URL('./schema.json', import.meta.url),
  // Those of a target over a pool file. Each target says what it really has.
  capabilities: {
    persistent: true,
    mappable: false,
    growable: false,
    importable: false,
    snapshots: false,
    named: true,
    transactional: true,
  },
  dependencies: [
    { name: 'cache', type: 'warabi' },
    { name: 'store', type: 'warabi' },
  ],
  create(/** @type {TieredConfig} */ config, { dependencies: { cache, store }, logger }) {
    const fast = targetOf(cache, 'cache', config.cache_target);
    const slow = targetOf(store, 'store', config.store_target);
    if (fast === slow) throw new BedrockError('INVALID_ARGUMENT', 'cache and store are the same target');
    return new TieredTarget(config, fast, slow, logger);
  },
});

/**
 * @param {ProviderDependency} provider
 * @param {string} name
 * @param {number} index
 * @returns {Target}
 */
function targetOf({ targets }, name, index) {
  const target = targets[index];
  if (target !== undefined) return target;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `${name} has ${targets.length} targets, and ${name}_target is ${index}`,
  );
}
