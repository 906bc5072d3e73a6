/**
 * The objects of regions that are in use, or were lately: found by one array read, wherever in a large table they lie.
 *
 * Each slot has one of a few thousand places, by its low bits, and the region that came last is in it. A region that is in use when
 * another one comes to its place is displaced: it stays findable elsewhere until nobody uses it any more. So the objects that are
 * kept though nobody uses them are bounded, and a region in use has one object only.
 *
 * Pins are counted on the object, so a second one for the same region would let its space be given away under a reader. Therefore whoever
 * changes a row says so here in the same synchronous step: `keep` with the change to live, `forget` with the change to erasing. Between
 * them a promise would be enough for somebody to find the row and have another object made. What comes all the same is refused.
 */
import { BedrockError } from '../base/errors.js';
import type { Region } from './base-target.js';

const PLACES = 4096;
/** Fewer displaced regions are not looked through for those that may go. */
const LEAST_SWEPT = 64;

export class RegionCache<R extends Region> {
  readonly #places = new Array<R | undefined>(PLACES).fill(undefined);
  /** By slot. */
  readonly #displaced = new Map<number, R>();
  #sweepAt = LEAST_SWEPT;

  /** The object of the region that lives in a slot, if it is kept. Any unsigned 32-bit integer will do. */
  get(slot: number): R | undefined {
    const region = this.#places[slot & (PLACES - 1)];
    if (region?.id.slot === slot) return region;
    return this.#displaced.size === 0 ? undefined : this.#displaced.get(slot);
  }

  /**
   * Keeps a region's object as long as it is in use, and for a while after.
   * @throws INTERNAL if there is another object for its slot; nothing changes then
   */
  keep(region: R): void {
    const { slot } = region.id;
    const other = this.get(slot);
    if (other === region) return;
    if (other !== undefined) {
      throw new BedrockError(
        'INTERNAL',
        `region ${region.id.toString()} has a second object: the slot is kept for ${other.id.toString()} already`,
      );
    }
    const before = this.#places[slot & (PLACES - 1)];
    this.#places[slot & (PLACES - 1)] = region;
    if (before === undefined || before.pins === 0) return;
    this.#displaced.set(before.id.slot, before);
    if (this.#displaced.size >= this.#sweepAt) this.#sweep();
  }

  /** Drops the object of a region that has gone. */
  forget(region: R): void {
    const { slot } = region.id;
    const place = slot & (PLACES - 1);
    if (this.#places[place] === region) this.#places[place] = undefined;
    else if (this.#displaced.get(slot) === region) this.#displaced.delete(slot);
  }

  #sweep(): void {
    for (const [slot, { pins }] of this.#displaced) if (pins === 0) this.#displaced.delete(slot);
    this.#sweepAt = Math.max(LEAST_SWEPT, 2 * this.#displaced.size);
  }
}
