/**
 * What the doors use of targets whose regions are in the process's memory: reads and writes that
 * are done when the call returns, without a promise, and regions that receive bytes from a socket
 * without a copy. Not part of the contract. For every call the contract has an equivalent with the
 * same checks and errors.
 */
import type { Change, RegionRef, TransactionResult } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { checkName, checkRange } from './arguments.js';
import { BaseTarget } from './base-target.js';
import type { Eventually } from './lifecycle.js';
import type { SeenBytes } from './named-store.js';
import type { Region } from './region.js';

/** `isDirect` covers calls of up to this many bytes. */
export const DIRECT_BYTES = 2 ** 20;

/** Part of a region that receives bytes. The region stays in place until `release`, as during a write. */
export interface Landing {
  /** Memory of that part: what is stored there is in the region. Do not touch it after `release`. */
  readonly bytes: Uint8Array;
  /** Bytes of the whole region. */
  readonly regionSize: number;
  /** Whether the region was erased meanwhile. Then its space is kept only for these bytes. */
  readonly isErased: boolean;
  /** Ends the use of `bytes`, and unpins the region. A second call does nothing. */
  release(): void;
}

/**
 * A target whose regions may be in the process's memory. It has calls that end without a promise,
 * and parts of regions that receive bytes without a copy. Only the doors use them. The contract has
 * an equivalent for each, with the same checks and errors.
 */
export abstract class DirectTarget<R extends Region = Region> extends BaseTarget<R> {
  /**
   * Whether `readBytes`, `writeBytes` and `storeDurably` have copied the bytes when they return,
   * for up to DIRECT_BYTES: the event loop must not be blocked for longer.
   */
  get isDirect(): boolean {
    return false;
  }

  /**
   * Whether `readNow` may have the bytes: always of a direct target, and of a file those that are in
   * the page cache.
   */
  get readsNow(): boolean {
    return this.isDirect;
  }

  /**
   * Part of a region as memory that may be stored to. Nothing if it is not in one piece, or if a
   * write does more than a store. An example is persistent memory: bytes that arrive through the
   * processor's caches must be flushed out of them. This takes longer than copying them past the
   * caches.
   */
  protected placeOf(_region: R, _offset: number, _size: number): Uint8Array | undefined {
    return undefined;
  }

  /**
   * `readBytes` of at most DIRECT_BYTES, if it is done when this returns. A target that may cease to
   * be direct at any moment, for example by another thread, overrides it.
   * @returns whether the bytes are there; if not, nothing was begun
   */
  protected readBytesNow(region: R, offset: number, into: Uint8Array): boolean {
    void this.readBytes(region, offset, into);
    return true;
  }

  /**
   * `readBytesNow` of a whole region into part of a buffer, from `at` on. A target of small regions
   * overrides it: a view of that part would take longer to make than a few bytes to copy.
   */
  protected copyBytesNow(region: R, into: Buffer, at: number): boolean {
    return this.readBytesNow(region, 0, into.subarray(at, at + region.size));
  }

  /**
   * @internal
   * The region that has a name of ASCII, which is part of a buffer. It is for this step only.
   */
  regionNamed(bytes: Buffer, start: number, end: number): R | undefined {
    this.checkOpen();
    const region = this.lookUpNameIn(bytes, start, end);
    return region === undefined || region.isErased ? undefined : region;
  }

  /**
   * @internal
   * `readNow` of all bytes of a region that `regionNamed` has returned, at most DIRECT_BYTES, into
   * part of a buffer.
   */
  copyNow(region: R, into: Buffer, at: number): boolean {
    return region.hold === undefined && this.copyBytesNow(region, into, at);
  }

  /**
   * Like `readInto`, of at most DIRECT_BYTES, of a target that `readsNow`.
   * @returns whether the bytes are there; if not, nothing was begun, and `readInto` has to be
   *   called: it also waits for a transaction that has to end first
   */
  readNow(ref: RegionRef, offset: number, into: Uint8Array): boolean {
    const region = this.regionOf(ref);
    checkRange('read', offset, into.length, region.size);
    if (region.hold !== undefined) return false;
    return this.readBytesNow(region, offset, into);
  }

  /**
   * Like `write`.
   * @returns nothing if all is done; a promise of a direct target stands for durability only;
   *   `later`, with nothing done, if a transaction has to end first
   */
  writeNow(ref: RegionRef, offset: number, bytes: Uint8Array, persist: boolean): Eventually<void> | 'later' {
    const region = this.regionOf(ref);
    checkRange('write', offset, bytes.length, region.size);
    if (region.hold !== undefined) return 'later';
    return this.writeChecked(region, offset, bytes, persist);
  }

  /** Like `find`. @returns nothing if no region has the name */
  findNow(name: string): RegionStat | undefined {
    this.checkOpen();
    const region = this.lookUpName(name);
    if (region === undefined || region.isErased) {
      checkName(name);
      return undefined;
    }
    const { id, size, createdAt } = region;
    return { id, size, createdAt, name };
  }

  /**
   * Like `put`, of at most DIRECT_BYTES. The bytes are the caller's again when it returns.
   * @param found the region that has the name, if the bytes depend on its own, or null if they
   *   depend on there being none; it was read in the step of this call
   * @returns the ID; a promise if the region is still to be published; nothing, with nothing done,
   *   if `put` would have to wait
   */
  putNow(name: string, bytes: Uint8Array, found?: RegionId | null): Eventually<RegionId> | undefined {
    return this.putsInOneStep ? this.putInOneStep(name, bytes, found) : undefined;
  }

  /**
   * @internal
   * Like `transactUnchanged`. The bytes are the caller's again when it returns.
   * @returns the result; a promise if something has to be waited for; nothing, with nothing done,
   *   if `transact` must be called
   */
  transactNow(
    changes: readonly Change[],
    seen?: readonly SeenBytes[],
  ): Eventually<TransactionResult> | undefined {
    if (!this.putsInOneStep || !this.capabilities.transactional) return undefined;
    return this.transactInOneStep(changes, seen);
  }

  /** Like `stat`. */
  statNow(ref: RegionRef): RegionStat {
    return this.statOf(this.regionOf(ref));
  }

  /**
   * Memory that may receive the bytes which a write would copy. They are visible as they arrive.
   * @returns nothing if the bytes have to be written
   * @throws as `write`
   */
  land(ref: RegionRef, offset: number, size: number): Landing | undefined {
    const region = this.regionOf(ref);
    checkRange('write', offset, size, region.size);
    const bytes =
      this.isWatched || region.hold !== undefined ? undefined : this.placeOf(region, offset, size);
    if (bytes === undefined) return undefined;
    this.pinView(region);
    const landed = this.landing(region, offset, size);
    return new RegionLanding(region, bytes, () => {
      landed();
      this.unpinView(region);
    });
  }
}

/**
 * This is a class since an object literal with an accessor would cost the engine a hidden class for
 * each write.
 */
class RegionLanding implements Landing {
  readonly regionSize: number;
  #isPinned = true;

  constructor(
    private readonly region: Region,
    readonly bytes: Uint8Array,
    private readonly ended: () => void,
  ) {
    this.regionSize = region.size;
  }

  get isErased(): boolean {
    return this.region.isErased;
  }

  release(): void {
    if (!this.#isPinned) return;
    this.#isPinned = false;
    this.ended();
  }
}
