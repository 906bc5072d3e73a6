/**
 * A pool's file mapped into memory. On persistent memory, loads and stores are those of memory, and
 * a store is durable after a cache flush, within the call. On any other medium a page may have to
 * come from a disk, which the event loop must not wait for. There bytes go through read(2) and
 * write(2) on the thread pool, coherent with the mapping, and are durable after an msync, which all
 * waiting calls share. `mode` says which case it is. Views are of the mapping in both cases.
 *
 * On persistent memory, small stores that become durable later are collected (native/store-list.ts),
 * and carried out with the next barrier or publish: a put is one call of the addon. Whatever else
 * loads from the mapping or stores to it carries them out first, so nobody can tell.
 *
 * Space is allocated before it is mapped or promised. If the file is truncated under the mapping,
 * or the memory has an error, the mapping loses pages (native/mapping.ts). From then on the pool
 * refuses changes, and reads go through read(2), which reports what is there.
 */
import { setImmediate } from 'node:timers/promises';
import {
  BedrockError,
  FlushMeter,
  type MediumRange,
  type MediumSpace,
  type PoolFileIo,
  type PoolMedium,
  type TargetMode,
} from '../../core/index.js';
import type { Durable, Mapping, StoreList } from '../../native/index.js';

/** The layout of windows, see native/mapping.ts. */
const WINDOW_STRIDE = 2 ** 31;
const WINDOW_SPAN = 2 ** 32;

/**
 * Maximum work of a call at once. More goes to the thread pool, or is done in pieces with turns of
 * the event loop in between.
 */
const AT_ONCE_BYTES = 2 ** 20;
const MAPPED_PIECE_BYTES = 2 ** 22;
/** Fixed cost of a range, in bytes. */
const RANGE_BYTES = 128;
const WORD_BYTES = 8;
/** Larger stores are not collected. */
const COLLECTED_BYTES = 2 ** 10;
/** Up to here, copying by a loop takes less time than by a call. */
const LOOP_BYTES = 128;

const NEXT_TURN = Promise.resolve();

export interface PmemMediumOptions {
  io: PoolFileIo;
  mapping: Mapping;
  /** Whether a write is durable when it ends. */
  syncWrites: boolean;
}

export class PmemMedium implements PoolMedium {
  readonly size: number;
  /** On a disk, where callers share an msync. */
  readonly flushes: FlushMeter | undefined;
  readonly #io: PoolFileIo;
  readonly #mapping: Mapping;
  readonly #syncWrites: boolean;
  /** Shared by all that wait for the next drain. */
  #drained: Promise<void> | undefined;
  /** Stores that are still to be carried out; on persistent memory only. */
  readonly #stores: StoreList;
  /** Whether loads and stores are those of memory, as far as this thread knows: see `isDirect`. */
  #isDirect: boolean;

  constructor({ io, mapping, syncWrites }: PmemMediumOptions) {
    this.size = mapping.size;
    this.#io = io;
    this.#mapping = mapping;
    this.flushes = mapping.isPmem ? undefined : new FlushMeter();
    if (this.flushes !== undefined) mapping.measureWith(this.flushes);
    this.#syncWrites = syncWrites;
    this.#isDirect = mapping.isPmem;
    this.#stores = mapping.storeList();
  }

  get mode(): TargetMode {
    this.#noteLoss();
    return this.#io.isSound ? this.#mapping.mode : 'read-only';
  }

  read(offset: number, into: Uint8Array): undefined | Promise<void> {
    if (!this.isDirect) return this.#readCached(offset, into) ? undefined : this.readCarefully(offset, into);
    if (into.length > MAPPED_PIECE_BYTES) return this.#readInPieces(offset, into);
    this.#load(offset, into);
    return undefined;
  }

  readNow(offset: number, into: Uint8Array): boolean {
    // Another thread may have touched a lost page since the caller checked.
    if (!this.isDirect) return this.#readCached(offset, into);
    this.#load(offset, into);
    return true;
  }

  copyNow(offset: number, into: Uint8Array, at: number, size: number): boolean | undefined {
    if (size > LOOP_BYTES || !this.isDirect) return undefined;
    this.#carryOut();
    this.#mapping.load(offset, into, at, size);
    // The loads may have touched the first lost page.
    if (this.#mapping.isLost) throw this.#lost(offset, size, undefined);
    return true;
  }

  /**
   * From the page cache, which a mapping of a file on a disk shares. A load could wait for the disk
   * there, and no call tells whether it would: mincore(2) is out of date when it returns.
   */
  #readCached(offset: number, into: Uint8Array): boolean {
    return this.#io.readNow(offset, into);
  }

  #load(offset: number, into: Uint8Array): void {
    let refusal: unknown;
    this.#carryOut();
    try {
      into.set(this.#mapping.view(offset, into.length));
    } catch (error) {
      if (!this.#mapping.isLost) throw error;
      refusal = error;
    }
    // Checked after the copy, which may have touched the first lost page. Later reads go through read(2).
    if (this.#mapping.isLost) throw this.#lost(offset, into.length, refusal);
  }

  #lost(offset: number, size: number, refusal: unknown): BedrockError {
    return new BedrockError(
      'POOL_CORRUPT',
      `bytes of the pool are lost, perhaps of the ${size} at ${offset}`,
      { cause: this.#failed(refusal) },
    );
  }

  async #readInPieces(offset: number, given: Uint8Array): Promise<void> {
    // With a fixed length: the caller's array may grow between two pieces, and the range was checked before.
    const into = given.subarray(0, given.length);
    for (let at = 0; at < into.length; at += MAPPED_PIECE_BYTES) {
      if (at > 0) await setImmediate();
      if (!this.isDirect) return this.readCarefully(offset + at, into.subarray(at));
      this.#load(offset + at, into.subarray(at, at + MAPPED_PIECE_BYTES));
    }
  }

  /** With read(2): a cache line that the memory has lost is then an error, not the end of the process. */
  readCarefully(offset: number, into: Uint8Array): Promise<void> {
    this.#carryOut();
    return this.#io.read(offset, into);
  }

  write(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, this.#syncWrites);
    if (this.#syncWrites) return this.writeDurably(offset, bytes);
    if (bytes.length > MAPPED_PIECE_BYTES) {
      return this.#inPieces(bytes.length, (at, length) => this.#copy(offset + at, bytes, at, length));
    }
    this.#copy(offset, bytes);
    return undefined;
  }

  #copy(offset: number, bytes: Uint8Array, from = 0, length = bytes.length - from): void {
    this.#io.checkSound();
    this.#carryOut();
    try {
      this.#mapping.copy(offset, bytes, from, length);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * A store is in flight when it has left the processor's caches, and complete when a drain has
   * waited for it. Meanwhile others may store, and the caller's code may run. So a drain follows a
   * turn later, one for all stores since the last one.
   */
  storeDurably(offset: number, bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#mapping.isPmem || bytes.length > MAPPED_PIECE_BYTES) return undefined;
    this.#copy(offset, bytes);
    return (this.#drained ??= NEXT_TURN.then(this.#drain));
  }

  readonly #drain = (): void => {
    this.#drained = undefined;
    this.#drainNow();
  };

  stage(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#io.write(offset, bytes);
    if (bytes.length > MAPPED_PIECE_BYTES) {
      return this.#inPieces(bytes.length, (at, length) => this.#copy(offset + at, bytes, at, length));
    }
    if (bytes.length > COLLECTED_BYTES) this.#copy(offset, bytes);
    else this.#collect(bytes.length).copy(offset, bytes, 0, bytes.length);
    return undefined;
  }

  stageZeros(offset: number, length: number): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#io.write(offset, Buffer.alloc(length));
    this.#collect(0).zeros(offset, length);
    return undefined;
  }

  stageWord(offset: number, word: bigint): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#io.certainly(this.#io.write(offset, wordBytes(word)));
    this.#collect(WORD_BYTES).word(offset, word);
    return undefined;
  }

  /** The collected stores, with room for one more of so many bytes. @throws READ_ONLY */
  #collect(bytes: number): StoreList {
    this.#io.checkSound();
    if (!this.#stores.hasRoom(bytes)) this.#carryOut();
    return this.#stores;
  }

  /** Carries out the collected stores. */
  #carryOut(): void {
    if (this.#stores.length === 0) return;
    try {
      this.#stores.carryOut();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** A fence waits for all that this thread has flushed. */
  get publishesInOrder(): boolean {
    return this.#mapping.isPmem;
  }

  writeDurably(offset: number, bytes: Uint8Array): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#writeThrough(offset, bytes, true);
    if (bytes.length > MAPPED_PIECE_BYTES) {
      return this.#inPieces(bytes.length, (at, length) => this.#copyPersist(offset + at, bytes, at, length));
    }
    this.#copyPersist(offset, bytes);
    return undefined;
  }

  /** On persistent memory, so durable when it returns. */
  #copyPersist(offset: number, bytes: Uint8Array, from = 0, length = bytes.length - from): void {
    this.#io.checkSound();
    this.#carryOut();
    try {
      void this.#mapping.copyPersist(offset, bytes, from, length);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #drainNow(): void {
    if (this.#stores.length > 0) {
      this.#stores.drain();
      this.#carryOut();
      return;
    }
    try {
      // It waits for what this thread has flushed, and returns undefined on persistent memory.
      void this.#mapping.drain();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  async #writeThrough(offset: number, bytes: Uint8Array, isDurable: boolean): Promise<void> {
    const { length } = bytes;
    await this.#io.write(offset, bytes);
    if (isDurable) await this.#certainly(() => this.#mapping.persist(offset, length));
  }

  /**
   * The error of a step with the mapping: if pages are lost, the reason why changes are refused
   * from now on.
   */
  #failed(error: unknown): unknown {
    if (!this.#mapping.isLost) return error;
    this.#isDirect = false;
    return this.#io.failMapping(error);
  }

  /**
   * Waits until something is durable on a disk, and meanwhile checks that the file is still the one
   * that was opened: what is made durable was written before, so it is there or it is not.
   */
  async #certainly(step: () => Durable): Promise<void> {
    const stored = async (): Promise<void> => {
      try {
        await step();
      } catch (error) {
        throw this.#failed(error);
      }
    };
    await Promise.all([this.#io.certainly(stored()), this.#io.look()]);
  }

  async #inPieces(total: number, step: (at: number, length: number) => void): Promise<void> {
    for (let at = 0; at < total; at += MAPPED_PIECE_BYTES) {
      step(at, Math.min(MAPPED_PIECE_BYTES, total - at));
      await setImmediate();
    }
  }

  persist(ranges: readonly MediumRange[]): undefined | Promise<void> {
    this.#io.checkSound();
    this.#carryOut();
    const cost = ranges.reduce((sum, range) => sum + flushCost(range), 0);
    if (cost > AT_ONCE_BYTES)
      return this.#certainly(() =>
        this.#mapping.isPmem ? this.#persistInTurn(ranges) : this.#persistSpan(ranges),
      );
    if (!this.#mapping.isPmem) return this.#certainly(() => this.#mapping.persistRanges(ranges));
    try {
      void this.#mapping.persistRanges(ranges);
      return undefined;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /**
   * Flushes ranges one after another: small ones here, as many at once as a call may, and a large
   * one by a job of the thread pool.
   */
  async #persistInTurn(ranges: readonly MediumRange[]): Promise<void> {
    let small: MediumRange[] = [];
    let cost = 0;
    const flush = async (): Promise<void> => {
      void this.#mapping.persistRanges(small);
      small = [];
      cost = 0;
      await setImmediate();
    };
    for (const range of ranges) {
      const more = flushCost(range);
      if (cost + more > AT_ONCE_BYTES && small.length > 0) await flush();
      if (more > AT_ONCE_BYTES) {
        await this.#mapping.persistAsync(range.offset, range.size);
      } else {
        small.push(range);
        cost += more;
      }
    }
    if (small.length > 0) await flush();
  }

  /** One msync of all ranges and everything in between: clean pages cost nothing. */
  async #persistSpan(ranges: readonly MediumRange[]): Promise<void> {
    let start = Infinity;
    let end = 0;
    for (const { offset, size } of ranges) {
      start = Math.min(start, offset);
      end = Math.max(end, offset + size);
    }
    await this.#mapping.persistAsync(start, end - start);
  }

  barrier(): undefined | Promise<void> {
    this.#io.checkSound();
    if (!this.#mapping.isPmem) return this.#io.commit();
    this.#drainNow();
    return undefined;
  }

  publish(offset: number, descriptor: Uint8Array): undefined | Promise<void> {
    // A descriptor lies within a sector, which is written as a whole, so no order is needed.
    if (!this.#mapping.isPmem) return this.#io.certainly(this.#writeThrough(offset, descriptor, true));
    const { length } = descriptor;
    const stores = this.#collect(length);
    stores.copy(offset + WORD_BYTES, descriptor, WORD_BYTES, length - WORD_BYTES);
    stores.drain();
    stores.wordOf(offset, descriptor);
    stores.drain();
    this.#carryOut();
    return undefined;
  }

  publishWord(offset: number, word: bigint): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#io.certainly(this.#writeThrough(offset, wordBytes(word), true));
    const stores = this.#collect(WORD_BYTES);
    stores.word(offset, word);
    stores.drain();
    this.#carryOut();
    return undefined;
  }

  clear(offset: number, length: number): undefined | Promise<void> {
    if (!this.#mapping.isPmem) return this.#clearThrough(offset, length);
    this.#io.checkSound();
    this.#carryOut();
    if (length > AT_ONCE_BYTES) return this.#certainly(() => this.#mapping.fillAsync(offset, length, 0));
    try {
      void this.#mapping.fillPersist(offset, length, 0);
      return undefined;
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** With write(2), which a copy-on-write file system without space refuses; a store would lose the page. */
  async #clearThrough(offset: number, length: number): Promise<void> {
    await this.#io.space.zero(offset, length);
    await this.#certainly(() => this.#mapping.persistAsync(offset, length));
  }

  allocate(offset: number, length: number): Promise<void> {
    return this.#io.space.allocate(offset, length);
  }

  grow(offset: number, length: number): Promise<void> {
    return this.#io.space.grow(offset, length);
  }

  isZero(offset: number, length: number): Promise<boolean> {
    return this.#io.space.isZero(offset, length);
  }

  space(): Promise<MediumSpace | undefined> {
    return this.#io.space.left();
  }

  get isDirect(): boolean {
    this.#noteLoss();
    return this.#isDirect;
  }

  /**
   * Pages may have been lost to others: to a window of a user, or on another thread whose call may
   * not have ended yet. From then on reads go through read(2), even if the pool already refuses
   * changes.
   */
  #noteLoss(): void {
    if (this.#mapping.isLost && (this.#isDirect || this.#io.isSound)) this.#failed(undefined);
  }

  map(offset: number, length: number): Uint8Array[] {
    this.#carryOut();
    const views: Uint8Array[] = [];
    for (let at = offset; at < offset + length;) {
      const windowEnd = Math.floor(at / WINDOW_STRIDE) * WINDOW_STRIDE + WINDOW_SPAN;
      const end = Math.min(offset + length, windowEnd);
      try {
        views.push(this.#mapping.view(at, end - at));
      } catch (error) {
        throw this.#failed(error);
      }
      at = end;
    }
    return views;
  }

  look(): Promise<void> {
    this.#noteLoss();
    return this.#io.look();
  }

  opened(): void {
    this.#io.opened();
  }

  fail(why: string, cause: unknown): Error {
    return this.#io.fail(why, cause);
  }

  checkSound(): void {
    this.#io.checkSound();
  }

  async close(): Promise<void> {
    // A barrier has carried out all stores that count.
    try {
      await this.#mapping.close();
    } finally {
      await this.#io.close();
    }
  }
}

/** Cost of flushing a range, expressed in bytes of a long one: at least a cache line, and the call. */
function flushCost({ size }: MediumRange): number {
  return size + RANGE_BYTES;
}

function wordBytes(word: bigint): Buffer {
  const bytes = Buffer.alloc(WORD_BYTES);
  bytes.writeBigUInt64LE(word);
  return bytes;
}
