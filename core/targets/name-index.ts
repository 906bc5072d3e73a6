/**
 * Which slot has which name, in both directions and in the order of the names' UTF-8 bytes. They
 * are compared byte by byte, which is not the order of JavaScript strings.
 *
 * The bytes are in a `NameHeap`, each name with its slot. A `NameTree` finds them and keeps their
 * order. A table with 4 bytes for each slot holds the places of their names. A name costs some 25
 * to 90 bytes more than its own, and no object. A change that fails has changed nothing.
 */
import { BedrockError } from '../base/errors.js';
import { MAX_NAME_BYTES } from '../contract/names.js';
import { ManyNames } from './many-names.js';
import { NameHeap } from './name-heap.js';
import { type HighestName, NameTree, OUT_OF_ORDER } from './name-tree.js';

const SLAB_BITS = 10;
const SLAB_SLOTS = 2 ** SLAB_BITS;
/** The place for a slot without a name. */
const NOWHERE = -1;

/** A name and the slot that has it. */
export interface NamedSlot {
  readonly name: string;
  readonly slot: number;
}

/** A new name of a slot. */
export interface NameChange {
  readonly slot: number;
  /** undefined: the slot shall have no name. */
  readonly name: string | Uint8Array | undefined;
}

export class NameIndex {
  readonly #heap = new NameHeap((from, to) => this.#moved(from, to));
  readonly #tree = new NameTree(this.#heap);
  /** By slot: the place of its name, plus one. A slab is made when the first of its slots gets a name. */
  readonly #places: (Uint32Array | undefined)[] = [];
  /** Slabs in `#places` that were made. */
  #slabs = 0;
  #size = 0;
  /** Counts changes of the tree and of places, so that iterations in progress notice them. */
  #changes = 0;
  /** The name that a call handles. */
  readonly #key = Buffer.alloc(MAX_NAME_BYTES);
  /**
   * The name that was searched for last, its place or -1, and `#changes` then: a call that changes
   * a name has looked it up before.
   */
  #lastName: string | undefined;
  #lastPlace = NOWHERE;
  #lastChanges = 0;

  /** How many names there are. */
  get size(): number {
    return this.#size;
  }

  /** Bytes of memory that it takes. */
  get bytes(): number {
    return this.#heap.bytes + this.#tree.bytes + this.#slabs * SLAB_SLOTS * 4;
  }

  /** The slot that has a name, or -1. Any string or bytes will do. */
  find(name: string | Uint8Array): number {
    if (this.#size === 0) return -1;
    const place = this.#search(name);
    return place < 0 ? -1 : this.#heap.slotAt(place);
  }

  /** Like `find`, of a name that is part of a buffer. */
  findIn(bytes: Uint8Array, start: number, end: number): number {
    const place = this.#tree.find(bytes, end - start, start);
    return place < 0 ? -1 : this.#heap.slotAt(place);
  }

  has(slot: number): boolean {
    return this.#placeOf(slot) !== NOWHERE;
  }

  /** The name of a slot, if it has one. */
  nameOf(slot: number): string | undefined {
    const place = this.#placeOf(slot);
    return place === NOWHERE ? undefined : this.#nameAt(place);
  }

  /**
   * Gives a slot a name, which replaces its old one. If another slot had the name, that slot has
   * none afterwards.
   * @param name 1 to 1024 bytes; undefined removes the name
   * @throws OUT_OF_SPACE, RangeError if there is no memory for it; then nothing has changed
   */
  set(slot: number, name: string | Uint8Array | undefined): void {
    if (name === undefined || this.has(slot)) this.setAll([{ slot, name }]);
    else if (this.#isSought(name) && this.#lastPlace >= 0) this.#passOn(slot, this.#lastPlace);
    else this.#giveTo(slot, this.#key, this.#load(name), true);
  }

  /**
   * Gives a slot without a name one that no other slot has.
   * @returns the slot that has the name, and then nothing has changed; -1 if there was none
   * @throws as `set`
   */
  add(slot: number, name: Uint8Array): number {
    if (this.has(slot)) throw new BedrockError('INTERNAL', `slot ${slot} was given a second name`);
    return this.#giveTo(slot, name, name.length, false);
  }

  /**
   * Adds many names of slots that have none, which is faster if it is done together. The index is
   * not used otherwise until they are settled.
   */
  many(): ManyNames {
    const highest = this.#tree.highest();
    return new ManyNames({
      heap: this.#heap,
      insert: (place, common) => this.#insertStored(place, highest, common),
      drop: (place, other, takesOver) => {
        const slot = this.#heap.slotAt(place);
        this.#heap.remove(place);
        if (takesOver) this.#passOn(slot, other);
      },
    });
  }

  /** Adds a name of the heap to the tree. @returns -1, or the place of the same name if there is one */
  #insertStored(place: number, highest: HighestName, common: number): number {
    const slot = this.#heap.slotAt(place);
    this.#addSlab(slot);
    this.#tree.reserve(1);
    let found = this.#tree.append(place, highest, common);
    if (found === OUT_OF_ORDER) {
      found = this.#insertSearching(place);
      // A node may have been put into the way to it.
      highest.path.splice(0, Infinity, ...this.#tree.highest().path);
    }
    if (found >= 0) return found;
    this.#size++;
    this.#setPlace(slot, place);
    this.#changes++;
    return -1;
  }

  #insertSearching(place: number): number {
    const start = this.#heap.startAt(place);
    const length = this.#heap.lengthAt(place);
    this.#key.set(this.#heap.bytesAt(place).subarray(start, start + length));
    const found = this.#tree.seek(this.#key, length);
    if (found < 0) this.#tree.insertSought(this.#key, length, place);
    return found;
  }

  /** Gives a slot without a name one, by one search. @returns the slot that has or had the name, or -1 */
  #giveTo(slot: number, key: Uint8Array, length: number, takesOver: boolean): number {
    checkLength(length);
    const found = this.#tree.seek(key, length);
    const holder = found < 0 ? -1 : this.#heap.slotAt(found);
    if (holder >= 0 && !takesOver) return holder;
    if (holder >= 0) {
      this.#passOn(slot, found);
      return holder;
    }
    // All that can fail comes before anything changes.
    this.#addSlab(slot);
    this.#tree.reserve(1);
    const place = this.#heap.add(slot, key, 0, length);
    this.#tree.insertSought(key, length, place);
    this.#size++;
    this.#setPlace(slot, place);
    this.#changes++;
    return -1;
  }

  /**
   * Gives a slot without a name the name at a place. This is the most frequent change, and only
   * writes numbers.
   */
  #passOn(slot: number, place: number): void {
    this.#addSlab(slot);
    this.#setPlace(this.#heap.slotAt(place), NOWHERE);
    this.#heap.setSlotAt(place, slot);
    this.#setPlace(slot, place);
  }

  /** Whether a name was searched for last, and nothing has moved since. */
  #isSought(name: string | Uint8Array): boolean {
    return name === this.#lastName && this.#lastChanges === this.#changes;
  }

  /** The place of a name, or -1. */
  #search(name: string | Uint8Array): number {
    if (this.#isSought(name)) return this.#lastPlace;
    const place = this.#tree.find(this.#key, this.#load(name));
    if (typeof name !== 'string') return place;
    this.#lastName = name;
    this.#lastPlace = place;
    this.#lastChanges = this.#changes;
    return place;
  }

  /** Removes the name of a slot, if it has one. */
  delete(slot: number): void {
    if (this.has(slot)) this.set(slot, undefined);
  }

  /**
   * Like `set`, for several slots at once, which may exchange their names.
   * @param changes no slot and no name twice
   * @throws as `set`
   */
  setAll(changes: readonly NameChange[]): void {
    const places = this.#placesFor(changes);
    // Nothing fails from here on.
    const before = changes.map(({ slot }) => this.#placeOf(slot));
    for (const { slot } of changes) this.#setPlace(slot, NOWHERE);
    for (const [i, { slot, name }] of changes.entries())
      if (name !== undefined) this.#give(slot, places[i] as number, name);
    for (const [i, { slot }] of changes.entries()) {
      const place = before[i] as number;
      if (place === NOWHERE || place === this.#placeOf(slot) || this.#heap.slotAt(place) !== slot) continue;
      this.#tree.remove(place);
      this.#heap.remove(place);
      this.#size--;
    }
    this.#heap.tidy();
    this.#changes++;
  }

  /** The places of the names in the changes. New names are stored here; all that can fail fails here. */
  #placesFor(changes: readonly NameChange[]): number[] {
    const added: number[] = [];
    try {
      this.#tree.reserve(changes.length);
      return changes.map(({ slot, name }) => {
        this.#addSlab(slot);
        if (name === undefined) return NOWHERE;
        const length = this.#load(name);
        checkLength(length);
        const found = this.#tree.find(this.#key, length);
        if (found >= 0) return found;
        const place = this.#heap.add(slot, this.#key, 0, length);
        added.push(place);
        return place;
      });
    } catch (error) {
      for (const place of added) this.#heap.remove(place);
      throw error;
    }
  }

  /** Gives a slot a name at a known place. The name may already be in the tree. */
  #give(slot: number, place: number, name: string | Uint8Array): void {
    const holder = this.#heap.slotAt(place);
    const length = this.#load(name);
    if (this.#tree.find(this.#key, length) < 0) {
      this.#tree.insert(this.#key, length, place);
      this.#size++;
    } else if (this.#placeOf(holder) === place) this.#setPlace(holder, NOWHERE);
    this.#heap.setSlotAt(place, slot);
    this.#setPlace(slot, place);
  }

  /**
   * Names in order, starting at these bytes, or all. Changes meanwhile do no harm: it continues
   * after the last name that it gave.
   */
  *from(first: Uint8Array = NO_BYTES): Generator<NamedSlot> {
    let path = this.#tree.pathFrom(first);
    for (;;) {
      const seen = this.#changes;
      const place = this.#tree.next(path);
      if (place < 0) return;
      const name = this.#nameAt(place);
      yield { name, slot: this.#heap.slotAt(place) };
      if (seen !== this.#changes) path = this.#tree.pathFrom(bytesBehind(name));
    }
  }

  // ---- names ----

  /** Copies a name into `#key`. @returns its length, or -1 if it is longer than names may be */
  #load(name: string | Uint8Array): number {
    const key = this.#key;
    const { length } = name;
    if (length > MAX_NAME_BYTES) return -1;
    if (typeof name !== 'string') {
      key.set(name);
      return length;
    }
    for (let i = 0; i < length; i++) {
      const code = name.charCodeAt(i);
      if (code >= 0x80) return Buffer.byteLength(name) > MAX_NAME_BYTES ? -1 : key.write(name);
      key[i] = code;
    }
    return length;
  }

  #nameAt(place: number): string {
    const start = this.#heap.startAt(place);
    return this.#heap.bytesAt(place).toString('utf8', start, start + this.#heap.lengthAt(place));
  }

  // ---- places ----

  #addSlab(slot: number): void {
    const index = slot >>> SLAB_BITS;
    while (this.#places.length <= index) this.#places.push(undefined);
    if (this.#places[index] !== undefined) return;
    this.#places[index] = new Uint32Array(SLAB_SLOTS);
    this.#slabs++;
  }

  #placeOf(slot: number): number {
    const places = this.#places[slot >>> SLAB_BITS];
    return places === undefined ? NOWHERE : (places[slot & (SLAB_SLOTS - 1)] as number) - 1;
  }

  #setPlace(slot: number, place: number): void {
    (this.#places[slot >>> SLAB_BITS] as Uint32Array)[slot & (SLAB_SLOTS - 1)] = place + 1;
  }

  #moved(from: number, to: number): void {
    this.#tree.move(from, to);
    this.#setPlace(this.#heap.slotAt(to), to);
  }
}

function checkLength(length: number): void {
  if (length < 1 || length > MAX_NAME_BYTES)
    throw new BedrockError('INTERNAL', 'the index of names was given what is not a name');
}

const NO_BYTES = new Uint8Array(0);

/** The smallest bytes that sort after a name. */
export function bytesBehind(name: string): Uint8Array {
  return Buffer.from(`${name}\0`);
}
