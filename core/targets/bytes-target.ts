/**
 * The calls that move bytes of regions: `write`, `read`, their forms for many ranges, `persist` and
 * `map`, with the checks of arguments and bounds. `write` is kept as short as possible and is not
 * async: on persistent memory, an async function would cost as much as storing the bytes.
 */
import { setImmediate } from 'node:timers/promises';
import type { RegionRef } from '../contract/names.js';
import type { RegionMapping, RegionRange, WriteOptions } from '../contract/target.js';
import { allocateBuffer, checkBytes, checkPersist, checkRange, checkTotal } from './arguments.js';
import type { Eventually } from './lifecycle.js';
import { checkManyRanges, unionOfMany } from './many-ranges.js';
import { checkRef } from './name-arguments.js';
import { PinnedTarget } from './pinned-target.js';
import type { Region } from './region.js';
import { type KeptRegion } from './region.js';

const NO_OPTIONS: WriteOptions = {};

/** What a call on many ranges moves before it lets others run, and the overhead counted for each range. */
const TURN_BYTES = 2 ** 20;
const RANGE_BYTES = 256;

/** The result of a call that has already ended. */
const DONE = Promise.resolve();

/** The calls of the contract that read, write and map regions. */
export abstract class BytesTarget<R extends Region = Region> extends PinnedTarget<R> {
  /**
   * `Target.write`: calls `writeBytes`, or with `persist` `storeDurably` or `writeDurably`.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what the hooks throw;
   *   all by a promise that rejects
   */
  write(ref: RegionRef, offset: number, bytes: Uint8Array, options = NO_OPTIONS): Promise<void> {
    try {
      checkBytes('bytes', bytes);
      const persist = checkPersist(options);
      const region = this.regionOf(ref);
      checkRange('write', offset, bytes.length, region.size);
      const { hold } = region;
      if (hold !== undefined || this.gate.isShut) return this.#writeLater(ref, offset, bytes, persist);
      return this.writeChecked(region, offset, bytes, persist) ?? DONE;
    } catch (error) {
      // What the checks and the hooks throw: errors, which the linter cannot know.
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      return Promise.reject(error);
    }
  }

  /** `write` to a region that a transaction holds, or while no change may be made. */
  async #writeLater(ref: RegionRef, offset: number, bytes: Uint8Array, persist: boolean): Promise<void> {
    await this.gate.enter();
    try {
      const region = await this.pinnedLater(ref);
      try {
        checkRange('write', offset, bytes.length, region.size);
        await this.writeChecked(region, offset, bytes, persist);
      } finally {
        this.unpin(region);
      }
    } finally {
      this.gate.leave();
    }
  }

  /** `write` after its checks. @returns nothing if all is done */
  protected writeChecked(region: R, offset: number, bytes: Uint8Array, persist: boolean): Eventually<void> {
    // What ends in this step has ended before anybody can read the bytes.
    this.gate.wrote(region.id, offset, bytes.length);
    const stored = persist ? this.storeDurably(region, offset, bytes) : undefined;
    if (stored !== undefined) return stored;
    const pending = persist
      ? this.writeDurably(region, offset, bytes)
      : this.writeBytes(region, offset, bytes);
    return pending === undefined ? undefined : this.#writing(region, offset, bytes.length, pending);
  }

  /** Keeps a region and the target in place until a write has ended. */
  #writing(region: R, offset: number, size: number, pending: Promise<void>): Promise<void> {
    this.pin(region);
    this.gate.begin();
    return pending.finally(() => {
      this.gate.wrote(region.id, offset, size);
      this.gate.leave();
      this.unpin(region);
    });
  }

  /**
   * `Target.writev`: calls `writeBytes` for each range in turn, then `persistRanges` if asked for.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what the hooks throw
   */
  async writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options = NO_OPTIONS,
  ): Promise<void> {
    checkBytes('bytes', bytes);
    const persist = checkPersist(options);
    checkRef(ref);
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
      try {
        const checking = checkManyRanges('write', ranges, region.size);
        const { ranges: checked, total } = checking instanceof Promise ? await checking : checking;
        checkTotal(total, bytes);
        try {
          await this.#forEach(checked, (offset, size, from) =>
            this.writeBytes(region, offset, bytes.subarray(from, from + size)),
          );
        } finally {
          this.#wroteAll(region, checked);
        }
        if (persist) await this.persistRanges(region, await unionOfMany(checked));
      } finally {
        this.unpin(region);
      }
    } finally {
      this.gate.leave();
    }
  }

  #wroteAll({ id }: R, ranges: readonly RegionRange[]): void {
    const { gate } = this;
    if (gate.listener !== undefined) for (const { offset, size } of ranges) gate.wrote(id, offset, size);
    else gate.counts.raise(id.slot);
  }

  /**
   * `Target.read`: calls `readBytes` with a fresh buffer.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what `readBytes` throws
   */
  async read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array> {
    const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
    try {
      checkRange('read', offset, size, region.size);
      const buffer = allocateBuffer(size);
      const pending = this.readBytes(region, offset, buffer);
      if (pending !== undefined) await pending;
      return buffer;
    } finally {
      this.unpin(region);
    }
  }

  /**
   * `Target.readInto`: calls `readBytes` with the caller's buffer.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what `readBytes` throws
   */
  async readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void> {
    checkBytes('buffer', buffer);
    const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
    try {
      checkRange('read', offset, buffer.length, region.size);
      const pending = this.readBytes(region, offset, buffer);
      if (pending !== undefined) await pending;
    } finally {
      this.unpin(region);
    }
  }

  /**
   * `Target.readv`: calls `readBytes` for each range in turn, with parts of one fresh buffer.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what `readBytes` throws
   */
  async readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
    try {
      const checking = checkManyRanges('read', ranges, region.size);
      const { ranges: checked, total } = checking instanceof Promise ? await checking : checking;
      const buffer = allocateBuffer(total);
      await this.#forEach(checked, (offset, size, from) =>
        this.readBytes(region, offset, buffer.subarray(from, from + size)),
      );
      return buffer;
    } finally {
      this.unpin(region);
    }
  }

  /**
   * Calls `step` for each range in turn. If the steps are synchronous, it lets the event loop run
   * now and then. The region is pinned meanwhile.
   * @param step gets the range, and the position of its bytes among the bytes of all ranges
   */
  async #forEach(
    ranges: readonly RegionRange[],
    step: (offset: number, size: number, from: number) => Eventually<void>,
  ): Promise<void> {
    let from = 0;
    let done = 0;
    for (const { offset, size } of ranges) {
      const pending = step(offset, size, from);
      from += size;
      done += size + RANGE_BYTES;
      if (pending !== undefined) await pending;
      else if (done >= TURN_BYTES) {
        done = 0;
        await setImmediate();
      }
    }
  }

  /**
   * `Target.persist`: calls `persistRanges` with the ranges sorted and joined. If they hold no
   * bytes, it calls nothing.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, OUT_OF_RANGE, TARGET_CLOSED, what `persistRanges` throws
   */
  async persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void> {
    const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
    try {
      const union = ranges === undefined ? undefined : this.#unionOf(ranges, region.size);
      // Safe: the region is pinned.
      const checked = union instanceof Promise ? await union : union;
      // Ranges without bytes have nothing to make durable.
      if (checked?.length !== 0) await this.persistRanges(region, checked);
    } finally {
      this.unpin(region);
    }
  }

  #unionOf(ranges: readonly RegionRange[], size: number): ReturnType<typeof unionOfMany> {
    const checking = checkManyRanges('persist', ranges, size);
    if (!(checking instanceof Promise)) return unionOfMany(checking.ranges);
    return checking.then((checked) => unionOfMany(checked.ranges));
  }

  /**
   * `Target.map`: the views of `mapRegion`. The region and the target stay in place until the
   * mapping is released.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, NOT_SUPPORTED, TARGET_CLOSED, what `mapRegion` throws
   */
  async map(ref: RegionRef): Promise<RegionMapping> {
    checkRef(ref);
    // A mapping may be stored to.
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
      try {
        const mapped = this.mapRegion(region);
        // Safe: the region is pinned.
        const { views } = mapped instanceof Promise ? await mapped : mapped;
        this.gate.mapped();
        this.becomeView(region);
        return new HeldMapping(views, () => {
          this.gate.unmapped(region);
          this.unpinView(region);
        });
      } catch (error) {
        this.unpin(region);
        throw error;
      }
    } finally {
      this.gate.leave();
    }
  }

  /**
   * @internal
   * Keeps a region for a caller that reads it in many calls. The reads go on after an erase, as a
   * call in flight does. Transactions do not wait for its release. Each read waits for transactions
   * that write to the region.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, TARGET_CLOSED
   */
  async keep(ref: RegionRef): Promise<KeptRegion> {
    const region = this.pinned(ref) ?? (await this.pinnedLater(ref));
    this.becomeView(region);
    const view = new HeldMapping([], () => this.unpinView(region));
    return {
      get isErased() {
        return region.isErased;
      },
      readInto: (offset, buffer) => this.#readKept(region, offset, buffer),
      release: () => view.release(),
    };
  }

  async #readKept(region: R, offset: number, buffer: Uint8Array): Promise<void> {
    while (region.hold !== undefined) await region.hold.ended;
    this.pin(region);
    try {
      checkRange('read', offset, buffer.length, region.size);
      await this.readBytes(region, offset, buffer);
    } finally {
      this.unpin(region);
    }
  }

  /** Turns a pin into the pin of a view that a caller holds. Transactions do not wait for it. */
  protected becomeView(region: R): void {
    region.views++;
    region.hold?.onUnpin();
  }
}

/** A mapping until it is released. `release` may be called without its object. */
class HeldMapping implements RegionMapping {
  #released: (() => void) | undefined;
  readonly release = (): void => {
    const released = this.#released;
    this.#released = undefined;
    released?.();
  };

  constructor(
    readonly views: RegionMapping['views'],
    released: () => void,
  ) {
    this.#released = released;
  }
}
