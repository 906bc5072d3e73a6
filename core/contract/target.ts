/**
 * The contract of a target: what users, backend authors, the front doors and remote clients all see.
 *
 * A target holds regions: ranges of bytes whose size is fixed at creation. Sizes and offsets are bytes, safe integers from 0 up.
 * Times are integer milliseconds since the epoch. Every call may throw TARGET_CLOSED, and INVALID_ARGUMENT for arguments of the
 * wrong type; what else it throws stands beside it. Everything that fails leaves the target as it was, unless said otherwise.
 *
 * Memory has one user at a time. Bytes that a caller gives, to be written or to be filled, are the target's from the call until its
 * promise settles, either way: the caller leaves them alone until then, and the target afterwards, for good. It never changes bytes
 * that are to be written. A piece of a source is the target's until it asks for the next one, or ends the iteration. What `read` and
 * `readv` give is the caller's alone.
 */
import type { BedrockError } from '../base/errors.js';
import type { TargetMode } from './mode.js';
import type { RegionId } from './region-id.js';

/** A part of a region. */
export interface RegionRange {
  readonly offset: number;
  readonly size: number;
}

/** What is known of a region without reading it. */
export interface RegionStat {
  readonly id: RegionId;
  /** Exact size, bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Part of what a target's erased regions were called. */
export interface ErasedPage {
  /** Bytes 8 to 15 of every ID of the target. */
  readonly poolId: Uint8Array;
  readonly ids: readonly RegionId[];
  /** Present if there are more: pass it as `after` for the next page. */
  readonly next?: RegionId;
}

export interface RegionPage {
  readonly regions: readonly RegionStat[];
  /** Present if there are more: pass it as `after` for the next page. */
  readonly next?: RegionId;
}

export interface ListOptions {
  /** Last ID of the page before; it may have been erased since. */
  after?: RegionId;
  /** Most regions to return, from 1 up. */
  limit?: number;
}

export interface WriteOptions {
  /** Resolve only when the bytes are durable. On a volatile target it changes nothing. */
  persist?: boolean;
}

export interface ImportOptions {
  /** When the region was made, milliseconds since the epoch. */
  createdAt: number;
}

/** Contents that are not in memory yet. */
export interface RegionSource {
  /** Exact number of bytes that `source` will give. */
  size: number;
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What a target found of an earlier run when it opened. */
export interface RecoveryReport {
  readonly regions: number;
  /** Sum of the sizes of the recovered regions. */
  readonly bytes: number;
  /** Regions that are damaged and were set aside. */
  readonly quarantined: number;
  readonly durationMs: number;
}

export interface TargetStats {
  /** Backend type, such as `memory`. */
  readonly type: string;
  /** How writes become durable. */
  readonly mode: TargetMode;
  readonly state: TargetState;
  /** Live regions. */
  readonly regions: number;
  /** What it can hold: by its configuration, or less where its file system has less left. null: it has no limit of its own. */
  readonly capacityBytes: number | null;
  readonly usedBytes: number;
  /** What can still be had. It may be less than the capacity leaves; null: not known. */
  readonly freeBytes: number | null;
  /** Largest region that could be created now; null: not known. */
  readonly largestFreeBytes: number | null;
  /** Bytes of erased regions that could not be cleared or given back yet, and count as used until then; that is tried again. */
  readonly pendingBytes: number;
  /** Regions whose space could not be given back at once when they ended. Only rises while the target is open. */
  readonly failedGiveBacks: number;
  /** 0 (all free space in one piece) to 1: the part of the free space outside its largest piece. */
  readonly fragmentation: number;
  readonly recovery: RecoveryReport;
}

export type TargetState = 'closed' | 'opening' | 'open' | 'closing';

/** What a target offers beyond the contract's core. Callers and the conformance suite go by it. */
export interface Capabilities {
  /** Regions outlive close and are recovered by open. */
  readonly persistent: boolean;
  /** `map` gives zero-copy views. */
  readonly mappable: boolean;
  /** Capacity can grow in place. */
  readonly growable: boolean;
  /** Another target can hand its IDs over, regions and erased ones: see `importRegion`, `importErased`, `listErased`. */
  readonly importable: boolean;
  /** Snapshots can be taken. */
  readonly snapshots: boolean;
}

/** Views over a region's own bytes; the region's space stays until they are released. */
export interface RegionMapping {
  /**
   * In order; one, unless the region is larger than a view may be. Of a medium that fails, or whose file is cut off, a view shows zeros and
   * stores go nowhere; `persist` says so, and `stats().mode`.
   */
  readonly views: readonly Uint8Array[];
  release(): void;
}

export interface Target {
  /** Backend type, such as `memory`. */
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly state: TargetState;
  /** Why it takes no changes any more, though its configuration lets it; a target whose medium cannot fail need not have it. */
  readonly failure?: BedrockError | undefined;

  /** Recovers the regions of an earlier run and starts to serve. Does nothing if open. */
  open(): Promise<void>;

  /** Refuses new calls, waits for those in flight, ends durable. Does nothing if closed. */
  close(): Promise<void>;

  /** Closes and deletes all data. */
  destroy(): Promise<void>;

  /**
   * Makes a region, all zero; durable when it resolves.
   * @throws OUT_OF_SPACE (details: requested, used, free, largestFree), READ_ONLY
   */
  create(size: number): Promise<RegionId>;

  /**
   * Makes a region with contents. It appears only when all of them are there; on failure its space is given back. With
   * `persist` it is durable, contents included, when it resolves, and all or nothing after a crash.
   * @throws OUT_OF_SPACE, READ_ONLY, INVALID_ARGUMENT (the source gave more or fewer bytes than `size`), whatever the source throws
   */
  createAndWrite(contents: Uint8Array | RegionSource, options?: WriteOptions): Promise<RegionId>;

  /**
   * Overwrites part of a region: visible when it resolves. Overlapping concurrent writes mix by bytes. If the medium fails half
   * way, each byte is the old or the new one.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY
   */
  write(id: RegionId, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void>;

  /**
   * Writes several ranges from one buffer that holds their bytes one after another. All bounds are checked before the first byte.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY, INVALID_ARGUMENT (sizes do not add up to `bytes`)
   */
  writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void>;

  /**
   * Reads part of a region.
   * @returns a fresh copy: later writes do not change it
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  read(id: RegionId, offset: number, size: number): Promise<Uint8Array>;

  /**
   * Fills `buffer` with the bytes from `offset` on. After an error its contents are undefined.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  readInto(id: RegionId, offset: number, buffer: Uint8Array): Promise<void>;

  /**
   * Reads several ranges into one fresh buffer, one after another.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  readv(id: RegionId, ranges: readonly RegionRange[]): Promise<Uint8Array>;

  /**
   * Makes bytes durable that were written before the call.
   * @param ranges which; the whole region unless told
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY
   */
  persist(id: RegionId, ranges?: readonly RegionRange[]): Promise<void>;

  /**
   * Removes a region; durable when it resolves. From the call on the ID is refused, and it is never valid again. Calls already
   * in flight on the region end as if it were still there.
   * @throws REGION_NOT_FOUND, READ_ONLY
   */
  erase(id: RegionId): Promise<void>;

  /** @throws REGION_NOT_FOUND */
  stat(id: RegionId): Promise<RegionStat>;

  /** Every region, in pages, in an order that stays the same. */
  list(options?: ListOptions): Promise<RegionPage>;

  stats(): Promise<TargetStats>;

  /**
   * Zero-copy access.
   * @throws REGION_NOT_FOUND, NOT_SUPPORTED
   */
  map(id: RegionId): Promise<RegionMapping>;

  // What moves regions from one target to another, their IDs staying valid. Both are importable, and the new one is made with the
  // pool id of the old (BackendContext.poolId). NOT_SUPPORTED by all others.

  /**
   * Makes a region under the ID that it has elsewhere; durable when it resolves, contents included, and all or nothing after a
   * crash. Earlier IDs of the same place become invalid for ever, as if they had been erased here.
   * @throws NOT_SUPPORTED, INVALID_ARGUMENT (an ID of another pool id, or that no region here can have; the source gave more or
   *   fewer bytes than `size`), ID_TAKEN, OUT_OF_SPACE (for the region, or for the places that an ID this high needs), READ_ONLY,
   *   whatever the source throws
   */
  importRegion(id: RegionId, contents: Uint8Array | RegionSource, options: ImportOptions): Promise<void>;

  /**
   * Makes sure that IDs of erased regions, and those before them in their places, are never given out here; durable when it
   * resolves. Those of which that is certain already change nothing.
   * @throws NOT_SUPPORTED, INVALID_ARGUMENT (an ID of another pool id), ID_TAKEN (by a live region, or an earlier ID of its place
   *   is: then none is taken in), OUT_OF_SPACE, READ_ONLY
   */
  importErased(ids: readonly RegionId[]): Promise<void>;

  /**
   * The last ID of each place that had a region and has none now, in pages, in an order that stays the same. A place that is out
   * of use for ever, as after damage, appears with the last ID that it could have had.
   * @throws NOT_SUPPORTED
   */
  listErased(options?: ListOptions): Promise<ErasedPage>;
}
