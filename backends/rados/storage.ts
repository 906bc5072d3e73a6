/** What a rados target has while it is open, and what its parts share. */
import { type BackendContext, BedrockError, type RegionId, type RegionStat } from '../../core/index.js';
import type { CallsInFlight } from './calls-in-flight.js';
import { Catalog } from './catalog.js';
import { type Count, type Entry, idOf } from './catalog-entries.js';
import { ClusterHealth } from './cluster-health.js';
import { Objects, type RadosSettings } from './cluster.js';
import { Exclusive } from './exclusive.js';
import { Keeper } from './keeper.js';
import { RegionObjects } from './region-objects.js';
import { Slots } from './slots.js';

export interface Storage {
  readonly objects: Objects;
  readonly catalog: Catalog;
  readonly regions: RegionObjects;
  readonly slots: Slots;
  readonly exclusive: Exclusive;
  readonly keeper: Keeper;
  readonly health: ClusterHealth;
  readonly calls: CallsInFlight;
  /**
   * Begins work that outlives the call that has begun it; close waits for it.
   * @returns false while the target closes: the work is left to others
   */
  readonly within: (work: () => Promise<unknown>) => boolean;
  /** A region appeared, was erased, or has another name: for who copies the target. */
  readonly changed: (id: RegionId) => void;
  readonly now: () => number;
}

/** Connects, joins those who serve the namespace, and begins what is done beside calls. */
export async function openStorage(
  config: RadosSettings,
  context: Pick<BackendContext, 'logger' | 'clock' | 'metrics'>,
  { leaseMs, poolId }: { readonly leaseMs?: number | undefined; readonly poolId?: Uint8Array | undefined },
  shared: Pick<Storage, 'calls' | 'within' | 'changed'>,
): Promise<Storage & { readonly recovered: Count }> {
  const { logger, clock } = context;
  const { pool, stripe_bytes: wished, op_timeout_ms: patienceMs } = config;
  const objects = await Objects.open(config);
  try {
    const catalog = new Catalog(objects, patienceMs, logger, leaseMs);
    const health = new ClusterHealth(objects, pool, context);
    await health.checkPool();
    await catalog.open(wished, poolId && Buffer.from(poolId).toString('hex'));
    const { stripeBytes } = catalog.settings;
    if (stripeBytes !== wished)
      logger.warning(
        `stripe_bytes is ${wished}, and the namespace was made with ${stripeBytes}, which it keeps`,
      );
    const regions = new RegionObjects(objects, stripeBytes, catalog.settings.poolId);
    const keeper = new Keeper(catalog, objects, regions, logger, leaseMs);
    const slots = new Slots(catalog);
    const exclusive = new Exclusive(catalog, logger);
    const recovered = await catalog.total();
    keeper.start();
    health.start();
    const now = (): number => clock.now();
    return { objects, catalog, regions, slots, exclusive, keeper, health, now, recovered, ...shared };
  } catch (error) {
    await objects.close();
    throw error;
  }
}

export function statOf({ key, size, createdAt, name }: Entry, poolId: string): RegionStat {
  return { id: idOf(key, poolId), size, createdAt, ...(name !== undefined && { name }) };
}

export function notFound(what: string): BedrockError {
  return new BedrockError('REGION_NOT_FOUND', `no region ${what} in this rados target`);
}

export function taken(name: string): BedrockError {
  return new BedrockError('NAME_TAKEN', `another region has the name ${JSON.stringify(name)}`);
}

export function invalid(message: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', message);
}
