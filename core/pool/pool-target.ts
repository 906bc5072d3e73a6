/**
 * A target over a region pool: what `file` and `pmem` have in common, and the power-failure tests drive.
 *
 * A region of a closed or large pool is a row in the pool's tables, nothing more. An object is made for it when it is used, and kept
 * among the last few thousand, so that a region in use is found by two array reads and a million idle ones cost no objects.
 */
import { type Clock, soundClock } from '../base/clock.js';
import { asBedrockError, BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { TargetMode } from '../contract/mode.js';
import { RegionId } from '../contract/region-id.js';
import type {
  Capabilities,
  RecoveryReport,
  RegionMapping,
  RegionRange,
  RegionStat,
} from '../contract/target.js';
import { type ListedRegion, Region, type Usage } from '../targets/base-target.js';
import { ImportableTarget } from '../targets/importable-target.js';
import type { Eventually } from '../targets/lifecycle.js';
import { RegionCache } from '../targets/region-cache.js';
import type { Finding } from './findings.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { recoverPool } from './recover-pool.js';
import type { NewSlot, RegionPool } from './region-pool.js';

/** Findings of an open that get a line in the log each. */
const MAX_LOGGED_FINDINGS = 20;

/** Bytes behind the capacity that an open looks at. */
const MAX_EXCESS_BYTES = 2 ** 20;

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

export class PoolTarget extends ImportableTarget<PoolRegion> {
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
  /** What the pool calls in the step that changes a region's row, so that its object comes and goes with the row. */
  readonly #keep = (region: PoolRegion): void => this.#regions.keep(region);
  readonly #forget = (region: PoolRegion): void => this.#regions.forget(region);

  constructor({ type, capabilities, storage, isReadOnly, logger, clock }: PoolTargetOptions) {
    super(logger);
    this.type = type;
    this.capabilities = capabilities;
    this.#storage = storage;
    this.#isReadOnly = isReadOnly;
    this.#clock = soundClock(clock);
  }

  // ---- storage ----

  protected async openStorage(): Promise<RecoveryReport> {
    const started = performance.now();
    const { medium, maxBytes } = await this.#storage.open();
    this.#medium = medium;
    const { pool, regions, bytes, quarantined, findings } = await recoverPool(medium, {
      maxBytes,
      isReadOnly: this.#isReadOnly,
      logger: this.logger,
    });
    this.#logFindings(findings);
    if (!this.#isReadOnly) await this.#noteExcess(pool.header.capacity);
    this.#openPool = pool;
    this.#poolLow = pool.header.poolLow;
    this.#poolHigh = pool.header.poolHigh;
    return { regions, bytes, quarantined: quarantined.length, durationMs: performance.now() - started };
  }

  /** Each with all that is known of what was lost, the first ones at least: damage may have hit every slot. */
  #logFindings(findings: Iterable<Finding>): void {
    let untold = 0;
    let told = 0;
    for (const { message, ...facts } of findings) {
      if (told++ < MAX_LOGGED_FINDINGS) this.logger.warning(message, facts);
      else untold++;
    }
    if (told === 0) return;
    const more = untold === 0 ? '' : `${untold} more findings are not shown; `;
    this.logger.warning(
      `${more}what is damaged is set aside and costs nothing else: see \`bedrock pool check\` and \`bedrock pool repair\``,
    );
  }

  /** Told as far as it costs nothing; `bedrock pool check` looks at all of it. */
  async #noteExcess(capacity: number): Promise<void> {
    const medium = this.#store;
    const length = Math.min(medium.size - capacity, MAX_EXCESS_BYTES);
    if (length <= 0 || ((await medium.isZero?.(capacity, length)) ?? true)) return;
    this.logger.warning(
      `the pool's file is longer than its capacity of ${capacity} bytes, and holds bytes behind it, as of a larger pool that a smaller backup was ` +
        'written over; they belong to no region, and become zeros before the pool grows over them',
    );
  }

  protected async closeStorage(): Promise<void> {
    const medium = this.#medium;
    await this.#openPool?.space.end();
    this.#medium = undefined;
    this.#openPool = undefined;
    this.#regions = new RegionCache();
    if (medium === undefined) return;
    try {
      if (!this.#isReadOnly) {
        // Where stores need no barrier nobody may have looked for a second.
        await medium.look?.();
        await medium.barrier();
      }
    } finally {
      await medium.close();
    }
  }

  protected destroyStorage(): Promise<void> {
    return this.#storage.destroy();
  }

  protected get mode(): TargetMode {
    return this.#isReadOnly ? 'read-only' : this.#store.mode;
  }

  protected async usage(): Promise<Usage> {
    const pool = this.#pool;
    // The file system is asked before the figures are taken, all in one step.
    if (!this.#isReadOnly) await pool.space.ask();
    const { usedBytes, capacityBytes, largestFreeBytes, pendingBytes, failedGiveBacks } = pool.space;
    return {
      regions: pool.table.live,
      usedBytes,
      capacityBytes,
      largestFreeBytes,
      pendingBytes,
      failedGiveBacks,
    };
  }

  get #pool(): RegionPool {
    return this.#openPool as RegionPool;
  }

  get #store(): PoolMedium {
    return this.#medium as PoolMedium;
  }

  get failure(): BedrockError | undefined {
    if (this.state !== 'open' || this.#isReadOnly) return undefined;
    try {
      this.#medium?.checkSound?.();
      return undefined;
    } catch (error) {
      return asBedrockError(error);
    }
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
    // The only place that makes an object for a live row, in the step that found that there is none.
    const made = this.#regionOf(slot);
    this.#regions.keep(made);
    return made;
  }

  protected *regionsAfter(after: RegionId | undefined): Generator<ListedRegion> {
    this.#checkOwn(after);
    const { table } = this.#pool;
    for (let slot = table.nextLive(after?.slot ?? -1); slot >= 0; slot = table.nextLive(slot)) {
      yield this.#regions.get(slot) ?? this.#statOf(slot);
    }
  }

  #checkOwn(id: RegionId | undefined): void {
    if (id === undefined || (id.poolLow === this.#poolLow && id.poolHigh === this.#poolHigh)) return;
    throw new BedrockError('REGION_NOT_FOUND', `${id.toString()} is the ID of another target's region`);
  }

  protected allocate(size: number): Eventually<PoolRegion> {
    this.#checkWritable();
    this.#store.checkSound?.();
    const taken = this.#pool.allocate(size);
    return taken instanceof Promise
      ? taken.then((slot) => this.#newRegion(slot, size))
      : this.#newRegion(taken, size);
  }

  protected publish(region: PoolRegion): Eventually<void> {
    return this.#pool.publish(region, region.size, region.createdAt, this.#keep);
  }

  protected unpublish(region: PoolRegion): Eventually<void> {
    this.#checkWritable();
    return this.#pool.unpublish(region, this.#forget);
  }

  protected release(region: PoolRegion): Eventually<void> {
    return this.#pool.release(region);
  }

  #newRegion({ slot, offset, length }: NewSlot, size: number): PoolRegion {
    const id = this.#idOf(slot, this.#pool.table.generation(slot));
    return new PoolRegion(id, size, this.#clock.now(), offset, length);
  }

  #regionOf(slot: number): PoolRegion {
    const { id, size, createdAt } = this.#statOf(slot);
    const { table } = this.#pool;
    return new PoolRegion(id, size, createdAt, table.offset(slot), this.#pool.extentLength(size));
  }

  #statOf(slot: number): RegionStat {
    const { table } = this.#pool;
    const id = this.#idOf(slot, table.generation(slot));
    return { id, size: table.size(slot), createdAt: table.createdAt(slot) };
  }

  // ---- import ----

  protected get poolId(): Uint8Array {
    return this.#idOf(0, 0).toBytes().subarray(8);
  }

  protected async allocateAs(id: RegionId, size: number, createdAt: number): Promise<PoolRegion> {
    this.#checkWritable();
    this.#store.checkSound?.();
    const { offset, length } = await this.#pool.allocateAs(id, size);
    return new PoolRegion(id, size, createdAt, offset, length);
  }

  protected takeErased(ids: readonly RegionId[]): Promise<void> {
    this.#checkWritable();
    return this.#pool.takeErased(ids);
  }

  protected *erasedAfter(after: RegionId | undefined): Generator<RegionId> {
    this.#checkOwn(after);
    const { table } = this.#pool;
    for (let slot = (after?.slot ?? -1) + 1; slot < table.slots; slot++) {
      const generation = table.lastErased(slot);
      if (generation > 0) yield this.#idOf(slot, generation);
    }
  }

  #idOf(slot: number, generation: number): RegionId {
    return RegionId.of(slot, generation, this.#poolLow, this.#poolHigh);
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

  override get isDirect(): boolean {
    return this.#medium?.isDirect === true;
  }

  protected override mapRegion(region: PoolRegion): Pick<RegionMapping, 'views'> {
    const views = this.#store.map?.(region.offset, region.size);
    if (views === undefined) return super.mapRegion(region) as never;
    return { views };
  }
}
