/**
 * The calls that make, end and list regions. A new region is allocated, filled and published; if a
 * step fails, its space is given back. If it gets a name, or has one, the rules for names
 * (named-regions.ts) decide whether that may be.
 */
import { BedrockError } from '../base/errors.js';
import type { CreateOptions, RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type {
  CreateAndWriteOptions,
  ListOptions,
  RegionPage,
  RegionSource,
  RegionStat,
  TargetStats,
} from '../contract/target.js';
import {
  checkBytes,
  checkGiven,
  checkListOptions,
  checkName,
  checkOptions,
  checkPersist,
  checkSize,
} from './arguments.js';
import { BytesTarget } from './bytes-target.js';
import { sourceOf } from './contents.js';
import type { Eventually } from './lifecycle.js';
import { checkRef } from './name-arguments.js';
import { type NameWish, NamedRegions } from './named-regions.js';
import type { NamedStore, Transaction } from './named-store.js';
import { type ListedRegion, Region } from './region.js';

const NO_OPTIONS: CreateAndWriteOptions = {};

/** The calls of the contract that create, erase and list regions. */
export abstract class RegionsTarget<R extends Region = Region> extends BytesTarget<R> {
  #namedRegions: NamedRegions<R> | undefined;

  /**
   * `Target.create`: calls `allocate`, then `publish`. If `publish` fails, `release` gives the space back.
   * @throws INVALID_ARGUMENT, TARGET_CLOSED, what the hooks throw
   */
  async create(size: number, options: CreateOptions = {}): Promise<RegionId> {
    checkSize('size', size);
    const wish = this.wishOf(options);
    this.enter();
    try {
      const allocated = this.#allocate(size, wish);
      const region = this.checkedRegion(allocated instanceof Region ? allocated : await allocated);
      const published = this.publishOrRelease(region, wish);
      if (published !== undefined) await published;
      return region.id;
    } finally {
      this.leave();
    }
  }

  /**
   * `Target.createAndWrite`: calls `allocate`, `writeBytes` for each piece, `persistRanges` if
   * asked for, then `publish`. If a step after `allocate` fails, `release` gives the space back.
   * @throws INVALID_ARGUMENT (also for a source that gives more or fewer bytes than `size`),
   *   TARGET_CLOSED, what the source or the hooks throw
   */
  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: CreateAndWriteOptions = NO_OPTIONS,
  ): Promise<RegionId> {
    const wish = this.wishOf(options);
    return this.createFilled(sourceOf(contents), checkPersist(options), wish);
  }

  protected async createFilled(
    { size, source }: RegionSource,
    persist: boolean,
    wish?: NameWish,
  ): Promise<RegionId> {
    this.enter();
    try {
      const region = this.checkedRegion(await this.#allocate(size, wish));
      await this.fillAndPublish(region, source, persist, wish);
      return region.id;
    } finally {
      this.leave();
    }
  }

  #allocate(size: number, wish: NameWish | undefined): Eventually<R> {
    if (wish === undefined) return this.allocate(size);
    return this.allocate(size, this.checkWish(wish));
  }

  /**
   * Checks early whether a name can be had. This is checked again when the name is taken.
   * @returns bytes of the name
   * @throws NAME_TAKEN, CONDITION_FAILED
   */
  protected checkWish(wish: NameWish): number {
    this.namedRegions.check(wish);
    return Buffer.byteLength(wish.name);
  }

  /** Checks what `allocate` returned, since a backend may be written in JavaScript. */
  protected checkedRegion(region: R): R {
    if (region.id instanceof RegionId) return region;
    throw new BedrockError(
      'INTERNAL',
      `allocate of the backend "${this.type}" gave a region without a RegionId`,
    );
  }

  /** Gives an allocated region its contents and publishes it; if that fails, releases it. */
  protected async fillAndPublish(
    region: R,
    source: RegionSource['source'],
    persist: boolean,
    wish?: NameWish,
  ): Promise<void> {
    try {
      await this.#fill(region, source, persist);
      if (persist) await this.persistNew(region, wish !== undefined);
    } catch (error) {
      await this.giveBack(region);
      throw error;
    }
    await this.publishOrRelease(region, wish);
  }

  async #fill(region: R, source: RegionSource['source'], persist: boolean): Promise<void> {
    let offset = 0;
    for await (const bytes of source) {
      checkBytes('a piece of the source', bytes);
      const { length } = bytes;
      checkGiven(offset + length, region.size);
      await (persist ? this.fillBytes(region, offset, bytes) : this.writeBytes(region, offset, bytes));
      offset += length;
    }
    checkGiven(offset, region.size, true);
  }

  protected publishOrRelease(region: R, wish: NameWish | undefined, isFree = false): Eventually<void> {
    if (this.gate.isShut) return this.#publishLater(region, wish);
    return this.#publishNow(region, wish, isFree);
  }

  #publishNow(region: R, wish: NameWish | undefined, isFree: boolean): Eventually<void> {
    try {
      const published =
        wish === undefined
          ? this.publish(region)
          : isFree
            ? this.namedRegions.publishNow(region, wish)
            : this.namedRegions.publish(region, wish);
      if (published !== undefined) return this.#published(region, published);
      this.gate.listener?.changed(region.id);
      return undefined;
    } catch (error) {
      return this.endWith(region, error);
    }
  }

  async #published(region: R, published: Promise<void>): Promise<void> {
    this.gate.begin();
    try {
      await published;
    } catch (error) {
      await this.endWith(region, error);
    } finally {
      this.gate.listener?.changed(region.id);
      this.gate.leave();
    }
  }

  /** `publishOrRelease`, when changes may be made again. */
  async #publishLater(region: R, wish: NameWish | undefined): Promise<void> {
    try {
      await this.gate.enter();
    } catch (error) {
      return this.endWith(region, error);
    }
    try {
      await this.#publishNow(region, wish, false);
    } finally {
      this.gate.leave();
    }
  }

  /** Releases a region whose creation failed. */
  protected async endWith(region: R, error: unknown): Promise<never> {
    await this.giveBack(region);
    throw error;
  }

  /**
   * `Target.erase`: calls `unpublish` at once, and `release` when the last call on the region has
   * ended. If `unpublish` fails, the region stays as it was. A failure of `release` goes to the log
   * and to `stats().failedGiveBacks`.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, TARGET_CLOSED, what `unpublish` throws
   */
  async erase(ref: RegionRef): Promise<void> {
    checkRef(ref);
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      if (!this.capabilities.named) {
        const pending = this.#eraseNow(this.regionOf(ref));
        if (pending !== undefined) await pending;
        return;
      }
      this.enter();
      try {
        const locked = this.namedRegions.lock(ref);
        const release = locked instanceof Promise ? await locked : locked;
        try {
          // The name may belong to another region by now.
          const pending = this.#eraseNow(this.findRegion(ref));
          if (pending !== undefined) await pending;
        } finally {
          release?.();
        }
      } finally {
        this.leave();
      }
    } finally {
      this.gate.leave();
    }
  }

  /**
   * Erases a region, after the checks and under the locks. It is not an async function, which would
   * make one more promise.
   */
  #eraseNow(region: R): Eventually<void> {
    this.pin(region);
    region.isErased = true;
    try {
      const unpublished = this.unpublish(region);
      if (unpublished !== undefined)
        return unpublished.then(
          () => this.#releaseUnlessUsed(region),
          (error: unknown) => this.#keepRegion(region, error),
        );
    } catch (error) {
      this.#keepRegion(region, error);
    }
    return this.#releaseUnlessUsed(region);
  }

  /** A region that could not be erased is there as before. */
  #keepRegion(region: R, error: unknown): never {
    region.isErased = false;
    this.unpin(region);
    throw error;
  }

  #releaseUnlessUsed(region: R): Eventually<void> {
    this.gate.listener?.changed(region.id);
    // Others may still be reading; then the last of them gives the space back.
    if (region.pins > 1) {
      this.unpin(region);
      return undefined;
    }
    const end = (): void => {
      region.pins--;
      this.leave();
    };
    // The region is durably gone, even if its space cannot be given back.
    const released = this.giveBack(region);
    return released === undefined ? end() : released.then(end);
  }

  /**
   * `Target.stat`, of what `lookUp` gives.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, TARGET_CLOSED
   */
  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async stat(ref: RegionRef): Promise<RegionStat> {
    return this.statOf(this.regionOf(ref));
  }

  /**
   * `Target.list`: the regions of `regionsAfter`, without those that are being erased.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND (`after` is of another target), TARGET_CLOSED
   */
  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async list(options: ListOptions = {}): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    this.checkOpen();
    const regions: RegionStat[] = [];
    for (const region of this.regionsAfter(after)) {
      if (region.isErased === true) continue;
      if (regions.length === limit) {
        const last = regions[limit - 1];
        return last === undefined ? { regions } : { regions, next: last.id };
      }
      regions.push(this.statOf(region));
    }
    return { regions };
  }

  /** The status of a region, as callers get it. */
  protected statOf(region: ListedRegion): RegionStat {
    const { id, size, createdAt } = region;
    const name = this.capabilities.named ? this.nameOf(region) : undefined;
    return name === undefined ? { id, size, createdAt } : { id, size, createdAt, name };
  }

  /**
   * `Target.stats`: the figures of `usage`, and those derived from them.
   * @throws TARGET_CLOSED, what `usage` throws
   */
  async stats(): Promise<TargetStats> {
    this.enter();
    try {
      const { regions, usedBytes, capacityBytes, largestFreeBytes, ...unusual } = await this.usage();
      const { pendingBytes = 0, failedGiveBacks = 0 } = unusual;
      const freeBytes = unusual.freeBytes ?? (capacityBytes === null ? null : capacityBytes - usedBytes);
      const scattered =
        freeBytes === null || freeBytes === 0 ? 0 : 1 - (largestFreeBytes ?? freeBytes) / freeBytes;
      return {
        type: this.type,
        mode: this.mode,
        state: this.state,
        regions,
        capacityBytes,
        usedBytes,
        freeBytes,
        largestFreeBytes,
        pendingBytes,
        failedGiveBacks: this.failedGiveBacks + failedGiveBacks,
        fragmentation: scattered,
        recovery: this.recovery,
      };
    } finally {
      this.leave();
    }
  }

  // ---- what calls on names need as well ----

  /**
   * Stores the contents of a new region that gets a name or is published by a transaction; durable
   * by then on a persistent target.
   */
  protected fillNew(region: R, contents: Uint8Array): Eventually<void> {
    if (contents.length === 0) return undefined;
    if (!this.capabilities.persistent) return this.writeBytes(region, 0, contents);
    const filled = this.fillBytes(region, 0, contents);
    if (filled !== undefined) return filled.then(() => this.persistNew(region, true));
    return this.persistNew(region, true);
  }

  /** The name that a new region shall have, if any. @throws INVALID_ARGUMENT, NOT_SUPPORTED */
  protected wishOf(options: CreateOptions): NameWish | undefined {
    const { name } = checkOptions(options) as CreateOptions;
    if (name === undefined) return undefined;
    checkName(name);
    this.checkNamed();
    return { name, if: 'absent' };
  }

  /** @internal Made on first use: many targets have no names. */
  protected get namedRegions(): NamedRegions<R> {
    return (this.#namedRegions ??= new NamedRegions(this.namedStore()));
  }

  /** @internal The hooks and the pins that calls on names need. */
  protected namedStore(): NamedStore<R> {
    return {
      type: this.type,
      lookUp: (id) => this.lookUp(id),
      lookUpName: (name) => this.lookUpName(name),
      nameOf: (region) => this.nameOf(region),
      allocate: (size, nameBytes) => {
        const allocated = this.allocate(size, nameBytes);
        return allocated instanceof Promise
          ? allocated.then((region) => this.checkedRegion(region))
          : this.checkedRegion(allocated);
      },
      fill: (region, contents) => this.fillNew(region, contents),
      publish: (region, naming) => this.publish(region, naming),
      renameRegion: async (region, name, replaced) => {
        try {
          await this.renameRegion(region, name, replaced);
        } finally {
          this.gate.listener?.changed(region.id);
        }
      },
      commit: (transaction) => this.#commit(transaction),
      changesOf: (id) => this.changesOf(id),
      regionOf: (ref) => this.findRegion(ref),
      pin: (region) => this.pin(region),
      unpin: (region) => this.unpin(region),
      retire: (region) => {
        region.isErased = true;
        this.gate.listener?.changed(region.id);
        this.unpin(region);
      },
      giveBack: (region) => this.giveBack(region),
    };
  }

  #commit(transaction: Transaction<R>): Eventually<void> {
    const { gate } = this;
    if (gate.listener === undefined && transaction.writes.length === 0) return this.commit(transaction);
    const note = (): void => {
      for (const { region, offset, bytes } of transaction.writes) gate.wrote(region.id, offset, bytes.length);
      const { listener } = gate;
      if (listener === undefined) return;
      for (const { region } of [...transaction.published, ...transaction.renamed])
        listener.changed(region.id);
    };
    try {
      const committed = this.commit(transaction);
      if (committed !== undefined) return committed.finally(note);
      note();
    } catch (error) {
      note();
      throw error;
    }
  }
}
