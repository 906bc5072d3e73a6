/**
 * A table of live regions by slot, for backends that keep one object a region.
 *
 * Looking up is two array reads and a few comparisons. A slot that is freed comes back with the next generation, so an ID that
 * was given out once never names another region; a slot whose generation would wrap is never used again.
 */
import { randomBytes } from 'node:crypto';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import { idTaken } from './importable-target.js';

const MAX_GENERATION = 0xffff_ffff;
const MAX_SLOTS = 0xffff_ffff;
/** How far beyond the others an ID from elsewhere may have its slot: those between are made, and one ID must not cost gigabytes. */
const MAX_SLOTS_SKIPPED = 2 ** 20;

/** `taken`: reserved, no region yet. `erasing`: its region is deleted. `retired`: out of generations. */
type SlotState = 'free' | 'taken' | 'live' | 'erasing' | 'retired';

export class RegionTable<R extends { readonly id: RegionId }> {
  readonly #poolLow: number;
  readonly #poolHigh: number;
  readonly #regions: (R | undefined)[] = [];
  /** Generation that each slot has or had last. */
  readonly #generations: number[] = [];
  readonly #states: (SlotState | undefined)[] = [];
  /** Every free slot, and some that were taken by their IDs since. */
  readonly #freeSlots: number[] = [];
  /** Of slots that were taken by their IDs and have no region yet: the generation before. */
  readonly #before = new Map<number, number>();
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

  /** 8 bytes. */
  get poolId(): Uint8Array {
    return RegionId.of(0, 0, this.#poolLow, this.#poolHigh).toBytes().subarray(8);
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
    const slot = this.#nextFree();
    if (slot > MAX_SLOTS) {
      throw new BedrockError(
        'OUT_OF_SPACE',
        `the target has all the ${MAX_SLOTS + 1} regions that IDs can tell apart`,
      );
    }
    if (slot === this.#slots) this.#slots++;
    const generation = (this.#generations[slot] ?? 0) + 1;
    this.#generations[slot] = generation;
    this.#regions[slot] = undefined;
    this.#states[slot] = 'taken';
    return this.#idOf(slot, generation);
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
    this.#states[slot] = 'live';
    this.#before.delete(slot);
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
    this.#states[id.slot] = 'erasing';
    this.#size--;
  }

  /** Gives back the slot of an ID whose region was never set, or was deleted. */
  free({ slot, generation }: RegionId): void {
    const before = this.#before.get(slot);
    if (before !== undefined) {
      this.#before.delete(slot);
      this.#generations[slot] = before;
    }
    this.#free(slot, before ?? generation);
  }

  // ---- IDs from elsewhere ----

  /**
   * Takes the slot of an ID that was given out elsewhere. As after `reserve`, `set` brings its region in, and `free` gives the slot
   * back; then the ID may be taken again.
   * @throws ID_TAKEN, INVALID_ARGUMENT, OUT_OF_SPACE (a slot far beyond all others)
   */
  take(id: RegionId): void {
    const { slot, generation } = id;
    if (generation === 0)
      throw new BedrockError('INVALID_ARGUMENT', `${id.toString()} has generation 0, which no region has`);
    this.#addSlotsTo(slot);
    const before = this.#generations[slot] ?? 0;
    if (this.#states[slot] !== 'free' || generation <= before) throw idTaken(id);
    this.#before.set(slot, before);
    this.#generations[slot] = generation;
    this.#states[slot] = 'taken';
  }

  /**
   * Makes sure that IDs of erased regions, and those before them in their slots, are never given out.
   * @throws ID_TAKEN (then none is taken in), OUT_OF_SPACE (a slot far beyond all others)
   */
  takeErased(ids: readonly RegionId[]): void {
    for (const id of ids) {
      this.#addSlotsTo(id.slot);
      const ahead = id.generation - (this.#generations[id.slot] ?? 0);
      const state = this.#states[id.slot];
      const isInUse = state === 'live' || state === 'taken';
      if (ahead > 0 ? state !== 'free' : ahead === 0 && isInUse) throw idTaken(id);
    }
    for (const { slot, generation } of ids) {
      if (generation <= (this.#generations[slot] ?? 0)) continue;
      this.#generations[slot] = generation;
      if (generation >= MAX_GENERATION) this.#states[slot] = 'retired';
    }
  }

  /** The last ID of each slot that had a region and has none, in order of slots, those after the slot of `after`. */
  *erasedAfter(after?: RegionId): Generator<RegionId> {
    for (let slot = after === undefined ? 0 : after.slot + 1; slot < this.#states.length; slot++) {
      const state = this.#states[slot];
      if (state === undefined || state === 'live') continue;
      const last = this.#generations[slot] ?? 0;
      const erased = state === 'taken' ? (this.#before.get(slot) ?? last - 1) : last;
      if (erased > 0) yield this.#idOf(slot, erased);
    }
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

  #idOf(slot: number, generation: number): RegionId {
    return RegionId.of(slot, generation, this.#poolLow, this.#poolHigh);
  }

  #nextFree(): number {
    let slot = this.#freeSlots.pop();
    while (slot !== undefined && this.#states[slot] !== 'free') slot = this.#freeSlots.pop();
    return slot ?? this.#slots;
  }

  #free(slot: number, generation: number): void {
    const isRetired = generation >= MAX_GENERATION;
    this.#states[slot] = isRetired ? 'retired' : 'free';
    if (!isRetired) this.#freeSlots.push(slot);
  }

  /** Makes the slots up to this one, free. */
  #addSlotsTo(slot: number): void {
    const slots = this.#slots;
    if (slot < slots) return;
    if (slot - slots > MAX_SLOTS_SKIPPED) {
      throw new BedrockError(
        'OUT_OF_SPACE',
        `an ID of slot ${slot} needs ${slot - slots} slots that are not there, more than ${MAX_SLOTS_SKIPPED}; take in the IDs before it first`,
      );
    }
    this.#slots = slot + 1;
    for (let added = slots; added <= slot; added++) {
      this.#regions[added] = undefined;
      this.#generations[added] = 0;
    }
    // The lowest is to be used first.
    for (let added = slot; added >= slots; added--) this.#free(added, 0);
  }
}
