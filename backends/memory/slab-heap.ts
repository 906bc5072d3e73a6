/**
 * Memory for small regions: cells of some sixty sizes, in slabs of 64 KiB to 1 MiB, each with cells
 * of one size.
 *
 * A cell needs no memory for its management: a free cell holds the number of the next free one of
 * its slab in its first bytes. A cell is zeroed when it is taken, unless it was never used, as new
 * slabs are zeros. If all slabs of a size are full, it gets a new one of about half their total
 * size, so that no size holds much more than it needs. Of its empty slabs it keeps one, for regions
 * that come and go. No other code may keep a view into a slab: its memory is freed at once.
 */
import { processMemory } from './process-memory.js';

/**
 * Larger regions do not use cells: their own buffer costs some 650 bytes more, but nothing is lost
 * by rounding up.
 */
export const MAX_CELL_BYTES = 2 ** 13;
/** Means that there is no cell. */
export const NO_CELL = -1;

const MIN_SLAB_BYTES = 2 ** 16;
const MAX_SLAB_BYTES = 2 ** 20;
/** Up to here sizes are 16 bytes apart; above, there are eight sizes per doubling. */
const FINE_BYTES = 128;
/** The number after the last free cell of a slab. */
const NO_NUMBER = 0xffff_ffff;

class Slab {
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** Cells in use. */
  used = 0;
  /** Its index among the slabs of its size with free cells; -1 if it has none. */
  openAt = -1;
  /** Number of cells that were ever used; they are the first ones. */
  #touched = 0;
  #nextFree = NO_NUMBER;

  constructor(
    readonly index: number,
    readonly cellBytes: number,
    readonly cells: number,
  ) {
    this.bytes = new Uint8Array(cells * cellBytes);
    this.#words = new Uint32Array(this.bytes.buffer);
  }

  get isFull(): boolean {
    return this.used === this.cells;
  }

  /** Offset of a cell in the slab. The slab must not be full. */
  take(): number {
    this.used++;
    const cell = this.#nextFree;
    if (cell === NO_NUMBER) return this.#touched++ * this.cellBytes;
    const start = cell * this.cellBytes;
    this.#nextFree = this.#words[start >>> 2] as number;
    this.bytes.fill(0, start, start + this.cellBytes);
    return start;
  }

  give(start: number): void {
    this.used--;
    this.#words[start >>> 2] = this.#nextFree;
    this.#nextFree = start / this.cellBytes;
  }
}

/** The slabs of one size of cells. */
class Size {
  /** Slabs with free cells, including the empty one. */
  readonly open: Slab[] = [];
  empty: Slab | undefined;
  /** Total of all its slabs. */
  slabBytes = 0;
}

export class SlabHeap {
  readonly #sizes: Size[] = [];
  /** By index, which is the upper part of a cell's number. A freed slab leaves a gap. */
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #gaps: number[] = [];

  constructor(private readonly memory = processMemory) {}

  /**
   * Takes a cell, all zero.
   * @param size 1 to MAX_CELL_BYTES
   * @returns its number, valid until `free`; NO_CELL if a new slab would leave the process too little memory
   * @throws RangeError if the system refuses the memory for a slab
   */
  allocate(size: number): number {
    const index = sizeIndex(size);
    const ofSize = (this.#sizes[index] ??= this.#addSizes(index));
    const slab = ofSize.open.at(-1) ?? this.#addSlab(ofSize, cellBytesOf(index));
    if (slab === undefined) return NO_CELL;
    if (slab === ofSize.empty) ofSize.empty = undefined;
    const cell = slab.index * MAX_SLAB_BYTES + slab.take();
    if (slab.isFull) close(ofSize, slab);
    return cell;
  }

  /** Gives a cell back. */
  free(cell: number): void {
    const slab = this.#slabAt(cell);
    const ofSize = this.#sizes[sizeIndex(slab.cellBytes)] as Size;
    if (slab.isFull) open(ofSize, slab);
    slab.give(cell % MAX_SLAB_BYTES);
    if (slab.used === 0) this.#emptied(ofSize, slab);
  }

  /** The slab of a cell. Must not be kept beyond its `free`. */
  bytesAt(cell: number): Uint8Array {
    return this.#slabAt(cell).bytes;
  }

  /** The cell's offset in it. */
  startAt(cell: number): number {
    return cell % MAX_SLAB_BYTES;
  }

  /** Frees all slabs; no cell is valid any more. */
  clear(): void {
    for (const slab of this.#slabs) if (slab !== undefined) this.memory.giveBack(slab.bytes);
    this.#sizes.length = 0;
    this.#slabs.length = 0;
    this.#gaps.length = 0;
  }

  #slabAt(cell: number): Slab {
    return this.#slabs[Math.floor(cell / MAX_SLAB_BYTES)] as Slab;
  }

  #addSizes(index: number): Size {
    while (this.#sizes.length <= index) this.#sizes.push(new Size());
    return this.#sizes[index] as Size;
  }

  #addSlab(ofSize: Size, cellBytes: number): Slab | undefined {
    let wanted = Math.min(MAX_SLAB_BYTES, Math.max(MIN_SLAB_BYTES, ofSize.slabBytes / 2));
    if (!this.memory.hasRoomFor(wanted)) {
      wanted = MIN_SLAB_BYTES;
      if (!this.memory.hasRoomFor(wanted)) return undefined;
    }
    const index = this.#gaps.at(-1) ?? this.#slabs.length;
    const slab = new Slab(index, cellBytes, Math.floor(wanted / cellBytes));
    this.#gaps.pop();
    this.#slabs[index] = slab;
    ofSize.slabBytes += slab.bytes.length;
    this.memory.note(slab.bytes.length);
    open(ofSize, slab);
    return slab;
  }

  /** Keeps one empty slab; a large one only while others of its size are in use. */
  #emptied(ofSize: Size, slab: Slab): void {
    if (ofSize.empty !== undefined) this.#giveBack(ofSize, ofSize.empty);
    const isLast = ofSize.slabBytes === slab.bytes.length;
    const isKept = !isLast || slab.bytes.length <= MIN_SLAB_BYTES;
    ofSize.empty = isKept ? slab : undefined;
    if (isKept) useLast(ofSize, slab);
    else this.#giveBack(ofSize, slab);
  }

  #giveBack(ofSize: Size, slab: Slab): void {
    close(ofSize, slab);
    ofSize.slabBytes -= slab.bytes.length;
    this.#slabs[slab.index] = undefined;
    this.#gaps.push(slab.index);
    this.memory.giveBack(slab.bytes);
  }
}

function open({ open: all }: Size, slab: Slab): void {
  slab.openAt = all.length;
  all.push(slab);
}

function close({ open: all }: Size, slab: Slab): void {
  const last = all.pop() as Slab;
  if (last !== slab) {
    all[slab.openAt] = last;
    last.openAt = slab.openAt;
  }
  slab.openAt = -1;
}

/** So that new regions fill partly used slabs, and others become empty. */
function useLast({ open: all }: Size, slab: Slab): void {
  const first = all[0] as Slab;
  all[slab.openAt] = first;
  first.openAt = slab.openAt;
  all[0] = slab;
  slab.openAt = 0;
}

/** Index of the cell size for this many bytes. */
export function sizeIndex(size: number): number {
  if (size <= FINE_BYTES) return ((size + 15) >>> 4) - 1;
  const last = size - 1;
  const doubling = 31 - Math.clz32(last);
  return 8 * (doubling - 6) + (last >>> (doubling - 3)) - 8;
}

/** Bytes of a cell, by the index of its size. */
export function cellBytesOf(index: number): number {
  if (index < 8) return 16 * (index + 1);
  const doubling = 6 + (index >>> 3);
  return ((index & 7) + 9) * 2 ** (doubling - 3);
}
