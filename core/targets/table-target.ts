/**
 * The base class for a new backend with the least code: BaseTarget with the table of regions, the
 * accounting of space and the IDs.
 *
 * A volatile backend says what holds a region's bytes (`makeRegion`) and how to read and write
 * them. A persistent one also says what the storage holds when it opens (`recover`), makes creation
 * and removal durable (`publish`, `unpublish`), and stores one number for the table (`storeSlots`).
 * Space is counted in bytes of regions, against a capacity.
 *
 * No ID is ever given out twice, even after restarts and crashes. Before a slot is used for the
 * first time, the number of slots that may have been used is stored, in large steps. After a
 * restart, slots up to that number without a region are not used again.
 */
import type { Clock } from '../base/clock.js';
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionRange } from '../contract/target.js';
import { BaseTarget } from './base-target.js';
import type { Usage } from './target-hooks.js';
import type { Eventually, Recovered } from './lifecycle.js';
import type { ListedRegion, Region } from './region.js';
import type { NameEntry, Naming } from './named-store.js';
import { RegionDirectory } from './region-directory.js';

/** The parts of a BackendContext that it needs. */
export interface TableTargetContext {
  /** Log of the provider that holds the target. */
  readonly logger: Logger;
  /** Gives the time of creation of regions. */
  readonly clock: Clock;
}

/**
 * The base class for a new backend with the least code: `BaseTarget` with the table of regions, the
 * accounting of space and the IDs. A volatile backend adds `makeRegion`, `readBytes` and
 * `writeBytes`. A persistent one also overrides `openStorage`, `publish`, `unpublish`,
 * `persistRanges` and `storeSlots`.
 */
export abstract class TableTarget<R extends Region = Region> extends BaseTarget<R> {
  readonly #clock: Clock;
  readonly #capacityBytes: number;
  #table = new RegionDirectory<R>();
  #usedBytes = 0;
  /** The number of slots that the storage has stored. */
  #storedSlots = 0;
  #storing: Promise<void> | undefined;

  /** @param capacityBytes limit for all regions together */
  constructor({ logger, clock }: TableTargetContext, capacityBytes: number) {
    super(logger);
    this.#clock = clock;
    this.#capacityBytes = capacityBytes;
  }

  // ---- hooks ----

  /**
   * Makes the storage ready. A persistent backend overrides it, and ends with
   * `return this.recover(…)`. If it throws, it may have taken part of what it needs; then
   * `closeStorage` is called.
   */
  protected openStorage(): Eventually<Recovered | undefined> {
    this.#begin(new RegionDirectory());
    return undefined;
  }

  /** Makes everything durable, and gives back what `openStorage` took. */
  protected closeStorage(): Eventually<void> {
    // The next open clears the table.
  }

  /** Deletes all data; the storage is closed. */
  protected destroyStorage(): Eventually<void> {
    // Nothing outlives a volatile target.
  }

  /**
   * Makes what holds a region's bytes, all zero. After a crash nothing of it may be there, unless
   * `publish` has ended.
   */
  protected abstract makeRegion(id: RegionId, size: number, createdAt: number): Eventually<R>;

  /** Gives back what `makeRegion` made. No call is in flight on the region. */
  protected dropRegion(_region: R): Eventually<void> {
    // Garbage collection does it.
  }

  /**
   * Makes a region durable, including contents that were persisted. A persistent backend does so,
   * then calls this. If it is `named`, it stores the name and removes `replaced` in the same atomic
   * step.
   */
  protected publish(region: R, naming?: Naming<R>): Eventually<void> {
    this.#table.set(region, 0, naming);
  }

  /**
   * Durably removes a region. A persistent backend does so, then calls this. The bytes stay in
   * place for calls in flight.
   */
  protected unpublish(region: R): Eventually<void> {
    this.#table.delete(region);
  }

  /**
   * Changes the name of a region, and removes `replaced`, which has the new one. A persistent
   * backend does so durably, in one atomic step, then calls this.
   */
  protected override renameRegion(
    region: R,
    name: string | undefined,
    replaced: R | undefined,
  ): Eventually<void> {
    this.#table.rename(region, name, replaced);
  }

  /** Makes ranges durable; undefined means the whole region. */
  protected persistRanges(_region: R, _ranges: readonly RegionRange[] | undefined): Eventually<void> {
    if (this.capabilities.persistent) throw this.#missing('persistRanges');
  }

  /**
   * Durably stores that `slots` slots may have been used; `recover` gets the number back. One call
   * covers many creations.
   */
  protected storeSlots(_slots: number): Eventually<void> {
    throw this.#missing('storeSlots');
  }

  // ---- opening of persistent backends ----

  /**
   * Adds the regions that the storage holds to the table.
   * @param poolId 8 random bytes, made once for the storage
   * @param slots the number that `storeSlots` stored last; 0 for new storage
   * @param regions those that were published and not unpublished
   * @param quarantined how many are damaged and were left out
   * @param nameOf gives the name that is stored with a region, if the backend is `named`
   */
  protected recover(
    poolId: Uint8Array,
    slots: number,
    regions: Iterable<R>,
    quarantined = 0,
    nameOf: (region: R) => string | undefined = () => undefined,
  ): Recovered {
    this.#begin(new RegionDirectory({ poolId, slots }));
    this.#storedSlots = slots;
    for (const region of regions) {
      this.#table.adopt(region, nameOf(region));
      this.#usedBytes += region.size;
    }
    return { regions: this.#table.size, bytes: this.#usedBytes, quarantined };
  }

  // ---- hooks of BaseTarget ----

  /** The figures of the table. The capacity is the constructor's, or the used bytes if they are more. */
  protected usage(): Usage {
    const usedBytes = this.#usedBytes;
    // More is in use if the capacity was reduced since.
    const capacityBytes = Math.max(this.#capacityBytes, usedBytes);
    return {
      regions: this.#table.size,
      usedBytes,
      capacityBytes,
      largestFreeBytes: capacityBytes - usedBytes,
    };
  }

  /** The region of an ID in the table; undefined if no published region has it. */
  protected lookUp(id: RegionId): R | undefined {
    return this.#table.get(id);
  }

  /** The region of a name in the table. */
  protected override lookUpName(name: string): R | undefined {
    return this.#table.lookUpName(name);
  }

  /** The name of a region, as the table has it. */
  protected override nameOf(region: ListedRegion): string | undefined {
    return this.#table.nameOf(region);
  }

  /** Regions with names, in the order of their names' UTF-8 bytes. */
  protected override namesFrom(from: Uint8Array | undefined): Iterable<NameEntry> {
    return this.#table.namesFrom(from);
  }

  /**
   * Regions in the order of their slots, after the slot of `after`.
   * @throws REGION_NOT_FOUND if `after` is of another pool
   */
  protected regionsAfter(after: RegionId | undefined): Iterable<ListedRegion> {
    return this.#table.after(after);
  }

  /**
   * Takes space and an ID, and calls `makeRegion`. If the ID needs it, `storeSlots` is called first.
   * @throws OUT_OF_SPACE (details: requested, used, free, largestFree), what the hooks throw
   */
  protected async allocate(size: number): Promise<R> {
    const { usedBytes: used, largestFreeBytes: free } = this.usage();
    if (size > (free ?? 0)) {
      throw new BedrockError('OUT_OF_SPACE', `${size} bytes exceed the ${String(free)} that are free`, {
        details: { requested: size, used, free, largestFree: free },
      });
    }
    // Counted before any wait: another create that comes meanwhile must not get the same space.
    this.#usedBytes += size;
    let id: RegionId | undefined;
    try {
      id = this.#table.reserve();
      if (this.capabilities.persistent) await this.#storeUsedSlots();
      return await this.makeRegion(id, size, this.#clock.now());
    } catch (error) {
      this.#usedBytes -= size;
      if (id !== undefined) this.#table.free(id);
      throw error;
    }
  }

  /**
   * Calls `dropRegion`, then gives back space and slot.
   * @throws what `dropRegion` throws; then space and slot stay taken
   */
  protected async release(region: R): Promise<void> {
    await this.dropRegion(region);
    this.#usedBytes -= region.size;
    this.#table.free(region.id);
  }

  #begin(table: RegionDirectory<R>): void {
    this.#table = table;
    this.#usedBytes = 0;
    this.#storedSlots = 0;
  }

  /** One store at a time. A caller that comes meanwhile checks again afterwards. */
  async #storeUsedSlots(): Promise<void> {
    while (this.#table.slots > this.#storedSlots) {
      this.#storing ??= this.#storeAhead().finally(() => (this.#storing = undefined));
      await this.#storing;
    }
  }

  async #storeAhead(): Promise<void> {
    const { slots } = this.#table;
    await this.storeSlots(slots);
    this.#storedSlots = slots;
  }

  #missing(hook: string): BedrockError {
    return new BedrockError('INTERNAL', `a ${this.type} target is persistent, so it must override ${hook}`);
  }
}
