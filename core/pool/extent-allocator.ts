/**
 * The free space of a region pool: which extents nobody owns. Pure logic; what is in use is the region table's to know.
 *
 * Policy: the shortest free extent that is long enough, the one with the lowest offset among equals; the new owner gets the lower
 * part, the rest stays free. So gaps fill up before the fresh end of the pool, the longest extent of all, is touched, and large
 * regions find room longest (`npm run bench -- allocator` compares with first fit). The search is exact: if any free extent is long
 * enough, allocate succeeds.
 *
 * Two ordered indexes hold every free extent, by offset and by length: the first finds the neighbours to join, and refuses whatever
 * overlaps free space, even in the middle of an extent; the second finds the fit and the longest. Every operation is bounded by the
 * height of a B+ tree, five or six levels for a million extents, whatever came before. Segregated lists (TLSF; Masmano et al., 2004)
 * find a fit in constant steps, but one that is only nearly the best; they cannot say in bounded time whether a class holds an extent
 * that is long enough, and would need the index by offset all the same.
 *
 * Memory is for free extents only: 32 bytes each, in nodes that are not all full. Measured at a million: 35 bytes when added in
 * ascending order, as recovery does, 52 after random churn; at worst about 75.
 */
import { BedrockError } from '../base/errors.js';
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
  /** (offset, length) of every free extent. No two of them touch: they would be one. */
  readonly #byOffset = new PairTree();
  /** (length, offset) of the same. */
  readonly #byLength = new PairTree();
  readonly #alignment: number;
  #freeBytes = 0;

  /** @param alignment bytes; every offset and length is a multiple of it, a power of two from 64 to 2^20 */
  constructor(alignment: number) {
    if (!isAlignment(alignment))
      throw new BedrockError(
        'INTERNAL',
        `alignment ${alignment} is no power of two from ${MIN_ALIGNMENT} to ${MAX_ALIGNMENT}`,
      );
    this.#alignment = alignment;
  }

  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Bytes of the longest free extent, 0 if there is none. */
  get largestFree(): number {
    return this.#byLength.seekLast() ? this.#byLength.first : 0;
  }

  /** Whether any of a range is free. */
  overlaps(offset: number, length: number): boolean {
    // The last free extent that begins before the range ends.
    if (!this.#byOffset.seekAtMost(offset + length - this.#alignment, Infinity)) return false;
    return this.#byOffset.first + this.#byOffset.second > offset;
  }

  /** Length of the free extent that ends at `end`, 0 if none does. */
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
   * Makes a range available: a gap found at recovery, growth of the pool. It joins the free extents beside it.
   * @throws INTERNAL if it is misaligned or overlaps free space; nothing changes then
   */
  add(offset: number, length: number): void {
    this.#release('add', offset, length);
  }

  /**
   * Takes `length` bytes, a positive multiple of the alignment.
   * @returns the offset, or -1 if no free extent is long enough
   * @throws INTERNAL if the length is no such multiple
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
   * Gives an extent back; it joins the free extents beside it.
   * @throws INTERNAL if it is misaligned or any of it is free already; nothing changes then
   */
  free(offset: number, length: number): void {
    this.#release('free', offset, length);
  }

  /**
   * Takes exactly this range out of free space, for instance one that a damaged descriptor may own. Whatever part of it is free is
   * taken, also if the rest is not.
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
