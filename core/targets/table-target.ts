/**
 * The shortest way to a backend: BaseTarget with the table of regions, the accounting of space and the IDs done.
 *
 * A volatile backend says what a region's bytes are kept in (`makeRegion`) and how they are read and written. A persistent one says
 * besides what the storage holds when it opens (`recover`), makes creation and removal durable (`publish`, `unpublish`), and keeps
 * one number for the table (`storeSlots`). Space is counted in bytes of regions, against a capacity.
 *
 * No ID is ever given out twice, across restarts and crashes too: before a slot is used for the first time, the number of slots that
 * may have been used is stored, some ahead; after a restart those without a region are not used again.
 */
import type { Clock } from '../base/clock.js';
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionRange } from '../contract/target.js';
import { BaseTarget, type Region, type Usage } from './base-target.js';
import type { Eventually, Recovered } from './lifecycle.js';
import { RegionTable } from './region-table.js';

/** Slots that are stored as used ahead of their use, so that few creations wait for it. */
const SLOTS_AHEAD = 1024;

/** What it needs of a BackendContext. */
export interface TableTargetContext {
  readonly logger: Logger;
  readonly clock: Clock;
}

export abstract class TableTarget<R extends Region = Region> extends BaseTarget<R> {
  readonly #clock: Clock;
  readonly #capacityBytes: number;
  #table = new RegionTable<R>();
  #usedBytes = 0;
  /** Slots that the storage knows of. */
  #storedSlots = 0;
  #storing: Promise<void> | undefined;

  /** @param capacityBytes what all regions together may have */
  constructor({ logger, clock }: TableTargetContext, capacityBytes: number) {
    super(logger);
    this.#clock = clock;
    this.#capacityBytes = capacityBytes;
  }

  // ---- hooks ----

  /**
   * Makes the storage ready. A persistent backend overrides it, and ends with `return this.recover(…)`. May have taken half of what
   * it needs when it throws: `closeStorage` is called then.
   */
  protected openStorage(): Eventually<Recovered | undefined> {
    this.#begin(new RegionTable());
    return undefined;
  }

  /** Ends durable and gives back what `openStorage` took. */
  protected closeStorage(): Eventually<void> {
    // What the table holds is forgotten when it opens again.
  }

  /** Deletes all data; the storage is closed. */
  protected destroyStorage(): Eventually<void> {
    // Nothing outlives a volatile target.
  }

  /** Makes what a region is kept in, all zero. Nothing of it may be there after a crash, unless `publish` has ended. */
  protected abstract makeRegion(id: RegionId, size: number, createdAt: number): Eventually<R>;

  /** Gives back what `makeRegion` made. No call is in flight on the region. */
  protected dropRegion(_region: R): Eventually<void> {
    // Garbage collection does it.
  }

  /** Makes a region durable, contents included if they were persisted; a persistent backend does so, then calls this. */
  protected publish(region: R): Eventually<void> {
    this.#table.set(region);
  }

  /** Removes a region durably; a persistent backend does so, then calls this. Its bytes stay in place for calls in flight. */
  protected unpublish(region: R): Eventually<void> {
    this.#table.delete(region.id);
  }

  /** Makes ranges durable; undefined means the whole region. */
  protected persistRanges(_region: R, _ranges: readonly RegionRange[] | undefined): Eventually<void> {
    if (this.capabilities.persistent) throw this.#missing('persistRanges');
  }

  /** Stores durably that `slots` slots may have been used; `recover` gets the number back. Called once in many creations. */
  protected storeSlots(_slots: number): Eventually<void> {
    throw this.#missing('storeSlots');
  }

  // ---- what persistent backends open with ----

  /**
   * Takes in what the storage holds.
   * @param poolId 8 random bytes, made once for the storage
   * @param slots the number that `storeSlots` stored last; 0 for new storage
   * @param regions those that were published and not unpublished
   * @param quarantined how many are damaged and were left out
   */
  protected recover(poolId: Uint8Array, slots: number, regions: Iterable<R>, quarantined = 0): Recovered {
    this.#begin(new RegionTable(poolId, slots));
    this.#storedSlots = slots;
    for (const region of regions) {
      this.#table.adopt(region);
      this.#usedBytes += region.size;
    }
    return { regions: this.#table.size, bytes: this.#usedBytes, quarantined };
  }

  // ---- hooks of BaseTarget ----

  protected usage(): Usage {
    const usedBytes = this.#usedBytes;
    // More is in use where the capacity was set to less since.
    const capacityBytes = Math.max(this.#capacityBytes, usedBytes);
    return {
      regions: this.#table.size,
      usedBytes,
      capacityBytes,
      largestFreeBytes: capacityBytes - usedBytes,
    };
  }

  protected find(id: RegionId): R | undefined {
    return this.#table.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<R> {
    if (after !== undefined && !this.#table.owns(after)) {
      throw new BedrockError(
        'REGION_NOT_FOUND',
        `${after.toString()} was never a region of this ${this.type} target`,
      );
    }
    return this.#table.after(after);
  }

  protected async allocate(size: number): Promise<R> {
    const { usedBytes: used, largestFreeBytes: free } = this.usage();
    if (size > (free ?? 0)) {
      throw new BedrockError('OUT_OF_SPACE', `${size} bytes exceed the ${String(free)} that are free`, {
        details: { requested: size, used, free, largestFree: free },
      });
    }
    // Taken before anything is waited for: a create that comes meanwhile must not be promised the same space.
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

  protected async release(region: R): Promise<void> {
    await this.dropRegion(region);
    this.#usedBytes -= region.size;
    this.#table.free(region.id);
  }

  #begin(table: RegionTable<R>): void {
    this.#table = table;
    this.#usedBytes = 0;
    this.#storedSlots = 0;
  }

  /** One store at a time; whoever comes meanwhile looks again afterwards. */
  async #storeUsedSlots(): Promise<void> {
    while (this.#table.slots > this.#storedSlots) {
      this.#storing ??= this.#storeAhead().finally(() => (this.#storing = undefined));
      await this.#storing;
    }
  }

  async #storeAhead(): Promise<void> {
    const slots = this.#table.slots + SLOTS_AHEAD;
    await this.storeSlots(slots);
    this.#storedSlots = slots;
  }

  #missing(hook: string): BedrockError {
    return new BedrockError('INTERNAL', `a ${this.type} target is persistent, so it must override ${hook}`);
  }
}
