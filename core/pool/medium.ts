/**
 * What a region pool asks of the thing it lives on: `file` and `pmem` carry it out, and so does the power-failure simulator of the
 * tests. The pool alone says what is stored where and which barriers stand between.
 *
 * Offsets and lengths are bytes from the start of the pool. A method returns nothing when it is done at once, as on persistent memory,
 * so that nobody waits a turn for it, or a promise.
 *
 * What a power failure may leave: of stores since the last barrier any subset, in any order. The smallest part that is wholly old or
 * new is an aligned word of 8 bytes on persistent memory and a sector of 512 bytes on a disk.
 */
import type { TargetMode } from '../contract/mode.js';
import type { Eventually } from '../targets/lifecycle.js';

export interface PoolMedium {
  /** How stores become durable, for `stats().mode`. */
  readonly mode: TargetMode;
  /** Length of the pool's file. Fixed while it is open. */
  readonly size: number;

  /** Fills `into` from `offset` on. @throws EIO for what the medium has lost */
  read(offset: number, into: Uint8Array): Eventually<void>;

  /** The same for recovery, where the medium can meet what it has lost without harm only in another way. */
  readCarefully?(offset: number, into: Uint8Array): Promise<void>;

  /** Stores a copy of `bytes`: read back at once, durable after a barrier that begins later, or already when this ends. */
  write(offset: number, bytes: Uint8Array): Eventually<void>;

  /** Stores a copy of `bytes`, durable when this ends. @throws OUT_OF_SPACE if some of it was refused, and not stored */
  writeDurably(offset: number, bytes: Uint8Array): Eventually<void>;

  /**
   * Stores a copy of `bytes` within the call; durable when the promise resolves, which those who store in the same turn of the event
   * loop may share. Absent where stores are not those of memory.
   * @returns undefined, with nothing done, for more bytes than the event loop should wait for
   */
  storeDurably?(offset: number, bytes: Uint8Array): Promise<void> | undefined;

  /** Makes what was stored in the ranges durable. */
  persist(ranges: readonly MediumRange[]): Eventually<void>;

  /** Makes durable everything that was stored before the call. */
  barrier(): Eventually<void>;

  /**
   * Stores a whole descriptor, durable when this ends: the body before the first word, so that a power failure leaves the old
   * first word, or all of the new descriptor.
   * @param descriptor 64 bytes
   * @throws OUT_OF_SPACE if it was refused, and not stored, as a full copy-on-write file system does
   */
  publish(offset: number, descriptor: Uint8Array): Eventually<void>;

  /** Stores the aligned 8 bytes of a descriptor's first word, durable when this ends; a power failure leaves the old or the new ones. */
  publishWord(offset: number, word: bigint): Eventually<void>;

  /** Makes a range read as zeros, durably when this ends; it has its space then. @throws OUT_OF_SPACE if it lacked it and gets none */
  clear(offset: number, length: number): Eventually<void>;

  /** Whether the space of erased regions goes back to the file system, by `discard`. */
  readonly reclaims?: boolean;

  /** Makes a range read as zeros, durably when this ends, and gives its space to the file system; absent where that is never asked for. */
  discard?(offset: number, length: number): Eventually<void>;

  /**
   * Gives a range of free space that is zeros its space, durably when this ends.
   * @throws OUT_OF_SPACE if there is none to be had, whatever the reason; then it has taken none
   */
  allocate(offset: number, length: number): Eventually<void>;

  /**
   * The same for a range behind the capacity. It reads as zeros then, whatever stood there.
   * @throws OUT_OF_SPACE
   */
  grow(offset: number, length: number): Eventually<void>;

  /**
   * Whether all of a range is zeros that was never stored to; absent where nobody but the pool can have stored something. Holes are not
   * read where the file system tells of them.
   */
  isZero?(offset: number, length: number): Promise<boolean>;

  /** Whether free space may lack space on the file system when the pool is opened. */
  readonly isSparse?: boolean;

  /** What the file system has left; absent, or nothing, where nobody knows. Waits for it on the thread pool. */
  space?(): Promise<MediumSpace | undefined>;

  /**
   * Refuses once the medium has failed, before anything is taken that could not be given back; absent where it cannot fail.
   * @throws READ_ONLY
   */
  checkSound?(): void;

  /**
   * Looks whether the medium is still what was opened, and not cut off, or another one in its place; absent where nobody can change it.
   * @throws READ_ONLY from then on if it is not
   */
  look?(): Promise<void>;

  /**
   * Refuses changes from now on, as nobody knows what is stored; absent where the medium does so by itself, or cannot.
   * @returns the error of all changes
   */
  fail?(why: string, cause: unknown): Error;

  /** The range as memory, without a copy; absent where the medium is no memory. */
  map?(offset: number, length: number): Uint8Array[];

  /** Whether loads and stores are those of memory: `read`, `write` and `storeDurably` of up to 1 MiB are done when they return. */
  readonly isDirect?: boolean;

  /** Gives everything back; nothing is called after it. Everything acknowledged is durable already. */
  close(): Eventually<void>;
}

/** What there is for a pool to grow into. */
export interface MediumSpace {
  /** Bytes that the process may still take of the file system. */
  readonly freeBytes: number;
  /** The pool's file, to name the file system by. */
  readonly path: string;
}

export interface MediumRange {
  readonly offset: number;
  readonly size: number;
}
