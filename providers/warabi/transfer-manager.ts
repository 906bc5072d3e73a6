/**
 * The `transfer_manager` of Warabi's configuration, and its effect here: how large the pieces are
 * in which an operation moves regions, and how many are in flight.
 *
 * Warabi's `pipeline` moves bulk data through pools of buffers. Each of the `num_pools` pools has
 * `num_buffers_per_pool` buffers. Those of the first pool have `first_buffer_size` bytes, those of
 * each next pool `buffer_size_multiplier` times as many. Here the largest buffer is the size of a
 * piece of a migration, and the bytes of all buffers are the bytes in flight. The pieces of a
 * snapshot have the size that its format requires, so their number in flight is chosen to have the
 * same bytes. `__default__` moves everything at once in Warabi, which is never done here: it means
 * our defaults.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ConfigCheck } from '../../core/index.js';
import type { TransferManagerConfig } from '../../schemas/generated/warabi.js';

export interface TransferManager {
  /** Bytes of a piece of a migration. */
  readonly transferBytes: number;
  /** Pieces of a migration in flight at once. */
  readonly inFlight: number;
  /**
   * Pieces of a snapshot, or regions of a restore, in flight at once; by default the number of
   * core/snapshot.
   */
  readonly ofSnapshot?: { readonly inFlight: number };
}

/** Limits of the size of a piece; see docs/configuration.md. */
const LEAST_BYTES = 2 ** 12;
const MOST_BYTES = 2 ** 24;
/** Upper limit of the pieces in flight, and of their bytes, whatever the configuration says. */
const MOST_IN_FLIGHT_BYTES = 2 ** 26;
const MOST_IN_FLIGHT = 64;
/** Bytes of a piece of a snapshot; see docs/snapshot-format.md. */
const SNAPSHOT_BYTES = 2 ** 18;

const DEFAULT: TransferManager = { transferBytes: 2 ** 20, inFlight: 8 };

type Pipeline = Required<NonNullable<TransferManagerConfig['config']>>;

/** The defaults of the schema. */
const PIPELINE: Pipeline = {
  num_pools: 1,
  num_buffers_per_pool: 8,
  first_buffer_size: 2 ** 20,
  buffer_size_multiplier: 2,
};

export function transferManagerOf(config: TransferManagerConfig | undefined): TransferManager {
  if (config?.type !== 'pipeline') return DEFAULT;
  const asked = askedBy(config.config as Pipeline);
  const transferBytes = Math.floor(Math.min(MOST_BYTES, Math.max(LEAST_BYTES, asked.transferBytes)));
  const inFlight = Math.min(
    asked.inFlight,
    MOST_IN_FLIGHT,
    Math.max(1, Math.floor(MOST_IN_FLIGHT_BYTES / transferBytes)),
  );
  const pieces = Math.floor((transferBytes * inFlight) / SNAPSHOT_BYTES);
  return {
    transferBytes,
    inFlight,
    ofSnapshot: { inFlight: Math.min(MOST_IN_FLIGHT, Math.max(1, pieces)) },
  };
}

/** Warns about settings that have no effect, or only a part of it. */
export function checkTransferManager(
  config: TransferManagerConfig | undefined,
  warn: ConfigCheck['warn'],
): void {
  if (config === undefined) return;
  const path = ['transfer_manager', 'config'];
  const given = config.config as Pipeline;
  if (config.type !== 'pipeline') {
    if (!isDeepStrictEqual({ ...given }, PIPELINE))
      warn(path, 'has no effect, as the type is "__default__"; the type "pipeline" has these settings');
    return;
  }
  const asked = askedBy(given);
  const { transferBytes, inFlight } = transferManagerOf(config);
  if (Math.floor(asked.transferBytes) === transferBytes && asked.inFlight === inFlight) return;
  warn(
    path,
    `asks for ${asked.inFlight} pieces of ${Math.floor(asked.transferBytes)} bytes, and gets ${inFlight} of ${transferBytes}: a piece has ${LEAST_BYTES} to ${MOST_BYTES} bytes, and at most ${MOST_IN_FLIGHT} are in flight, with ${MOST_IN_FLIGHT_BYTES} bytes`,
  );
}

function askedBy(config: Pipeline): { transferBytes: number; inFlight: number } {
  const { num_pools, num_buffers_per_pool, first_buffer_size, buffer_size_multiplier } = config;
  return {
    transferBytes: first_buffer_size * buffer_size_multiplier ** (num_pools - 1),
    inFlight: num_pools * num_buffers_per_pool,
  };
}
