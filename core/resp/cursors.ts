/** The places of listings that SCAN goes on from: the protocol has numbers for them, and a target has IDs. */
import type { RegionId } from '../contract/region-id.js';

/** Those of listings that nobody went on with are forgotten when so many younger ones have come. */
const MAX_CURSORS = 10_000;

export class Cursors {
  readonly #places = new Map<number, RegionId>();
  #last = 0;

  /** Keeps the place of a listing, and gives it a number; 0 is the beginning. */
  keep(after: RegionId): number {
    const number = ++this.#last;
    this.#places.set(number, after);
    this.#places.delete(number - MAX_CURSORS);
    return number;
  }

  /** The place that a number was given for; undefined if it is not kept any more. */
  get(number: number): RegionId | undefined {
    return this.#places.get(number);
  }
}
