/** Settings and a context for targets of the tests. */

/** @import { BackendContext } from 'bedrock-node' */
/** @import { RedisConfig } from '../redis-pool.js' */

/**
 * @param {{ url: string }} server
 * @param {Partial<RedisConfig>} [changes]
 * @returns {RedisConfig}
 */
export function config({ url }, changes = {}) {
  const defaults = {
    prefix: 'pool',
    max_bytes: 2 ** 30,
    max_transaction_bytes: 2 ** 20,
    chunk_bytes: 2 ** 20,
    lease_ms: 300,
    timeout_ms: 2000,
  };
  return { url, ...defaults, ...changes };
}

const log = () => undefined;
const logger = {
  critical: log,
  error: log,
  warning: log,
  info: log,
  debug: log,
  trace: log,
  child: () => logger,
};

/** A context as the daemon gives it, as far as this backend looks at it. */
export const silent = /** @type {BackendContext} */ (
  /** @type {unknown} */ ({
    logger,
    clock: { now: () => Date.now() },
  })
);
