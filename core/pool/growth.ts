/**
 * How far a pool can grow, and by how much it does at once. Its limit is a hope: what can be had is what its file system has free, so that
 * is asked, and part of it left alone. Growth is refused before anything is taken where there is too little; and where the system refuses
 * all the same (a quota, say), less is tried, down to what is needed.
 */
import { BedrockError, explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { alignDown } from './extent.js';
import type { MediumSpace, PoolMedium } from './medium.js';

/** Wanted at least, as each growth costs two header writes. */
const STEP_BYTES = 2 ** 24;
/** So many growths of an equal size a disk should have left: others live on it as well. */
const STEPS_LEFT = 4;
/** What is left to the file system for its records: a block for some hundred extents, and what it has set aside. */
const LEFT_BYTES = 2 ** 18;
const LEFT_PART = 2 ** 9;

export interface GrowthLimits {
  /** Bytes that the region needs behind the capacity. */
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

  /** Bytes that the file system gives, as far as is known: as of the last `ask`. */
  get availableBytes(): number {
    if (this.#space === undefined) return Infinity;
    const { freeBytes } = this.#space;
    return Math.max(0, Math.floor(freeBytes - freeBytes / LEFT_PART) - LEFT_BYTES);
  }

  /** What the file system has, in words; nothing where nobody knows. */
  get description(): string | undefined {
    if (this.#space === undefined) return undefined;
    const { path, freeBytes } = this.#space;
    return `the file system of ${path} has ${freeBytes} bytes free, and gives the pool ${this.availableBytes} of them`;
  }

  /** Asks the file system what it has. */
  async ask(): Promise<void> {
    this.#space = await this.#medium.space?.();
  }

  /**
   * Gives space behind the capacity to the pool's file.
   * @returns the bytes that it got, `needed` at least
   * @throws OUT_OF_SPACE; nothing is taken then
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
    // To try all the same would take all there is for a moment, and others would be refused.
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

  /** One line for all that are refused until the pool grows again. */
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
