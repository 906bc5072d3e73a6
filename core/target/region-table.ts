/**
 * A table of live regions by slot, for backends that keep one object a region.
 *
 * Looking up is two array reads and a few comparisons. A slot that is freed comes back with the next generation, so an ID that
 * was given out once never names another region; a slot whose generation would wrap is never used again.
 */
import { randomBytes } from 'node:crypto';
import { BedrockError } from '../errors.js';
import { RegionId } from './region-id.js';

const MAX_GENERATION = 0xffff_ffff;
const MAX_SLOTS = 0xffff_ffff;

export class RegionTable<R extends { readonly id: RegionId }> {
  readonly #poolLow: number;
  readonly #poolHigh: number;
  readonly #regions: (R | undefined)[] = [];
  /** Generation that each slot has or had last. */
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  #size = 0;
  #slots: number;

  /**
   * @param poolId 8 bytes that no other pool has; random unless told
   * @param slots how many slots earlier runs may have used; those that no region is adopted for are never used again, as nobody
   * knows any more which IDs were given out for them
   */
  constructor(poolId: Uint8Array = randomBytes(8), slots = 0) {
    this.#slots = slots;
    const view = new DataView(poolId.buffer, poolId.byteOffset, 8);
    this.#poolLow = view.getUint32(0, true);
    this.#poolHigh = view.getUint32(4, true);
  }

  /** Slots that were ever used, the free ones included. */
  get slots(): number {
    return this.#slots;
  }

  /** Regions in the table. */
  get size(): number {
    return this.#size;
  }

  /**
   * An ID that was never given out, with a slot of its own. `set` brings its region in, `free` gives the slot back.
   * @throws OUT_OF_SPACE if all slots are taken
   */
  reserve(): RegionId {
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    if (slot > MAX_SLOTS) {
      this.#slots--;
      throw new BedrockError(
        'OUT_OF_SPACE',
        `the target has all the ${MAX_SLOTS + 1} regions that IDs can tell apart`,
      );
    }
    const generation = (this.#generations[slot] ?? 0) + 1;
    this.#generations[slot] = generation;
    this.#regions[slot] = undefined;
    return RegionId.of(slot, generation, this.#poolLow, this.#poolHigh);
  }

  /**
   * Makes a region of an earlier run findable, under the ID that it has.
   * @throws INVALID_ARGUMENT if it is of another pool
   */
  adopt(region: R): void {
    const { id } = region;
    if (!this.owns(id)) throw new BedrockError('INVALID_ARGUMENT', `${id.toString()} is of another pool`);
    this.#generations[id.slot] = id.generation;
    this.set(region);
  }

  /** Makes a region with a reserved ID findable. */
  set(region: R): void {
    const { slot } = region.id;
    this.#regions[slot] = region;
    if (slot >= this.#slots) this.#slots = slot + 1;
    this.#size++;
  }

  get(id: RegionId): R | undefined {
    if (id.poolLow !== this.#poolLow || id.poolHigh !== this.#poolHigh) return undefined;
    const region = this.#regions[id.slot];
    return region !== undefined && region.id.generation === id.generation ? region : undefined;
  }

  /** Takes a region out; its slot stays taken until `free`. */
  delete(id: RegionId): void {
    if (this.get(id) === undefined) return;
    this.#regions[id.slot] = undefined;
    this.#size--;
  }

  /** Gives back the slot of an ID whose region was never set, or was deleted. */
  free(id: RegionId): void {
    if (id.generation < MAX_GENERATION) this.#freeSlots.push(id.slot);
  }

  /** Whether an ID bears this table's pool id, whether or not its region lives. */
  owns(id: RegionId): boolean {
    return id.poolLow === this.#poolLow && id.poolHigh === this.#poolHigh;
  }

  /** Regions in order of their slots, those after the slot of `after`. */
  *after(after?: RegionId): Generator<R> {
    for (let slot = after === undefined ? 0 : after.slot + 1; slot < this.#regions.length; slot++) {
      const region = this.#regions[slot];
      if (region !== undefined) yield region;
    }
  }
}
