/**
 * The space of an open pool: what is free, which of that can be used without preparation, how the
 * pool grows, and what its file system can give.
 *
 * - Free space reads as zeros, durably, so a region is made without touching its bytes. There are
 *   two exceptions: space below freshFrom that recovery found free may hold bytes of a region that
 *   was never acknowledged, and somebody else may have stored bytes above it. Such space is in
 *   `#unclean` too, and is cleared when it is taken.
 * - Free space is backed by space on the medium, so a region that was made can be written. Only if
 *   the medium gives erased space back to its file system, or could not get all of it, some may
 *   lack it. Such space is in `#unbacked` too, and gets it when it is taken.
 *
 * The pool makes sure that calls that may wait (`take`) run one at a time. Everything else ends at
 * once if the medium does.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { Eventually } from '../targets/lifecycle.js';
import { type Extent, ExtentAllocator } from './extent-allocator.js';
import { alignDown } from './extent.js';
import { FreeExtents } from './free-extents.js';
import { GiveBacks } from './give-backs.js';
import { Growth } from './growth.js';
import type { HeaderStore } from './header-store.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import { isOutOfSpace } from './read-back.js';

/** Space beyond freshFrom is taken in steps of this size, as each costs two header writes. */
const FRESH_STEP_BYTES = 2 ** 24;

export interface SpaceState {
  medium: PoolMedium;
  headers: HeaderStore;
  /** Gaps that recovery found. */
  free: Iterable<Extent>;
  /** The most bytes that the pool may grow to. */
  maxBytes: number;
  logger: Logger | undefined;
  /** Gives back space that is kept for the next regions. Called when there is too little. */
  giveBackSpares: () => void;
}

export class PoolSpace {
  /** The most bytes that the pool may grow to. */
  readonly maxBytes: number;
  readonly #medium: PoolMedium;
  readonly #headers: HeaderStore;
  readonly #space: ExtentAllocator;
  /** The part of the free space that may not read as zeros. */
  readonly #unclean: ExtentAllocator;
  /** The part of the free space that may lack space on the medium. */
  readonly #unbacked: ExtentAllocator;
  readonly #logger: Logger | undefined;
  readonly #giveBackSpares: () => void;
  readonly #growth: Growth;
  readonly #giveBacks: GiveBacks;
  /** Space that a refused header may name. */
  #withheld: Extent[] = [];

  constructor({ medium, headers, free, maxBytes, logger, giveBackSpares }: SpaceState) {
    const header = headers.current;
    this.#medium = medium;
    this.#headers = headers;
    this.maxBytes = Math.max(header.capacity, alignDown(maxBytes, header.alignment));
    this.#space = new ExtentAllocator(header.alignment);
    this.#unclean = new ExtentAllocator(header.alignment);
    this.#unbacked = new ExtentAllocator(header.alignment);
    this.#logger = logger;
    this.#giveBackSpares = giveBackSpares;
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

  /** Bytes that the pool can hold when it has grown to its limit, or as far as its file system allows. */
  get capacityBytes(): number {
    return this.usedBytes + this.freeBytes;
  }

  /** The first free extents after an offset, at most `most`, in order. */
  freeAfter(offset: number, most: number): FreeExtents {
    const list = new FreeExtents(most);
    this.#space.after(offset, most, list);
    return list;
  }

  get usedBytes(): number {
    return this.#header.capacity - this.#space.freeBytes;
  }

  get freeBytes(): number {
    const missing = Math.max(0, this.#unbacked.freeBytes - this.#growth.availableBytes);
    return this.#space.freeBytes - missing + this.#growthBytes;
  }

  /** How many free extents there are. */
  get freeExtents(): number {
    return this.#space.extents;
  }

  /** The longest extent, now or after growing. */
  get largestFreeBytes(): number {
    const longest = Math.max(this.#space.largestFree, this.#atEndBytes);
    // This does not check which extents lack space on the medium: any of them can get this much.
    const { availableBytes } = this.#growth;
    return this.#unbacked.freeBytes > availableBytes ? Math.min(longest, availableBytes) : longest;
  }

  /** The free space at the end after the pool has grown as far as it can. */
  get #atEndBytes(): number {
    return this.#space.freeBefore(this.#header.capacity) + this.#growthBytes;
  }

  /** By how much the pool may grow, if there is space for it. */
  get #growthBytes(): number {
    const available = Math.max(0, this.#growth.availableBytes - this.#unbacked.freeBytes);
    return Math.min(this.#growthLimitBytes, alignDown(available, this.#header.alignment));
  }

  get #growthLimitBytes(): number {
    return this.maxBytes - this.#header.capacity;
  }

  /**
   * Bytes that count as used and belong to nobody: space of erased regions that is still to be
   * given back, and withheld space.
   */
  get pendingBytes(): number {
    return this.#giveBacks.bytes + this.#withheld.reduce((sum, { length }) => sum + length, 0);
  }

  get failedGiveBacks(): number {
    return this.#giveBacks.failed;
  }

  /** Asks the file system for its free space, on which the figures depend. */
  async ask(): Promise<void> {
    if (this.#growthLimitBytes > 0 || this.#unbacked.freeBytes > 0) await this.#growth.ask();
  }

  /** Stops the work in the background. */
  end(): Promise<void> {
    return this.#giveBacks.end();
  }

  // ---- taking ----

  /**
   * Takes free space that can be used without preparation.
   * @returns -1 if there is none, and the caller has to wait
   */
  takeNow(length: number): number {
    const offset = this.#space.allocate(length);
    if (offset < 0) return -1;
    if (offset + length <= this.#header.freshFrom && this.#isReady(offset, length)) return offset;
    this.#space.free(offset, length);
    return -1;
  }

  /** Takes space that reads as zeros and can be written. */
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
      let offset = this.#space.allocate(length);
      if (offset < 0) {
        this.#giveBackSpares();
        offset = this.#space.allocate(length);
      }
      if (offset >= 0) return offset;
      if (!hasRetried && this.#giveBacks.bytes > 0) {
        await this.#giveBacks.retry();
        hasRetried = true;
        continue;
      }
      // The file system may have more free space by now.
      const needed = length - this.#space.freeBefore(this.#header.capacity);
      try {
        if (needed > this.#growthLimitBytes) await this.refuse(requested);
        await this.#grow(needed, requested);
      } catch (error) {
        // Others may have given space back meanwhile.
        if (this.#space.largestFree < length) throw error;
      }
    }
  }

  /** Whether a free range is known to be zeros, and to have its space on the medium. */
  #isReady(offset: number, length: number): boolean {
    return !this.#isIn(this.#unclean, offset, length) && !this.#isIn(this.#unbacked, offset, length);
  }

  #isIn(part: ExtentAllocator, offset: number, length: number): boolean {
    return part.freeBytes > 0 && part.overlaps(offset, length);
  }

  /** Prepares a range that was taken. A range that was cleared has its space as well. */
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

  /** Moves the durable mark before a byte beyond it is stored. */
  async #raiseFresh(end: number): Promise<void> {
    const { freshFrom, capacity } = this.#header;
    if (end <= freshFrom) return;
    const next = Math.min(capacity, Math.max(end, freshFrom + FRESH_STEP_BYTES));
    const length = next - freshFrom;
    // The pool has stored nothing there. Somebody else may have, for example by restoring a backup,
    // without its holes, over a newer pool.
    const isClean = (await this.#medium.isZero?.(freshFrom, length)) ?? true;
    if (!isClean)
      this.#logger?.warning(
        `there are bytes that are not zero from ${freshFrom} on, where the pool has stored nothing, such as those of a newer pool that a backup was ` +
          'written over; they become zeros before a region gets them',
      );
    await this.#headers.change({ freshFrom: next }, () => {
      if (!isClean) this.#unclean.add(freshFrom, length);
    });
  }

  // ---- giving back ----

  /** Gives back space that was taken and not touched. */
  free(offset: number, length: number): void {
    this.#space.free(offset, length);
  }

  /** Gives back space that may hold bytes. It is cleared when it is taken. */
  freeUnclean(offset: number, length: number): void {
    this.#unclean.add(offset, length);
    this.#space.free(offset, length);
  }

  /** Keeps taken space out of use until `giveBackWithheld`, since a refused header may name it. */
  withhold(offset: number, length: number): void {
    this.#withheld.push({ offset, length });
  }

  /**
   * Called before space is taken that a header will name: otherwise each try could withhold some.
   * @throws as `settle` of the headers
   */
  async giveBackWithheld(): Promise<void> {
    await this.#headers.settle();
    for (const { offset, length } of this.#withheld.splice(0)) this.freeUnclean(offset, length);
  }

  /** Clears the space of a region that has ended. `freeCleared` or `freeLater` follows. */
  clear(offset: number, length: number): Eventually<void> {
    const medium = this.#medium;
    if (medium.reclaims !== true || medium.discard === undefined) return medium.clear(offset, length);
    return medium.discard(offset, length);
  }

  freeCleared(offset: number, length: number): void {
    this.#space.free(offset, length);
    if (this.#medium.reclaims === true) this.#unbacked.add(offset, length);
  }

  /** Adds space that could not be cleared. Clearing is tried again. */
  freeLater(extent: Extent, error: unknown): void {
    this.#giveBacks.add(extent, error);
  }

  // ---- refusing ----

  /** @throws OUT_OF_SPACE, with figures that were just taken from the file system */
  async refuse(requested: number, cause?: unknown): Promise<never> {
    this.#giveBackSpares();
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
      this.#giveBacks.bytes > 0
        ? `${this.#giveBacks.bytes} bytes of erased regions have not been given back yet`
        : undefined,
    ].filter((reason) => reason !== undefined);
    return new BedrockError('OUT_OF_SPACE', [figures, ...why].join('; '), {
      details: { requested, used, free, largestFree },
      ...(cause !== undefined && { cause }),
    });
  }
}
