/**
 * Slots of replaced regions with their space, ready for the next regions of the same length. The
 * end of each is durable and its space is zeros, so it is as good as a free slot and free space; it
 * only saves the way through the table and the allocator, which takes longer than storing a small
 * value. The pool gives all of them back when figures are asked for, or when something is short.
 */

/** How many are kept at most: twice as many as end together. */
const MOST = 128;
/** Longer ones are not kept. */
export const SPARE_BYTES = 2 ** 10;

export class SpareRegions {
  /** By length: slots and offsets, in turn. */
  readonly #byLength = new Map<number, number[]>();
  #count = 0;
  /** Set by `take`. */
  slot = 0;
  offset = 0;

  /** How many more may be kept. */
  get room(): number {
    return MOST - this.#count;
  }

  add(slot: number, offset: number, length: number): void {
    const spares = this.#byLength.get(length);
    if (spares === undefined) this.#byLength.set(length, [slot, offset]);
    else spares.push(slot, offset);
    this.#count++;
  }

  /** Takes one of this length. @returns whether there is one; then `slot` and `offset` tell which */
  take(length: number): boolean {
    if (this.#count === 0) return false;
    const spares = this.#byLength.get(length);
    if (spares === undefined || spares.length === 0) return false;
    this.offset = spares.pop() as number;
    this.slot = spares.pop() as number;
    this.#count--;
    return true;
  }

  /** Takes all. */
  takeAll(giveBack: (slot: number, offset: number, length: number) => void): void {
    if (this.#count === 0) return;
    for (const length of this.#byLength.keys())
      while (this.take(length)) giveBack(this.slot, this.offset, length);
    this.#byLength.clear();
  }
}
