/**
 * Reads the names of recovered regions, and finds out which region has which name. It reads them in the order of their places,
 * and neighbours with one read, so that a million names take a few reads for each megabyte.
 *
 * | found | becomes |
 * |---|---|
 * | a name with the right checksum, that nobody else has | the region's name |
 * | a name that another live region has as well | the name of the region with the higher order. The other was replaced, and its end was not durable yet: it is reported in `replaced` |
 * | a name that cannot be read, does not match its checksum, is not a valid name, or that two have with the same order | nobody's name: the region stays, without a name, and is reported in `damaged` |
 */
import { isUtf8 } from 'node:buffer';
import { setImmediate } from 'node:timers/promises';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { crc32c } from './crc32c.js';
import type { NamedSlots } from './named-slots.js';
import { readCarefully, type ReadableMedium } from './scan.js';

/** The most bytes of one read. A smaller gap between two names is read too. */
const PIECE_BYTES = 2 ** 20;
const GAP_BYTES = 2 ** 14;
/** Names can be at any byte. Names this close to each other are read in any order. */
const ORDER_UNIT_BYTES = 64;

/** What holds the names: an index in memory. */
export interface NameKeeper {
  /** Gives a slot a name, unless another one has it. @returns that one, or -1 */
  add(slot: number, name: Uint8Array): number;
  /** Gives a slot a name, which its previous owner loses. */
  set(slot: number, name: Uint8Array): void;
}

export interface RecoveredNames {
  /** Regions that have a name. */
  named: number;
  /** Slots of live regions that were replaced, in no order. Their rows are still live. */
  readonly replaced: number[];
  /** Slots of regions whose name is lost, in order. */
  readonly damaged: number[];
}

/** @param names those count whose slot is live in the table */
export async function recoverNames(
  medium: ReadableMedium,
  names: NamedSlots,
  table: SlotTable,
  keeper: NameKeeper,
): Promise<RecoveredNames> {
  const recovery = new NameRecovery(names, table, keeper);
  const order = names.inOrder(ORDER_UNIT_BYTES);
  let buffer = Buffer.alloc(0);
  for (let first = 0; first < order.length;) {
    const piece = pieceFrom(names, order, first);
    if (buffer.length < piece.length)
      buffer = Buffer.allocUnsafeSlow(Math.max(piece.length, Math.min(PIECE_BYTES, 2 * buffer.length)));
    const bytes = await tryRead(medium, piece.offset, buffer.subarray(0, piece.length));
    for (let rank = first; rank < piece.next; rank++) {
      const index = order[rank] as number;
      const at = names.offsetAt(index);
      const length = names.lengthAt(index);
      // If a piece cannot be read as a whole, each name is tried by itself.
      recovery.take(
        index,
        bytes === undefined
          ? await tryRead(medium, at, Buffer.alloc(length))
          : bytes.subarray(at - piece.offset, at - piece.offset + length),
      );
    }
    first = piece.next;
    if (first < order.length) await setImmediate();
  }
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
  readonly #keeper: NameKeeper;
  readonly #replaced: number[] = [];
  readonly #damaged: number[] = [];
  #named = 0;
  /** The number of each slot's name. Made when two slots have the same name. */
  #indexes: Int32Array | undefined;

  constructor(names: NamedSlots, table: SlotTable, keeper: NameKeeper) {
    this.#names = names;
    this.#table = table;
    this.#keeper = keeper;
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
    const other = this.#keeper.add(slot, name);
    if (other < 0) {
      this.#named++;
      return;
    }
    const lead = names.orderAt(index) - names.orderAt(this.#indexOf(other));
    if (lead === 0) this.#damaged.push(slot);
    else this.#replaced.push(lead > 0 ? other : slot);
    if (lead > 0) this.#keeper.set(slot, name);
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
