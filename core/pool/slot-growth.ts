/**
 * Gives a pool more slots, in chunks of descriptors (chunk-directory.ts has their format and the
 * write order). The pool makes sure that calls come one at a time.
 */
import { BedrockError } from '../base/errors.js';
import type { SlotTable } from '../targets/slot-table.js';
import {
  chunkLength,
  MAX_CHUNK_COUNT,
  MAX_CHUNKS,
  MIN_CHUNK_COUNT,
  nextChunkCount,
  slotsOf,
} from './chunk-directory.js';
import { DESCRIPTOR_BYTES, formatChunk } from './descriptor.js';
import type { HeaderStore } from './header-store.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import type { PoolSpace } from './pool-space.js';
import { isOutOfSpace } from './read-back.js';

export class SlotGrowth {
  constructor(
    private readonly medium: PoolMedium,
    private readonly headers: HeaderStore,
    private readonly table: SlotTable,
    private readonly space: PoolSpace,
  ) {}

  get #header(): PoolHeader {
    return this.headers.current;
  }

  /** Whether more slots would take only a small part of the free space. */
  get hasRoom(): boolean {
    const { chunks, alignment } = this.#header;
    const count = nextChunkCount(chunks);
    return count > 0 && chunkLength(count, alignment) <= this.space.freeBytes / 16;
  }

  /**
   * Adds slots until there is one with this number. An ID may ask for any number, so the slots and
   * `length` more bytes must fit before the first is added.
   */
  async addTo(slot: number, length = 0): Promise<void> {
    const missing = slot + 1 - this.table.slots;
    if (missing <= 0) return;
    await this.space.ask();
    const bytes = missing * DESCRIPTOR_BYTES + length;
    const most = (MAX_CHUNKS - this.#header.chunks.length) * MAX_CHUNK_COUNT;
    if (missing > most || bytes > this.space.freeBytes) return this.space.refuse(bytes);
    while (this.table.slots <= slot) await this.add();
  }

  /** Formats more slots. When they are durable, names them in the header. */
  async add(): Promise<void> {
    const { chunks, alignment } = this.#header;
    for (let count = nextChunkCount(chunks); ; count = Math.floor(count / 2)) {
      const length = chunkLength(count, alignment);
      if (count === 0) throw this.#outOfSlots('a pool has no more of them');
      await this.space.giveBackWithheld();
      try {
        const offset = await this.space.take(length);
        await this.#storeChunk(offset, length, count);
        return;
      } catch (error) {
        // A pool that is nearly full, or fragmented, may still have room for a smaller one.
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
      await this.medium.writeDurably(offset, formatChunk(count, firstSlot, this.#header));
      await this.headers.change({ chunks: [...chunks, { offset, firstSlot, count }] }, () =>
        this.table.addSlots(count),
      );
    } catch (error) {
      // If a header that failed may name the chunk after all, its space stays taken.
      if (this.headers.isUncertain) this.space.withhold(offset, length);
      else this.space.freeUnclean(offset, length);
      throw error;
    }
  }

  /** The error when slots are missing, not the region's own bytes: it may have none. */
  #outOfSlots(why: string, cause?: unknown): BedrockError {
    const { freeBytes: free, largestFreeBytes: largestFree, capacityBytes, usedBytes: used } = this.space;
    return new BedrockError(
      'OUT_OF_SPACE',
      `no slot is free for one more region: all ${this.table.slots} are taken, and ${why}; of ${capacityBytes} bytes ${used} are used and ` +
        `${free} free, ${largestFree} of them in one piece`,
      { details: { requested: 0, used, free, largestFree }, ...(cause !== undefined && { cause }) },
    );
  }
}
