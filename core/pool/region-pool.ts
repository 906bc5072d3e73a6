/**
 * A region pool on a medium: regions, slots and descriptors. What is stored in which order stands here, as docs/pool-format.md has it; how, is the
 * medium's. What may have to wait (more space, more slots, a higher freshFrom) runs one at a time; everything else ends at once where the medium
 * does.
 */
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RegionId } from '../contract/region-id.js';
import { idTaken } from '../targets/importable-target.js';
import type { Eventually } from '../targets/lifecycle.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import {
  chunkLength,
  descriptorOffset,
  MAX_CHUNK_COUNT,
  MAX_CHUNKS,
  MIN_CHUNK_COUNT,
  nextChunkCount,
  slotsOf,
} from './chunk-directory.js';
import {
  decodeDescriptor,
  DESCRIPTOR_BYTES,
  DescriptorFields,
  encodeDescriptor,
  formatChunk,
  MAX_GENERATION,
  wordZero,
} from './descriptor.js';
import { erasedDescriptors, erasedSlots } from './erased-slots.js';
import { alignUp, HEADERS_BYTES } from './extent.js';
import { HeaderStore } from './header-store.js';
import type { PoolHeader } from './header.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { PoolSpace } from './pool-space.js';
import { isOutOfSpace, readBack } from './read-back.js';

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
  readonly #headers: HeaderStore;
  /** A descriptor on its way to the medium. */
  #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  /** What waits for its turn to change space, slots or header. */
  #turn: Promise<unknown> = Promise.resolve();

  readonly table: SlotTable;
  readonly space: PoolSpace;

  constructor({ medium, header, table, free, maxBytes, logger }: PoolState) {
    this.#medium = medium;
    this.#headers = new HeaderStore(medium, header);
    this.table = table;
    this.space = new PoolSpace({ medium, headers: this.#headers, free, maxBytes, logger });
  }

  get header(): PoolHeader {
    return this.#headers.current;
  }

  /** Bytes of the extent of a region. */
  extentLength(size: number): number {
    return alignUp(size, this.header.alignment);
  }

  // ---- regions ----

  /** Takes a slot and zeroed space. @throws OUT_OF_SPACE; then nothing has changed */
  allocate(size: number): Eventually<NewSlot> {
    // Also keeps the sums within the safe integers.
    if (size > this.space.maxBytes) return this.space.refuse(size);
    const length = this.extentLength(size);
    const offset = length === 0 ? 0 : this.space.takeNow(length);
    if (offset >= 0) {
      const slot = this.table.takeFree();
      if (slot >= 0) return { slot, offset, length };
      if (length > 0) this.space.free(offset, length);
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
    if (size > this.space.maxBytes) return this.space.refuse(size);
    return this.#inTurn(async () => {
      const length = this.extentLength(size);
      await this.#addSlotsTo(slot, length);
      if (!this.table.take(slot, generation)) throw idTaken(id);
      try {
        const offset = length === 0 ? 0 : await this.space.take(length, size);
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
        const descriptors = erasedDescriptors(slots, this.header, (slot) => this.#placeOf(slot));
        // All of them end before a slot is given back: a late one would overwrite the descriptor of the slot's next region.
        const stored = await Promise.allSettled(
          descriptors.map(async ({ offset, bytes }) => this.#medium.writeDurably(offset, bytes)),
        );
        for (const each of stored) if (each.status === 'rejected') throw each.reason;
      } catch (error) {
        // With the generation of before: who asks again must not be told of what was never stored.
        for (const { slot } of slots) table.giveBack(slot);
        throw error;
      }
      for (const { slot, generation } of slots) table.giveBack(slot, generation);
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
    encodeDescriptor(descriptor, 0, slot, this.header, generation, offset, size, createdAt);
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
    const word = wordZero(NO_BYTES, 0, slot, this.header, generation, false);
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
    const there = await readBack(this.#medium, this.#placeOf(slot), DESCRIPTOR_BYTES);
    const state = there && decodeDescriptor(there, 0, slot, this.header, new DescriptorFields());
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
      cleared = length === 0 ? undefined : this.space.clear(offset, length);
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
    if (slot.length > 0) this.space.freeCleared(slot.offset, slot.length);
  }

  /** The slot needs no clearing. */
  #giveBackLater({ slot, offset, length }: NewSlot, error: unknown): void {
    this.#giveBackSlot(slot);
    this.space.freeLater({ offset, length }, error);
  }

  #giveBackSlot(slot: number): void {
    const { table } = this;
    if (table.state(slot) === SlotState.erasing) table.setFree(slot, table.generation(slot));
    else table.giveBack(slot);
  }

  /** Offset of a slot's descriptor. */
  #placeOf(slot: number): number {
    return descriptorOffset(this.header.chunks, slot);
  }

  // ---- one at a time ----

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #allocateSlowly(length: number, size: number): Promise<NewSlot> {
    const offset = length === 0 ? 0 : await this.space.take(length, size);
    try {
      for (;;) {
        const slot = this.table.takeFree();
        if (slot >= 0) return { slot, offset, length };
        // Creations that need not wait may take all its slots before this one goes on: then it needs another one.
        await this.#addChunk();
      }
    } catch (error) {
      if (length > 0) this.space.free(offset, length);
      throw error;
    }
  }

  /**
   * Adds slots until there is one of this number. An ID may ask for any, so what they take must fit, beside `length` bytes more,
   * before the first is added.
   */
  async #addSlotsTo(slot: number, length = 0): Promise<void> {
    const missing = slot + 1 - this.table.slots;
    if (missing <= 0) return;
    await this.space.ask();
    const bytes = missing * DESCRIPTOR_BYTES + length;
    const most = (MAX_CHUNKS - this.header.chunks.length) * MAX_CHUNK_COUNT;
    if (missing > most || bytes > this.space.freeBytes) return this.space.refuse(bytes);
    while (this.table.slots <= slot) await this.#addChunk();
  }

  /** Formats more slots, and names them in the header once they are durable. */
  async #addChunk(): Promise<void> {
    const { chunks, alignment } = this.header;
    for (let count = nextChunkCount(chunks); ; count = Math.floor(count / 2)) {
      const length = chunkLength(count, alignment);
      if (count === 0) throw this.#outOfSlots('a pool has no more of them');
      // Each try would keep the space of a chunk that no header can name.
      this.#headers.checkChangeable();
      try {
        const offset = await this.space.take(length);
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
    const { chunks } = this.header;
    const firstSlot = slotsOf(chunks);
    try {
      await this.#medium.writeDurably(offset, formatChunk(count, firstSlot, this.header));
      await this.#headers.change({ chunks: [...chunks, { offset, firstSlot, count }] }, () =>
        this.table.addSlots(count),
      );
    } catch (error) {
      // If a header failed it may name the chunk all the same, so its space stays taken.
      if (!this.#headers.isFinal()) this.space.freeUnclean(offset, length);
      throw error;
    }
  }

  /** Makes the header durable with what recovery has corrected in it. */
  storeHeader(): Promise<void> {
    return this.#inTurn(() => this.#headers.change({}));
  }

  /** Not for want of the region's own bytes, of which there may be none. */
  #outOfSlots(why: string, cause?: unknown): BedrockError {
    const { freeBytes: free, largestFreeBytes: largestFree, capacityBytes, usedBytes: used } = this.space;
    return new BedrockError(
      'OUT_OF_SPACE',
      `no slot is free for one more region: all ${this.table.slots} are taken, and ${why}; of ${capacityBytes} bytes ${used} are used and ` +
        `${free} free, ${largestFree} of them in one piece`,
      { details: { requested: 0, used, free, largestFree }, ...(cause !== undefined && { cause }) },
    );
  }

  /** Makes durable what recovery has believed, so that no crash takes it back. */
  makeRecoveredDurable(): Eventually<void> {
    const ranges: MediumRange[] = [{ offset: 0, size: HEADERS_BYTES }];
    for (const { offset, count } of this.header.chunks)
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
