/**
 * What a backend implements: the protected hooks. They are called only while the target is open.
 * Their arguments have been checked, and their regions stay allocated until the call has ended:
 *
 * - Every call pins its region. `erase` makes the ID unusable at once. The space goes back
 *   (`release`) only when the last pin is gone, so no call ever sees another region's bytes.
 * - A new region is invisible until `publish`, so its contents appear completely or not at all.
 *
 * A hook returns nothing or a promise. A hook that returns nothing costs no turn of the event loop.
 * It needs no pin, since nothing else runs meanwhile.
 */
import { BedrockError } from '../base/errors.js';
import type { TargetMode } from '../contract/mode.js';
import { DEFAULT_MAX_TRANSACTION_BYTES } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Capabilities, RegionMapping, RegionRange } from '../contract/target.js';
import { type Eventually, Lifecycle } from './lifecycle.js';
import type { NameEntry, Naming, Transaction } from './named-store.js';
import type { Region } from './region.js';
import { type ListedRegion } from './region.js';

/** How full the target is. */
export interface Usage {
  /** Live regions. */
  regions: number;
  /** Space that regions take, bytes. The space of an erased region counts until it is given back. */
  usedBytes: number;
  /** null: unlimited. */
  capacityBytes: number | null;
  /** Bytes that can still be allocated, if that is not the capacity less the used bytes. */
  freeBytes?: number;
  /** null: unlimited. */
  largestFreeBytes: number | null;
  /** See TargetStats; 0 by default. */
  pendingBytes?: number;
  /** Failed give-backs that the backend tries again by itself; 0 by default. */
  failedGiveBacks?: number;
}

/**
 * The hooks of a backend, which `BaseTarget` calls. What they throw goes to the caller, except for
 * `release`.
 */
export abstract class TargetHooks<R extends Region = Region> extends Lifecycle {
  /** What the target offers beyond the core of the contract. It does not change during the target's life. */
  abstract readonly capabilities: Capabilities;

  // ---- hooks: storage (and those of Lifecycle) ----

  /** How writes become durable, for `stats().mode`. */
  protected abstract get mode(): TargetMode;
  /** How full the storage is, for `stats`. */
  protected abstract usage(): Eventually<Usage>;

  // ---- hooks: regions ----

  /** The region with an ID, always the same object; nothing if no published region has the ID. */
  protected abstract lookUp(id: RegionId): R | undefined;
  /**
   * Published regions after an ID, or all. `after` may be the ID of an erased region. An ID of
   * another pool is REGION_NOT_FOUND.
   */
  protected abstract regionsAfter(after: RegionId | undefined): Iterable<ListedRegion>;
  /**
   * Allocates a region, all zero, that cannot be found yet. `nameBytes` is the room for a name, if
   * names are stored beside the contents.
   */
  protected abstract allocate(size: number, nameBytes?: number): Eventually<R>;
  /**
   * Makes an allocated region durable and visible to `lookUp`. With `naming`, the region gets that
   * name in the same step, and `replaced`, the region that had the name, is durably removed in that
   * step: after a crash one of the two is there, complete. The bytes of `replaced` stay in place
   * for calls in flight.
   */
  protected abstract publish(region: R, naming?: Naming<R>): Eventually<void>;
  /**
   * Durably removes a published region and its name in one step. The bytes stay in place for calls
   * in flight.
   */
  protected abstract unpublish(region: R): Eventually<void>;
  /** Gives back the space of a region that is not published. No call is in flight on it. */
  protected abstract release(region: R): Eventually<void>;

  // ---- hooks: names, of targets that are `named` ----

  /** The region that has a name. */
  protected lookUpName(_name: string): R | undefined {
    throw this.#missing('lookUpName');
  }

  /** Like `lookUpName`, of a name of ASCII that is part of a buffer. */
  protected lookUpNameIn(bytes: Buffer, start: number, end: number): R | undefined {
    return this.lookUpName(bytes.toString('latin1', start, end));
  }

  /** The name of a region, if it has one. */
  protected nameOf(_region: ListedRegion): string | undefined {
    throw this.#missing('nameOf');
  }

  /**
   * Named regions in the order of their names' UTF-8 bytes, starting at these bytes (inclusive), or
   * all. Names may change while a caller goes through them: it continues after the last name that
   * it gave.
   */
  protected namesFrom(_from: Uint8Array | undefined): Iterable<NameEntry> {
    throw this.#missing('namesFrom');
  }

  /**
   * Changes the name of a region, or removes it if `_name` is undefined. Atomic and durable.
   * `_replaced` as in `publish`.
   */
  protected renameRegion(_region: R, _name: string | undefined, _replaced: R | undefined): Eventually<void> {
    throw this.#missing('renameRegion');
  }

  // ---- hooks: transactions, of targets that are `transactional` ----

  /** The largest transaction, bytes. */
  protected get maxTransactionBytes(): number {
    return DEFAULT_MAX_TRANSACTION_BYTES;
  }

  /**
   * Makes the net effect of a transaction, atomically and durably. For everyone else it is one
   * synchronous step. No call is in flight on the regions that it writes to. The bytes of erased
   * regions stay in place for calls in flight.
   */
  protected commit(_transaction: Transaction<R>): Eventually<void> {
    throw this.#missing('commit');
  }

  #missing(hook: string): BedrockError {
    return new BedrockError(
      'INTERNAL',
      `by its capabilities a ${this.type} target must override ${hook}, and it does not`,
    );
  }

  // ---- hooks: bytes. `into` and `bytes` are the caller's again when the promise settles, or
  // without one when the hook returns: a ---- hook neither keeps nor touches them after that, and
  // never changes `bytes`. ----

  /** Fills `into` with the bytes from `offset` on. */
  protected abstract readBytes(region: R, offset: number, into: Uint8Array): Eventually<void>;
  /** Stores a copy of `bytes` at `offset`. */
  protected abstract writeBytes(region: R, offset: number, bytes: Uint8Array): Eventually<void>;
  /** Makes ranges durable. They are sorted and do not touch each other; undefined means the whole region. */
  protected abstract persistRanges(region: R, ranges: readonly RegionRange[] | undefined): Eventually<void>;

  /** Like `writeBytes`, for a region that is not published yet. `persistNew` makes the bytes durable. */
  protected fillBytes(region: R, offset: number, bytes: Uint8Array): Eventually<void> {
    return this.writeBytes(region, offset, bytes);
  }

  /**
   * Makes the bytes of `fillBytes` durable, or ensures that the `publish` or `commit` that follows
   * does so before the region can be found.
   * @param _isNamed whether the region is published with a name, or by `commit`
   */
  protected persistNew(region: R, _isNamed: boolean): Eventually<void> {
    return this.persistRanges(region, undefined);
  }

  /** Writes durably. A backend that can do both in one step overrides it. */
  protected writeDurably(region: R, offset: number, bytes: Uint8Array): Eventually<void> {
    const ranges = [{ offset, size: bytes.length }];
    const written = this.writeBytes(region, offset, bytes);
    if (written === undefined) return this.persistRanges(region, ranges);
    return written.then(() => this.persistRanges(region, ranges));
  }

  /**
   * Like `writeDurably`, for storage that takes the bytes during the call and reports later that
   * they are durable. The promise stands for durability only, and does not keep the region in
   * place. `closeStorage` must settle it.
   * @returns undefined, with nothing done, if this is not possible; then `writeDurably` is called
   */
  protected storeDurably(_region: R, _offset: number, _bytes: Uint8Array): Promise<void> | undefined {
    return undefined;
  }

  /** Zero-copy views; only `mappable` targets override it. */
  protected mapRegion(_region: R): Eventually<Pick<RegionMapping, 'views'>> {
    throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target cannot map regions; read them instead`);
  }
}
