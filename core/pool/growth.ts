/**
 * How far a pool can grow, and by how much at a time. Its limit promises nothing: the file system
 * decides. So this asks the file system for its free space, and leaves part of it alone. If there
 * is too little, growth is refused before anything is taken. If the system still refuses (because
 * of a quota, for example), less is tried, down to what is needed.
 */
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { alignDown } from './extent.js';
import type { MediumSpace, PoolMedium } from './medium.js';

/** The smallest growth wanted, as each growth costs two header writes. */
const STEP_BYTES = 2 ** 24;
/** The disk should have room for this many more growths of the same size: others use it as well. */
const STEPS_LEFT = 4;
/** Left to the file system for its own records: a block for some hundred extents, and its reserve. */
const LEFT_BYTES = 2 ** 18;
const LEFT_PART = 2 ** 9;

export interface GrowthLimits {
  /** Bytes that the region needs beyond the capacity. */
  readonly needed: number;
  /** Bytes that the pool may still grow. */
  readonly most: number;
  readonly alignment: number;
}

export class Growth {
  readonly #medium: PoolMedium;
  readonly #logger: Logger | undefined;
  #space: MediumSpace | undefined;
  #isRefused = false;

  constructor(medium: PoolMedium, logger: Logger | undefined) {
    this.#medium = medium;
    this.#logger = logger;
  }

  /** Bytes that the file system can give, as of the last `ask`. */
  get availableBytes(): number {
    if (this.#space === undefined) return Infinity;
    const { freeBytes } = this.#space;
    return Math.max(0, Math.floor(freeBytes - freeBytes / LEFT_PART) - LEFT_BYTES);
  }

  /** The free space of the file system, in words; nothing if it is unknown. */
  get description(): string | undefined {
    if (this.#space === undefined) return undefined;
    const { path, freeBytes } = this.#space;
    return `the file system of ${path} has ${freeBytes} bytes free, and gives the pool ${this.availableBytes} of them`;
  }

  /** Asks the file system for its free space. */
  async ask(): Promise<void> {
    this.#space = await this.#medium.space?.();
  }

  /**
   * Allocates space beyond the capacity to the pool's file.
   * @returns the bytes that it got, at least `needed`
   * @throws OUT_OF_SPACE; then nothing is taken
   */
  async extend(capacity: number, { needed, most, alignment }: GrowthLimits): Promise<number> {
    await this.ask();
    try {
      const got = await this.#allocate(
        capacity,
        needed,
        Math.max(needed, this.#stepOf(most, alignment)),
        alignment,
      );
      this.#noteEnd();
      return got;
    } catch (error) {
      await this.ask();
      this.#noteRefusal(needed, error);
      throw error;
    }
  }

  #stepOf(most: number, alignment: number): number {
    const part = alignDown(Math.min(this.availableBytes / STEPS_LEFT, STEP_BYTES), alignment);
    return Math.min(most, part);
  }

  async #allocate(capacity: number, needed: number, step: number, alignment: number): Promise<number> {
    // An attempt would take all free space for a moment, and others would be refused.
    if (needed > this.availableBytes)
      throw new BedrockError('OUT_OF_SPACE', this.description ?? 'the file system has too little free');
    for (let length = step; ; length = Math.max(needed, alignDown(length / STEPS_LEFT, alignment))) {
      try {
        await this.#medium.grow(capacity, length);
        return length;
      } catch (error) {
        const isRefused = error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
        if (!isRefused || length === needed) throw error;
      }
    }
  }

  /** One line for all refusals until the pool grows again. */
  #noteRefusal(needed: number, error: unknown): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#logger?.warning(`the pool cannot grow by ${needed} bytes: ${explain(error)}`);
  }

  #noteEnd(): void {
    if (!this.#isRefused) return;
    this.#isRefused = false;
    this.#logger?.info('the pool grows again');
  }
}
