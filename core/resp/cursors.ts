/**
 * The positions of SCAN listings: the protocol uses numbers for them, and a target uses names and
 * IDs.
 */
import type { RegionRef } from '../contract/names.js';

/** The oldest cursors are forgotten when there are more than this many. */
const MAX_CURSORS = 10_000;

/** The last key that was given: names come first, then the IDs of regions without a name. */
export interface ListingPosition {
  readonly after: RegionRef | undefined;
  readonly areNamesOver: boolean;
}

export class Cursors {
  readonly #kept = new Map<number, ListingPosition>();
  #last = 0;

  /** Keeps the position of a listing, and returns a number for it; 0 is the beginning. */
  keep(place: ListingPosition): number {
    const number = ++this.#last;
    this.#kept.set(number, place);
    this.#kept.delete(number - MAX_CURSORS);
    return number;
  }

  /** The position for a number; undefined if it is no longer kept. */
  get(number: number): ListingPosition | undefined {
    return this.#kept.get(number);
  }
}
