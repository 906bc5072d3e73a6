/**
 * The one table of region IDs and names. It makes IDs, finds the region of an ID or a name, and
 * lists regions in the order of their slots or names. Every target has one.
 *
 * A region is a row of about 30 bytes. With `make`, its object is made when it is needed, and kept
 * while it is in use and for some time after. So the object must hold only what can be made again
 * from the row: ID, size, time of creation, and a number that tells the backend where the bytes
 * are. Without `make`, the object is kept as long as the region lives, and may hold anything.
 *
 * A slot that is freed is used again with a later generation, so an ID that was given out never
 * names another region.
 */
import { randomBytes } from 'node:crypto';
import { BedrockError, invalid } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionStat } from '../contract/target.js';
import { NameIndex } from './name-index.js';
import type { Naming } from './named-store.js';
import type { Region } from './region.js';
import { erasedSlots } from './erased-slots.js';
import { nextGeneration } from './generation-step.js';
import { idTaken } from './importable-target.js';
import { AllRegions, RegionCache } from './region-cache.js';
import { SlotState, SlotTable } from './slot-table.js';

const MAX_GENERATION = 0xffff_ffff;
/** More than fits in memory, and no more than SlotSet spans. */
const MAX_SLOTS = 2 ** 30;
/** Slots that are added at once. */
const ADDED_SLOTS = 1024;
/**
 * How far beyond the last slot the slot of an imported ID may be. All slots between are made, and
 * one ID must not cost gigabytes.
 */
const MAX_SLOTS_SKIPPED = 2 ** 20;

/** Makes the object of a region; `place` is the number that `set` was given. */
export type MakeRegion<R extends Region> = (
  id: RegionId,
  size: number,
  createdAt: number,
  place: number,
) => R;

/** The options of a table of regions. */
export interface DirectoryOptions<R extends Region> {
  /** 8 bytes that no other pool has; random by default. */
  poolId?: Uint8Array | undefined;
  /** Without it, objects are kept, and generations count by one. With it, generations step at random. */
  make?: MakeRegion<R>;
  /**
   * How many slots earlier runs may have used. Slots for which no region is adopted are never used
   * again: nobody knows which of their IDs were given out.
   */
  slots?: number;
  /** @internal Names that a pool has recovered. */
  names?: NameIndex;
  /** @internal Rows that a pool keeps and changes. It reports that by `keep` and `forget`. */
  rows?: SlotTable;
}

/**
 * A table of region IDs and names: it makes IDs, finds the region of an ID or a name, and lists
 * regions in the order of their slots or names. An ID that it gave out never names another region.
 */
export class RegionDirectory<R extends Region> {
  readonly #poolLow: number;
  readonly #poolHigh: number;
  readonly #make: MakeRegion<R> | undefined;
  readonly #rows: SlotTable;
  readonly #objects: RegionCache<R> | AllRegions<R>;
  /** Slots that were taken for imported IDs, and have no region yet. */
  readonly #imported = new Set<number>();
  readonly #names: NameIndex;

  constructor(options: DirectoryOptions<R> = {}) {
    const { poolId = randomBytes(8), make, slots = 0, rows, names = new NameIndex() } = options;
    this.#names = names;
    const view = new DataView(poolId.buffer, poolId.byteOffset, 8);
    this.#poolLow = view.getUint32(0, true);
    this.#poolHigh = view.getUint32(4, true);
    this.#make = make;
    this.#objects = make === undefined ? new AllRegions() : new RegionCache();
    const next = make === undefined ? (last: number): number => last + 1 : nextGeneration;
    this.#rows = rows ?? new SlotTable(MAX_GENERATION, next);
    if (slots > 0) this.#rows.addUnreadSlots(this.#checkRoom(slots));
  }

  /** 8 bytes. */
  get poolId(): Uint8Array {
    return this.#idOf(0, 0).toBytes().subarray(8);
  }

  /** All slots for which IDs were given out are below this number. It grows in large steps. */
  get slots(): number {
    return this.#rows.slots;
  }

  /** Live regions. */
  get size(): number {
    return this.#rows.live;
  }

  /** Whether an ID has this table's pool id, whether or not its region lives. */
  owns(id: RegionId): boolean {
    return id.poolLow === this.#poolLow && id.poolHigh === this.#poolHigh;
  }

  /** The ID of the region that a slot has, or will have. */
  idAt(slot: number): RegionId {
    return this.#idOf(slot, this.#rows.generation(slot));
  }

  /** The region of an ID, the same object as long as it is in use. */
  get(id: RegionId): R | undefined {
    if (!this.owns(id)) return undefined;
    const { slot, generation } = id;
    const kept = this.#objects.get(slot);
    if (kept !== undefined) return kept.id.generation === generation ? kept : undefined;
    return this.#makeObject(slot, generation);
  }

  /** The only place that makes an object for a live row, in the same step that found none. */
  #makeObject(slot: number, generation: number): R | undefined {
    if (this.#make === undefined || !this.#rows.isLive(slot, generation)) return undefined;
    const { id: own, size, createdAt } = this.#statOf(slot);
    const region = this.#make(own, size, createdAt, this.#rows.offset(slot));
    this.#objects.keep(region);
    return region;
  }

  /**
   * Regions in the order of their slots, after the slot of `after`: the object if there is one,
   * else its numbers.
   * @throws REGION_NOT_FOUND if `after` is of another pool
   */
  *after(after?: RegionId): Generator<R | RegionStat> {
    this.#checkOwn(after);
    for (let slot = this.#rows.nextLive(after?.slot ?? -1); slot >= 0; slot = this.#rows.nextLive(slot))
      yield this.#objects.get(slot) ?? this.#statOf(slot);
  }

  /**
   * The last ID of each slot that had a region and has none, in the order of slots, after the slot
   * of `after`.
   * @throws REGION_NOT_FOUND if `after` is of another pool
   */
  *erasedAfter(after?: RegionId): Generator<RegionId> {
    this.#checkOwn(after);
    for (let slot = (after?.slot ?? -1) + 1; slot < this.#rows.slots; slot++) {
      const erased = this.#rows.lastErased(slot);
      if (erased > 0) yield this.#idOf(slot, erased);
    }
  }

  // ---- names ----

  /** Bytes of memory that names take. */
  get nameBytes(): number {
    return this.#names.bytes;
  }

  /** The region that has a name. */
  lookUpName(name: string): R | undefined {
    const slot = this.#names.find(name);
    return slot < 0 ? undefined : this.#regionAt(slot);
  }

  /** Like `lookUpName`, of a name that is part of a buffer. */
  lookUpNameIn(bytes: Uint8Array, start: number, end: number): R | undefined {
    const slot = this.#names.findIn(bytes, start, end);
    return slot < 0 ? undefined : this.#regionAt(slot);
  }

  /** The name of a live region, if it has one. */
  nameOf({ id }: Pick<RegionStat, 'id'>): string | undefined {
    return this.#names.nameOf(id.slot);
  }

  /**
   * Regions with names, in the order of the names' UTF-8 bytes, starting at these bytes, or all.
   * Names may change meanwhile.
   */
  *namesFrom(from?: Uint8Array): Generator<{ name: string; region: R | RegionStat }> {
    for (const { name, slot } of this.#names.from(from))
      yield { name, region: this.#objects.get(slot) ?? this.#statOf(slot) };
  }

  /**
   * Gives a region a name, which replaces its old one; undefined removes it. If another region had
   * the name, that region has none afterwards.
   * @throws OUT_OF_SPACE, RangeError if there is no memory for it; then nothing has changed
   */
  setName({ id }: Pick<RegionStat, 'id'>, name: string | undefined): void {
    this.#names.set(id.slot, name);
  }

  /**
   * Like `setName`.
   * @param replaced the region that has the name; it is removed in the same step
   * @throws as `setName`
   */
  rename(region: Pick<RegionStat, 'id'>, name: string | undefined, replaced: R | undefined): void {
    this.setName(region, name);
    if (replaced !== undefined) this.delete(replaced);
  }

  /**
   * Like `setName`, for several regions at once, which may exchange their names.
   * @param changes no region and no name twice
   * @throws as `setName`
   */
  setNames(
    changes: readonly { readonly region: Pick<RegionStat, 'id'>; readonly name: string | undefined }[],
  ): void {
    this.#names.setAll(changes.map(({ region, name }) => ({ slot: region.id.slot, name })));
  }

  #regionAt(slot: number): R | undefined {
    return this.#objects.get(slot) ?? this.#makeObject(slot, this.#rows.generation(slot));
  }

  // ---- the life of a region ----

  /**
   * Reserves a slot, and makes an ID for it that was never given out. `set` adds its region, `free`
   * gives the slot back.
   * @throws OUT_OF_SPACE if all slots are taken
   */
  reserve(): RegionId {
    let slot = this.#rows.takeFree();
    if (slot < 0) {
      this.#rows.addSlots(this.#checkRoom(ADDED_SLOTS));
      slot = this.#rows.takeFree();
    }
    return this.idAt(slot);
  }

  /**
   * Makes a region with a reserved ID findable: row, object and name in one step. The region that
   * had the name is removed in that step.
   * @throws OUT_OF_SPACE, RangeError if there is no memory for the name; then nothing has changed
   */
  set(region: R, place = 0, naming?: Naming<R>): void {
    if (naming !== undefined) this.rename(region, naming.name, naming.replaced);
    const { id, size, createdAt } = region;
    this.#rows.setLive(id.slot, id.generation, place, size, createdAt);
    if (this.#imported.size > 0) this.#imported.delete(id.slot);
    this.#objects.keep(region);
  }

  /**
   * Makes a region of an earlier run findable, under its ID and name.
   * @throws INVALID_ARGUMENT if it is of another pool, or another region has the name
   */
  adopt(region: R, name?: string): void {
    const { id } = region;
    if (!this.owns(id)) throw invalid(`${id.toString()} is of another pool`);
    if (name !== undefined && this.#names.find(name) >= 0)
      throw invalid(`${id.toString()} has the name ${JSON.stringify(name)}, which another region has`);
    const missing = id.slot + 1 - this.#rows.slots;
    if (missing > 0) this.#rows.addUnreadSlots(this.#checkRoom(missing));
    this.set(region, 0, name === undefined ? undefined : { name, replaced: undefined });
  }

  /** The bytes of a region in the table have moved. */
  move({ id }: R, place: number): void {
    this.#rows.setOffset(id.slot, place);
  }

  /** Removes a region that is in the table, and its name. Its slot stays taken until `free`. */
  delete(region: R): void {
    const { slot, generation } = region.id;
    if (!this.#rows.isLive(slot, generation)) return;
    this.#rows.setErasing(slot);
    this.forget(region);
  }

  /** Gives back the slot of an ID whose region was never set, or was deleted. */
  free({ slot, generation }: RegionId): void {
    if (this.#rows.state(slot) === SlotState.erasing) this.#rows.setFree(slot, generation);
    // The next ID must differ, as the backend may have left something under this one. An imported
    // ID, however, may be tried again.
    else this.#rows.giveBack(slot, this.#imported.delete(slot) ? undefined : generation);
  }

  /** Reports that the row of a region became live. Call it in that step. */
  keep(region: R): void {
    this.#objects.keep(region);
  }

  /**
   * Reports that the row of a region is not live any more, and that its name is gone. Call it in
   * that step.
   */
  forget(region: R): void {
    this.#objects.forget(region);
    this.#names.delete(region.id.slot);
  }

  // ---- imported IDs ----

  /**
   * Takes the slot of an ID that was given out elsewhere. As after `reserve`, `set` adds its region
   * and `free` gives the slot back; then the ID may be taken again.
   * @throws ID_TAKEN, INVALID_ARGUMENT, OUT_OF_SPACE (a slot far beyond all others)
   */
  take(id: RegionId): void {
    const { slot, generation } = id;
    if (generation === 0) throw invalid(`${id.toString()} has generation 0, which no region has`);
    this.#addSlotsTo(slot);
    if (!this.#rows.take(slot, generation)) throw idTaken(id);
    this.#imported.add(slot);
  }

  /**
   * Ensures that IDs of erased regions, and earlier IDs of their slots, are never given out.
   * @throws ID_TAKEN (then none is taken), OUT_OF_SPACE (a slot far beyond all others)
   */
  takeErased(ids: readonly RegionId[]): void {
    for (const { slot } of ids) this.#addSlotsTo(slot);
    for (const { slot, generation } of erasedSlots(ids, this.#rows)) {
      this.#rows.take(slot, generation);
      this.#rows.giveBack(slot, generation);
    }
  }

  #idOf(slot: number, generation: number): RegionId {
    return RegionId.of(slot, generation, this.#poolLow, this.#poolHigh);
  }

  #statOf(slot: number): RegionStat {
    const rows = this.#rows;
    return { id: this.idAt(slot), size: rows.size(slot), createdAt: rows.createdAt(slot) };
  }

  #checkOwn(id: RegionId | undefined): void {
    if (id === undefined || this.owns(id)) return;
    throw new BedrockError('REGION_NOT_FOUND', `${id.toString()} was never a region of this target`);
  }

  /** @returns `count`, the slots to add */
  #checkRoom(count: number): number {
    if (this.#rows.slots + count <= MAX_SLOTS) return count;
    throw new BedrockError('OUT_OF_SPACE', `the target has ${MAX_SLOTS} slots, and can have no more`);
  }

  /** Adds free slots up to this one. */
  #addSlotsTo(slot: number): void {
    const missing = slot + 1 - this.#rows.slots;
    if (missing <= 0) return;
    if (missing > MAX_SLOTS_SKIPPED) {
      throw new BedrockError(
        'OUT_OF_SPACE',
        `an ID of slot ${slot} needs ${missing} slots that do not exist, more than ${MAX_SLOTS_SKIPPED}; import the IDs before it first`,
      );
    }
    this.#rows.addSlots(this.#checkRoom(missing));
  }
}
