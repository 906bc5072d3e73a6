/**
 * Regions that were replaced under their names. If two live regions have one name, recovery keeps
 * the newer one. So the end of the older one need not be durable when a put is acknowledged. It is
 * stored later, for many together.
 *
 * | step | if the power fails there |
 * |---|---|
 * | 1. the first words of all of them, free | each is there or not; its successor is there, and recovery ends it |
 * | 2. barrier | none of them can come back |
 * | 3. the bytes of those that nobody uses any more become zeros; barrier | the space belongs to nobody |
 * | 4. slot, extent and name may be used again | |
 *
 * Where a barrier is cheap, as on persistent memory, the steps are taken for 64 regions at once. On
 * a disk they go along with the next put: its two barriers are those of steps 2 and 3 too, so they
 * cost no fdatasync. In either case they are taken at once when the regions hold much space.
 * Otherwise nothing hurries: until then the space only counts as used.
 *
 * A call that ends a region with a name, or removes its name, waits for `end` first: otherwise a
 * region that it has replaced would come back.
 */
import type { Eventually } from '../targets/lifecycle.js';
import type { NewSlot } from './region-extents.js';

/** How many regions may wait where a barrier is cheap, and how many bytes anywhere. */
const MAX_WAITING = 64;
const MAX_WAITING_BYTES = 2 ** 20;

/**
 * Counted for each region beside its contents: its descriptor, name and padding, and what is kept
 * of it here.
 */
const REGION_BYTES = 256;

interface Ended {
  readonly region: NewSlot;
  /** Whether nobody uses it any more. */
  isReleased: boolean;
}

export interface EndingSteps {
  /** Whether a barrier costs too little to wait for that of a put. */
  readonly isBarrierCheap: boolean;
  /** Stores the first words of regions that have ended; durable after the next barrier. */
  storeEnds(regions: readonly NewSlot[]): Eventually<void>;
  barrier(): Eventually<void>;
  /**
   * Gives back slot and space of regions that nobody uses. It continues after it returns, and never
   * fails.
   */
  giveBack(regions: readonly NewSlot[]): void;
}

export class EndedRegions {
  readonly #steps: EndingSteps;
  /** Regions whose end is not durable yet, by slot. */
  readonly #waiting = new Map<number, Ended>();
  #bytes = 0;
  #running: Promise<void> | undefined;
  /** For callers that ask while one runs. */
  #next: Promise<void> | undefined;

  constructor(steps: EndingSteps) {
    this.#steps = steps;
  }

  /** Adds a region whose successor is durable. */
  add(region: NewSlot): void {
    this.#waiting.set(region.slot, { region, isReleased: false });
    this.#bytes += region.size + REGION_BYTES;
    const isMany = this.#steps.isBarrierCheap && this.#waiting.size >= MAX_WAITING;
    if (isMany || this.#bytes >= MAX_WAITING_BYTES) this.#endUnasked();
  }

  /**
   * Notes that nobody uses a region any more, if it waits here.
   * @returns whether it does; then it is given back from here
   */
  release(slot: number): boolean {
    const ended = this.#waiting.size === 0 ? undefined : this.#waiting.get(slot);
    if (ended === undefined) return false;
    ended.isReleased = true;
    return true;
  }

  /**
   * Takes the steps beside those of a put. Called when the put stores what its first barrier makes
   * durable: so both stores go to the medium together, and each barrier is shared.
   */
  endAlong(): void {
    if (this.#waiting.size > 0 && this.#running === undefined && !this.#steps.isBarrierCheap)
      this.#endUnasked();
  }

  /**
   * Makes the ends of all waiting regions durable. Their space is given back from then on.
   * @throws what the medium throws; then they stay here
   */
  end(): Eventually<void> {
    if (this.#running !== undefined) {
      return (this.#next ??= this.#running
        .catch(() => undefined)
        .then(() => {
          this.#next = undefined;
          return this.end();
        }));
    }
    if (this.#waiting.size === 0) return undefined;
    const batch = [...this.#waiting.values()];
    const durable = this.#storeEnds(batch);
    if (durable === undefined) return this.#giveBack(batch);
    return (this.#running = durable
      .then(() => this.#giveBack(batch))
      .finally(() => (this.#running = undefined)));
  }

  /** Like `end`. It also makes everything durable that was stored before the call. */
  endWithBarrier(): Eventually<void> {
    // The barrier of an end that runs already may have begun before.
    const isOwn = this.#running === undefined && this.#waiting.size > 0;
    const ended = this.end();
    if (isOwn) return ended;
    return ended === undefined ? this.#steps.barrier() : ended.then(() => this.#steps.barrier());
  }

  /** Ends without a caller. If it fails, the next caller that needs it tries again. */
  #endUnasked(): void {
    try {
      this.end()?.catch(() => undefined);
    } catch {
      // The medium takes no more changes, and every caller that asks for one gets the error.
    }
  }

  #storeEnds(batch: readonly Ended[]): Eventually<void> {
    const stored = this.#steps.storeEnds(batch.map(({ region }) => region));
    return stored === undefined ? this.#steps.barrier() : stored.then(() => this.#steps.barrier());
  }

  #giveBack(batch: readonly Ended[]): undefined {
    const free: NewSlot[] = [];
    const isAll = batch.length === this.#waiting.size;
    for (const { region, isReleased } of batch) {
      if (!isAll) this.#waiting.delete(region.slot);
      this.#bytes -= region.size + REGION_BYTES;
      if (isReleased) free.push(region);
    }
    if (isAll) this.#waiting.clear();
    if (free.length > 0) this.#steps.giveBack(free);
  }
}
