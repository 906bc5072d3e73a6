/**
 * What the front doors use of targets whose regions lie in the process's memory: reads and writes that are done when the call returns,
 * without a promise, and regions that bytes from a socket arrive in without a copy. Not part of the contract; every call has its
 * equal there, with the same checks and errors.
 */
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { checkRange } from './arguments.js';
import { BaseTarget, type Region } from './base-target.js';
import type { Eventually } from './lifecycle.js';

/** How many bytes `isDirect` speaks of at least. */
export const DIRECT_BYTES = 2 ** 20;

/** Part of a region that bytes arrive in. The region stays, as for a write in flight, until `release`. */
export interface Landing {
  readonly bytes: Uint8Array;
  /** Bytes of the whole region. */
  readonly regionSize: number;
  release(): void;
}

export abstract class DirectTarget<R extends Region = Region> extends BaseTarget<R> {
  /**
   * Whether `readBytes`, `writeBytes` and `storeDurably` have taken or given the bytes when they return, if they are at most
   * DIRECT_BYTES: no more than the event loop may wait for.
   */
  get isDirect(): boolean {
    return false;
  }

  /**
   * Part of a region as memory that may be stored to. Nothing if it is not in one piece, or if that is not all that a write does: on
   * persistent memory, bytes that arrived by way of the processor's caches would have to be flushed out of them, which takes longer
   * than to copy them past the caches.
   */
  protected placeOf(_region: R, _offset: number, _size: number): Uint8Array | undefined {
    return undefined;
  }

  /** As `readInto`. @returns nothing if the bytes are there */
  readNow(id: RegionId, offset: number, into: Uint8Array): Eventually<void> {
    const region = this.regionOf(id);
    checkRange('read', offset, into.length, region.size);
    const pending = this.readBytes(region, offset, into);
    return pending === undefined ? undefined : this.during(region, pending);
  }

  /** As `write`. @returns nothing if that is all; of a target that is direct a promise is of durability alone */
  writeNow(id: RegionId, offset: number, bytes: Uint8Array, persist: boolean): Eventually<void> {
    const region = this.regionOf(id);
    checkRange('write', offset, bytes.length, region.size);
    return this.writeChecked(region, offset, bytes, persist);
  }

  /** As `stat`. */
  statNow(id: RegionId): RegionStat {
    const { size, createdAt } = this.regionOf(id);
    return { id, size, createdAt };
  }

  /**
   * Where bytes may arrive that a write would copy. They are visible as they come.
   * @returns nothing if they have to be written
   * @throws as `write`
   */
  land(id: RegionId, offset: number, size: number): Landing | undefined {
    const region = this.regionOf(id);
    checkRange('write', offset, size, region.size);
    const bytes = this.placeOf(region, offset, size);
    if (bytes === undefined) return undefined;
    this.pin(region);
    let isPinned = true;
    const release = (): void => {
      if (!isPinned) return;
      isPinned = false;
      this.unpin(region);
    };
    return { bytes, regionSize: region.size, release };
  }
}
