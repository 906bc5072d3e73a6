/**
 * Reads the names of recovered regions, and finds out which region has which name. It reads them in
 * the order of their places, and neighbours with one read, so that a million names take a few reads
 * for each megabyte. They are added to the index together (`ManyNames`).
 *
 * | found | becomes |
 * |---|---|
 * | a name with the right checksum, that nobody else has | the region's name |
 * | a name that another live region has as well | the name of the region with the higher order. The other was replaced, and its end was not durable yet: it is reported in `replaced` |
 * | a name that cannot be read, does not match its checksum, is not a valid name, or that two have with the same order | nobody's name: the region stays, without a name, and is reported in `damaged` |
 */
import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import type { ManyNames } from '../targets/many-names.js';
import type { NameIndex } from '../targets/name-index.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { crc32c } from './crc32c.js';
import type { NamedSlots } from './named-slots.js';
import { readCarefully, type ReadableMedium } from './scan.js';

/** The most bytes of one read. A smaller gap between two names is read too. */
const PIECE_BYTES = 2 ** 20;
const GAP_BYTES = 2 ** 14;
/** Names can be at any byte. Names this close to each other are read in any order. */
const ORDER_UNIT_BYTES = 64;

export interface RecoveredNames {
  /** Regions that have a name. */
  named: number;
  /** Slots of live regions that were replaced, in no order. Their rows are still live. */
  readonly replaced: number[];
  /** Slots of regions whose name is lost, in order. */
  readonly damaged: number[];
}

/**
 * @param names those count whose slot is live in the table
 * @param index gets the names; it is empty, and nobody else uses it meanwhile
 */
export async function recoverNames(
  medium: ReadableMedium,
  names: NamedSlots,
  table: SlotTable,
  index: NameIndex,
): Promise<RecoveredNames> {
  const many = index.many();
  const recovery = new NameRecovery(names, table, many);
  const order = names.inOrder(ORDER_UNIT_BYTES);
  let buffer = Buffer.alloc(0);
  for (let first = 0; first < order.length;) {
    const piece = pieceFrom(names, order, first);
    if (buffer.length < piece.length)
      buffer = Buffer.allocUnsafeSlow(Math.max(piece.length, Math.min(PIECE_BYTES, 2 * buffer.length)));
    const bytes = await tryRead(medium, piece.offset, buffer.subarray(0, piece.length));
    for (let rank = first; rank < piece.next; rank++) {
      const number = order[rank] as number;
      const at = names.offsetAt(number);
      const length = names.lengthAt(number);
      // If a piece cannot be read as a whole, each name is tried by itself.
      recovery.take(
        number,
        bytes === undefined
          ? await tryRead(medium, at, Buffer.alloc(length))
          : bytes.subarray(at - piece.offset, at - piece.offset + length),
      );
    }
    first = piece.next;
    if (first < order.length) await setImmediate();
  }
  await many.settle((slot, holder) => recovery.takesOver(slot, holder));
  return recovery.result();
}

/** Slots of live regions whose name is lost, in order. */
export function damagedNames(
  { impossibleNames }: { readonly impossibleNames: readonly number[] },
  { damaged }: Pick<RecoveredNames, 'damaged'>,
  table: SlotTable,
): number[] {
  return [...impossibleNames, ...damaged]
    .filter((slot) => table.state(slot) === SlotState.live)
    .sort((one, other) => one - other);
}

interface Piece {
  readonly offset: number;
  readonly length: number;
  /** The rank of the first name after the piece. */
  readonly next: number;
}

/** Names that are close to each other. */
function pieceFrom(names: NamedSlots, order: Uint32Array, first: number): Piece {
  const offset = names.offsetAt(order[first] as number);
  let end = offset + names.lengthAt(order[first] as number);
  let next = first + 1;
  for (; next < order.length; next++) {
    const index = order[next] as number;
    const at = names.offsetAt(index);
    const to = at + names.lengthAt(index);
    if (at < offset || at > end + GAP_BYTES || to > offset + PIECE_BYTES) break;
    if (to > end) end = to;
  }
  return { offset, length: end - offset, next };
}

class NameRecovery {
  readonly #names: NamedSlots;
  readonly #table: SlotTable;
  readonly #many: ManyNames;
  readonly #replaced: number[] = [];
  readonly #damaged: number[] = [];
  #named = 0;
  /** The number of each slot's name. Made when two slots have the same name. */
  #indexes: Int32Array | undefined;

  constructor(names: NamedSlots, table: SlotTable, many: ManyNames) {
    this.#names = names;
    this.#table = table;
    this.#many = many;
  }

  /** @param name its bytes; undefined if they cannot be read */
  take(index: number, name: Uint8Array | undefined): void {
    const names = this.#names;
    const slot = names.slotAt(index);
    if (this.#table.state(slot) !== SlotState.live) return;
    if (name === undefined || crc32c(name) !== names.checksumAt(index) || !isUtf8(name)) {
      this.#damaged.push(slot);
      return;
    }
    this.#many.add(slot, name);
    this.#named++;
  }

  /** Decides which of two regions has a name. */
  takesOver(slot: number, holder: number): boolean {
    const names = this.#names;
    const lead = names.orderAt(this.#indexOf(slot)) - names.orderAt(this.#indexOf(holder));
    this.#named--;
    if (lead === 0) this.#damaged.push(slot);
    else this.#replaced.push(lead > 0 ? holder : slot);
    return lead > 0;
  }

  result(): RecoveredNames {
    return {
      named: this.#named,
      replaced: this.#replaced,
      damaged: this.#damaged.sort((one, other) => one - other),
    };
  }

  #indexOf(slot: number): number {
    if (this.#indexes === undefined) {
      this.#indexes = new Int32Array(this.#table.slots);
      for (let index = 0; index < this.#names.length; index++)
        this.#indexes[this.#names.slotAt(index)] = index;
    }
    return this.#indexes[slot] as number;
  }
}

async function tryRead(
  medium: ReadableMedium,
  offset: number,
  into: Uint8Array,
): Promise<Uint8Array | undefined> {
  if (offset + into.length > medium.size) return undefined;
  try {
    await readCarefully(medium, offset, into);
    return into;
  } catch {
    return undefined;
  }
}
