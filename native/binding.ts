/** The addon as C++ exports it (native/src). Only this folder calls it; what it offers to others is in index.ts. */

/** What a call on a mapping came to (`Status` in native/src/handle.h). Success on persistent memory is undefined. */
export const Status = {
  /** Done, but this mapping needs an msync. */
  unsynced: 1,
  closed: 2,
  outOfRange: 3,
  sourceOutOfRange: 4,
  invalid: 5,
  misaligned: 6,
  readOnly: 7,
  /** Done or not: the mapping has lost pages. */
  lost: 8,
} as const;

/** A status as a number, or nothing. */
export type Outcome = number | undefined;

/** What stands where in the numbers that a mapping and the addon share (`Slots` in native/src/mapping.h). */
export const Slot = {
  offset: 0,
  length: 1,
  /** The offset within the source, the byte to fill with, or the seed. */
  third: 2,
  /** Not 0 once a page of the mapping is lost; set by whichever thread meets it. */
  lost: 3,
} as const;

/**
 * Functions of one mapping. The first ones find their numbers in `slots`. Those that give a promise give a status instead if they could not start.
 */
export interface MappingBinding {
  readonly size: number;
  readonly isPmem: boolean;
  readonly isForced: boolean;
  readonly isReadOnly: boolean;
  /** Memory for a Float64Array of four. */
  readonly slots: ArrayBuffer;
  copyPersist(source: Uint8Array): Outcome;
  copy(source: Uint8Array): Outcome;
  fillPersist(): Outcome;
  fill(): Outcome;
  persist(): Outcome;
  flush(): Outcome;
  drain(): Outcome;
  storePersist64(value: bigint): Outcome;
  load64(): bigint | number;
  /** A checksum, or a status below zero. */
  crc32c(): number;
  persistRanges(pairs: Float64Array, count: number): Outcome;
  window(index: number): ArrayBuffer | number;
  msyncAsync(offset: number, length: number): Promise<void> | number;
  persistAsync(offset: number, length: number): Promise<void> | number;
  deepPersistAsync(offset: number, length: number): Promise<void> | number;
  fillAsync(offset: number, length: number, value: number): Promise<void> | number;
  crc32cAsync(offset: number, length: number, seed: number): Promise<number> | number;
  /** @throws an error with the positive errno */
  msyncBlocking(offset: number, length: number): Outcome;
  close(): Promise<void> | number;
}

/** What `hold` gives; nothing can be seen of it. */
export interface HeldBinding {
  readonly held?: never;
}

/** The number of an open file, of which each call takes a duplicate, or one that is held. */
export type FileBinding = number | HeldBinding;

export interface AddonBinding {
  /** @param fd the file to map, if it is open already; `path` is not looked at then */
  mapFile(
    path: string,
    size: number,
    flags: number,
    mode: number,
    fd: number | undefined,
  ): Promise<MappingBinding>;
  attributes(): PlatformAttributes;
  /** Undefined if the arguments are not these. */
  crc32c(bytes: Uint8Array, seed: number): number | undefined;
  /** A duplicate of a descriptor, for calls that must not need a new one. @throws an error with the positive errno */
  hold(fd: number): HeldBinding;
  drop(file: HeldBinding): void;
  allocate(file: FileBinding, offset: number, length: number, emulates: boolean): Promise<void>;
  punchHole(file: FileBinding, offset: number, length: number): Promise<void>;
  zeroRange(file: FileBinding, offset: number, length: number): Promise<void>;
  unshare(file: FileBinding, offset: number, length: number): Promise<void>;
  dropCache(file: FileBinding): Promise<void>;
  /** -1 if there is none. */
  firstNonZero(file: FileBinding, offset: number, end: number): Promise<number>;
  verify(file: FileBinding, path: string, size: number): Promise<void>;
  /** Whether the file is what it was. */
  commit(file: FileBinding, path: string, size: number): Promise<boolean>;
  /** Copies the bytes before it returns. @throws TypeError */
  writeMany(file: FileBinding, sources: readonly Uint8Array[], offsets: Float64Array): Promise<void>;
  linkFile(file: FileBinding, path: string): Promise<void>;
  lockExclusive(file: FileBinding): Promise<void>;
  lockShared(file: FileBinding): Promise<void>;
  unlock(file: FileBinding): Promise<void>;
}

/** What the machine and libpmem give. */
export interface PlatformAttributes {
  /** The version of libpmem that the addon was built with; null without it. */
  readonly libpmem: string | null;
  /** Caches are flushed at a power failure by the hardware (eADR, pmem_has_auto_flush(3)); null where nobody tells. */
  readonly hasAutoFlush: boolean | null;
  /** There is an instruction that waits for flushed stores (pmem_has_hw_drain(3)); null where nobody tells. */
  readonly hasHardwareDrain: boolean | null;
  /** How libpmem flushes a cache line; null if it does not, or where nobody tells. */
  readonly flushInstruction: 'clwb' | 'clflushopt' | 'clflush' | 'dc cvap' | 'dc cvac' | null;
  readonly cacheLineBytes: number;
  readonly pageBytes: number;
  /** Aligned stores of this size are never torn by a power failure. */
  readonly powerFailAtomicBytes: number;
  /** How CRC32C is computed. */
  readonly crc32c: 'sse4.2' | 'armv8' | 'table';
}
