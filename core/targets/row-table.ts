/**
 * A table of live regions by slot, for backends that keep a row of numbers a region: what RegionTable does, in about 30 bytes a region.
 *
 * The object of a region is made when it is asked for, and kept while it is in use and for a while after; so it must hold nothing that
 * cannot be made again of its row: ID, size, time of creation, and a number of the backend's that says where its bytes are.
 */
import { randomBytes } from 'node:crypto';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import type { ListedRegion, Region } from './base-target.js';
import { idTaken } from './importable-target.js';
import { RegionCache } from './region-cache.js';
import { SlotState, SlotTable } from './slot-table.js';

const MAX_GENERATION = 0xffff_ffff;
/** More than memory holds, and no more than SlotSet spans. */
const MAX_SLOTS = 2 ** 30;
/** Slots that are added at once. */
const ADDED_SLOTS = 1024;
/** How far beyond the others an ID from elsewhere may have its slot: those between are made, and one ID must not cost gigabytes. */
const MAX_SLOTS_SKIPPED = 2 ** 20;

/** Makes the object of a region; `place` is what `set` was told. */
export type MakeRegion<R extends Region> = (
  id: RegionId,
  size: number,
  createdAt: number,
  place: number,
) => R;

export class RowTable<R extends Region> {
  readonly #poolLow: number;
  readonly #poolHigh: number;
  readonly #make: MakeRegion<R>;
  readonly #rows = new SlotTable(MAX_GENERATION);
  readonly #cache = new RegionCache<R>();

  /** @param poolId 8 bytes that no other pool has; random unless told */
  constructor(make: MakeRegion<R>, poolId: Uint8Array = randomBytes(8)) {
    this.#make = make;
    const view = new DataView(poolId.buffer, poolId.byteOffset, 8);
    this.#poolLow = view.getUint32(0, true);
    this.#poolHigh = view.getUint32(4, true);
  }

  /** 8 bytes. */
  get poolId(): Uint8Array {
    return this.#idOf(0, 0).toBytes().subarray(8);
  }

  /** Regions in the table. */
  get size(): number {
    return this.#rows.live;
  }

  /** Whether an ID bears this table's pool id, whether or not its region lives. */
  owns(id: RegionId): boolean {
    return id.poolLow === this.#poolLow && id.poolHigh === this.#poolHigh;
  }

  /**
   * An ID that was never given out, with a slot of its own. `set` brings its region in, `free` gives the slot back.
   * @throws OUT_OF_SPACE if all slots are taken
   */
  reserve(): RegionId {
    let slot = this.#rows.takeFree();
    if (slot < 0) {
      this.#addSlots(ADDED_SLOTS);
      slot = this.#rows.takeFree();
    }
    return this.#idOf(slot, this.#rows.generation(slot));
  }

  /** Makes a region with a reserved ID findable: row and object in one step. */
  set(region: R, place: number): void {
    const { id, size, createdAt } = region;
    this.#rows.setLive(id.slot, id.generation, place, size, createdAt);
    this.#cache.keep(region);
  }

  /** The bytes of a region in the table have moved. */
  move({ id }: R, place: number): void {
    this.#rows.setOffset(id.slot, place);
  }

  /** The same object as long as it is in use. */
  get(id: RegionId): R | undefined {
    if (!this.owns(id)) return undefined;
    const { slot, generation } = id;
    const kept = this.#cache.get(slot);
    if (kept !== undefined) return kept.id.generation === generation ? kept : undefined;
    if (!this.#rows.isLive(slot, generation)) return undefined;
    // The only place that makes an object for a live row, in the step that found that there is none.
    const { id: own, size, createdAt } = this.#statOf(slot);
    const region = this.#make(own, size, createdAt, this.#rows.offset(slot));
    this.#cache.keep(region);
    return region;
  }

  /** Takes a region out; its slot stays taken until `free`. */
  delete(region: R): void {
    this.#rows.setErasing(region.id.slot);
    this.#cache.forget(region);
  }

  /** Gives back the slot of an ID whose region was never set, or was deleted. */
  free({ slot, generation }: RegionId): void {
    if (this.#rows.state(slot) === SlotState.erasing) {
      this.#rows.setFree(slot, generation);
      return;
    }
    this.#rows.giveBack(slot);
  }

  /** Regions in order of their slots, those after the slot of `after`. */
  *after(after?: RegionId): Generator<ListedRegion> {
    for (let slot = this.#rows.nextLive(after?.slot ?? -1); slot >= 0; slot = this.#rows.nextLive(slot))
      yield this.#cache.get(slot) ?? this.#statOf(slot);
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
    if (!this.#rows.take(slot, generation)) throw idTaken(id);
  }

  /**
   * Makes sure that IDs of erased regions, and those before them in their slots, are never given out.
   * @throws ID_TAKEN (then none is taken in), OUT_OF_SPACE (a slot far beyond all others)
   */
  takeErased(ids: readonly RegionId[]): void {
    for (const id of ids) {
      this.#addSlotsTo(id.slot);
      const ahead = id.generation - this.#rows.generation(id.slot);
      const state = this.#rows.state(id.slot);
      const isInUse = state === SlotState.live || state === SlotState.taken;
      if (ahead > 0 ? state !== SlotState.free : ahead === 0 && isInUse) throw idTaken(id);
    }
    for (const { slot, generation } of ids)
      if (this.#rows.take(slot, generation)) this.#rows.giveBack(slot, generation);
  }

  /** The last ID of each slot that had a region and has none, in order of slots, those after the slot of `after`. */
  *erasedAfter(after?: RegionId): Generator<RegionId> {
    for (let slot = (after?.slot ?? -1) + 1; slot < this.#rows.slots; slot++) {
      const erased = this.#rows.lastErased(slot);
      if (erased > 0) yield this.#idOf(slot, erased);
    }
  }

  #idOf(slot: number, generation: number): RegionId {
    return RegionId.of(slot, generation, this.#poolLow, this.#poolHigh);
  }

  #statOf(slot: number): RegionStat {
    const rows = this.#rows;
    const id = this.#idOf(slot, rows.generation(slot));
    return { id, size: rows.size(slot), createdAt: rows.createdAt(slot) };
  }

  #addSlots(count: number): void {
    if (this.#rows.slots + count > MAX_SLOTS)
      throw new BedrockError('OUT_OF_SPACE', `the target has ${MAX_SLOTS} regions, and can have no more`);
    this.#rows.addSlots(count);
  }

  /** Makes the slots up to this one, free. */
  #addSlotsTo(slot: number): void {
    const missing = slot + 1 - this.#rows.slots;
    if (missing <= 0) return;
    if (missing > MAX_SLOTS_SKIPPED) {
      throw new BedrockError(
        'OUT_OF_SPACE',
        `an ID of slot ${slot} needs ${missing} slots that are not there, more than ${MAX_SLOTS_SKIPPED}; take in the IDs before it first`,
      );
    }
    this.#addSlots(missing);
  }
}
