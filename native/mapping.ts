/**
 * A mapped file. Offsets and lengths are in bytes, offsets from the start of the file.
 *
 * The medium determines how a store is made durable. On persistent memory, processor caches are
 * flushed: this takes less than a microsecond and is done when the call returns. On any other
 * medium, msync(2) writes the pages on the thread pool: this takes as long as the disk does. So a
 * method that makes something durable returns undefined in the first case and a promise in the
 * second. `await` works for both.
 *
 * Only the addon checks arguments. It returns a status, and mapping-faults.ts makes an error from
 * it. So the checks are in one place, and the hot path is one call.
 */
import { BedrockError } from '../core/base/errors.js';
import { addon } from './addon.js';
import { type MappingBinding, type Outcome, type PlatformAttributes, Slot, Status } from './binding.js';
import { invalidArgument, isSize, show, systemError } from './errors.js';
import { closedFault, copyFault, faultOf, lostFault, readOnlyFault } from './mapping-faults.js';
import { MsyncGroup, type MsyncMeter } from './msync-group.js';
import { type ByteRange, spanOf, toPairs } from './ranges.js';
import { StoreList } from './store-list.js';

/**
 * `pmem-forced`: PMEM_IS_PMEM_FORCE=1 was set; nothing survives a power failure unless the file
 * really is on persistent memory.
 */
export type MappingMode = 'pmem' | 'pmem-forced' | 'msync';

/** Undefined: already durable. A promise: durable when it resolves. */
export type Durable = Promise<void> | undefined;

/** Properties of one mapping and of the machine. */
export interface MappingAttributes extends PlatformAttributes {
  /** Whether the file is on persistent memory. */
  readonly isPmem: boolean;
  /** How stores are made durable. */
  readonly mode: MappingMode;
}

/** Windows start every 2 GiB and span 4 GiB, so every range of up to 2 GiB lies within one of them. */
export const WINDOW_STRIDE = 2 ** 31;
/** Bytes of a window; the last window of a file may be shorter. */
export const WINDOW_SPAN = 2 ** 32;

/**
 * A file that is mapped into memory. Offsets and lengths are in bytes, offsets from the start of
 * the file.
 */
export class Mapping {
  /** Its path, as given to `mapFile`. */
  readonly path: string;
  /** Size of the mapping, bytes. */
  readonly size: number;
  /**
   * Whether the file is on persistent memory, so that a cache flush makes stores durable.
   * Determined once, when the file was mapped.
   */
  readonly isPmem: boolean;
  /** How stores are made durable. */
  readonly mode: MappingMode;
  /**
   * Whether methods that store or make durable fail with READ_ONLY, and a store through a window
   * stays in this process.
   */
  readonly isReadOnly: boolean;
  /** Number of windows. */
  readonly windowCount: number;

  readonly #native: MappingBinding;
  /** Offset, length and a third number, for the addon. */
  readonly #slots: Float64Array;
  readonly #windows = new Map<number, Uint8Array>();
  /** Window 0, for `load`. */
  #firstWindow: Uint8Array | undefined;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #msyncs = new MsyncGroup((offset, length) => this.msyncAsync(offset, length));
  /** On a disk: the range that was flushed but not yet drained. */
  #pendingStart = Infinity;
  #pendingEnd = 0;
  #closing: Promise<void> | undefined;

  private constructor(path: string, binding: MappingBinding) {
    this.path = path;
    this.size = binding.size;
    this.isPmem = binding.isPmem;
    this.mode = binding.isPmem ? (binding.isForced ? 'pmem-forced' : 'pmem') : 'msync';
    this.isReadOnly = binding.isReadOnly;
    this.windowCount = Math.max(1, Math.ceil(binding.size / WINDOW_STRIDE));
    this.#native = binding;
    this.#slots = new Float64Array(binding.slots);
  }

  /** @internal `mapFile` makes them. */
  static of(path: string, binding: MappingBinding): Mapping {
    return new Mapping(path, binding);
  }

  /** @internal Has the msyncs measured that callers share; there are none on persistent memory. */
  measureWith(meter: MsyncMeter): void {
    this.#msyncs.meter = meter;
  }

  /** True until `close` is called. */
  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /**
   * Whether a page was touched that the system could not provide: because the file was truncated, a
   * copy-on-write file system was full, or the memory had an error. From then on every call fails
   * with EIO. By then windows show zeros in such pages, and stores to them are lost. So check this
   * after loads from a window or stores to it.
   */
  get isLost(): boolean {
    return this.#slots[Slot.lost] !== 0;
  }

  /** Properties of the machine, of libpmem and of this file. May be called after `close`. */
  attributes(): MappingAttributes {
    return { ...addon.attributes(), isPmem: this.isPmem, mode: this.mode };
  }

  // Windows: the mapped memory itself

  /**
   * Window `index`: 4 GiB from index * 2 GiB, or up to the end of the file. Always the same array.
   * A store to it is visible to everyone at once, and durable after `persist`. After `close` its
   * length is 0, and stores to it are lost.
   * @throws OUT_OF_RANGE, INVALID_ARGUMENT, MAPPING_CLOSED, EIO (lost pages)
   */
  window(index: number): Uint8Array {
    if (this.isLost) throw lostFault(this, 'window');
    const known = this.#windows.get(index);
    if (known !== undefined && this.isOpen) return known;
    const buffer = this.#native.window(index);
    if (typeof buffer !== 'number') {
      const window = new Uint8Array(buffer);
      this.#windows.set(index, window);
      return window;
    }
    if (buffer === Status.outOfRange) {
      throw new BedrockError('OUT_OF_RANGE', `window ${index} of a mapping that has ${this.windowCount}`);
    }
    throw buffer === Status.closed
      ? closedFault(this)
      : invalidArgument(`a window's index cannot be ${show(index)}`);
  }

  /**
   * A range as a part of a window, without a copy.
   * @param length up to 2 GiB anywhere, up to 4 GiB from a multiple of 2 GiB
   * @throws OUT_OF_RANGE, INVALID_ARGUMENT, MAPPING_CLOSED, EIO (lost pages), NOT_SUPPORTED if no
   *   window contains the whole range
   */
  view(offset: number, length: number): Uint8Array {
    if (!isSize(offset) || !isSize(length)) throw faultOf(this, Status.invalid, 'view', offset, length);
    if (!this.isOpen) throw closedFault(this);
    if (offset + length > this.size) throw faultOf(this, Status.outOfRange, 'view', offset, length);
    // The end of the mapping may be the start of a window that does not exist.
    const index = Math.min(Math.floor(offset / WINDOW_STRIDE), this.windowCount - 1);
    const start = offset - index * WINDOW_STRIDE;
    if (start + length > WINDOW_SPAN) {
      throw new BedrockError(
        'NOT_SUPPORTED',
        `a view of ${length} bytes at ${offset} spans more than a window; take several`,
      );
    }
    return this.window(index).subarray(start, start + length);
  }

  /**
   * Copies `length` bytes at `offset` to `at` in an array, by a loop: for a few bytes this takes
   * less time than a view. Check `isLost` after it.
   * @throws as `view`, INVALID_ARGUMENT and OUT_OF_RANGE for the array too
   */
  load(offset: number, into: Uint8Array, at: number, length: number): void {
    if (!isSize(offset) || !isSize(length)) throw faultOf(this, Status.invalid, 'load', offset, length);
    if (!isBytes(into)) throw invalidArgument(`into must be a Uint8Array, not ${show(into)}`);
    if (!isSize(at)) throw invalidArgument(`at must be a whole number, not ${show(at)}`);
    if (at + length > into.length)
      throw new BedrockError(
        'OUT_OF_RANGE',
        `${length} bytes from ${at} on exceed an array of ${into.length}`,
      );
    let window = this.#firstWindow;
    let from = offset;
    if (window === undefined || !this.isOpen || offset + length > window.length) {
      window = this.view(offset, length);
      from = 0;
      if (offset + length <= WINDOW_STRIDE) this.#firstWindow = this.window(0);
    }
    for (let index = 0; index < length; index++) into[at + index] = window[from + index] as number;
  }

  // Stores

  /**
   * Copies `length` bytes of `source` to `offset` and makes them durable (pmem_memcpy_persist(3)).
   * Source and destination may overlap. Not atomic: after a power failure during the copy, any part
   * of it may be there.
   * @throws OUT_OF_RANGE, INVALID_ARGUMENT, MAPPING_CLOSED, EIO (lost pages); on a disk the promise
   *   rejects with EIO, ENOSPC…
   */
  copyPersist(
    offset: number,
    source: Uint8Array,
    sourceOffset = 0,
    length = rest(source, sourceOffset),
  ): Durable {
    this.#put(offset, length, isBytes(source) ? sourceOffset : NaN);
    const outcome = this.#native.copyPersist(source);
    if (outcome === undefined) return undefined;
    if (outcome === Status.unsynced) return this.#msyncs.over(offset, length);
    throw copyFault(this, outcome, offset, source, sourceOffset, length);
  }

  /**
   * Like `copyPersist`, but durable after the next `drain` (pmem_memcpy(3) with
   * PMEM_F_MEM_NODRAIN): for many copies with one drain.
   */
  copy(offset: number, source: Uint8Array, sourceOffset = 0, length = rest(source, sourceOffset)): void {
    this.#put(offset, length, isBytes(source) ? sourceOffset : NaN);
    const outcome = this.#native.copy(source);
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw copyFault(this, outcome, offset, source, sourceOffset, length);
  }

  /** Fills a range with one byte and makes it durable (pmem_memset_persist(3)). */
  fillPersist(offset: number, length: number, value = 0): Durable {
    this.#put(offset, length, value);
    return this.#settle(this.#native.fillPersist(), 'fill', offset, length, value);
  }

  /** Like `fillPersist`, but durable after the next `drain` (pmem_memset(3) with PMEM_F_MEM_NODRAIN). */
  fill(offset: number, length: number, value = 0): void {
    this.#put(offset, length, value);
    const outcome = this.#native.fill();
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw faultOf(this, outcome, 'fill', offset, length, value);
  }

  /**
   * Stores 8 bytes with one store, little-endian (as is every machine that Node.js runs on), and
   * makes them durable. After a power failure, persistent memory holds the old value or the new
   * one. A disk guarantees the same within a sector.
   * @param offset a multiple of 8
   * @param value from 0 to 2^64 - 1
   */
  storePersist64(offset: number, value: bigint): Durable {
    this.#put(offset, 8);
    const outcome = this.#native.storePersist64(value);
    if (outcome === undefined) return undefined;
    if (outcome === Status.unsynced) return this.#msyncs.over(offset, 8);
    throw this.#wordFault(outcome, offset, value);
  }

  /** The same, durable after the next `drain`. @throws as storePersist64 */
  store64(offset: number, value: bigint): void {
    this.#put(offset, 8);
    const outcome = this.#native.store64(value);
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, 8);
    throw this.#wordFault(outcome, offset, value);
  }

  #wordFault(outcome: number, offset: number, value: unknown): Error {
    if (outcome === Status.invalid && isSize(offset))
      return invalidArgument(`value must be a bigint from 0 to 2^64 - 1, not ${show(value)}`);
    return faultOf(this, outcome, 'store', offset, 8);
  }

  /** Loads the 8 bytes that storePersist64 stores. @param offset a multiple of 8 */
  load64(offset: number): bigint {
    this.#put(offset, 8);
    const value = this.#native.load64();
    if (typeof value === 'bigint') return value;
    throw faultOf(this, value, 'load', offset, 8);
  }

  /** @internal A list of stores to this mapping, which must be persistent memory. */
  storeList(): StoreList {
    return new StoreList((bytes, length) => {
      this.#put(0, length);
      const outcome = this.#native.carryOut(bytes);
      if (outcome === undefined) return;
      if (outcome === Status.invalid)
        throw invalidArgument('the list has a store that is none of persistent memory');
      throw faultOf(this, outcome, 'list of stores', 0, length);
    });
  }

  // Making stores durable

  /** Makes the stores to a range durable (pmem_persist(3), or msync(2)). */
  persist(offset: number, length: number): Durable {
    this.#put(offset, length);
    const outcome = this.#native.persist();
    if (outcome === undefined) return undefined;
    return this.#settle(outcome, 'persist', offset, length);
  }

  /**
   * Makes many ranges durable with one drain (pmem_flush(3) for each, then pmem_drain(3)); on a
   * disk with one msync that spans them all.
   * @param ranges {offset, size} objects, or, faster, a Float64Array of alternating offsets and sizes
   * @param count how many ranges of the Float64Array to use. Default: all
   */
  persistRanges(ranges: Float64Array | readonly ByteRange[], count?: number): Durable {
    const pairs = toPairs(ranges);
    const used = count === undefined ? pairs.length / 2 : count;
    const outcome = this.#native.persistRanges(pairs, used);
    if (outcome === undefined) return undefined;
    if (outcome === Status.unsynced) {
      const span = spanOf(pairs, used);
      return span.size === 0 ? undefined : this.#msyncs.over(span.offset, span.size);
    }
    if (outcome === Status.closed) throw closedFault(this);
    if (outcome === Status.readOnly) throw readOnlyFault(this);
    if (outcome === Status.lost) throw lostFault(this, 'persist');
    if (!isSize(used) || used > pairs.length / 2) {
      throw invalidArgument(`count must be a whole number up to ${pairs.length / 2}, not ${show(used)}`);
    }
    for (let i = 0; i < used; i++) {
      const [offset, size] = [pairs[2 * i] ?? NaN, pairs[2 * i + 1] ?? NaN];
      if (!isSize(offset) || !isSize(size)) throw faultOf(this, Status.invalid, 'persist', offset, size);
      if (offset + size > this.size) throw faultOf(this, Status.outOfRange, 'persist', offset, size);
    }
    throw invalidArgument('the ranges changed while they were read');
  }

  /** Starts to make a range durable; it is durable after the next `drain` (pmem_flush(3)). */
  flush(offset: number, length: number): void {
    this.#put(offset, length);
    const outcome = this.#native.flush();
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw faultOf(this, outcome, 'flush', offset, length);
  }

  /**
   * Makes everything durable that was flushed, copied or filled before (pmem_drain(3); on a disk
   * one msync that spans it all).
   */
  drain(): Durable {
    const outcome = this.#native.drain();
    if (outcome === undefined) return undefined;
    if (outcome !== Status.unsynced) throw faultOf(this, outcome, 'drain', 0, 0);
    if (this.#pendingEnd === 0) return undefined;
    const [start, end] = [this.#pendingStart, this.#pendingEnd];
    this.#pendingStart = Infinity;
    this.#pendingEnd = 0;
    return this.#msyncs.over(start, end - start);
  }

  // On the thread pool

  /** msync(2) of the range, on any medium (pmem_msync(3)). */
  msyncAsync(offset: number, length: number): Promise<void> {
    return this.#start('msync', offset, length, this.#native.msyncAsync(offset, length));
  }

  /** Like `persist`, for ranges that are so large that a flush would block the event loop. */
  persistAsync(offset: number, length: number): Promise<void> {
    return this.#start('persist', offset, length, this.#native.persistAsync(offset, length));
  }

  /**
   * Like `persist`, down to the medium's most reliable domain (pmem_deep_persist(3)); far slower.
   * On a disk the same as msync.
   */
  deepPersistAsync(offset: number, length: number): Promise<void> {
    return this.#start('persist', offset, length, this.#native.deepPersistAsync(offset, length));
  }

  /** Like `fillPersist`, for large ranges. */
  fillAsync(offset: number, length: number, value = 0): Promise<void> {
    return this.#start('fill', offset, length, this.#native.fillAsync(offset, length, value), value);
  }

  /** Like `crc32c`, for large ranges. */
  crc32cAsync(offset: number, length: number, seed = 0): Promise<number> {
    return this.#start('checksum', offset, length, this.#native.crc32cAsync(offset, length, seed), seed);
  }

  // The rest

  /**
   * msync(2) on this thread. It blocks the event loop until the disk has the bytes, which may take
   * seconds. For programs that have nothing else to do.
   */
  msyncBlocking(offset: number, length: number): void {
    let outcome: Outcome;
    try {
      outcome = this.#native.msyncBlocking(offset, length);
    } catch (error) {
      throw systemError(error, 'msync', this.path);
    }
    if (outcome !== undefined) throw faultOf(this, outcome, 'msync', offset, length);
  }

  /** CRC32C of a range. @param seed the checksum of the preceding bytes, to continue from */
  crc32c(offset: number, length: number, seed = 0): number {
    this.#put(offset, length, seed);
    const crc = this.#native.crc32c();
    if (crc < 0) throw faultOf(this, -crc, 'checksum', offset, length, seed);
    return crc;
  }

  /**
   * Ends the mapping. New calls are refused and windows are emptied at once. Resolves when the work
   * in flight has ended and the file is released. Makes nothing durable by itself. May be called
   * again.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    // These were accepted already, so they must begin before the addon refuses.
    this.#msyncs.start();
    const closed = this.#native.close();
    await Promise.allSettled([...this.#inFlight, closed]);
  }

  /** Passes numbers to the addon. Other values must not become numbers: null would be 0 in the array. */
  #put(offset: unknown, length: unknown, third: unknown = 0): void {
    const slots = this.#slots;
    slots[Slot.offset] = typeof offset === 'number' ? offset : NaN;
    slots[Slot.length] = typeof length === 'number' ? length : NaN;
    slots[Slot.third] = typeof third === 'number' ? third : NaN;
  }

  /** On a disk, records what the next drain has to cover. */
  #note(offset: number, length: number): void {
    if (length === 0) return;
    this.#pendingStart = Math.min(this.#pendingStart, offset);
    this.#pendingEnd = Math.max(this.#pendingEnd, offset + length);
  }

  #settle(outcome: Outcome, what: string, offset: number, length: number, value?: number): Durable {
    if (outcome === undefined) return undefined;
    if (outcome !== Status.unsynced) throw faultOf(this, outcome, what, offset, length, value);
    return length === 0 ? undefined : this.#msyncs.over(offset, length);
  }

  async #start<T>(
    what: string,
    offset: number,
    length: number,
    begun: Promise<T> | number,
    value?: number,
  ): Promise<T> {
    if (typeof begun === 'number') throw faultOf(this, begun, what, offset, length, value);
    this.#inFlight.add(begun);
    try {
      return await begun;
    } catch (error) {
      throw systemError(error, what, this.path);
    } finally {
      this.#inFlight.delete(begun);
    }
  }
}

/**
 * The addon would accept other typed arrays as bytes. Not instanceof alone: an array may come from
 * another realm.
 */
function isBytes(source: Uint8Array): boolean {
  return source instanceof Uint8Array || (source as Uint8Array | null | undefined)?.BYTES_PER_ELEMENT === 1;
}

/** Bytes of a source from an offset on. NaN if it is not a source; the addon then refuses it. */
function rest(source: Uint8Array | undefined, offset: number): number {
  const size = (source as { length?: number } | null | undefined)?.length;
  return typeof size === 'number' && typeof offset === 'number' ? Math.max(0, size - offset) : NaN;
}
