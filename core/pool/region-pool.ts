/**
 * A region pool on a medium: recovery, space, descriptors. What is stored in which order stands here; how, is the medium's.
 *
 * What it keeps true, beside the orders of docs/pool-format.md:
 *
 * - Free space reads as zeros, durably, so a region is made without touching its bytes. Only what recovery found free below freshFrom
 *   may hold bytes of a region that was never acknowledged, and what somebody else has stored above it: that stands in `#unclean` too, and is
 *   cleared when it is taken.
 * - Free space has its space on the medium, so a region that was made can be written. Only where the medium gives erased space back to its
 *   file system, or could not get all of it, some may lack it: that stands in `#unbacked` too, and gets it when it is taken.
 * - What may have to wait (more space, more slots, a higher freshFrom) runs one at a time; everything else ends at once where the
 *   medium does.
 */
import type { Eventually } from '../target/lifecycle.js';
import { BedrockError, messageOf } from '../errors.js';
import type { Logger } from '../logging.js';
import { idTaken } from '../target/importable-target.js';
import type { RegionId } from '../target/region-id.js';
import {
  MAX_CHUNKS,
  MAX_CHUNK_COUNT,
  MIN_CHUNK_COUNT,
  chunkLength,
  descriptorOffset,
  nextChunkCount,
  slotsOf,
} from './chunk-directory.js';
import {
  DESCRIPTOR_BYTES,
  DescriptorFields,
  MAX_GENERATION,
  decodeDescriptor,
  encodeDescriptor,
  formatChunk,
  wordZero,
} from './descriptor.js';
import { erasedDescriptors, erasedSlots } from './erased-slots.js';
import { ExtentAllocator } from './extent-allocator.js';
import { HEADERS_BYTES, HEADER_BYTES, alignDown, alignUp } from './extent.js';
import { GiveBacks } from './give-backs.js';
import { Growth } from './growth.js';
import type { HeaderCopy } from './header-choice.js';
import { decodeHeader, encodeHeader, type PoolHeader } from './header.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { SlotState, type SlotTable } from '../target/slot-table.js';

/** Space beyond freshFrom is taken in steps, as each costs two header writes. */
const FRESH_STEP_BYTES = 2 ** 24;

/** A free descriptor's word covers none of the others. */
const NO_BYTES = new Uint8Array(0);

/** Where a region lies; length 0 for one of no bytes. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

export interface NewSlot extends Extent {
  readonly slot: number;
}

export interface PoolState {
  medium: PoolMedium;
  header: PoolHeader;
  table: SlotTable;
  /** Gaps that recovery found. */
  free: Iterable<Extent>;
  /** Most that the pool may grow to. */
  maxBytes: number;
  logger?: Logger | undefined;
}

export class RegionPool {
  readonly #medium: PoolMedium;
  readonly #maxBytes: number;
  readonly #space: ExtentAllocator;
  /** The part of the free space that may not read as zeros. */
  readonly #unclean: ExtentAllocator;
  /** The part of it that may lack space on the medium. */
  readonly #unbacked: ExtentAllocator;
  readonly #logger: Logger | undefined;
  readonly #growth: Growth;
  readonly #giveBacks: GiveBacks;
  #header: PoolHeader;
  /** A descriptor on its way to the medium. */
  #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  /** Why a change of the header did not end. */
  #headerFailure: Error | undefined;
  /** The header that copy 1 lacks still, as the medium had no room for it. */
  #behind: Uint8Array | undefined;
  /** What waits for its turn to change space, slots or header. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly table: SlotTable;

  constructor({ medium, header, table, free, maxBytes, logger }: PoolState) {
    this.#medium = medium;
    this.#header = header;
    this.#maxBytes = Math.max(header.capacity, alignDown(maxBytes, header.alignment));
    this.table = table;
    this.#space = new ExtentAllocator(header.alignment);
    this.#unclean = new ExtentAllocator(header.alignment);
    this.#unbacked = new ExtentAllocator(header.alignment);
    this.#logger = logger;
    this.#growth = new Growth(medium, logger);
    this.#giveBacks = new GiveBacks(
      {
        clear: ({ offset, length }) => this.#clearErased(offset, length),
        take: ({ offset, length }) => this.#freeErased(offset, length),
      },
      logger,
    );
    for (const { offset, length } of free) {
      this.#space.add(offset, length);
      const unclean = Math.min(offset + length, header.freshFrom) - offset;
      if (unclean > 0) this.#unclean.add(offset, unclean);
      if (medium.isSparse === true) this.#unbacked.add(offset, length);
    }
  }

  get header(): PoolHeader {
    return this.#header;
  }

  /** Bytes that the pool can hold: when it has grown as far as it may, or as far as its file system lets it. */
  get capacityBytes(): number {
    return this.#usedBytes + this.freeBytes;
  }

  get #usedBytes(): number {
    return this.#header.capacity - this.#space.freeBytes;
  }

  get freeBytes(): number {
    const missing = Math.max(0, this.#unbacked.freeBytes - this.#growth.availableBytes);
    return this.#space.freeBytes - missing + this.#growthBytes;
  }

  /** The longest extent that there is, or that growing makes. */
  get largestFreeBytes(): number {
    const longest = Math.max(this.#space.largestFree, this.#atEndBytes);
    // Which of the extents lack space is not looked for here: so much can be had of any.
    const { availableBytes } = this.#growth;
    return this.#unbacked.freeBytes > availableBytes ? Math.min(longest, availableBytes) : longest;
  }

  /** What is free at the end, when the pool has grown as far as it can. */
  get #atEndBytes(): number {
    return this.#space.freeBefore(this.#header.capacity) + this.#growthBytes;
  }

  /** By which the pool may grow, and finds space to. */
  get #growthBytes(): number {
    const available = Math.max(0, this.#growth.availableBytes - this.#unbacked.freeBytes);
    return Math.min(this.#growthLimitBytes, alignDown(available, this.#header.alignment));
  }

  get #growthLimitBytes(): number {
    return this.#maxBytes - this.#header.capacity;
  }

  /** Bytes of erased regions that are still to be given back. */
  get pendingBytes(): number {
    return this.#giveBacks.bytes;
  }

  get failedGiveBacks(): number {
    return this.#giveBacks.failed;
  }

  /** Asks the file system what it has left, on which the figures depend. */
  async askForSpace(): Promise<void> {
    if (this.#growthLimitBytes > 0 || this.#unbacked.freeBytes > 0) await this.#growth.ask();
  }

  /** Ends what goes on by itself. */
  end(): Promise<void> {
    return this.#giveBacks.end();
  }

  /** Bytes of the extent of a region. */
  extentLength(size: number): number {
    return alignUp(size, this.#header.alignment);
  }

  // ---- regions ----

  /** Takes a slot and zeroed space. @throws OUT_OF_SPACE; then nothing has changed */
  allocate(size: number): Eventually<NewSlot> {
    // Also keeps the sums within the safe integers.
    if (size > this.#maxBytes) throw this.#outOfSpace(size);
    const length = this.extentLength(size);
    const offset = length === 0 ? 0 : this.#space.allocate(length);
    if (offset >= 0) {
      if (offset + length <= this.#header.freshFrom && this.#isReady(offset, length)) {
        const slot = this.table.takeFree();
        if (slot >= 0) return { slot, offset, length };
      }
      if (length > 0) this.#space.free(offset, length);
    }
    return this.#inTurn(() => this.#allocateSlowly(length, size));
  }

  /**
   * The same in the slot of an ID from elsewhere, with its generation.
   * @throws ID_TAKEN, INVALID_ARGUMENT, OUT_OF_SPACE (also for the slots that are missing below that of the ID)
   */
  allocateAs(id: RegionId, size: number): Promise<NewSlot> {
    const { slot, generation } = id;
    if (generation === 0 || generation > MAX_GENERATION) {
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `${id.toString()} has generation ${generation}; those of a pool go from 1 to ${MAX_GENERATION}`,
      );
    }
    if (size > this.#maxBytes) throw this.#outOfSpace(size);
    return this.#inTurn(async () => {
      const length = this.extentLength(size);
      await this.#addSlotsTo(slot, length);
      if (!this.table.take(slot, generation)) throw idTaken(id);
      try {
        const offset = length === 0 ? 0 : await this.#takeSpace(length, size);
        return { slot, offset, length };
      } catch (error) {
        this.table.giveBack(slot);
        throw error;
      }
    });
  }

  /** Makes sure that IDs of erased regions are never given out; durable when this ends. @throws ID_TAKEN, OUT_OF_SPACE */
  takeErased(ids: readonly RegionId[]): Promise<void> {
    const { table } = this;
    return this.#inTurn(async () => {
      await this.#addSlotsTo(ids.reduce((highest, { slot }) => Math.max(highest, slot), -1));
      const slots = erasedSlots(ids, table);
      for (const { slot, generation } of slots) table.take(slot, generation);
      try {
        const descriptors = erasedDescriptors(slots, this.#header, (slot) => this.#placeOf(slot));
        // All of them end before a slot is given back: a late one would overwrite the descriptor of the slot's next region.
        const stored = await Promise.allSettled(
          descriptors.map(async ({ offset, bytes }) => this.#medium.writeDurably(offset, bytes)),
        );
        for (const each of stored) if (each.status === 'rejected') throw each.reason;
      } finally {
        for (const { slot, generation } of slots) table.giveBack(slot, generation);
      }
    });
  }

  /**
   * Makes a region that was allocated, and perhaps written, findable; durable when this ends.
   * @param becameLive called in the step that makes the row live: from then on the region can be found, so its object must be there
   */
  publish<S extends NewSlot>(
    region: S,
    size: number,
    createdAt: number,
    becameLive?: (region: S) => void,
  ): Eventually<void> {
    const { slot, offset } = region;
    const { table } = this;
    const generation = table.generation(slot);
    const descriptor = this.#descriptor;
    encodeDescriptor(descriptor, 0, slot, this.#header, generation, offset, size, createdAt);
    const stored = this.#medium.publish(this.#placeOf(slot), descriptor);
    if (stored === undefined) {
      table.setLive(slot, generation, offset, size, createdAt);
      becameLive?.(region);
      return undefined;
    }
    // The medium may be reading it still.
    this.#descriptor = new Uint8Array(DESCRIPTOR_BYTES);
    return stored.then(
      () => {
        table.setLive(slot, generation, offset, size, createdAt);
        becameLive?.(region);
      },
      (error: unknown) => this.#unchanged(slot, 'free', error),
    );
  }

  /**
   * Ends a region, durably when this ends; its space stays taken until `release`.
   * @param becameErasing called in the step that takes the row out of the live ones
   */
  unpublish<R extends { readonly id: RegionId }>(
    region: R,
    becameErasing?: (region: R) => void,
  ): Eventually<void> {
    const { slot, generation } = region.id;
    const word = wordZero(NO_BYTES, 0, slot, this.#header, generation, false);
    const stored = this.#medium.publishWord(this.#placeOf(slot), word);
    if (stored === undefined) {
      this.table.setErasing(slot);
      becameErasing?.(region);
      return undefined;
    }
    return stored.then(
      () => {
        this.table.setErasing(slot);
        becameErasing?.(region);
      },
      (error: unknown) => this.#unchanged(slot, 'live', error),
    );
  }

  /**
   * After a descriptor could not be stored. One that the medium had no room for is as it was, and its region lives, or does not: recovery
   * would find the same, and it is asked. If anything else stands there, nobody knows what is durable.
   */
  async #unchanged(slot: number, before: 'free' | 'live', error: unknown): Promise<never> {
    if (!isOutOfSpace(error)) throw error;
    // What cannot be read back may be anything.
    const there = await this.#readBack(this.#placeOf(slot), DESCRIPTOR_BYTES);
    const state = there && decodeDescriptor(there, 0, slot, this.#header, new DescriptorFields());
    if (state === before) throw error;
    throw this.#medium.fail?.(`the descriptor of slot ${slot} was stored in part`, error) ?? error;
  }

  /** Gives back the slot and the space of a region that was never published, or is unpublished. Nobody may use it any more. */
  release(slot: NewSlot): Eventually<void> {
    const { offset, length } = slot;
    const state = this.table.state(slot.slot);
    if (state !== SlotState.erasing && state !== SlotState.taken)
      throw new BedrockError('INTERNAL', `slot ${slot.slot} is released, though nobody has it`);
    let cleared: Eventually<void>;
    try {
      cleared = length === 0 ? undefined : this.#clearErased(offset, length);
    } catch (error) {
      this.#giveBackLater(slot, error);
      return undefined;
    }
    if (cleared === undefined) {
      this.#giveBack(slot);
      return undefined;
    }
    return cleared.then(
      () => this.#giveBack(slot),
      (error: unknown) => this.#giveBackLater(slot, error),
    );
  }

  #giveBack(slot: NewSlot): void {
    // The table first: it refuses a slot that is somebody else's by now, and then the space is theirs too.
    this.#giveBackSlot(slot.slot);
    if (slot.length > 0) this.#freeErased(slot.offset, slot.length);
  }

  /** The slot needs no clearing. */
  #giveBackLater({ slot, offset, length }: NewSlot, error: unknown): void {
    this.#giveBackSlot(slot);
    this.#giveBacks.add({ offset, length }, error);
  }

  #giveBackSlot(slot: number): void {
    const { table } = this;
    if (table.state(slot) === SlotState.erasing) table.setFree(slot, table.generation(slot));
    else table.giveBack(slot);
  }

  #clearErased(offset: number, length: number): Eventually<void> {
    const medium = this.#medium;
    if (medium.reclaims !== true || medium.discard === undefined) return medium.clear(offset, length);
    return medium.discard(offset, length);
  }

  #freeErased(offset: number, length: number): void {
    this.#space.free(offset, length);
    if (this.#medium.reclaims === true) this.#unbacked.add(offset, length);
  }

  /** Offset of a slot's descriptor. */
  #placeOf(slot: number): number {
    return descriptorOffset(this.#header.chunks, slot);
  }

  // ---- space, slots, header: one at a time ----

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #allocateSlowly(length: number, size: number): Promise<NewSlot> {
    const offset = length === 0 ? 0 : await this.#takeSpace(length, size);
    try {
      for (;;) {
        const slot = this.table.takeFree();
        if (slot >= 0) return { slot, offset, length };
        // Creations that need not wait may take all its slots before this one goes on: then it needs another one.
        await this.#addChunk();
      }
    } catch (error) {
      if (length > 0) this.#space.free(offset, length);
      throw error;
    }
  }

  /** Takes space that reads as zeros, and that may be written. */
  async #takeSpace(length: number, requested = length): Promise<number> {
    const offset = await this.#findSpace(length, requested);
    try {
      await this.#raiseFresh(offset + length);
      if (!this.#isReady(offset, length)) await this.#makeReady(offset, length, requested);
    } catch (error) {
      this.#space.free(offset, length);
      throw error;
    }
    return offset;
  }

  async #findSpace(length: number, requested: number): Promise<number> {
    for (let hasRetried = false; ;) {
      const offset = this.#space.allocate(length);
      if (offset >= 0) return offset;
      if (!hasRetried && this.#giveBacks.bytes > 0) {
        await this.#giveBacks.retry();
        hasRetried = true;
        continue;
      }
      // What the file system has may be more by now.
      const needed = length - this.#space.freeBefore(this.#header.capacity);
      if (needed > this.#growthLimitBytes) throw this.#outOfSpace(requested);
      await this.#grow(needed, requested);
    }
  }

  /** Whether a free range is known to be zeros, and to have its space. */
  #isReady(offset: number, length: number): boolean {
    return !this.#isIn(this.#unclean, offset, length) && !this.#isIn(this.#unbacked, offset, length);
  }

  #isIn(part: ExtentAllocator, offset: number, length: number): boolean {
    return part.freeBytes > 0 && part.overlaps(offset, length);
  }

  /** Of a range that was taken, and is nobody else's. What was cleared has its space as well. */
  async #makeReady(offset: number, length: number, requested: number): Promise<void> {
    try {
      if (this.#isIn(this.#unclean, offset, length)) await this.#medium.clear(offset, length);
      else await this.#medium.allocate(offset, length);
    } catch (error) {
      throw this.#refused(error, requested);
    }
    this.#unclean.reserve(offset, length);
    this.#unbacked.reserve(offset, length);
  }

  async #grow(needed: number, requested: number): Promise<void> {
    const { capacity, alignment } = this.#header;
    const limits = { needed, most: this.#growthLimitBytes, alignment };
    const length = await this.#growth.extend(capacity, limits).catch((error: unknown) => {
      throw this.#refused(error, requested);
    });
    await this.#changeHeader({ capacity: capacity + length }, () => this.#space.add(capacity, length));
  }

  #refused(error: unknown, requested: number): unknown {
    return isOutOfSpace(error) ? this.#outOfSpace(requested, error) : error;
  }

  /** Before a byte beyond the durable mark is stored, the mark moves beyond it. */
  async #raiseFresh(end: number): Promise<void> {
    const { freshFrom, capacity } = this.#header;
    if (end <= freshFrom) return;
    const next = Math.min(capacity, Math.max(end, freshFrom + FRESH_STEP_BYTES));
    const length = next - freshFrom;
    // The pool has stored nothing there. Somebody else may have, as with a backup that was written over a newer pool, but for its holes.
    const isClean = (await this.#medium.isZero?.(freshFrom, length)) ?? true;
    if (!isClean)
      this.#logger?.warning(
        `bytes that are not zero stand from ${freshFrom} on, where the pool has stored nothing, as of a newer pool that a backup was ` +
          'written over; they become zeros before a region gets them',
      );
    await this.#changeHeader({ freshFrom: next }, () => {
      if (!isClean) this.#unclean.add(freshFrom, length);
    });
  }

  /**
   * Adds slots until there is one of this number. An ID may ask for any, so what they take must fit, beside `length` bytes more,
   * before the first is added.
   */
  async #addSlotsTo(slot: number, length = 0): Promise<void> {
    const missing = slot + 1 - this.table.slots;
    if (missing <= 0) return;
    const bytes = missing * DESCRIPTOR_BYTES + length;
    const most = (MAX_CHUNKS - this.#header.chunks.length) * MAX_CHUNK_COUNT;
    if (missing > most || bytes > this.freeBytes) throw this.#outOfSpace(bytes);
    while (this.table.slots <= slot) await this.#addChunk();
  }

  /** Formats more slots, and names them in the header once they are durable. */
  async #addChunk(): Promise<void> {
    const { chunks, alignment } = this.#header;
    for (let count = nextChunkCount(chunks); ; count = Math.floor(count / 2)) {
      const length = chunkLength(count, alignment);
      if (count === 0) throw this.#outOfSlots('a pool has no more of them');
      // Each try would keep the space of a chunk that no header can name.
      if (this.#headerFailure !== undefined) throw this.#headerFailure;
      try {
        const offset = await this.#takeSpace(length);
        await this.#storeChunk(offset, length, count);
        return;
      } catch (error) {
        // A pool that is nearly full, or scattered, may still have room for a smaller one.
        if (!isOutOfSpace(error)) throw error;
        if (count <= MIN_CHUNK_COUNT)
          throw this.#outOfSlots(`the descriptors of more take ${length} bytes in one piece`, error);
      }
    }
  }

  async #storeChunk(offset: number, length: number, count: number): Promise<void> {
    const { chunks } = this.#header;
    const firstSlot = slotsOf(chunks);
    try {
      await this.#medium.writeDurably(offset, formatChunk(count, firstSlot, this.#header));
      await this.#changeHeader({ chunks: [...chunks, { offset, firstSlot, count }] }, () =>
        this.table.addSlots(count),
      );
    } catch (error) {
      // If a header failed it may name the chunk all the same, so its space stays taken.
      if (!this.#isHeaderFinal()) {
        this.#unclean.add(offset, length);
        this.#space.free(offset, length);
      }
      throw error;
    }
  }

  /**
   * Copy 0, then copy 1, each durable before the next thing: one whole copy exists at every instant. A change counts once copy 0 is durable;
   * where there is no room for copy 1 then, it is made before the next change.
   * @param changed done in the step that puts the header into force, so that nobody sees a capacity without its space
   */
  async #changeHeader(change: Partial<PoolHeader>, changed?: () => void): Promise<void> {
    if (this.#headerFailure !== undefined) throw this.#headerFailure;
    await this.#medium.look?.();
    const before = this.#header;
    const header = { ...before, ...change, sequence: before.sequence + 1 };
    const bytes = encodeHeader(header);
    if (this.#behind !== undefined) {
      await this.#storeCopy(1, this.#behind, before.sequence - 1);
      this.#behind = undefined;
    }
    await this.#storeCopy(0, bytes, before.sequence);
    let isRefused = false;
    try {
      await this.#storeCopy(1, bytes, before.sequence);
    } catch (error) {
      if (!isOutOfSpace(error) || this.#isHeaderFinal()) throw error;
      isRefused = true;
    }
    if (isRefused) this.#behind = bytes;
    this.#header = header;
    changed?.();
  }

  /** Whether no change of the header is made any more; asked anew after each wait. */
  #isHeaderFinal(): boolean {
    return this.#headerFailure !== undefined;
  }

  /**
   * @param before sequence of the header that stands there
   * @throws OUT_OF_SPACE if that is still so; anything else is final
   */
  async #storeCopy(copy: HeaderCopy, bytes: Uint8Array, before: number): Promise<void> {
    const offset = copy * HEADER_BYTES;
    try {
      await this.#medium.writeDurably(offset, bytes);
    } catch (error) {
      if (isOutOfSpace(error) && (await this.#hasHeader(offset, before))) throw error;
      // The copy may be torn now, so the other must not be touched until recovery has made both whole.
      this.#headerFailure = error as Error;
      throw error;
    }
  }

  async #hasHeader(offset: number, sequence: number): Promise<boolean> {
    const there = await this.#readBack(offset, HEADER_BYTES);
    const decoded = there && decodeHeader(there);
    return decoded !== undefined && 'header' in decoded && decoded.header.sequence === sequence;
  }

  /** What stands somewhere after a store was refused; nothing if that cannot be read. */
  async #readBack(offset: number, length: number): Promise<Uint8Array | undefined> {
    const there = new Uint8Array(length);
    try {
      await this.#medium.read(offset, there);
      return there;
    } catch {
      return undefined;
    }
  }

  /** Makes the header durable with what recovery has corrected in it. */
  storeHeader(): Promise<void> {
    return this.#inTurn(() => this.#changeHeader({}));
  }

  /** Not for want of the region's own bytes, of which there may be none. */
  #outOfSlots(why: string, cause?: unknown): BedrockError {
    const { freeBytes: free, largestFreeBytes: largestFree, capacityBytes } = this;
    const used = capacityBytes - free;
    return new BedrockError(
      'OUT_OF_SPACE',
      `no slot is free for one more region: all ${this.table.slots} are taken, and ${why}; of ${capacityBytes} bytes ${used} are used and ` +
        `${free} free, ${largestFree} of them in one piece`,
      { details: { requested: 0, used, free, largestFree }, ...(cause !== undefined && { cause }) },
    );
  }

  #outOfSpace(requested: number, cause?: unknown): BedrockError {
    const { freeBytes: free, largestFreeBytes: largestFree, capacityBytes } = this;
    const used = this.#usedBytes;
    const figures = `${requested} bytes do not fit: of ${capacityBytes} bytes ${used} are used and ${free} free, ${largestFree} of them in one piece`;
    const isShort = this.#growthBytes < this.#growthLimitBytes || this.#unbacked.freeBytes > 0;
    const why = [
      cause !== undefined ? messageOf(cause) : isShort ? this.#growth.description : undefined,
      this.pendingBytes > 0 ? `${this.pendingBytes} of erased regions are to be given back still` : undefined,
    ].filter((reason) => reason !== undefined);
    return new BedrockError('OUT_OF_SPACE', [figures, ...why].join('; '), {
      details: { requested, used, free, largestFree },
      ...(cause !== undefined && { cause }),
    });
  }

  /** Makes durable what recovery has believed, so that no crash takes it back. */
  makeRecoveredDurable(): Eventually<void> {
    const ranges: MediumRange[] = [{ offset: 0, size: HEADERS_BYTES }];
    for (const { offset, count } of this.#header.chunks)
      ranges.push({ offset, size: count * DESCRIPTOR_BYTES });
    // A file that was cut off ends before some of them, or in their midst.
    const { size: end } = this.#medium;
    return this.#medium.persist(
      ranges
        .filter(({ offset }) => offset < end)
        .map(({ offset, size }) => ({ offset, size: Math.min(size, end - offset) })),
    );
  }
}

function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
