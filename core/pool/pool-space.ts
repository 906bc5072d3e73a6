/**
 * The space of an open pool: what is free, what of that may be used as it is, how it grows, and what its file system has for it.
 *
 * - Free space reads as zeros, durably, so a region is made without touching its bytes. Only what recovery found free below freshFrom
 *   may hold bytes of a region that was never acknowledged, and what somebody else has stored above it: that stands in `#unclean` too, and is
 *   cleared when it is taken.
 * - Free space has its space on the medium, so a region that was made can be written. Only where the medium gives erased space back to its
 *   file system, or could not get all of it, some may lack it: that stands in `#unbacked` too, and gets it when it is taken.
 *
 * What may have to wait (`take`) runs one at a time, which is the pool's care; everything else ends at once where the medium does.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { Eventually } from '../targets/lifecycle.js';
import { type Extent, ExtentAllocator } from './extent-allocator.js';
import { alignDown } from './extent.js';
import { GiveBacks } from './give-backs.js';
import { Growth } from './growth.js';
import type { HeaderStore } from './header-store.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import { isOutOfSpace } from './read-back.js';

/** Space beyond freshFrom is taken in steps, as each costs two header writes. */
const FRESH_STEP_BYTES = 2 ** 24;

export interface SpaceState {
  medium: PoolMedium;
  headers: HeaderStore;
  /** Gaps that recovery found. */
  free: Iterable<Extent>;
  /** Most that the pool may grow to. */
  maxBytes: number;
  logger: Logger | undefined;
}

export class PoolSpace {
  /** Most that the pool may grow to. */
  readonly maxBytes: number;
  readonly #medium: PoolMedium;
  readonly #headers: HeaderStore;
  readonly #space: ExtentAllocator;
  /** The part of the free space that may not read as zeros. */
  readonly #unclean: ExtentAllocator;
  /** The part of it that may lack space on the medium. */
  readonly #unbacked: ExtentAllocator;
  readonly #logger: Logger | undefined;
  readonly #growth: Growth;
  readonly #giveBacks: GiveBacks;

  constructor({ medium, headers, free, maxBytes, logger }: SpaceState) {
    const header = headers.current;
    this.#medium = medium;
    this.#headers = headers;
    this.maxBytes = Math.max(header.capacity, alignDown(maxBytes, header.alignment));
    this.#space = new ExtentAllocator(header.alignment);
    this.#unclean = new ExtentAllocator(header.alignment);
    this.#unbacked = new ExtentAllocator(header.alignment);
    this.#logger = logger;
    this.#growth = new Growth(medium, logger);
    this.#giveBacks = new GiveBacks(
      {
        clear: ({ offset, length }) => this.clear(offset, length),
        take: ({ offset, length }) => this.freeCleared(offset, length),
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

  get #header(): PoolHeader {
    return this.#headers.current;
  }

  // ---- figures ----

  /** Bytes that the pool can hold: when it has grown as far as it may, or as far as its file system lets it. */
  get capacityBytes(): number {
    return this.usedBytes + this.freeBytes;
  }

  get usedBytes(): number {
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
    return this.maxBytes - this.#header.capacity;
  }

  /** Bytes of erased regions that are still to be given back. */
  get pendingBytes(): number {
    return this.#giveBacks.bytes;
  }

  get failedGiveBacks(): number {
    return this.#giveBacks.failed;
  }

  /** Asks the file system what it has left, on which the figures depend. */
  async ask(): Promise<void> {
    if (this.#growthLimitBytes > 0 || this.#unbacked.freeBytes > 0) await this.#growth.ask();
  }

  /** Ends what goes on by itself. */
  end(): Promise<void> {
    return this.#giveBacks.end();
  }

  // ---- taken ----

  /** Takes free space that may be used as it is. @returns -1 if what is free is not so, and somebody has to wait for it */
  takeNow(length: number): number {
    const offset = this.#space.allocate(length);
    if (offset < 0) return -1;
    if (offset + length <= this.#header.freshFrom && this.#isReady(offset, length)) return offset;
    this.#space.free(offset, length);
    return -1;
  }

  /** Takes space that reads as zeros, and that may be written. */
  async take(length: number, requested = length): Promise<number> {
    const offset = await this.#findSpace(length, requested);
    try {
      await this.#raiseFresh(offset + length);
      if (!this.#isReady(offset, length)) await this.#makeReady(offset, length);
    } catch (error) {
      this.#space.free(offset, length);
      return this.#refused(error, requested);
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
      try {
        if (needed > this.#growthLimitBytes) await this.refuse(requested);
        await this.#grow(needed, requested);
      } catch (error) {
        // Meanwhile others may have given back what they had.
        if (this.#space.largestFree < length) throw error;
      }
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
  async #makeReady(offset: number, length: number): Promise<void> {
    if (this.#isIn(this.#unclean, offset, length)) await this.#medium.clear(offset, length);
    else await this.#medium.allocate(offset, length);
    this.#unclean.reserve(offset, length);
    this.#unbacked.reserve(offset, length);
  }

  async #grow(needed: number, requested: number): Promise<void> {
    const { capacity, alignment } = this.#header;
    try {
      const length = await this.#growth.extend(capacity, {
        needed,
        most: this.#growthLimitBytes,
        alignment,
      });
      await this.#headers.change({ capacity: capacity + length }, () => this.#space.add(capacity, length));
    } catch (error) {
      return this.#refused(error, requested);
    }
  }

  #refused(error: unknown, requested: number): Promise<never> {
    if (!isOutOfSpace(error)) throw error;
    return this.refuse(requested, error);
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
    await this.#headers.change({ freshFrom: next }, () => {
      if (!isClean) this.#unclean.add(freshFrom, length);
    });
  }

  // ---- given back ----

  /** Gives back what was taken and not touched. */
  free(offset: number, length: number): void {
    this.#space.free(offset, length);
  }

  /** Gives back what may hold bytes now; it is cleared when it is taken. */
  freeUnclean(offset: number, length: number): void {
    this.#unclean.add(offset, length);
    this.#space.free(offset, length);
  }

  /** Makes the space of a region that has ended zeros; `freeCleared` or `freeLater` follows. */
  clear(offset: number, length: number): Eventually<void> {
    const medium = this.#medium;
    if (medium.reclaims !== true || medium.discard === undefined) return medium.clear(offset, length);
    return medium.discard(offset, length);
  }

  freeCleared(offset: number, length: number): void {
    this.#space.free(offset, length);
    if (this.#medium.reclaims === true) this.#unbacked.add(offset, length);
  }

  /** Takes what could not be cleared; it is tried again. */
  freeLater(extent: Extent, error: unknown): void {
    this.#giveBacks.add(extent, error);
  }

  // ---- refused ----

  /** @throws OUT_OF_SPACE, with figures that the file system was asked for now */
  async refuse(requested: number, cause?: unknown): Promise<never> {
    await this.ask();
    throw this.#outOfSpace(requested, cause);
  }

  #outOfSpace(requested: number, cause: unknown): BedrockError {
    const { freeBytes: free, largestFreeBytes: largestFree, capacityBytes } = this;
    const used = this.usedBytes;
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
}
