/**
 * The objects of regions that are in use, or were lately: found by two array reads, wherever in a large pool they lie.
 *
 * Slots are split into slabs, as a plain array that is filled here and there would become a hash table. A slab that was once used stays,
 * 8 bytes a slot; the objects go, all but the last few thousand, each when it is its turn and nobody uses it.
 */
import type { Region } from '../target/base-target.js';

/** Objects that are kept though nobody uses them. */
const KEPT = 4096;
/** How many kept ones are looked at for one that may go. */
const MAX_LOOKS = 32;

const SLAB_BITS = 10;
const SLAB_SLOTS = 2 ** SLAB_BITS;

type Slab<R> = (R | undefined)[];

export class RegionCache<R extends Region> {
  readonly #slabs: (Slab<R> | undefined)[] = [];
  /** Slots of the regions that are kept, each to be looked at in its turn. */
  readonly #kept: number[] = [];
  #hand = 0;

  /** The object of the region that lives in a slot, if it is kept. Any unsigned 32-bit integer will do. */
  get(slot: number): R | undefined {
    return this.#slabs[slot >>> SLAB_BITS]?.[slot & (SLAB_SLOTS - 1)];
  }

  /** Keeps a region's object as long as it is in use, and for a while after. */
  keep(region: R): void {
    this.#put(region.id.slot, region);
    const kept = this.#kept;
    if (kept.length >= KEPT) {
      for (let look = 0; look < MAX_LOOKS; look++) {
        this.#hand = this.#hand + 1 < kept.length ? this.#hand + 1 : 0;
        const slot = kept[this.#hand] as number;
        const other = this.get(slot);
        if (other === region || (other !== undefined && other.pins > 0)) continue;
        this.#put(slot, undefined);
        kept[this.#hand] = region.id.slot;
        return;
      }
    }
    kept.push(region.id.slot);
  }

  /** Drops the object of a region that has gone. */
  forget(region: R): void {
    this.#put(region.id.slot, undefined);
  }

  #put(slot: number, region: R | undefined): void {
    const index = slot >>> SLAB_BITS;
    while (this.#slabs.length <= index) this.#slabs.push(undefined);
    const slab = (this.#slabs[index] ??= new Array<R | undefined>(SLAB_SLOTS).fill(undefined));
    slab[slot & (SLAB_SLOTS - 1)] = region;
  }
}
