/**
 * The `transfer_manager` of Warabi's configuration, and what it means here: the size of the pieces in which regions are sent in a
 * migration, and how many are in flight.
 *
 * Warabi's `pipeline` moves bulk data through pools of buffers, `num_pools` of them with `num_buffers_per_pool` buffers each; those of the
 * first have `first_buffer_size` bytes, those of each next one `buffer_size_multiplier` times as many. Here the largest buffer is the size
 * of a piece, and all buffers together are the pieces in flight. `__default__` moves the whole at once, which nothing here does: it means
 * our own defaults.
 */
import type { TransferManagerConfig } from '../../schemas/generated/warabi.js';

export interface TransferManager {
  /** Bytes of a piece. */
  readonly transferBytes: number;
  /** Pieces in flight at once. */
  readonly inFlight: number;
}

/** Limits of a piece; see docs/configuration.md. */
const LEAST_BYTES = 2 ** 12;
const MOST_BYTES = 2 ** 24;
/** All pieces in flight, whatever the configuration says. */
const MOST_IN_FLIGHT_BYTES = 2 ** 26;
const MOST_IN_FLIGHT = 64;

const DEFAULT: TransferManager = { transferBytes: 2 ** 20, inFlight: 8 };

export function transferManagerOf(config: TransferManagerConfig | undefined): TransferManager {
  if (config?.type !== 'pipeline') return DEFAULT;
  const { num_pools, num_buffers_per_pool, first_buffer_size, buffer_size_multiplier } =
    config.config as Required<NonNullable<TransferManagerConfig['config']>>;
  const largest = first_buffer_size * buffer_size_multiplier ** (num_pools - 1);
  const transferBytes = Math.floor(Math.min(MOST_BYTES, Math.max(LEAST_BYTES, largest)));
  const inFlight = Math.min(
    num_pools * num_buffers_per_pool,
    MOST_IN_FLIGHT,
    Math.max(1, Math.floor(MOST_IN_FLIGHT_BYTES / transferBytes)),
  );
  return { transferBytes, inFlight };
}
