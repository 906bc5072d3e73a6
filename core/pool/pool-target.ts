/**
 * A target over a region pool: what `file` and `pmem` share, and what the power-failure tests run.
 *
 * A region is only a row in the pool's table. RegionDirectory makes an object for a region that is
 * used, and keeps the last few thousand. So a region in use is found by two array reads, and a
 * million idle ones cost no objects.
 */
import { type Clock, soundClock } from '../base/clock.js';
import { asBedrockError, BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { TargetMode } from '../contract/mode.js';
import { DEFAULT_MAX_TRANSACTION_BYTES } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { SpaceMap } from '../contract/space-map.js';
import type { Capabilities, RecoveryReport, RegionMapping, RegionRange } from '../contract/target.js';
import type { Usage } from '../targets/target-hooks.js';
import { ImportableTarget } from '../targets/importable-target.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { NameEntry, Naming, Transaction } from '../targets/named-store.js';
import { type ListedRegion, Region } from '../targets/region.js';
import { RegionDirectory } from '../targets/region-directory.js';
import type { TargetFigures } from '../targets/target-figures.js';
import { isBeingFilled } from './header.js';
import type { LogSettings } from './logged-medium.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { logExcess, logFindings } from './open-log.js';
import { recoverPool } from './recover-pool.js';
import type { NewSlot } from './region-extents.js';
import { NameBytes } from './name-bytes.js';
import type { Named, RegionPool } from './region-pool.js';
import { mapSpace, SLICE } from './space-map.js';

/** Opens and deletes the storage of a pool. */
export interface PoolStorage {
  /** Opens and locks the pool. If it is missing, makes it if that is allowed. */
  open(): Promise<OpenedStorage>;
  /** Deletes the pool, which is closed. */
  destroy(): Promise<void>;
}

export interface OpenedStorage {
  medium: PoolMedium;
  /** The most bytes that the pool may grow to; its present capacity if that is more. */
  maxBytes: number;
  /** Of the log, if the medium can have one. */
  log?: LogSettings | undefined;
}

export interface PoolTargetOptions {
  type: string;
  capabilities: Capabilities;
  storage: PoolStorage;
  isReadOnly: boolean;
  /** The largest transaction, bytes. */
  maxTransactionBytes?: number | undefined;
  logger: Logger;
  clock: Clock;
}

class PoolRegion extends Region implements NewSlot {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    readonly offset: number,
  ) {
    super(id, size, createdAt);
  }

  get slot(): number {
    return this.id.slot;
  }
}

/** A region that `publish` gives a name. */
interface NamedRegion extends Named {
  readonly text: string;
  readonly replaced: PoolRegion | undefined;
}

export class PoolTarget extends ImportableTarget<PoolRegion> {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly #storage: PoolStorage;
  readonly #isReadOnly: boolean;
  readonly #maxTransactionBytes: number;
  readonly #clock: Clock;
  #medium: PoolMedium | undefined;
  /** The one that the storage has opened. `#medium` may be one around it. */
  #opened: OpenedStorage | undefined;
  #openPool: RegionPool | undefined;
  #openRegions: RegionDirectory<PoolRegion> | undefined;
  /**
   * The pool calls it in the step that changes a region's row, so that the object appears and
   * disappears with the row.
   */
  readonly #keep = (region: PoolRegion): void => this.#regions.keep(region);
  readonly #forget = (region: PoolRegion): void => this.#regions.forget(region);
  readonly #keepNamed = (region: PoolRegion, named?: NamedRegion): void => {
    const { text, replaced } = named as NamedRegion;
    this.#regions.keep(region);
    this.#regions.setName(region, text);
    if (replaced !== undefined) this.#regions.forget(replaced);
  };
  /** The bytes of names that are stored. */
  readonly #names = new NameBytes();

  constructor(options: PoolTargetOptions) {
    super(options.logger);
    this.type = options.type;
    this.capabilities = options.capabilities;
    this.#storage = options.storage;
    this.#isReadOnly = options.isReadOnly;
    this.#maxTransactionBytes = options.maxTransactionBytes ?? DEFAULT_MAX_TRANSACTION_BYTES;
    this.#clock = soundClock(options.clock);
  }

  // ---- storage ----

  protected async openStorage(): Promise<RecoveryReport> {
    const started = performance.now();
    const opened = await this.#storage.open();
    this.#medium = opened.medium;
    this.#opened = opened;
    const recovered = await this.#recover(opened);
    return { ...recovered, durationMs: performance.now() - started };
  }

  async #recover({
    medium: given,
    maxBytes,
    log,
  }: OpenedStorage): Promise<Omit<RecoveryReport, 'durationMs'>> {
    const recovered = await recoverPool(given, {
      maxBytes,
      log,
      isReadOnly: this.#isReadOnly,
      logger: this.logger,
    });
    const { pool, medium, regions, bytes, quarantined, findings } = recovered;
    this.#medium = medium;
    const told = logFindings(this.logger, findings, quarantined.length);
    if (!this.#isReadOnly) await logExcess(this.logger, medium, pool.header.capacity);
    // Safe: from here on only calls store, and nothing has been stored since recovery ended.
    medium.opened?.();
    this.#openPool = pool;
    const { poolLow, poolHigh } = pool.header;
    this.#openRegions = new RegionDirectory({
      poolId: RegionId.of(0, 0, poolLow, poolHigh).toBytes().subarray(8),
      rows: pool.table,
      names: recovered.names,
      make: (id, size, createdAt, offset) => new PoolRegion(id, size, createdAt, offset),
    });
    return {
      regions,
      bytes,
      quarantined: quarantined.length,
      ...(told.length > 0 && { findings: told }),
    };
  }

  protected async closeStorage(): Promise<void> {
    const medium = this.#medium;
    await this.#openPool?.settleIfPossible();
    await this.#openPool?.space.end();
    this.#medium = undefined;
    this.#openPool = undefined;
    this.#openRegions = undefined;
    if (medium === undefined) return;
    try {
      if (!this.#isReadOnly) {
        // If stores need no barrier, nobody may have checked for a second.
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
    // The space of replaced regions shall count as free, if possible.
    if (!this.#isReadOnly) await pool.settleIfPossible();
    // The file system is asked first; then all figures are taken in one step.
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

  override get figures(): TargetFigures {
    const pool = this.#openPool;
    if (pool === undefined) return {};
    return {
      freeExtents: pool.space.freeExtents,
      flushes: this.#medium?.flushes,
      journal: pool.journalFigures,
    };
  }

  /** @throws TARGET_CLOSED */
  async spaceMap(buckets: number): Promise<SpaceMap> {
    this.enter();
    try {
      const { header, table, space } = this.#pool;
      const { capacity, alignment } = header;
      return await mapSpace(
        { capacity, alignment, table, freeAfter: (offset) => space.freeAfter(offset, SLICE) },
        buckets,
      );
    } finally {
      this.leave();
    }
  }

  get #pool(): RegionPool {
    return this.#openPool as RegionPool;
  }

  get #regions(): RegionDirectory<PoolRegion> {
    return this.#openRegions as RegionDirectory<PoolRegion>;
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

  protected lookUp(id: RegionId): PoolRegion | undefined {
    return this.#regions.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<ListedRegion> {
    return this.#regions.after(after);
  }

  protected override lookUpName(name: string): PoolRegion | undefined {
    return this.#regions.lookUpName(name);
  }

  protected override lookUpNameIn(bytes: Buffer, start: number, end: number): PoolRegion | undefined {
    return this.#regions.lookUpNameIn(bytes, start, end);
  }

  protected override nameOf(region: ListedRegion): string | undefined {
    return this.#regions.nameOf(region);
  }

  protected override namesFrom(from: Uint8Array | undefined): Iterable<NameEntry> {
    return this.#regions.namesFrom(from);
  }

  protected override get maxTransactionBytes(): number {
    return this.#maxTransactionBytes;
  }

  protected allocate(size: number, nameBytes?: number): Eventually<PoolRegion> {
    this.#checkWritable();
    this.#store.checkSound?.();
    const taken = this.#pool.allocate(size, nameBytes);
    return taken instanceof Promise
      ? taken.then((slot) => this.#newRegion(slot, size))
      : this.#newRegion(taken, size);
  }

  protected publish(region: PoolRegion, naming?: Naming<PoolRegion>): Eventually<void> {
    const { size, createdAt } = region;
    if (naming === undefined) return this.#pool.publish(region, size, createdAt, this.#keep);
    const { name, replaced } = naming;
    const named = { text: name, name: this.#names.bytesOf(name, this.isDirect), replaced };
    return this.#pool.publish(region, size, createdAt, this.#keepNamed, named);
  }

  protected unpublish(region: PoolRegion): Eventually<void> {
    this.#checkWritable();
    return this.#pool.unpublish(region, this.#forget);
  }

  protected override renameRegion(
    region: PoolRegion,
    name: string | undefined,
    replaced: PoolRegion | undefined,
  ): Eventually<void> {
    return this.commit({
      writes: [],
      published: [],
      renamed: [{ region, name }],
      erased: replaced === undefined ? [] : [replaced],
    });
  }

  protected override commit({
    writes,
    published,
    renamed,
    erased,
  }: Transaction<PoolRegion>): Eventually<void> {
    this.#checkWritable();
    this.#store.checkSound?.();
    return this.#pool.commit(
      {
        writes: writes.map(({ region, offset, bytes }) => ({ offset: region.offset + offset, bytes })),
        published: published.map(({ region: { slot, offset, size, createdAt }, name }) => ({
          slot,
          offset,
          size,
          createdAt,
          name: bytesOf(name),
        })),
        renamed: renamed.map(({ region: { slot }, name }) => ({ slot, name: bytesOf(name) })),
        erased,
      },
      () => {
        const regions = this.#regions;
        for (const region of erased) regions.forget(region);
        for (const { region } of published) regions.keep(region);
        regions.setNames([...renamed, ...published]);
      },
    );
  }

  protected release(region: PoolRegion): Eventually<void> {
    return this.#pool.release(region);
  }

  #newRegion({ slot, offset }: NewSlot, size: number): PoolRegion {
    return new PoolRegion(this.#regions.idAt(slot), size, this.#clock.now(), offset);
  }

  // ---- import ----

  protected get poolId(): Uint8Array {
    return this.#regions.poolId;
  }

  protected async allocateAs(
    id: RegionId,
    size: number,
    createdAt: number,
    nameBytes?: number,
  ): Promise<PoolRegion> {
    this.#checkWritable();
    this.#store.checkSound?.();
    const { offset } = await this.#pool.allocateAs(id, size, nameBytes);
    return new PoolRegion(id, size, createdAt, offset);
  }

  override async beginFilling(poolId: Uint8Array): Promise<void> {
    this.checkOpen();
    this.#checkWritable();
    this.#store.checkSound?.();
    await super.beginFilling(poolId);
  }

  protected override async emptyFor(poolId: Uint8Array): Promise<void> {
    const { poolLow, poolHigh } = RegionId.from(Buffer.concat([Buffer.alloc(8), poolId]));
    const pool = this.#pool;
    await pool.settleIfPossible();
    await pool.space.end();
    await pool.empty({ poolLow, poolHigh });
    await this.#recover(this.#opened as OpenedStorage);
  }

  protected override setFilled(): Promise<void> {
    this.#checkWritable();
    return this.#pool.setFilled();
  }

  override get isFilling(): boolean {
    return this.#openPool !== undefined && isBeingFilled(this.#openPool.header);
  }

  protected takeErased(ids: readonly RegionId[]): Promise<void> {
    this.#checkWritable();
    return this.#pool.takeErased(ids);
  }

  protected erasedAfter(after: RegionId | undefined): Iterable<RegionId> {
    return this.#regions.erasedAfter(after);
  }

  // ---- bytes ----

  protected readBytes(region: PoolRegion, offset: number, into: Uint8Array): Eventually<void> {
    return this.#store.read(region.offset + offset, into);
  }

  protected writeBytes(region: PoolRegion, offset: number, bytes: Uint8Array): Eventually<void> {
    this.#checkWritable();
    return this.#store.write(region.offset + offset, bytes);
  }

  protected override fillBytes(region: PoolRegion, offset: number, bytes: Uint8Array): Eventually<void> {
    return this.#store.stage(region.offset + offset, bytes);
  }

  /**
   * A barrier precedes the descriptor of a region with a name, and the record of a transaction. If
   * `publish` itself has one, it precedes any descriptor.
   */
  protected override persistNew(region: PoolRegion, isNamed: boolean): Eventually<void> {
    const store = this.#store;
    if (isNamed || store.publishesInOrder === true || store.staysInOrder?.(region.size) === true)
      return undefined;
    return this.#store.persist([{ offset: region.offset, size: region.size }]);
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

  protected override readBytesNow(region: PoolRegion, offset: number, into: Uint8Array): boolean {
    return this.#store.readNow?.(region.offset + offset, into) === true;
  }

  protected override copyBytesNow(region: PoolRegion, into: Buffer, at: number): boolean {
    const { offset, size } = region;
    const copied = this.#store.copyNow?.(offset, into, at, size);
    return copied ?? super.copyBytesNow(region, into, at);
  }

  override get isDirect(): boolean {
    return this.#medium?.isDirect === true;
  }

  override get readsNow(): boolean {
    return this.#medium?.readNow !== undefined;
  }

  protected override get putsInOneStep(): boolean {
    return this.isDirect;
  }

  protected override mapRegion(region: PoolRegion): Pick<RegionMapping, 'views'> {
    const views = this.#store.map?.(region.offset, region.size);
    if (views === undefined) return super.mapRegion(region) as never;
    return { views };
  }
}

function bytesOf(name: string | undefined): Uint8Array | undefined {
  return name === undefined ? undefined : Buffer.from(name);
}
