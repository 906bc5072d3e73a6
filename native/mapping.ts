/**
 * A mapped file. Offsets and lengths are bytes, counted from the start of the file.
 *
 * What makes a store durable depends on the medium, so it is chosen here: on persistent memory processor caches are flushed, which
 * takes less than a microsecond and is done when the call returns; on anything else the pages are written by msync(2) on the thread
 * pool, which takes as long as the disk does. A method that makes something durable therefore returns undefined in the first case
 * and a promise in the second; `await` does the right thing with both.
 *
 * The addon alone checks arguments; it answers with a number, and mapping-faults.ts makes the error of it. That keeps the checks in one place
 * and the hot path at one call.
 */
import { BedrockError } from '../core/base/errors.js';
import { addon } from './addon.js';
import { type MappingBinding, type Outcome, type PlatformAttributes, Slot, Status } from './binding.js';
import { invalidArgument, isSize, show, systemError } from './errors.js';
import { closedFault, copyFault, faultOf, lostFault, readOnlyFault } from './mapping-faults.js';
import { MsyncGroup } from './msync-group.js';
import { type ByteRange, spanOf, toPairs } from './ranges.js';

/** `pmem-forced`: PMEM_IS_PMEM_FORCE=1 was set; nothing survives a power failure unless the file is on persistent memory indeed. */
export type MappingMode = 'pmem' | 'pmem-forced' | 'msync';

/** Durable already, or when the promise resolves. */
export type Durable = Promise<void> | undefined;

export interface MappingAttributes extends PlatformAttributes {
  readonly isPmem: boolean;
  readonly mode: MappingMode;
}

/** Windows start every 2 GiB and span 4, so every range of up to 2 GiB lies within one of them. */
export const WINDOW_STRIDE = 2 ** 31;
export const WINDOW_SPAN = 2 ** 32;

export class Mapping {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Whether the file lies on persistent memory, so that flushing caches makes stores durable; asked once, when it was mapped. */
  readonly isPmem: boolean;
  readonly mode: MappingMode;
  /** Whether what stores, or makes durable, is refused with READ_ONLY, and a store through a window stays in this process. */
  readonly isReadOnly: boolean;
  /** How many windows there are. */
  readonly windowCount: number;

  readonly #native: MappingBinding;
  /** Where the addon finds offset, length and a third number. */
  readonly #slots: Float64Array;
  readonly #windows = new Map<number, Uint8Array>();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #msyncs = new MsyncGroup((offset, length) => this.msyncAsync(offset, length));
  /** On a disk: what was flushed and not yet drained. */
  #pendingStart = Infinity;
  #pendingEnd = 0;
  #closing: Promise<void> | undefined;

  /** @internal mapFile makes them. */
  constructor(path: string, binding: MappingBinding) {
    this.path = path;
    this.size = binding.size;
    this.isPmem = binding.isPmem;
    this.mode = binding.isPmem ? (binding.isForced ? 'pmem-forced' : 'pmem') : 'msync';
    this.isReadOnly = binding.isReadOnly;
    this.windowCount = Math.max(1, Math.ceil(binding.size / WINDOW_STRIDE));
    this.#native = binding;
    this.#slots = new Float64Array(binding.slots);
  }

  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  /**
   * Whether a page was met that the system could not give: the file was cut off, a copy-on-write file system was full, the memory had an
   * error. Then every call is refused with EIO, by which time windows show zeros in such pages, and what was stored there is gone. So
   * whoever loads from a window or stores into it asks this afterwards.
   */
  get isLost(): boolean {
    return this.#slots[Slot.lost] !== 0;
  }

  attributes(): MappingAttributes {
    return { ...addon.attributes(), isPmem: this.isPmem, mode: this.mode };
  }

  // Windows: the mapped memory itself

  /**
   * Window `index`: the bytes from index * 2 GiB, 4 GiB of them or up to the end. Always the same array. What is stored there is
   * visible to everybody at once and durable after `persist`. When the mapping is closed its length is 0, and stores go nowhere.
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
   * A range as part of a window: no copy.
   * @param length up to 2 GiB anywhere, up to 4 GiB from a multiple of 2 GiB
   * @throws OUT_OF_RANGE, INVALID_ARGUMENT, MAPPING_CLOSED, EIO (lost pages), NOT_SUPPORTED if no window holds all of the range
   */
  view(offset: number, length: number): Uint8Array {
    if (!isSize(offset) || !isSize(length)) throw faultOf(this, Status.invalid, 'view', offset, length);
    if (!this.isOpen) throw closedFault(this);
    if (offset + length > this.size) throw faultOf(this, Status.outOfRange, 'view', offset, length);
    // The end of a mapping may be the start of a window that is not there.
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

  // Stores

  /**
   * Copies `length` bytes of `source` to `offset` and makes them durable (pmem_memcpy_persist(3)). Source and destination may
   * overlap. Not atomic: of a copy that a power failure interrupts, any part may be there.
   * @throws OUT_OF_RANGE, INVALID_ARGUMENT, MAPPING_CLOSED, EIO (lost pages); on a disk the promise rejects with EIO, ENOSPC…
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

  /** The same, durable after the next `drain` (pmem_memcpy(3) with PMEM_F_MEM_NODRAIN): for many copies with one drain. */
  copy(offset: number, source: Uint8Array, sourceOffset = 0, length = rest(source, sourceOffset)): void {
    this.#put(offset, length, isBytes(source) ? sourceOffset : NaN);
    const outcome = this.#native.copy(source);
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw copyFault(this, outcome, offset, source, sourceOffset, length);
  }

  /** Sets a range to one byte and makes it durable (pmem_memset_persist(3)). */
  fillPersist(offset: number, length: number, value = 0): Durable {
    this.#put(offset, length, value);
    return this.#settle(this.#native.fillPersist(), 'fill', offset, length, value);
  }

  /** The same, durable after the next `drain` (pmem_memset(3) with PMEM_F_MEM_NODRAIN). */
  fill(offset: number, length: number, value = 0): void {
    this.#put(offset, length, value);
    const outcome = this.#native.fill();
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw faultOf(this, outcome, 'fill', offset, length, value);
  }

  /**
   * Stores 8 bytes, little-endian on every machine that Node runs on, by one store, and makes them durable. After a power failure
   * persistent memory holds the old value or the new one, nothing in between; a disk promises that within a sector.
   * @param offset a multiple of 8
   * @param value from 0 to 2^64 - 1
   */
  storePersist64(offset: number, value: bigint): Durable {
    this.#put(offset, 8);
    const outcome = this.#native.storePersist64(value);
    if (outcome === undefined) return undefined;
    if (outcome === Status.unsynced) return this.#msyncs.over(offset, 8);
    if (outcome === Status.invalid && isSize(offset)) {
      throw invalidArgument(`value must be a bigint from 0 to 2^64 - 1, not ${show(value)}`);
    }
    throw faultOf(this, outcome, 'store', offset, 8);
  }

  /** The 8 bytes that storePersist64 stores. @param offset a multiple of 8 */
  load64(offset: number): bigint {
    this.#put(offset, 8);
    const value = this.#native.load64();
    if (typeof value === 'bigint') return value;
    throw faultOf(this, value, 'load', offset, 8);
  }

  // Making stores durable

  /** What was stored in the range is durable (pmem_persist(3), else msync(2)). */
  persist(offset: number, length: number): Durable {
    this.#put(offset, length);
    const outcome = this.#native.persist();
    if (outcome === undefined) return undefined;
    return this.#settle(outcome, 'persist', offset, length);
  }

  /**
   * Many ranges, one drain (pmem_flush(3) for each, then pmem_drain(3)); on a disk one msync that spans them all.
   * @param ranges {offset, size} objects, or, faster, a Float64Array of offset and size in turn
   * @param count how many ranges of a Float64Array, all unless told
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

  /** Starts making a range durable; it is after the next `drain` (pmem_flush(3)). */
  flush(offset: number, length: number): void {
    this.#put(offset, length);
    const outcome = this.#native.flush();
    if (outcome === undefined) return;
    if (outcome === Status.unsynced) return this.#note(offset, length);
    throw faultOf(this, outcome, 'flush', offset, length);
  }

  /** Everything that was flushed, copied or filled before is durable (pmem_drain(3); on a disk one msync that spans it all). */
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

  /** msync(2) of the range alone, whatever the medium (pmem_msync(3)). */
  msyncAsync(offset: number, length: number): Promise<void> {
    return this.#start('msync', offset, length, this.#native.msyncAsync(offset, length));
  }

  /** As `persist`: for so many bytes that flushing them would hold up the event loop. */
  persistAsync(offset: number, length: number): Promise<void> {
    return this.#start('persist', offset, length, this.#native.persistAsync(offset, length));
  }

  /** As `persist`, down to the medium's most reliable domain (pmem_deep_persist(3)); far slower. On a disk the same as msync. */
  deepPersistAsync(offset: number, length: number): Promise<void> {
    return this.#start('persist', offset, length, this.#native.deepPersistAsync(offset, length));
  }

  /** As `fillPersist`, for many bytes. */
  fillAsync(offset: number, length: number, value = 0): Promise<void> {
    return this.#start('fill', offset, length, this.#native.fillAsync(offset, length, value), value);
  }

  /** As `crc32c`, for many bytes. */
  crc32cAsync(offset: number, length: number, seed = 0): Promise<number> {
    return this.#start('checksum', offset, length, this.#native.crc32cAsync(offset, length, seed), seed);
  }

  // The rest

  /**
   * msync(2) on this thread: nothing else runs here until the disk has the bytes, which may take seconds. For programs that have
   * nothing else to do.
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

  /** CRC32C of a range. @param seed the checksum of the bytes before, to go on from */
  crc32c(offset: number, length: number, seed = 0): number {
    this.#put(offset, length, seed);
    const crc = this.#native.crc32c();
    if (crc < 0) throw faultOf(this, -crc, 'checksum', offset, length, seed);
    return crc;
  }

  /**
   * Ends the mapping: refuses calls and empties windows at once, and resolves when what is in flight has ended and the file is let
   * go of. Makes nothing durable that was not asked to be. May be called again.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    // Accepted already, so they must begin before the addon refuses.
    this.#msyncs.start();
    const closed = this.#native.close();
    await Promise.allSettled([...this.#inFlight, closed]);
  }

  /** Gives the addon its numbers. What is no number must not become one: null would be 0 in the array. */
  #put(offset: unknown, length: unknown, third: unknown = 0): void {
    const slots = this.#slots;
    slots[Slot.offset] = typeof offset === 'number' ? offset : NaN;
    slots[Slot.length] = typeof length === 'number' ? length : NaN;
    slots[Slot.third] = typeof third === 'number' ? third : NaN;
  }

  /** On a disk, notes what the next drain has to cover. */
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

/** The addon takes other typed arrays for bytes. Not instanceof alone: an array may come from another realm. */
function isBytes(source: Uint8Array): boolean {
  return source instanceof Uint8Array || (source as Uint8Array | null | undefined)?.BYTES_PER_ELEMENT === 1;
}

/** What a source holds from an offset on; no number for what is no source, which the addon then refuses. */
function rest(source: Uint8Array | undefined, offset: number): number {
  const size = (source as { length?: number } | null | undefined)?.length;
  return typeof size === 'number' && typeof offset === 'number' ? Math.max(0, size - offset) : NaN;
}
