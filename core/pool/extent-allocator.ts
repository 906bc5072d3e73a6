/**
 * The free space of a region pool: the extents that nobody owns. It has no input or output. The
 * region table knows what is in use.
 *
 * Policy: it takes the shortest free extent that is long enough; of equal ones, the one with the
 * lowest offset. The new owner gets the lower part, and the rest stays free. So gaps are filled
 * before the fresh end of the pool, which is the longest extent, and large regions find room as
 * long as possible (`npm run bench -- allocator` compares it with first fit). The search is exact:
 * if any free extent is long enough, allocate succeeds.
 *
 * Two ordered indexes hold every free extent, by offset and by length. The first finds the
 * neighbours to join, and refuses anything that overlaps free space, even in the middle of an
 * extent. The second finds the fit and the longest extent. The height of a B+ tree bounds every
 * operation: five or six levels for a million extents, whatever the history. Segregated lists
 * (TLSF; Masmano et al., 2004) find a fit in constant time, but only nearly the best one. They
 * cannot tell in bounded time whether a class holds an extent that is long enough, and they would
 * need the index by offset as well.
 *
 * Only free extents take memory: 32 bytes each, in nodes that are not all full. Measured for a
 * million extents: 35 bytes when added in ascending order, as recovery does, and 52 after random
 * churn; about 75 at worst.
 */
import { BedrockError } from '../base/errors.js';
import type { FreeExtents } from './free-extents.js';
import { isAlignment, MAX_ALIGNMENT, MIN_ALIGNMENT } from './extent.js';
import { PairTree } from './pair-tree.js';

const MAX_END = 2 ** 53;

export interface Extent {
  /** First byte, counted from the start of the pool. */
  offset: number;
  /** Bytes. */
  length: number;
}

export class ExtentAllocator {
  /** (offset, length) of every free extent. No two of them touch: they would have been joined. */
  readonly #byOffset = new PairTree();
  /** (length, offset) of the same extents. */
  readonly #byLength = new PairTree();
  readonly #alignment: number;
  #freeBytes = 0;

  /** @param alignment bytes; a power of two from 64 to 2^20. Every offset and length is a multiple of it */
  constructor(alignment: number) {
    if (!isAlignment(alignment))
      throw new BedrockError(
        'INTERNAL',
        `alignment ${alignment} is not a power of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT}`,
      );
    this.#alignment = alignment;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Bytes of the longest free extent; 0 if there is none. */
  get largestFree(): number {
    return this.#byLength.seekLast() ? this.#byLength.first : 0;
  }

  /** Whether any byte of a range is free. */
  overlaps(offset: number, length: number): boolean {
    // The last free extent that begins before the range ends.
    if (!this.#byOffset.seekAtMost(offset + length - this.#alignment, Infinity)) return false;
    return this.#byOffset.first + this.#byOffset.second > offset;
  }

  /** Length of the free extent that ends at `end`; 0 if there is none. */
  freeBefore(end: number): number {
    if (!this.#byOffset.seekAtMost(end, Infinity)) return 0;
    const { first: offset, second: length } = this.#byOffset;
    return offset + length === end ? length : 0;
  }

  /** How many free extents there are. */
  get extents(): number {
    return this.#byOffset.size;
  }

  /** Bytes of memory that the indexes take. */
  get memoryBytes(): number {
    return this.#byOffset.memoryBytes + this.#byLength.memoryBytes;
  }

  /**
   * Adds free space: a gap found at recovery, or growth of the pool. It is joined with the free
   * extents beside it.
   * @throws INTERNAL if it is misaligned or overlaps free space; then nothing changes
   */
  add(offset: number, length: number): void {
    this.#release('add', offset, length);
  }

  /**
   * Allocates `length` bytes, a positive multiple of the alignment.
   * @returns the offset, or -1 if no free extent is long enough
   * @throws INTERNAL if the length is not such a multiple
   */
  allocate(length: number): number {
    this.#check('allocate', 0, length);
    const byLength = this.#byLength;
    byLength.seekAtMost(length, -1);
    if (!byLength.next()) return -1;
    const found = byLength.first;
    const offset = byLength.second;
    byLength.removeCurrent();
    this.#byOffset.seekAtMost(offset, found);
    if (found === length) {
      this.#byOffset.removeCurrent();
    } else {
      this.#byOffset.replace(offset + length, found - length);
      byLength.insert(found - length, offset + length);
    }
    this.#freeBytes -= length;
    return offset;
  }

  /**
   * Gives an extent back. It is joined with the free extents beside it.
   * @throws INTERNAL if it is misaligned or any of it is already free; then nothing changes
   */
  free(offset: number, length: number): void {
    this.#release('free', offset, length);
  }

  /**
   * Takes exactly this range out of free space, for example one that a damaged descriptor may own.
   * Free parts of it are taken even if the rest is not free.
   * @returns whether all of it was free
   * @throws INTERNAL if it is misaligned
   */
  reserve(offset: number, length: number): boolean {
    this.#check('reserve', offset, length);
    const end = offset + length;
    let taken = 0;
    for (;;) {
      const byOffset = this.#byOffset;
      let overlaps = byOffset.seekAtMost(offset, Infinity) && byOffset.first + byOffset.second > offset;
      if (!overlaps) overlaps = byOffset.next() && byOffset.first < end;
      if (!overlaps) break;
      const start = byOffset.first;
      const stop = start + byOffset.second;
      byOffset.removeCurrent();
      this.#byLength.remove(stop - start, start);
      taken += Math.min(stop, end) - Math.max(start, offset);
      if (start < offset) this.#insert(start, offset - start);
      if (stop > end) this.#insert(end, stop - end);
    }
    this.#freeBytes -= taken;
    return taken === length;
  }

  /** The free extents in ascending order of offset, for checks and tests. */
  list(): Extent[] {
    const extents: Extent[] = [];
    this.#byOffset.seekAtMost(-1, 0);
    while (this.#byOffset.next())
      extents.push({ offset: this.#byOffset.first, length: this.#byOffset.second });
    return extents;
  }

  /** Adds free extents that begin after an offset to a list, in order, until it has `most`. */
  after(offset: number, most: number, list: FreeExtents): void {
    this.#byOffset.seekAtMost(offset, Infinity);
    while (list.length < most && this.#byOffset.next())
      list.push(this.#byOffset.first, this.#byOffset.second);
  }

  #release(what: string, offset: number, length: number): void {
    this.#check(what, offset, length);
    const byOffset = this.#byOffset;
    const end = offset + length;
    const hasLower = byOffset.seekAtMost(offset, Infinity);
    const lower = hasLower ? byOffset.first : 0;
    const lowerLength = hasLower ? byOffset.second : 0;
    if (hasLower && lower + lowerLength > offset) throw overlap(what, offset, length, lower, lowerLength);
    const hasUpper = byOffset.peekNext();
    const upper = hasUpper ? byOffset.nextFirst : 0;
    const upperLength = hasUpper ? byOffset.nextSecond : 0;
    if (hasUpper && upper < end) throw overlap(what, offset, length, upper, upperLength);

    const joinsLower = hasLower && lower + lowerLength === offset;
    const joinsUpper = hasUpper && upper === end;
    const start = joinsLower ? lower : offset;
    const joined = (joinsUpper ? end + upperLength : end) - start;
    if (joinsLower) {
      byOffset.replace(start, joined);
      if (joinsUpper && byOffset.next()) byOffset.removeCurrent();
    } else if (joinsUpper && byOffset.next()) {
      byOffset.replace(start, joined);
    } else {
      byOffset.insertAfter(start, joined);
    }
    if (joinsLower) this.#byLength.remove(lowerLength, lower);
    if (joinsUpper) this.#byLength.remove(upperLength, upper);
    this.#byLength.insert(joined, start);
    this.#freeBytes += length;
  }

  #insert(offset: number, length: number): void {
    this.#byOffset.insert(offset, length);
    this.#byLength.insert(length, offset);
  }

  #check(what: string, offset: number, length: number): void {
    const isMultiple =
      Number.isInteger(offset / this.#alignment) && Number.isInteger(length / this.#alignment);
    if (!isMultiple || offset < 0 || length <= 0 || offset + length > MAX_END)
      throw new BedrockError(
        'INTERNAL',
        `${what} of ${length} bytes at ${offset}: both must be multiples of ${this.#alignment} within 2^53`,
      );
  }
}

function overlap(
  what: string,
  offset: number,
  length: number,
  otherOffset: number,
  otherLength: number,
): BedrockError {
  return new BedrockError(
    'INTERNAL',
    `${what} of ${length} bytes at ${offset}: ${otherLength} bytes at ${otherOffset} are free already`,
    { details: { offset, length, free: { offset: otherOffset, length: otherLength } } },
  );
}
