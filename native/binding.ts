/**
 * The types of the addon's exports (native/src). Only this folder calls the addon; index.ts is its
 * public interface.
 */

/**
 * The outcome of a call on a mapping (`Status` in native/src/handle.h). Success on persistent
 * memory is undefined.
 */
export const Status = {
  /** Done, but this mapping needs an msync. */
  unsynced: 1,
  closed: 2,
  outOfRange: 3,
  sourceOutOfRange: 4,
  invalid: 5,
  misaligned: 6,
  readOnly: 7,
  /** The mapping has lost pages; the call may have been carried out or not. */
  lost: 8,
} as const;

/** A status as a number, or nothing. */
export type Outcome = number | undefined;

/** Indexes into the numbers that a mapping and the addon share (`Slots` in native/src/mapping.h). */
export const Slot = {
  offset: 0,
  length: 1,
  /** The offset in the source, the fill byte, or the seed. */
  third: 2,
  /** Not 0 once a page of the mapping is lost; set by the thread that touched it. */
  lost: 3,
} as const;

/**
 * Functions of one mapping. Those without offset and length among their arguments read them from
 * `slots`. Those that return a promise return a status instead if they could not start.
 */
export interface MappingBinding {
  readonly size: number;
  readonly isPmem: boolean;
  readonly isForced: boolean;
  readonly isReadOnly: boolean;
  /** Memory of a Float64Array with four elements. */
  readonly slots: ArrayBuffer;
  copyPersist(source: Uint8Array): Outcome;
  copy(source: Uint8Array): Outcome;
  fillPersist(): Outcome;
  fill(): Outcome;
  persist(): Outcome;
  flush(): Outcome;
  drain(): Outcome;
  storePersist64(value: bigint): Outcome;
  store64(value: bigint): Outcome;
  /** The stores of a list, `length` bytes of it; see store-list.ts. */
  carryOut(list: Uint8Array): Outcome;
  load64(): bigint | number;
  /** A checksum, or a negated status. */
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

/** The result of `hold`; opaque. */
export interface HeldBinding {
  readonly held?: never;
}

/** A file descriptor, which each call duplicates, or a held duplicate. */
export type FileBinding = number | HeldBinding;

export interface AddonBinding {
  /** @param fd an open file to map; `path` is then not opened */
  mapFile(
    path: string,
    size: number,
    flags: number,
    mode: number,
    fd: number | undefined,
  ): Promise<MappingBinding>;
  attributes(): PlatformAttributes;
  /** User and group of the peer of a unix socket when it connected; undefined if the system does not tell. */
  peerCredentials(fd: number): { readonly uid: number; readonly gid: number } | undefined;
  /**
   * Sends one message to a datagram socket of the unix family, without waiting.
   * @param path of the socket; an abstract one begins with `@`
   * @returns 0, or the positive errno
   */
  sendDatagram(path: string, message: string): number;
  /** Undefined if the arguments are invalid. */
  crc32c(bytes: Uint8Array, seed: number): number | undefined;
  /**
   * A duplicate of a descriptor, for calls that must not need a new one.
   * @throws an error with a positive errno
   */
  hold(fd: number): HeldBinding;
  drop(file: HeldBinding): void;
  allocate(file: FileBinding, offset: number, length: number, emulates: boolean): Promise<void>;
  punchHole(file: FileBinding, offset: number, length: number): Promise<void>;
  zeroRange(file: FileBinding, offset: number, length: number): Promise<void>;
  unshare(file: FileBinding, offset: number, length: number): Promise<void>;
  dropCache(file: FileBinding): Promise<void>;
  /** Offset of the first byte that is not zero; -1 if there is none. */
  firstNonZero(file: FileBinding, offset: number, end: number): Promise<number>;
  verify(file: FileBinding, path: string, size: number): Promise<void>;
  /** Whether the file still has its size and its name. */
  commit(file: FileBinding, path: string, size: number): Promise<boolean>;
  /** Copies the bytes before it returns. @throws TypeError */
  writeMany(file: FileBinding, sources: readonly Uint8Array[], offsets: Float64Array): Promise<void>;
  /** Copies the bytes before it returns. Whether the file still has its size and its name. */
  writeThrough(
    file: FileBinding,
    path: string,
    size: number,
    bytes: Uint8Array,
    offset: number,
    sources: readonly Uint8Array[],
    offsets: Float64Array,
  ): Promise<boolean>;
  /** Bytes that were in the page cache, or the negative errno. */
  readNow(file: FileBinding, into: Uint8Array, offset: number): number;
  linkFile(file: FileBinding, path: string): Promise<void>;
  lockExclusive(file: FileBinding): Promise<void>;
  lockShared(file: FileBinding): Promise<void>;
  unlock(file: FileBinding): Promise<void>;
}

/** Properties of the machine and of libpmem. */
export interface PlatformAttributes {
  /** The version of libpmem, which is looked for once in each process; null if it is not used: then every mapping uses msync. */
  readonly libpmem: string | null;
  /** The file of libpmem that was loaded; null if it is not used. */
  readonly libpmemPath: string | null;
  /** Why libpmem is not used; null if it is. */
  readonly libpmemReason: string | null;
  /** The hardware flushes caches at a power failure (eADR, pmem_has_auto_flush(3)); null if unknown. */
  readonly hasAutoFlush: boolean | null;
  /** There is an instruction that waits for flushed stores (pmem_has_hw_drain(3)); null if unknown. */
  readonly hasHardwareDrain: boolean | null;
  /** How libpmem flushes a cache line; null if it does not, or if unknown. */
  readonly flushInstruction: 'clwb' | 'clflushopt' | 'clflush' | 'dc cvap' | 'dc cvac' | null;
  /** Bytes of a cache line, the unit of flushes. */
  readonly cacheLineBytes: number;
  /** Bytes of a page of memory, the unit of msync. */
  readonly pageBytes: number;
  /** Aligned stores of this size are never torn by a power failure. */
  readonly powerFailAtomicBytes: number;
  /** How CRC32C is computed. */
  readonly crc32c: 'sse4.2' | 'armv8' | 'table';
}
