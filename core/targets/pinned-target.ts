/**
 * Regions that stay in place while they are in use: every call finds and pins its region here. When
 * the last pin of an erased region goes, its space is given back. A region that a transaction
 * writes to is found when the transaction has ended.
 */
import { BedrockError, explain } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import { ChangeGate, type ChangeListener, type ChangeWatch } from './change-gate.js';
import type { Eventually } from './lifecycle.js';
import { checkRef } from './name-arguments.js';
import type { Region } from './region.js';
import { TargetHooks } from './target-hooks.js';

/** Finds the regions of calls, and keeps them in place until the calls have ended. */
export abstract class PinnedTarget<R extends Region = Region> extends TargetHooks<R> {
  /** Regions whose space was not given back. */
  protected failedGiveBacks = 0;
  /** @internal Lets changes of regions pass, and reports them. */
  protected readonly gate = new ChangeGate();

  /**
   * Finds the region for a call that begins now. It does not pin the region.
   * @throws INVALID_ARGUMENT, TARGET_CLOSED, REGION_NOT_FOUND, NOT_SUPPORTED (a name, and the
   *   target is not `named`)
   */
  protected regionOf(ref: RegionRef): R {
    checkRef(ref);
    this.checkOpen();
    if (typeof ref === 'string') this.checkNamed();
    return this.findRegion(ref);
  }

  /** Like `regionOf`, for a call that has been checked and is in progress. @throws REGION_NOT_FOUND */
  protected findRegion(ref: RegionRef): R {
    const region = typeof ref === 'string' ? this.lookUpName(ref) : this.lookUp(ref);
    if (region !== undefined && !region.isErased) return region;
    const what = typeof ref === 'string' ? `has the name ${JSON.stringify(ref)}` : ref.toString();
    throw new BedrockError('REGION_NOT_FOUND', `no region ${what} in this ${this.type} target`);
  }

  /** Finds a region and pins it. @returns nothing if a transaction holds the region */
  protected pinned(ref: RegionRef): R | undefined {
    const region = this.regionOf(ref);
    if (region.hold !== undefined) return undefined;
    this.pin(region);
    return region;
  }

  /**
   * Like `pinned`, after the transactions on the region have ended. Called in the same step in
   * which `pinned` returned nothing.
   */
  protected async pinnedLater(ref: RegionRef): Promise<R> {
    this.enter();
    try {
      for (;;) {
        // The name may belong to another region after each wait.
        const region = this.findRegion(ref);
        if (region.hold === undefined) {
          this.pin(region);
          return region;
        }
        await region.hold.ended;
      }
    } finally {
      this.leave();
    }
  }

  /**
   * Keeps a region and the target in place until `unpin`. Used within a call that has begun, even
   * if `close` was called meanwhile.
   */
  protected pin(region: R): void {
    this.enterWithin();
    region.pins++;
  }

  /** Removes a pin. When the last pin of an erased region goes, its space is given back by `release`. */
  protected unpin(region: R): void {
    if (--region.pins === 0 && region.isErased) this.#releaseErased(region);
    else this.leave();
    region.hold?.onUnpin();
  }

  /** Like `pin`, for a caller that has a view of the region's bytes. */
  protected pinView(region: R): void {
    this.pin(region);
    region.views++;
  }

  /** Removes the pin of `pinView`. */
  protected unpinView(region: R): void {
    region.views--;
    this.unpin(region);
  }

  /**
   * Gives back an erased region after its last call. It counts as work in flight, so that close
   * waits for it.
   */
  #releaseErased(region: R): void {
    const released = this.giveBack(region);
    if (released === undefined) this.leave();
    else void released.then(() => this.leave());
  }

  /**
   * Releases a region that no call uses. A failure is logged, so that it does not hide why the
   * region is given back.
   */
  protected giveBack(region: R): Eventually<void> {
    try {
      const released = this.release(region);
      return released === undefined ? undefined : this.#noted(region, released);
    } catch (error) {
      this.#noteFailed(region, error);
    }
  }

  #noted(region: R, released: Promise<void>): Promise<void> {
    return released.catch((error: unknown) => this.#noteFailed(region, error));
  }

  #noteFailed(region: R, error: unknown): void {
    this.failedGiveBacks++;
    this.logger.error(`the space of region ${region.id.toString()} was not given back: ${explain(error)}`);
  }

  /** @throws NOT_SUPPORTED */
  protected checkNamed(): void {
    if (this.capabilities.named) return;
    throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target has no names; name the region by its ID`);
  }

  // ---- changes, for a copy of the target that is made while it serves ----

  /**
   * @internal
   * Reports every change to a listener from now on. Changes that are in flight are reported when they end.
   * @throws CONFLICT if there is a listener
   */
  watchChanges(listener: ChangeListener): ChangeWatch {
    const gate = this.gate;
    if (gate.listener !== undefined)
      throw new BedrockError('CONFLICT', `this ${this.type} target is being copied`);
    gate.listener = listener;
    return {
      hold: (patienceMs) => gate.hold(patienceMs),
      release: () => gate.release(),
      end: () => {
        gate.listener = undefined;
        gate.release();
      },
    };
  }

  /**
   * @internal
   * Refuses every call from now on, also once the target is closed, until it is called without an
   * error. Reads in flight go on.
   */
  refuseAll(error: BedrockError | undefined): void {
    this.refusal = error;
    this.gate.refuse(error);
  }

  /** @internal Whether changes have to wait. */
  get isHeld(): boolean {
    return this.gate.isShut;
  }

  /**
   * Whether a copy tracks changes. Bytes must not be stored as they arrive then, because it is
   * unknown how long that takes.
   */
  protected get isWatched(): boolean {
    return this.gate.listener !== undefined || this.gate.isShut;
  }

  /**
   * @internal
   * How often a region was changed in place, as far as the target knows: a store through a mapping
   * counts when the mapping is released, and bytes that arrive for a region when the last one has
   * arrived. Equal counts mean equal bytes if no such call is in flight.
   */
  changesOf({ slot }: RegionId): number {
    return this.gate.counts.of(slot);
  }

  /** Bytes may land in a region until the result is called. */
  protected landing(region: R, offset: number, size: number): () => void {
    this.gate.begin();
    return () => {
      this.gate.wrote(region.id, offset, size);
      this.gate.leave();
    };
  }
}
