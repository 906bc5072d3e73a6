/**
 * The contract of a target, for users, backend authors, the doors and remote clients.
 *
 * A target holds regions: ranges of bytes whose size is fixed at creation. Sizes and offsets are
 * bytes, safe integers from 0 up. Times are integer milliseconds since the epoch. Every call may
 * throw TARGET_CLOSED, and INVALID_ARGUMENT for arguments of the wrong type. Its docstring lists
 * its other errors. A call that fails leaves the target unchanged, unless its docstring says
 * otherwise.
 *
 * Memory has one user at a time. A buffer that a caller passes, to be written or to be filled,
 * belongs to the target until the promise of the call resolves or rejects. Until then the caller
 * must not touch it. After that the target must not touch it again. A target never changes bytes
 * that it is given to write. A piece of a source belongs to the target until it asks for the next
 * piece or ends the iteration. Buffers that `read` and `readv` return belong to the caller alone.
 */
import type { BedrockError } from '../base/errors.js';
import type { TargetMode } from './mode.js';
import type {
  Change,
  CreateOptions,
  MapNamesOptions,
  MappedName,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionRef,
  RenameOptions,
  TransactionResult,
} from './names.js';
import type { RegionId } from './region-id.js';
import type { SpaceMap } from './space-map.js';

/** A part of a region. */
export interface RegionRange {
  /** First byte, counted from the start of the region. */
  readonly offset: number;
  /** Length in bytes. */
  readonly size: number;
}

/** Information about a region, available without reading it. */
export interface RegionStat {
  /** ID of the region. */
  readonly id: RegionId;
  /** Exact size, in bytes. */
  readonly size: number;
  /** When the region was created, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Name of the region, if it has one. */
  readonly name?: string;
}

/** One page of the IDs of erased regions. */
export interface ErasedPage {
  /** Bytes 8 to 15 of every ID of the target. */
  readonly poolId: Uint8Array;
  /** IDs of erased regions, at most `limit` of them. */
  readonly ids: readonly RegionId[];
  /** Present if there are more: pass it as `after` to get the next page. */
  readonly next?: RegionId;
}

/** One page of the regions of a target. */
export interface RegionPage {
  /** Live regions, at most `limit` of them. */
  readonly regions: readonly RegionStat[];
  /** Present if there are more: pass it as `after` to get the next page. */
  readonly next?: RegionId;
}

/** Selects a page of a listing. */
export interface ListOptions {
  /** Last ID of the previous page. Its region may have been erased since. */
  after?: RegionId;
  /** Maximum number of entries, from 1 up; default: `DEFAULT_LIST_LIMIT` (1000). */
  limit?: number;
}

/** Options of a write. */
export interface WriteOptions {
  /** Resolve only when the bytes are durable; default: false. No effect on a volatile target. */
  persist?: boolean;
}

/** What an imported region keeps, besides its ID and contents. */
export interface ImportOptions {
  /** When the region was created, in milliseconds since the epoch. */
  createdAt: number;
  /** Name of the region, if it has one. Only for a `named` target. */
  name?: string;
}

/** Options for creating a region with contents. */
export interface CreateAndWriteOptions extends CreateOptions, WriteOptions {}

/** Contents that are not yet in memory. */
export interface RegionSource {
  /** Exact number of bytes that `source` gives. */
  size: number;
  /** The contents in order, in pieces of any length. Iterated once. */
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What a target recovered from an earlier run when it opened. */
export interface RecoveryReport {
  /** Number of recovered regions. */
  readonly regions: number;
  /** Sum of the sizes of the recovered regions. */
  readonly bytes: number;
  /** Number of damaged regions that were set aside. */
  readonly quarantined: number;
  /** Duration of the recovery in milliseconds, possibly with a fraction. */
  readonly durationMs: number;
  /** What was found to be damaged, the first 20 sentences. Absent if nothing was. */
  readonly findings?: readonly string[];
}

/** State and statistics of a target at one moment. */
export interface TargetStats {
  /** Backend type, such as `memory`. */
  readonly type: string;
  /** How writes become durable. */
  readonly mode: TargetMode;
  /** Where the target is in its lifecycle. */
  readonly state: TargetState;
  /** Number of live regions. */
  readonly regions: number;
  /**
   * Total capacity in bytes: the configured one, or less if the file system has less space left.
   * null: the target has no limit of its own.
   */
  readonly capacityBytes: number | null;
  /** Space used by regions, in bytes. It may be more than the sum of their sizes. */
  readonly usedBytes: number;
  /** Space available, in bytes. It may be less than the capacity minus the used space. null: not known. */
  readonly freeBytes: number | null;
  /** Size of the largest region that could be created now; null: not known. */
  readonly largestFreeBytes: number | null;
  /**
   * Bytes of erased regions and of a pool's own tables that could not yet be cleared or freed. They
   * count as used until then. The target tries again.
   */
  readonly pendingBytes: number;
  /** Number of regions whose space could not be freed at once. Only rises while the target is open. */
  readonly failedGiveBacks: number;
  /** Fraction of the free space that is outside its largest piece, from 0 (all in one piece) to 1. */
  readonly fragmentation: number;
  /** Result of the last `open`. */
  readonly recovery: RecoveryReport;
}

/**
 * Where a target is in its lifecycle. Only an `open` target takes calls. After an `open` that
 * failed, the target is `closed`. A provider shows a target as `filling` while the regions of
 * another one are brought into it, and also afterwards if that was interrupted.
 */
export type TargetState = 'closed' | 'opening' | 'open' | 'closing' | 'filling';

/** What a target can do beyond the core of the contract. Callers and the conformance suite rely on it. */
export interface Capabilities {
  /** Regions survive `close`, and `open` recovers them. */
  readonly persistent: boolean;
  /** `map` gives zero-copy views. */
  readonly mappable: boolean;
  /** Capacity can grow in place. */
  readonly growable: boolean;
  /**
   * Another target can transfer its IDs, both of regions and of erased regions: see `importRegion`,
   * `importErased`, `listErased`.
   */
  readonly importable: boolean;
  /** Snapshots can be taken. */
  readonly snapshots: boolean;
  /** Regions can have names: see `put`, `find`, `rename`, `names`. */
  readonly named: boolean;
  /** Several changes can be made atomically: see `transact`. */
  readonly transactional: boolean;
}

/** Views of a region's own bytes. The region's space is not freed until they are released. */
export interface RegionMapping {
  /**
   * The views in order: one, unless the region is larger than the maximum size of a view. If the
   * medium fails, or its file is truncated, a view reads as zeros and stores are lost. `persist`
   * then fails, and `stats().mode` shows it.
   */
  readonly views: readonly Uint8Array[];
  /** Releases the views, which must not be used afterwards. A second call does nothing. */
  release(): void;
}

/**
 * A store of regions: ranges of bytes whose size is fixed at creation. Sizes and offsets are bytes,
 * safe integers from 0 up; times are integer milliseconds since the epoch.
 *
 * Every call on regions may throw TARGET_CLOSED, and INVALID_ARGUMENT for an argument of the wrong
 * type or form. The docstring of each method lists its other errors.
 */
export interface Target {
  /** Backend type, such as `memory`. */
  readonly type: string;
  /** What the target can do beyond the core of the contract. Does not change. */
  readonly capabilities: Capabilities;
  /** Where the target is in its lifecycle; `closed` until `open` is called. */
  readonly state: TargetState;
  /**
   * Why the target no longer accepts changes although its configuration allows them. A target whose
   * medium cannot fail may omit it.
   */
  readonly failure?: BedrockError | undefined;

  /** Recovers the regions of an earlier run and starts to serve. Does nothing if the target is open. */
  open(): Promise<void>;

  /**
   * Refuses new calls, waits for those in flight, and makes everything durable. Does nothing if the
   * target is closed.
   */
  close(): Promise<void>;

  /** Closes the target and deletes all its data. */
  destroy(): Promise<void>;

  /**
   * Creates a region filled with zeros. It is durable when the call resolves.
   * @throws OUT_OF_SPACE (details: requested, used, free, largestFree), READ_ONLY, NAME_TAKEN,
   *   NOT_SUPPORTED (a name is given, and the target is not `named`)
   */
  create(size: number, options?: CreateOptions): Promise<RegionId>;

  /**
   * Creates a region with contents. The region appears only when its contents are complete. If the
   * call fails, its space is freed. With `persist`, the region and its contents are durable when
   * the call resolves, and after a crash it is there completely or not at all.
   * @throws OUT_OF_SPACE, READ_ONLY, INVALID_ARGUMENT (the source gave more or fewer bytes than
   *   `size`), NAME_TAKEN, NOT_SUPPORTED (a name is given, and the target is not `named`), any
   *   error of the source
   */
  createAndWrite(contents: Uint8Array | RegionSource, options?: CreateAndWriteOptions): Promise<RegionId>;

  /**
   * Overwrites part of a region. The bytes are visible when the call resolves. Concurrent writes
   * that overlap may mix, byte by byte. If the medium fails during the write, each byte has its old
   * or its new value.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY
   */
  write(ref: RegionRef, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void>;

  /**
   * Writes several ranges from one buffer, which holds their bytes one after another. All bounds
   * are checked before anything is written.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY, INVALID_ARGUMENT (sizes do not add up to `bytes`)
   */
  writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void>;

  /**
   * Reads part of a region.
   * @returns a fresh copy: later writes do not change it
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array>;

  /**
   * Fills `buffer` with the bytes from `offset` on. After an error the contents of `buffer` are undefined.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void>;

  /**
   * Reads several ranges into one fresh buffer, one after another.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array>;

  /**
   * Makes bytes durable that were written before the call.
   * @param ranges which bytes; default: the whole region
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY
   */
  persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void>;

  /**
   * Erases a region. This is durable when the call resolves. The ID is refused as soon as the call
   * is made, and it is never valid again. Calls already in flight on the region complete as if it
   * still existed.
   * @throws REGION_NOT_FOUND, READ_ONLY
   */
  erase(ref: RegionRef): Promise<void>;

  /**
   * Size, creation time and name of a region, without reading it.
   * @throws REGION_NOT_FOUND
   */
  stat(ref: RegionRef): Promise<RegionStat>;

  /** Lists all regions, in pages, in a stable order. */
  list(options?: ListOptions): Promise<RegionPage>;

  /** State and statistics of the target: regions, space, recovery. */
  stats(): Promise<TargetStats>;

  /**
   * Maps a region for zero-copy access.
   * @throws REGION_NOT_FOUND, NOT_SUPPORTED
   */
  map(ref: RegionRef): Promise<RegionMapping>;

  // Names, for targets that are `named`. All others throw NOT_SUPPORTED. Every call throws
  // INVALID_ARGUMENT for a name that is empty, longer than 1024 bytes, not well-formed, or 32
  // hexadecimal digits.

  /**
   * Creates a region with these contents, gives it the name, and erases the region that had the
   * name. Readers of the name, and recovery after a crash, find either the complete old region or
   * the complete new one. On a persistent target the new region and its contents are durable when
   * the call resolves. If the call fails, nothing has changed.
   * @returns the ID of the new region
   * @throws OUT_OF_SPACE, READ_ONLY, NAME_TAKEN (`if: 'absent'`), CONDITION_FAILED (another region
   *   has the name, or none), INVALID_ARGUMENT (the source gave more or fewer bytes than `size`),
   *   NOT_SUPPORTED, any error of the source
   */
  put(name: string, contents: Uint8Array | RegionSource, options?: PutOptions): Promise<RegionId>;

  /**
   * Finds the region that has a name.
   * @throws REGION_NOT_FOUND, NOT_SUPPORTED
   */
  find(name: string): Promise<NamedRegion>;

  /**
   * Names a region, changes its name, or removes it (null). The change is atomic, and durable when
   * the call resolves. The region keeps its ID and contents. If the region already has this name,
   * nothing changes.
   * @throws REGION_NOT_FOUND, NAME_TAKEN, OUT_OF_SPACE, READ_ONLY, NOT_SUPPORTED
   */
  rename(ref: RegionRef, name: string | null, options?: RenameOptions): Promise<void>;

  /**
   * Lists names in the order of their UTF-8 bytes, in pages. A name that exists from the first page
   * to the last is listed exactly once.
   * @throws NOT_SUPPORTED
   */
  names(options?: NamesOptions): Promise<NamesPage>;

  /**
   * Maps named regions one after another, in the order of their names. A region is released when
   * the loop asks for the next one, or ends.
   * @throws NOT_SUPPORTED (also by a target that is not `mappable`), from the first step
   */
  mapNames(options?: MapNamesOptions): AsyncIterable<MappedName>;

  /**
   * Makes all of the changes or none, even after a crash. On a persistent target they are durable
   * when the call resolves. No other call sees only some of them; a mapping held at the time may.
   * @throws CONDITION_FAILED (an `expect`), TRANSACTION_TOO_LARGE (details: bytes, limit), what the
   *   calls of the changes throw (details: change, its index in the list from 0 up), NOT_SUPPORTED
   *   (the target is not `transactional`)
   */
  transact(changes: readonly Change[]): Promise<TransactionResult>;

  // Methods that move regions from one target to another, without changing their IDs. Both targets
  // must be importable, and the new one is created with the pool id of the old one
  // (BackendContext.poolId). All other targets throw NOT_SUPPORTED.

  /**
   * Creates a region under the ID that it has in another target. The region and its contents are
   * durable when the call resolves, and after a crash the region is there completely or not at all.
   * Earlier IDs of the same slot become invalid forever, as if they had been erased here.
   * @throws NOT_SUPPORTED, INVALID_ARGUMENT (an ID with another pool id, or one that no region here
   *   can have; the source gave more or fewer bytes than `size`), ID_TAKEN, NAME_TAKEN,
   *   OUT_OF_SPACE (for the region, or for the slots that an ID this high needs), READ_ONLY, any
   *   error of the source
   */
  importRegion(id: RegionId, contents: Uint8Array | RegionSource, options: ImportOptions): Promise<void>;

  /**
   * Records IDs of erased regions, so that neither they nor earlier IDs of their slots are ever
   * given out here. This is durable when the call resolves. IDs for which this is already certain
   * change nothing.
   * @throws NOT_SUPPORTED, INVALID_ARGUMENT (an ID with another pool id), ID_TAKEN (a live region
   *   has one of the IDs, or an earlier ID of its slot: then none is recorded), OUT_OF_SPACE,
   *   READ_ONLY
   */
  importErased(ids: readonly RegionId[]): Promise<void>;

  /**
   * Lists the last ID of each slot that had a region and has none now, in pages, in a stable order.
   * A slot that is out of use forever, for example after damage, appears with the last ID that it
   * could have had.
   * @throws NOT_SUPPORTED
   */
  listErased(options?: ListOptions): Promise<ErasedPage>;

  /**
   * Where its free space is, for people who look at it. A target whose space has no order has no
   * map, and omits this.
   * @param buckets how many the map has, at most: from 1 up
   * @throws what the medium throws
   */
  spaceMap?(buckets: number): Promise<SpaceMap>;

  // How an empty target takes over the regions of another one, for a restore or a migration.
  // Importable targets have these methods, except those of older libraries.

  /**
   * Whether regions of another target are being brought in: `beginFilling` was called, and
   * `endFilling` was not. On a persistent target this survives a crash. The target's contents are
   * incomplete, and must not be served.
   */
  readonly isFilling?: boolean;

  /**
   * Gives an empty target another pool id: it then imports regions whose IDs end in these bytes,
   * and `isFilling` is true. On a persistent target this is durable and atomic. Calls in flight end
   * first, and new calls are refused until then. A target that is already being filled starts over:
   * the regions imported so far are dropped, and nothing else.
   * @param poolId 8 bytes
   * @throws TARGET_NOT_EMPTY, READ_ONLY, INVALID_ARGUMENT, NOT_SUPPORTED, what the medium throws;
   *   after that the target is closed
   */
  beginFilling?(poolId: Uint8Array): Promise<void>;

  /**
   * All regions are there: `isFilling` is false. Durable when the call resolves. Does nothing if
   * the target is not being filled.
   */
  endFilling?(): Promise<void>;
}
