/**
 * Where the names of a pool's regions are, and how long they are: two bytes for each slot. Most
 * names are after the contents of their regions, in the same extent. The others are recorded one by
 * one. It also counts the orders of names: each new name gets a higher one.
 */
import { crc32c } from './crc32c.js';
import type { NameFields } from './descriptor.js';

const SLAB_BITS = 10;
const SLAB_SLOTS = 2 ** SLAB_BITS;

export class NamePlaces {
  /** A slab is made when the first of its slots gets a name. */
  readonly #lengths: (Uint16Array | undefined)[] = [];
  /** By slot, the offset of a name in its own extent. */
  readonly #apart = new Map<number, number>();
  #order: number;

  /** @param highestOrder the highest order of existing names */
  constructor(highestOrder = 0) {
    this.#order = highestOrder;
  }

  /** The fields of the descriptor for a name that is given now, and is at `nameOffset`. */
  fieldsFor(nameOffset: number, name: Uint8Array): NameFields {
    return { nameOffset, nameLength: name.length, nameChecksum: crc32c(name), order: ++this.#order };
  }

  /** Bytes of a region's name, or of the room for one until it is published; 0 without a name. */
  lengthOf(slot: number): number {
    return this.#lengths[slot >>> SLAB_BITS]?.[slot & (SLAB_SLOTS - 1)] ?? 0;
  }

  /** The offset of a name in its own extent; undefined if it is after the contents, or there is none. */
  apartOf(slot: number): number | undefined {
    return this.#apart.size === 0 ? undefined : this.#apart.get(slot);
  }

  /** Bytes that a name takes after its region's contents. */
  behindOf(slot: number): number {
    return this.apartOf(slot) === undefined ? this.lengthOf(slot) : 0;
  }

  /** @param apart offset of the name's own extent, if it has one */
  set(slot: number, length: number, apart?: number): void {
    const index = slot >>> SLAB_BITS;
    while (this.#lengths.length <= index) this.#lengths.push(undefined);
    const slab = (this.#lengths[index] ??= new Uint16Array(SLAB_SLOTS));
    slab[slot & (SLAB_SLOTS - 1)] = length;
    if (apart !== undefined) this.#apart.set(slot, apart);
    else if (this.#apart.size > 0) this.#apart.delete(slot);
  }

  delete(slot: number): void {
    if (this.lengthOf(slot) > 0) this.set(slot, 0);
  }
}
