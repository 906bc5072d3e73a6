/**
 * Space of erased regions that could not be cleared, for example after a disk error. Clearing is
 * tried again, first after a second and in the end every minute, and whenever space is short. Until
 * then the space counts as used. After the next open this is not needed: space that no region has
 * is free then, and it is cleared before use.
 */
import { explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { Extent } from './extent-allocator.js';

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 60_000;

export interface GiveBackSteps {
  /** Fills the extent with zeros. */
  clear(extent: Extent): Eventually<void>;
  /** Adds it to the free space. */
  take(extent: Extent): void;
}

export class GiveBacks {
  readonly #steps: GiveBackSteps;
  readonly #logger: Logger | undefined;
  #waiting: Extent[] = [];
  #bytes = 0;
  #failed = 0;
  #timer: NodeJS.Timeout | undefined;
  #delayMs = FIRST_DELAY_MS;
  #running: Promise<void> | undefined;
  #isEnded = false;

  constructor(steps: GiveBackSteps, logger: Logger | undefined) {
    this.#steps = steps;
    this.#logger = logger;
  }

  /** Bytes that wait to be cleared. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How many extents could not be cleared when their region ended. */
  get failed(): number {
    return this.#failed;
  }

  /** Adds an extent that could not be cleared. */
  add(extent: Extent, error: unknown): void {
    if (this.#bytes === 0) {
      this.#logger?.error(
        `the space of an erased region, ${extent.length} bytes, could not be given back: ${explain(error)}; it is tried again`,
        { error },
      );
    }
    this.#waiting.push(extent);
    this.#bytes += extent.length;
    this.#failed++;
    this.#schedule();
  }

  /**
   * Tries again. It stops at the first failure, so that a caller short of space does not wait until
   * all have failed.
   */
  retry(): Promise<void> {
    if (this.#waiting.length === 0 || this.#isEnded) return Promise.resolve();
    return (this.#running ??= this.#retry().finally(() => (this.#running = undefined)));
  }

  /** Stops trying; resolves when nothing is in progress. */
  async end(): Promise<void> {
    this.#isEnded = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #retry(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let left = this.#waiting.length; left > 0 && !this.#isEnded; left--) {
      const extent = this.#waiting.shift() as Extent;
      try {
        await this.#steps.clear(extent);
      } catch {
        // Put at the end, since the others may be on sound parts of the disk.
        this.#waiting.push(extent);
        break;
      }
      this.#bytes -= extent.length;
      this.#steps.take(extent);
    }
    if (this.#isEnded) return;
    this.#delayMs = this.#bytes === 0 ? FIRST_DELAY_MS : Math.min(2 * this.#delayMs, MAX_DELAY_MS);
    if (this.#bytes === 0) this.#logger?.info('the space of all erased regions is given back');
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#isEnded) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.retry();
    }, this.#delayMs).unref();
  }
}
