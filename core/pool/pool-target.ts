/**
 * A target over a region pool: what `file` and `pmem` have in common, and the power-failure tests drive.
 *
 * A region of a closed or large pool is a row in the pool's tables, nothing more. An object is made for it when it is used, and kept
 * among the last few thousand, so that a region in use is found by two array reads and a million idle ones cost no objects.
 */
import type { Clock } from '../clock.js';
import { BedrockError } from '../errors.js';
import type { Logger } from '../logging.js';
import { BaseTarget, Region, type Usage } from '../target/base-target.js';
import type { Eventually } from '../target/lifecycle.js';
import { RegionId } from '../target/region-id.js';
import type { Capabilities, RecoveryReport, RegionMapping, RegionRange } from '../target/target.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { recoverPool } from './recover-pool.js';
import { QUARANTINE_REASONS } from './recovery.js';
import { RegionCache } from './region-cache.js';
import type { NewSlot, RegionPool } from './region-pool.js';

/** Opens and deletes what a pool lies on. */
export interface PoolStorage {
  /** Opens the pool, locked, and makes it if it is not there and may be made. */
  open(): Promise<OpenedStorage>;
  /** Deletes it; it is closed. */
  destroy(): Promise<void>;
}

export interface OpenedStorage {
  medium: PoolMedium;
  /** Most that the pool may grow to; its present capacity if that is more. */
  maxBytes: number;
}

export interface PoolTargetOptions {
  type: string;
  capabilities: Capabilities;
  storage: PoolStorage;
  isReadOnly: boolean;
  logger: Logger;
  clock: Clock;
}

class PoolRegion extends Region implements NewSlot {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    readonly offset: number,
    readonly length: number,
  ) {
    super(id, size, createdAt);
  }

  get slot(): number {
    return this.id.slot;
  }
}

export class PoolTarget extends BaseTarget<PoolRegion> {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly #storage: PoolStorage;
  readonly #isReadOnly: boolean;
  readonly #clock: Clock;
  #medium: PoolMedium | undefined;
  #openPool: RegionPool | undefined;
  #poolLow = 0;
  #poolHigh = 0;
  #regions = new RegionCache<PoolRegion>();

  constructor({ type, capabilities, storage, isReadOnly, logger, clock }: PoolTargetOptions) {
    super(logger);
    this.type = type;
    this.capabilities = capabilities;
    this.#storage = storage;
    this.#isReadOnly = isReadOnly;
    this.#clock = clock;
  }

  // ---- storage ----

  protected async openStorage(): Promise<RecoveryReport> {
    const started = performance.now();
    const { medium, maxBytes } = await this.#storage.open();
    this.#medium = medium;
    const { pool, regions, bytes, quarantined, headerDamage } = await recoverPool(medium, {
      maxBytes,
      isReadOnly: this.#isReadOnly,
    });
    if (headerDamage !== undefined)
      this.logger.warning(`one of the pool's two headers was damaged: ${headerDamage}`);
    for (const { slot, reason } of quarantined) {
      this.logger.warning(`slot ${slot} is set aside: ${QUARANTINE_REASONS[reason]}`);
    }
    this.#openPool = pool;
    this.#poolLow = pool.header.poolLow;
    this.#poolHigh = pool.header.poolHigh;
    return { regions, bytes, quarantined: quarantined.length, durationMs: performance.now() - started };
  }

  protected async closeStorage(): Promise<void> {
    const medium = this.#medium;
    this.#medium = undefined;
    this.#openPool = undefined;
    this.#regions = new RegionCache();
    if (medium === undefined) return;
    try {
      if (!this.#isReadOnly) await medium.barrier();
    } finally {
      await medium.close();
    }
  }

  protected destroyStorage(): Promise<void> {
    return this.#storage.destroy();
  }

  protected get mode(): string {
    return this.#store.mode;
  }

  protected usage(): Usage {
    const { table, capacityBytes, freeBytes, largestFreeBytes } = this.#pool;
    return { regions: table.live, usedBytes: capacityBytes - freeBytes, capacityBytes, largestFreeBytes };
  }

  get #pool(): RegionPool {
    return this.#openPool as RegionPool;
  }

  get #store(): PoolMedium {
    return this.#medium as PoolMedium;
  }

  #checkWritable(): void {
    if (this.#isReadOnly)
      throw new BedrockError('READ_ONLY', `this ${this.type} target is read_only by its configuration`);
  }

  // ---- regions ----

  protected find({ slot, generation, poolLow, poolHigh }: RegionId): PoolRegion | undefined {
    if (poolLow !== this.#poolLow || poolHigh !== this.#poolHigh) return undefined;
    const region = this.#regions.get(slot);
    if (region !== undefined) return region.id.generation === generation ? region : undefined;
    const { table } = this.#pool;
    if (!table.isLive(slot, generation)) return undefined;
    const made = this.#regionOf(slot);
    this.#regions.keep(made);
    return made;
  }

  protected *regionsAfter(after: RegionId | undefined): Generator<PoolRegion> {
    if (after !== undefined && (after.poolLow !== this.#poolLow || after.poolHigh !== this.#poolHigh)) {
      throw new BedrockError('REGION_NOT_FOUND', `${after.toString()} is the ID of another target's region`);
    }
    const { table } = this.#pool;
    for (let slot = table.nextLive(after?.slot ?? -1); slot >= 0; slot = table.nextLive(slot)) {
      yield this.#regions.get(slot) ?? this.#regionOf(slot);
    }
  }

  protected allocate(size: number): Eventually<PoolRegion> {
    this.#checkWritable();
    const taken = this.#pool.allocate(size);
    return taken instanceof Promise
      ? taken.then((slot) => this.#newRegion(slot, size))
      : this.#newRegion(taken, size);
  }

  protected publish(region: PoolRegion): Eventually<void> {
    const published = this.#pool.publish(region, region.size, region.createdAt);
    if (published === undefined) return this.#regions.keep(region);
    return published.then(() => this.#regions.keep(region));
  }

  protected unpublish(region: PoolRegion): Eventually<void> {
    this.#checkWritable();
    const ended = this.#pool.unpublish(region.id);
    if (ended === undefined) return this.#regions.forget(region);
    return ended.then(() => this.#regions.forget(region));
  }

  protected release(region: PoolRegion): Eventually<void> {
    return this.#pool.release(region);
  }

  #newRegion({ slot, offset, length }: NewSlot, size: number): PoolRegion {
    const id = RegionId.of(slot, this.#pool.table.generation(slot), this.#poolLow, this.#poolHigh);
    return new PoolRegion(id, size, this.#clock.now(), offset, length);
  }

  #regionOf(slot: number): PoolRegion {
    const { table } = this.#pool;
    const id = RegionId.of(slot, table.generation(slot), this.#poolLow, this.#poolHigh);
    const size = table.size(slot);
    return new PoolRegion(id, size, table.createdAt(slot), table.offset(slot), this.#pool.extentLength(size));
  }

  // ---- bytes ----

  protected readBytes(region: PoolRegion, offset: number, into: Uint8Array): Eventually<void> {
    return this.#store.read(region.offset + offset, into);
  }

  protected writeBytes(region: PoolRegion, offset: number, bytes: Uint8Array): Eventually<void> {
    this.#checkWritable();
    return this.#store.write(region.offset + offset, bytes);
  }

  protected override writeDurably(region: PoolRegion, offset: number, bytes: Uint8Array): Eventually<void> {
    this.#checkWritable();
    return this.#store.writeDurably(region.offset + offset, bytes);
  }

  protected override storeDurably(
    region: PoolRegion,
    offset: number,
    bytes: Uint8Array,
  ): Promise<void> | undefined {
    this.#checkWritable();
    return this.#store.storeDurably?.(region.offset + offset, bytes);
  }

  protected persistRanges(region: PoolRegion, ranges: readonly RegionRange[] | undefined): Eventually<void> {
    this.#checkWritable();
    if (ranges === undefined) return this.#store.persist([{ offset: region.offset, size: region.size }]);
    return this.#store.persist(
      ranges.map(({ offset, size }): MediumRange => ({ offset: region.offset + offset, size })),
    );
  }

  protected override mapRegion(region: PoolRegion): Pick<RegionMapping, 'views'> {
    const views = this.#store.map?.(region.offset, region.size);
    if (views === undefined) return super.mapRegion(region) as never;
    return { views };
  }
}
