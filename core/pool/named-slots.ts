/**
 * What recovery records about the names in descriptors until they are read: 27 bytes each, in
 * arrays that double. A name is identified by its number here, in the order of recording.
 *
 * A name is after its region's contents, in the same extent, or in its own extent.
 */
import type { DescriptorFields } from './descriptor.js';
import { alignUp, extentFault, type PoolGeometry } from './extent.js';
import { orderByOffset } from '../base/offset-order.js';
import { MAX_NAME_BYTES } from '../contract/names.js';

const FIRST_ROOM = 16;

export class NamedSlots {
  #slots = new Int32Array(FIRST_ROOM);
  #offsets = new Float64Array(FIRST_ROOM);
  #orders = new Float64Array(FIRST_ROOM);
  #checksums = new Uint32Array(FIRST_ROOM);
  #lengths = new Uint16Array(FIRST_ROOM);
  #count = 0;
  #highestOrder = 0;

  get length(): number {
    return this.#count;
  }

  /** The highest order; 0 if there is no name. */
  get highestOrder(): number {
    return this.#highestOrder;
  }

  /** Records the name of a valid descriptor. */
  add(slot: number, { nameOffset, nameLength, nameChecksum, order }: DescriptorFields): void {
    if (this.#count === this.#slots.length) this.#grow();
    const at = this.#count++;
    this.#slots[at] = slot;
    this.#offsets[at] = nameOffset;
    this.#orders[at] = order;
    this.#checksums[at] = nameChecksum;
    this.#lengths[at] = nameLength;
    if (order > this.#highestOrder) this.#highestOrder = order;
  }

  slotAt(index: number): number {
    return this.#slots[index] as number;
  }

  offsetAt(index: number): number {
    return this.#offsets[index] as number;
  }

  lengthAt(index: number): number {
    return this.#lengths[index] as number;
  }

  checksumAt(index: number): number {
    return this.#checksums[index] as number;
  }

  orderAt(index: number): number {
    return this.#orders[index] as number;
  }

  /** The numbers of names, sorted by place in units of `unit` bytes. */
  inOrder(unit: number): Uint32Array {
    return orderByOffset(this.#offsets.slice(0, this.#count), unit).order;
  }

  #grow(): void {
    const room = 2 * this.#slots.length;
    const grown = <A extends Int32Array | Float64Array | Uint32Array | Uint16Array>(array: A): A => {
      const next = new (array.constructor as new (length: number) => A)(room);
      next.set(array);
      return next;
    };
    this.#slots = grown(this.#slots);
    this.#offsets = grown(this.#offsets);
    this.#orders = grown(this.#orders);
    this.#checksums = grown(this.#checksums);
    this.#lengths = grown(this.#lengths);
  }
}

/**
 * Whether the name fields of a descriptor are possible: a valid length, within the pool, after its
 * contents or aligned.
 */
export function isNamePossible(
  pool: PoolGeometry,
  { offset, size, nameOffset, nameLength, order }: DescriptorFields,
): boolean {
  if (nameLength > MAX_NAME_BYTES || !Number.isSafeInteger(order) || order < 0) return false;
  if (isBehind(offset, size, nameOffset)) return nameOffset + nameLength <= pool.capacity;
  return extentFault(pool, nameOffset, nameLength) === undefined;
}

/** Whether a name is after its region's contents, in their extent. */
export function isBehind(offset: number, size: number, nameOffset: number): boolean {
  return size > 0 && nameOffset === offset + size;
}

/** The extra extent that a name takes; length 0 if it takes none. */
export function extentOfName(
  offset: number,
  size: number,
  nameOffset: number,
  nameLength: number,
  alignment: number,
): { offset: number; length: number } {
  const from = isBehind(offset, size, nameOffset) ? alignUp(nameOffset, alignment) : nameOffset;
  return { offset: from, length: Math.max(0, alignUp(nameOffset + nameLength, alignment) - from) };
}
