/**
 * The space of regions in a pool, and how it is given back: the extent of the contents, with the
 * name after them if there is room, and the extent of a name elsewhere. Space becomes zeros before
 * it is given back. If that fails, it is tried again.
 */
import type { Eventually } from '../targets/lifecycle.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { alignUp } from './extent.js';
import { allOf, forEach } from './in-order.js';
import type { PoolMedium } from './medium.js';
import type { NamePlaces } from './name-places.js';
import type { PoolSpace } from './pool-space.js';
import { SPARE_BYTES, type SpareRegions } from './spare-regions.js';

/** Extents up to this size are cleared together, with one barrier. */
const CLEARED_TOGETHER_BYTES = 2 ** 12;
const ZEROS = new Uint8Array(CLEARED_TOGETHER_BYTES);

/** A part of the pool, at the alignment. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** An extent that becomes zeros together with others. */
interface ClearedExtent extends Extent {
  /** The slot that becomes spare with it; -1 if it becomes free. */
  readonly spareSlot: number;
}

/** A slot, and where its region's contents are. */
export interface NewSlot {
  readonly slot: number;
  /** 0 for a region of no bytes. */
  readonly offset: number;
  readonly size: number;
}

export class RegionExtents {
  readonly #medium: PoolMedium;
  readonly #table: SlotTable;
  readonly #space: PoolSpace;
  readonly #places: NamePlaces;
  readonly #alignment: number;

  constructor(medium: PoolMedium, table: SlotTable, space: PoolSpace, places: NamePlaces, alignment: number) {
    this.#medium = medium;
    this.#table = table;
    this.#space = space;
    this.#places = places;
    this.#alignment = alignment;
  }

  /** Length of an extent with room for this many bytes. */
  lengthFor(bytes: number): number {
    return alignUp(bytes, this.#alignment);
  }

  /** A live region, from its row. */
  rowOf(slot: number): NewSlot {
    return { slot, offset: this.#table.offset(slot), size: this.#table.size(slot) };
  }

  /** Gives back slot and space of a region that nobody uses any more. */
  release(region: NewSlot): Eventually<void> {
    const extents = this.of(region);
    const [only] = extents;
    if (only === undefined || extents.length > 1) {
      // The slot first: if it belongs to somebody else by now, this is refused.
      this.#giveBackSlot(region.slot);
      return this.clearAndFree(extents);
    }
    let cleared: Eventually<void>;
    try {
      cleared = this.#space.clear(only.offset, only.length);
    } catch (error) {
      this.#giveBackLater(region.slot, only, error);
      return undefined;
    }
    if (cleared === undefined) {
      this.#giveBack(region.slot, only);
      return undefined;
    }
    return cleared.then(
      () => this.#giveBack(region.slot, only),
      (error: unknown) => this.#giveBackLater(region.slot, only, error),
    );
  }

  /** The extents of a region: none, one or two. */
  of({ slot, offset, size }: NewSlot): Extent[] {
    const extents: Extent[] = [];
    const length = size === 0 ? 0 : this.lengthFor(size + this.#places.behindOf(slot));
    if (length > 0) extents.push({ offset, length });
    const apart = this.#places.apartOf(slot);
    if (apart !== undefined)
      extents.push({ offset: apart, length: this.lengthFor(this.#places.lengthOf(slot)) });
    return extents;
  }

  /** Clears extents that belong to nobody, and gives them back. If that fails, it is tried again. */
  clearAndFree(extents: readonly Extent[]): Eventually<void> {
    return allOf(
      extents.map((extent) => () => {
        const failed = (error: unknown): void => this.#space.freeLater(extent, error);
        const free = (): void => this.#space.freeCleared(extent.offset, extent.length);
        try {
          const cleared = this.#space.clear(extent.offset, extent.length);
          if (cleared !== undefined) return cleared.then(free, failed);
          free();
        } catch (error) {
          failed(error);
        }
        return undefined;
      }),
    );
  }

  #giveBack(slot: number, { offset, length }: Extent): void {
    // The table first: it refuses a slot that belongs to somebody else by now. The space would be theirs too.
    this.#giveBackSlot(slot);
    this.#space.freeCleared(offset, length);
  }

  /** The slot needs no clearing. */
  #giveBackLater(slot: number, extent: Extent, error: unknown): void {
    this.#giveBackSlot(slot);
    this.#space.freeLater(extent, error);
  }

  #giveBackSlot(slot: number): void {
    const table = this.#table;
    this.#places.delete(slot);
    if (table.state(slot) === SlotState.erasing) table.setFree(slot, table.generation(slot));
    else table.giveBack(slot);
  }

  /**
   * Like `release`, for many regions. Small extents are cleared with one barrier. If the medium
   * reclaims space, extents may be punched out one by one.
   * @param spares gets some of them instead of the table and the free space
   */
  releaseTogether(regions: readonly NewSlot[], spares?: SpareRegions): Eventually<void> {
    const small: ClearedExtent[] = [];
    const large: Extent[] = [];
    let room = spares?.room ?? 0;
    for (const region of regions) {
      const { slot, offset } = region;
      const spareLength = room > 0 ? this.#spareLength(region) : 0;
      if (spareLength > 0) {
        room--;
        this.#places.delete(slot);
        small.push({ offset, length: spareLength, spareSlot: slot });
        continue;
      }
      for (const extent of this.of(region)) {
        const isSmall = extent.length <= CLEARED_TOGETHER_BYTES && this.#medium.reclaims !== true;
        if (isSmall) small.push({ offset: extent.offset, length: extent.length, spareSlot: -1 });
        else large.push(extent);
      }
      this.#giveBackSlot(region.slot);
    }
    return allOf([() => this.#clearTogether(small, spares), () => this.clearAndFree(large)]);
  }

  /** Length of the only extent of a region that may be spare; 0 of any other. */
  #spareLength({ slot, size }: NewSlot): number {
    const table = this.#table;
    const places = this.#places;
    if (size === 0 || places.apartOf(slot) !== undefined) return 0;
    const length = this.lengthFor(size + places.lengthOf(slot));
    return length <= SPARE_BYTES && table.generation(slot) < table.maxGeneration ? length : 0;
  }

  /** Gives back a region that was spare. */
  giveBackSpare(slot: number, offset: number, length: number): void {
    this.#giveBackSlot(slot);
    this.#space.freeCleared(offset, length);
  }

  #clearTogether(extents: readonly ClearedExtent[], spares: SpareRegions | undefined): Eventually<void> {
    if (extents.length === 0) return undefined;
    const free = (): void => {
      for (const { offset, length, spareSlot } of extents)
        if (spareSlot < 0) this.#space.freeCleared(offset, length);
        else spares?.add(spareSlot, offset, length);
    };
    const failed = (error: unknown): void => {
      for (const { offset, length, spareSlot } of extents) {
        if (spareSlot >= 0) this.#giveBackSlot(spareSlot);
        this.#space.freeLater({ offset, length }, error);
      }
    };
    try {
      const medium = this.#medium;
      const zeros = forEach(extents, ({ offset, length }) =>
        medium.stageZeros === undefined
          ? medium.stage(offset, ZEROS.subarray(0, length))
          : medium.stageZeros(offset, length),
      );
      if (zeros === undefined && medium.staysInOrder?.(0) === true) {
        free();
        return undefined;
      }
      const cleared = zeros === undefined ? medium.barrier() : zeros.then(() => medium.barrier());
      if (cleared !== undefined) return cleared.then(free, failed);
      free();
    } catch (error) {
      failed(error);
    }
    return undefined;
  }
}
