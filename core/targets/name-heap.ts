/**
 * The bytes of names, in chunks of 64 KiB, one name after another, each after the slot of its
 * region. A name costs 8 bytes more than its own, rounded up to 4; no string is kept for it. The
 * first chunk begins small, and doubles up to its full size.
 *
 *     | offset | size   | meaning                                    |
 *     |--------|--------|--------------------------------------------|
 *     | 0      | 4      | slot of the region, or GONE                |
 *     | 4      | 4      | length of the name, bytes                  |
 *     | 8      | length | the name, and up to 3 bytes of padding     |
 *
 * When less than half of a chunk is in use, its names move to where new names go, and the chunk is
 * given up. So removed names waste at most about half of the memory. Names move only in `tidy`, at
 * most 32 KiB of them for each chunk. The owner of their places is told.
 */
import { BedrockError } from '../base/errors.js';

const CHUNK_BYTES = 2 ** 16;
/** Of the first chunk at first: a target with few names takes little memory. */
const FIRST_BYTES = 2 ** 9;
const HEAD_BYTES = 8;
/** Up to here, a loop is faster than a call. */
const LOOP_BYTES = 96;
/** Stands for the slot if the name is gone. */
const GONE = 0xffff_ffff;
/** Places are counted in units of four bytes, and have 31 bits. */
const UNIT_BITS = 2;
const CHUNK_UNIT_BITS = 14;
const UNIT_MASK = 2 ** CHUNK_UNIT_BITS - 1;
const MAX_CHUNKS = 2 ** (31 - CHUNK_UNIT_BITS);

class Chunk {
  bytes: Buffer;
  words: Uint32Array;
  /** Where the next name goes. */
  end = 0;
  /** Bytes of names that are not gone, including their heads. */
  used = 0;

  constructor(length: number) {
    this.bytes = Buffer.from(new ArrayBuffer(length));
    this.words = new Uint32Array(this.bytes.buffer);
  }

  /** Moves what it has to a larger array. Places stay. */
  grow(length: number): void {
    const { bytes } = new Chunk(length);
    this.bytes.copy(bytes);
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer);
  }
}

export class NameHeap {
  /** A chunk that is given up leaves a gap. */
  readonly #chunks: (Chunk | undefined)[] = [];
  readonly #gaps: number[] = [];
  /** Bytes of all chunks. */
  #bytes = 0;
  /** The chunk that takes new names; -1 before the first. */
  #open = -1;
  /** Chunks that were less than half in use when last checked. */
  readonly #sparse: number[] = [];

  /** @param onMove is called for each name that moves, while it is at both places */
  constructor(private readonly onMove: (from: number, to: number) => void) {}

  /** Bytes of memory that it takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps a name.
   * @returns its place, from 0 up
   * @throws OUT_OF_SPACE beyond 8 GiB of names, RangeError if the system refuses the memory; then
   *   nothing has changed
   */
  add(slot: number, bytes: Uint8Array, start: number, length: number): number {
    const taken = takenBy(length);
    let chunk = this.#chunks[this.#open];
    if (chunk === undefined || chunk.end + taken > CHUNK_BYTES) chunk = this.#addChunk();
    if (chunk.end + taken > chunk.bytes.length) this.#grow(chunk, chunk.end + taken);
    const unit = chunk.end >>> UNIT_BITS;
    chunk.words[unit] = slot;
    chunk.words[unit + 1] = length;
    const to = chunk.end + HEAD_BYTES;
    if (length > LOOP_BYTES) chunk.bytes.set(bytes.subarray(start, start + length), to);
    else for (let i = 0; i < length; i++) chunk.bytes[to + i] = bytes[start + i] as number;
    chunk.end += taken;
    chunk.used += taken;
    return (this.#open << CHUNK_UNIT_BITS) | unit;
  }

  /** Forgets a name. */
  remove(place: number): void {
    const chunk = this.#chunkAt(place);
    chunk.used -= takenBy(this.lengthAt(place));
    chunk.words[place & UNIT_MASK] = GONE;
    this.#look(place >>> CHUNK_UNIT_BITS, chunk);
  }

  /** Gives up chunks with few names left. Call it only when all places are up to date. */
  tidy(): void {
    for (let index = this.#sparse.pop(); index !== undefined; index = this.#sparse.pop()) {
      const chunk = this.#chunks[index];
      if (chunk !== undefined && index !== this.#open && isSparse(chunk)) this.#giveUp(index, chunk);
    }
  }

  // ---- the name at a place ----

  slotAt(place: number): number {
    return this.#chunkAt(place).words[place & UNIT_MASK] as number;
  }

  setSlotAt(place: number, slot: number): void {
    this.#chunkAt(place).words[place & UNIT_MASK] = slot;
  }

  /** The length of the name at a place, bytes. */
  lengthAt(place: number): number {
    return this.#chunkAt(place).words[(place & UNIT_MASK) + 1] as number;
  }

  /** The chunk's bytes; the name begins at `startAt`. Do not keep them: names move. */
  bytesAt(place: number): Buffer {
    return this.#chunkAt(place).bytes;
  }

  startAt(place: number): number {
    return ((place & UNIT_MASK) << UNIT_BITS) + HEAD_BYTES;
  }

  /** Whether the name at a place is the one at `from` in `key`. */
  isAt(place: number, key: Uint8Array, length: number, from = 0): boolean {
    const { bytes, words } = this.#chunkAt(place);
    if (words[(place & UNIT_MASK) + 1] !== length) return false;
    const start = this.startAt(place);
    for (let i = 0; i < length; i++) if (bytes[start + i] !== key[from + i]) return false;
    return true;
  }

  /**
   * The first symbol, as `NameTree` counts them, in which a key differs from the name at a
   * place; -1 if they are the same.
   */
  differenceAt(place: number, key: Uint8Array, length: number): number {
    const { bytes } = this.#chunkAt(place);
    const start = this.startAt(place);
    const own = this.lengthAt(place);
    const common = Math.min(own, length);
    for (let i = 0; i < common; i++) {
      const difference = (bytes[start + i] as number) ^ (key[i] as number);
      if (difference !== 0) return (i << 2) | (difference > 15 ? 1 : 2);
    }
    return own === length ? -1 : common << 2;
  }

  /**
   * The first symbol, as `NameTree` counts them, in which the names at two places differ; -1 if
   * they are the same.
   * @param common bytes that both are known to begin with
   */
  differenceBetween(one: number, other: number, common: number): number {
    const [bytes, start, length] = [this.bytesAt(one), this.startAt(one), this.lengthAt(one)];
    const [otherBytes, otherStart, otherLength] = [
      this.bytesAt(other),
      this.startAt(other),
      this.lengthAt(other),
    ];
    const end = Math.min(length, otherLength);
    for (let i = common; i < end; i++) {
      const difference = (bytes[start + i] as number) ^ (otherBytes[otherStart + i] as number);
      if (difference !== 0) return (i << 2) | (difference > 15 ? 1 : 2);
    }
    return length === otherLength ? -1 : end << 2;
  }

  /**
   * Compares the names at two places, which begin with the same bytes up to a depth.
   * @returns less than 0 if the first comes first
   */
  compare(one: number, other: number, depth: number): number {
    const first = this.differenceBetween(one, other, depth);
    if (first < 0) return 0;
    const byte = first >>> 2;
    return this.#byteAt(one, byte) - this.#byteAt(other, byte);
  }

  /** -1 after the end. */
  #byteAt(place: number, index: number): number {
    return index < this.lengthAt(place) ? (this.bytesAt(place)[this.startAt(place) + index] as number) : -1;
  }

  #chunkAt(place: number): Chunk {
    return this.#chunks[place >>> CHUNK_UNIT_BITS] as Chunk;
  }

  // ---- chunks ----

  #addChunk(): Chunk {
    if (this.#gaps.length === 0 && this.#chunks.length === MAX_CHUNKS)
      throw new BedrockError('OUT_OF_SPACE', 'the target has 8 GiB of names, and can have no more');
    const chunk = new Chunk(this.#open < 0 ? FIRST_BYTES : CHUNK_BYTES);
    this.#bytes += chunk.bytes.length;
    const before = this.#open;
    this.#open = this.#gaps.pop() ?? this.#chunks.length;
    this.#chunks[this.#open] = chunk;
    const closed = this.#chunks[before];
    if (closed !== undefined) this.#look(before, closed);
    return chunk;
  }

  #grow(chunk: Chunk, needed: number): void {
    const before = chunk.bytes.length;
    let length = before;
    while (length < needed) length *= 2;
    chunk.grow(length);
    this.#bytes += length - before;
  }

  #look(index: number, chunk: Chunk): void {
    if (index !== this.#open && isSparse(chunk)) this.#sparse.push(index);
  }

  /** Moves the names that a chunk has left. */
  #giveUp(index: number, chunk: Chunk): void {
    const { words, bytes, end } = chunk;
    for (let unit = 0; unit < end >>> UNIT_BITS;) {
      const slot = words[unit] as number;
      const length = words[unit + 1] as number;
      if (slot !== GONE) {
        let place: number;
        try {
          place = this.add(slot, bytes, (unit << UNIT_BITS) + HEAD_BYTES, length);
        } catch {
          // There is no memory for another chunk. The names stay until the next of them is removed.
          return;
        }
        this.onMove((index << CHUNK_UNIT_BITS) | unit, place);
        words[unit] = GONE;
        chunk.used -= takenBy(length);
      }
      unit += takenBy(length) >>> UNIT_BITS;
    }
    this.#chunks[index] = undefined;
    this.#bytes -= chunk.bytes.length;
    this.#gaps.push(index);
  }
}

function isSparse({ used }: Chunk): boolean {
  return used < CHUNK_BYTES / 2;
}

/** Bytes that a name of this length takes. */
function takenBy(length: number): number {
  return HEAD_BYTES + ((length + 3) & ~3);
}
