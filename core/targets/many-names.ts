/**
 * Adds many names to a `NameIndex` together, as when a pool is opened. Their bytes are stored as
 * they come. Then the names are sorted, and added to the tree in that order: each is added after
 * the one before, where no search is needed. Added in any other order, a million names take several
 * times as long.
 *
 * The order only affects the speed: a name that is out of order is searched for. Names are sorted
 * by the six bytes after their common beginning. Names that are still equal there are sorted again,
 * by the bytes after what they have in common. The number of such rounds is limited, since names
 * can be chosen so that there would be too many.
 */
import { setImmediate } from 'node:timers/promises';
import { orderInSteps, type OrderedOffsets } from '../base/offset-order.js';
import type { NameHeap } from './name-heap.js';

/** The names that are sorted, all in all, for each name. */
const SORTS = 4;
/** So few names are compared with each other. */
const FEW_NAMES = 32;
const KEY_BYTES = 6;
/** Names that are added in one turn: about a millisecond of work. */
const TURN_NAMES = 1024;
/** Names that go through a step of the sorting in one turn, unless a step has more. */
const TURN_SORTED = 2 ** 16;
const FIRST_ROOM = 1024;

/** Decides which of two slots has a name that both have: whether the second one takes it from the first. */
export type TakesOver = (slot: number, holder: number) => boolean;

/** What it needs of the index. */
export interface ManyNamesStore {
  readonly heap: NameHeap;
  /**
   * Adds a name of the heap to the tree.
   * @param common bytes that all names begin with
   * @returns -1; the place of the same name if there is one, and then nothing has changed
   */
  insert(place: number, common: number): number;
  /**
   * Removes a name from the heap that is not in the tree, and gives its slot the other place of the
   * same name if it takes it over.
   */
  drop(place: number, other: number, takesOver: boolean): void;
}

export class ManyNames {
  #places = new Uint32Array(FIRST_ROOM);
  #count = 0;
  /** Bytes that all names begin with. */
  #common = Infinity;
  /** Names that were sorted in this turn. */
  #work = 0;

  constructor(private readonly store: ManyNamesStore) {}

  /**
   * Stores a name of a slot that has none.
   * @throws what the heap throws
   */
  add(slot: number, name: Uint8Array): void {
    const { heap } = this.store;
    if (this.#count === this.#places.length) {
      const places = new Uint32Array(2 * this.#count);
      places.set(this.#places);
      this.#places = places;
    }
    this.#places[this.#count] = heap.add(slot, name, 0, name.length);
    if (this.#count === 0) this.#common = name.length;
    else this.#common = commonBytes(heap, this.#places[0] as number, name, this.#common);
    this.#count++;
  }

  /** Adds all of them to the index, in turns. */
  async settle(takesOver: TakesOver): Promise<void> {
    const { heap } = this.store;
    await this.#sort();
    for (let index = 0; index < this.#count; index++) {
      if (index % TURN_NAMES === TURN_NAMES - 1) await setImmediate();
      const place = this.#places[index] as number;
      const other = this.store.insert(place, this.#common);
      if (other >= 0) this.store.drop(place, other, takesOver(heap.slotAt(place), heap.slotAt(other)));
    }
    this.#places = new Uint32Array(0);
    this.#count = 0;
  }

  async #sort(): Promise<void> {
    let left = SORTS * this.#count;
    const groups = [{ from: 0, to: this.#count, depth: this.#common }];
    for (let group = groups.pop(); group !== undefined; group = groups.pop()) {
      const { from, to, depth } = group;
      left -= to - from;
      if (left < 0) return;
      groups.push(...(await this.#sortGroup(from, to, depth)));
    }
  }

  /** Lets others run after a certain amount of work. Safe: nobody else uses the index yet. */
  async #pause(names: number): Promise<void> {
    this.#work += names;
    if (this.#work < TURN_SORTED) return;
    this.#work = 0;
    await setImmediate();
  }

  async #order(keys: Float64Array): Promise<OrderedOffsets> {
    const steps = orderInSteps(keys, 1);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await this.#pause(keys.length);
    }
  }

  /** Sorts names by the bytes at a depth. @returns those that are still alike, and their next depth */
  async #sortGroup(
    from: number,
    to: number,
    depth: number,
  ): Promise<{ from: number; to: number; depth: number }[]> {
    const { heap } = this.store;
    const count = to - from;
    const places = this.#places.subarray(from, to);
    const keys = new Float64Array(count);
    for (let index = 0; index < count; index++) keys[index] = keyAt(heap, places[index] as number, depth);
    const { units, order } = await this.#order(keys);
    await this.#pause(count);
    const before = places.slice();
    for (let index = 0; index < count; index++) places[index] = before[order[index] as number] as number;
    const alike: { from: number; to: number; depth: number }[] = [];
    for (let first = 0, index = 1; index <= count; index++) {
      if (index < count && units[index] === units[first]) continue;
      if (index - first > FEW_NAMES) {
        const next = this.#commonOf(from + first, from + index);
        if (next > depth) alike.push({ from: from + first, to: from + index, depth: next });
      } else if (index - first > 1) this.#sortFew(from + first, from + index, depth);
      first = index;
    }
    return alike;
  }

  /** Sorts names that are alike up to a depth, by insertion. */
  #sortFew(from: number, to: number, depth: number): void {
    const { heap } = this.store;
    const places = this.#places;
    for (let next = from + 1; next < to; next++) {
      const place = places[next] as number;
      let at = next;
      for (; at > from; at--) {
        const other = places[at - 1] as number;
        if (heap.compare(other, place, depth) <= 0) break;
        places[at] = other;
      }
      places[at] = place;
    }
  }

  /** Bytes that some of the names begin with. */
  #commonOf(from: number, to: number): number {
    const { heap } = this.store;
    const first = this.#places[from] as number;
    let common = heap.lengthAt(first);
    for (let index = from + 1; index < to; index++) {
      const place = this.#places[index] as number;
      const start = heap.startAt(place);
      const name = heap.bytesAt(place).subarray(start, start + heap.lengthAt(place));
      common = commonBytes(heap, first, name, common);
    }
    return common;
  }
}

/** Bytes that a name and the one at a place begin with, at most so many. */
function commonBytes(heap: NameHeap, place: number, name: Uint8Array, most: number): number {
  const bytes = heap.bytesAt(place);
  const start = heap.startAt(place);
  const end = Math.min(most, name.length, heap.lengthAt(place));
  let common = 0;
  while (common < end && bytes[start + common] === name[common]) common++;
  return common;
}

/** Six bytes of a name as a number; zeros after its end. */
function keyAt(heap: NameHeap, place: number, depth: number): number {
  const bytes = heap.bytesAt(place);
  const start = heap.startAt(place);
  const length = heap.lengthAt(place);
  let key = 0;
  for (let byte = depth; byte < depth + KEY_BYTES; byte++)
    key = key * 256 + (byte < length ? (bytes[start + byte] as number) : 0);
  return key;
}
