/**
 * What a region pool needs of the medium that it is on. `file` and `pmem` implement it, and so does
 * the power-failure simulator of the tests. The pool alone decides what is stored where, and where
 * the barriers are.
 *
 * Offsets and lengths are bytes from the start of the pool. A method returns nothing if it is done
 * at once, as on persistent memory, so that nobody waits a turn for it. Otherwise it returns a
 * promise.
 *
 * A power failure may leave any subset of the stores since the last barrier, in any order. The
 * smallest part that is always old or new as a whole is an aligned word of 8 bytes on persistent
 * memory, and a sector of 512 bytes on a disk.
 */
import type { FlushMeter } from '../base/flush-meter.js';
import type { TargetMode } from '../contract/mode.js';
import type { Eventually } from '../targets/lifecycle.js';

/**
 * The medium that a region pool is on. Offsets and lengths are bytes from the start of the pool. A
 * method returns nothing if it is done at once, else a promise.
 *
 * A power failure may leave any subset of the stores since the last barrier, in any order. The
 * smallest part that is always old or new as a whole is an aligned word of 8 bytes on persistent
 * memory, and a sector of 512 bytes on a disk.
 */
export interface PoolMedium {
  /** How stores become durable, for `stats().mode`. */
  readonly mode: TargetMode;
  /** Length of the pool's file. It does not change while it is open. */
  readonly size: number;

  /** Fills `into` with the bytes from `offset` on. @throws EIO for bytes that the medium has lost */
  read(offset: number, into: Uint8Array): Eventually<void>;

  /** `read` for recovery, if the medium needs another way to meet lost bytes without harm. */
  readCarefully?(offset: number, into: Uint8Array): Promise<void>;

  /**
   * Stores a copy of `bytes`. It can be read at once. It is durable after a barrier that begins
   * later, or already when this ends.
   */
  write(offset: number, bytes: Uint8Array): Eventually<void>;

  /**
   * Stores a copy of `bytes`, durable after a barrier or publish that begins later; it has no barrier itself.
   * @throws OUT_OF_SPACE as below
   */
  stage(offset: number, bytes: Uint8Array): Eventually<void>;

  /** `stage` of up to 4096 zeros, for media that need no array of them. */
  stageZeros?(offset: number, length: number): Eventually<void>;

  /** Like `stage`, for an aligned word of 8 bytes. A power failure leaves the old or the new word. */
  stageWord(offset: number, word: bigint): Eventually<void>;

  /**
   * Whether `publish` makes everything staged before durable before it stores the first word;
   * otherwise a barrier is needed.
   */
  readonly publishesInOrder?: boolean;

  /**
   * Stores a copy of `bytes`, durable when this ends.
   * @throws OUT_OF_SPACE if some of it was refused, and not stored
   */
  writeDurably(offset: number, bytes: Uint8Array): Eventually<void>;

  /**
   * Stores a copy of `bytes` during the call. It is durable when the promise resolves; stores in
   * the same turn of the event loop may share one promise. Absent if stores are not stores to
   * memory.
   * @returns undefined, with nothing done, for more bytes than the event loop should wait for
   */
  storeDurably?(offset: number, bytes: Uint8Array): Promise<void> | undefined;

  /**
   * Stores a copy of `bytes`, and makes them durable, and nothing else. Only then it stores the
   * pieces in order, which are visible when this ends, and durable like those of `stage`. Absent if
   * it would cost as much as a barrier, or if the pool must not have a log.
   * @param callers how many wait for it, for the figures
   * @throws whatever it is, nobody knows what is stored
   */
  writeThrough?(
    offset: number,
    bytes: Uint8Array,
    pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
    callers: number,
  ): Promise<void>;

  /**
   * Whether contents of a region of this size, once staged, are durable before whatever is stored
   * later, without a barrier; absent if never.
   */
  staysInOrder?(size: number): boolean;

  /**
   * Stores in several places, all of them or none, even if there is a crash; durable when this
   * ends. If two cover the same bytes, the later one counts.
   * @returns undefined, with nothing done, if there is no way, or they are too many
   */
  storeTogether?(
    entries: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
  ): Promise<void> | undefined;

  /** Makes the stores in the ranges durable. */
  persist(ranges: readonly MediumRange[]): Eventually<void>;

  /** Makes durable everything that was stored before the call. */
  barrier(): Eventually<void>;

  /**
   * Tells the medium that recovery has ended, and that calls are acknowledged from now on. Before
   * that, `persist`, `barrier` and `writeDurably` may throw OUT_OF_SPACE for stores that a full
   * medium did not take. Those are dropped then, and what was read before is durable.
   */
  opened?(): void;

  /**
   * Stores a whole descriptor, durable when this ends. The body is stored before the first word, so
   * a power failure leaves the old first word, or all of the new descriptor.
   * @param descriptor 64 bytes
   * @throws OUT_OF_SPACE if it was refused and not stored, as on a full copy-on-write file system
   */
  publish(offset: number, descriptor: Uint8Array): Eventually<void>;

  /**
   * Stores the first word of a descriptor, 8 aligned bytes, durable when this ends. A power failure
   * leaves the old or the new word.
   */
  publishWord(offset: number, word: bigint): Eventually<void>;

  /**
   * Fills a range with zeros, durable when this ends. The range then has its space.
   * @throws OUT_OF_SPACE if it had none and gets none
   */
  clear(offset: number, length: number): Eventually<void>;

  /** Whether the space of erased regions goes back to the file system, through `discard`. */
  readonly reclaims?: boolean;

  /**
   * Fills a range with zeros, durable when this ends, and gives its space to the file system;
   * absent if it is never called.
   */
  discard?(offset: number, length: number): Eventually<void>;

  /**
   * Allocates the space of a free range of zeros, durable when this ends.
   * @throws OUT_OF_SPACE if there is none, for whatever reason; then nothing is taken
   */
  allocate(offset: number, length: number): Eventually<void>;

  /**
   * Like `allocate`, for a range beyond the capacity. It then reads as zeros, whatever was there.
   * @throws OUT_OF_SPACE
   */
  grow(offset: number, length: number): Eventually<void>;

  /**
   * Whether a range is all zeros that were never stored to; absent if only the pool can have stored
   * something. Holes are not read if the file system reports them.
   */
  isZero?(offset: number, length: number): Promise<boolean>;

  /** Whether free space may lack space on the file system when the pool is opened. */
  readonly isSparse?: boolean;

  /**
   * The free space of the file system; absent, or nothing, if it is unknown. It is asked for on the
   * thread pool.
   */
  space?(): Promise<MediumSpace | undefined>;

  /**
   * Throws once the medium has failed, before anything is taken that could not be given back;
   * absent if the medium cannot fail.
   * @throws READ_ONLY
   */
  checkSound?(): void;

  /**
   * Checks that the medium is still the one that was opened, and was not truncated or replaced;
   * absent if nobody can change it.
   * @throws READ_ONLY from then on if it is not
   */
  look?(): Promise<void>;

  /**
   * Refuses changes from now on, since nobody knows what is stored; absent if the medium does so by
   * itself, or cannot.
   * @returns the error for all changes
   */
  fail?(why: string, cause: unknown): Error;

  /** Flushes that several callers share; absent if each store is made durable by itself. */
  readonly flushes?: FlushMeter | undefined;

  /** The range as memory, without a copy; absent if the medium is not memory. */
  map?(offset: number, length: number): Uint8Array[];

  /**
   * Whether loads and stores are those of memory: `read`, `write` and `storeDurably` of up to 1 MiB
   * are done when they return.
   */
  readonly isDirect?: boolean;

  /**
   * Like `read`, of up to 1 MiB, but only if it is done when this returns, as on a direct medium, or
   * from the page cache.
   * @returns whether the bytes are there; if not, nothing was begun, and `into` holds anything
   */
  readNow?(offset: number, into: Uint8Array): boolean;

  /**
   * Like `readNow`, into part of a buffer, for media where this takes less time.
   * @returns undefined, with nothing done, if `readNow` must be used
   */
  copyNow?(offset: number, into: Uint8Array, at: number, size: number): boolean | undefined;

  /**
   * Gives everything back; nothing is called after it. Everything that was acknowledged is already
   * durable.
   */
  close(): Eventually<void>;
}

/** The space that a pool can grow into. */
export interface MediumSpace {
  /** Bytes that the process may still take from the file system. */
  readonly freeBytes: number;
  /** The path of the pool's file, to identify the file system. */
  readonly path: string;
}

/** A part of a pool. */
export interface MediumRange {
  /** First byte, counted from the start of the pool. */
  readonly offset: number;
  /** Length, bytes. */
  readonly size: number;
}
