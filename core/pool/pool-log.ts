/**
 * Gives a pool its log (log-record.ts) before the first region gets a name, if its medium can have
 * one, and the pool is large enough. A header names the log, and with it the feature that keeps
 * versions away that do not know it, before the first record is stored.
 */
import { alignUp } from './extent.js';
import type { HeaderStore } from './header-store.js';
import { LOG, type PoolHeader } from './header.js';
import type { LogArea } from './header.js';
import { LOG_BLOCK_BYTES } from './log-record.js';
import type { LoggedMedium } from './logged-medium.js';
import type { PoolSpace } from './pool-space.js';
import { isOutOfSpace } from './read-back.js';

const MAX_LOG_BYTES = 2 ** 24;
/** A pool whose log would be smaller has none: it would be full too often. */
const MIN_LOG_BYTES = 2 ** 19;
/** Part of the pool that the log may take, and part of the free space. */
const PART_OF_POOL = 32;
const PART_OF_FREE = 4;
const PIECE_BYTES = 2 ** 20;

export class PoolLog {
  readonly #medium: LoggedMedium;
  readonly #headers: HeaderStore;
  readonly #space: PoolSpace;
  readonly #bytes: number;
  readonly #isGiven: boolean;
  #isWanted: boolean;

  /** @param bytes of the log; by default as many as suit the pool */
  constructor(medium: LoggedMedium, headers: HeaderStore, space: PoolSpace, bytes?: number) {
    this.#medium = medium;
    this.#headers = headers;
    this.#space = space;
    this.#isGiven = bytes !== undefined;
    const wanted = Math.min(MAX_LOG_BYTES, 2 ** Math.floor(Math.log2(space.maxBytes / PART_OF_POOL)));
    this.#bytes = bytes ?? (wanted < MIN_LOG_BYTES ? 0 : wanted);
    this.#isWanted = this.#bytes > 0 && headers.current.log === undefined;
  }

  /** Whether the pool should get one. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /**
   * Makes the log, in turn with other changes of the header. Without room the pool does without,
   * until it is opened again.
   */
  async make(): Promise<void> {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    const { alignment } = this.#headers.current;
    // Its parts begin at multiples of a block.
    const bytes = this.#bytes + (alignment < LOG_BLOCK_BYTES ? LOG_BLOCK_BYTES : 0);
    const length = alignUp(bytes, alignment);
    if (!this.#isGiven && this.#space.largestFreeBytes < PART_OF_FREE * length) return;
    try {
      await this.#space.giveBackWithheld();
      await this.#place(await this.#space.take(length), length);
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
    }
  }

  async #place(offset: number, length: number): Promise<void> {
    const log: LogArea = { offset, length };
    try {
      await this.#writeZeros(log);
      // The header may become durable before what is stored with it. What is there must not be taken
      // for records then.
      await this.#medium.barrier();
      await this.#headers.change(withLog(this.#headers.current, log), () =>
        this.#medium.begin(log, this.#headers.current),
      );
    } catch (error) {
      // If a header that failed may name it after all, it stays taken.
      if (this.#headers.isUncertain) this.#space.withhold(offset, length);
      else this.#space.free(offset, length);
      throw error;
    }
  }

  /**
   * Space that was allocated and never written has its own records in the file system, which would
   * change with the first record there, and be made durable with it. That takes longer than the
   * record.
   */
  async #writeZeros({ offset, length }: LogArea): Promise<void> {
    const zeros = new Uint8Array(Math.min(length, PIECE_BYTES));
    for (let at = 0; at < length; at += PIECE_BYTES)
      await this.#medium.write(offset + at, zeros.subarray(0, Math.min(PIECE_BYTES, length - at)));
  }
}

function withLog({ features }: PoolHeader, log: LogArea): Pick<PoolHeader, 'features' | 'log'> {
  return { features: { ...features, incompatible: (features.incompatible | LOG) >>> 0 }, log };
}
