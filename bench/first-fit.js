/**
 * The reference of the allocator: free extents in a list sorted by offset, the first that is long
 * enough is taken.
 */

export class FirstFit {
  #offsets;
  #lengths;
  #count = 0;

  /** @param extents free extents in ascending order, none of which touch */
  constructor(extents) {
    this.#offsets = new Float64Array(extents.length + 65536);
    this.#lengths = new Float64Array(this.#offsets.length);
    for (const { offset, length } of extents) {
      this.#offsets[this.#count] = offset;
      this.#lengths[this.#count++] = length;
    }
  }

  allocate(length) {
    const lengths = this.#lengths;
    const count = this.#count;
    let index = 0;
    while (index < count && lengths[index] < length) index++;
    if (index === count) return -1;
    const offset = this.#offsets[index];
    if (lengths[index] === length) {
      this.#remove(index);
    } else {
      this.#offsets[index] += length;
      lengths[index] -= length;
    }
    return offset;
  }

  free(offset, length) {
    const index = this.#upper(offset);
    const joinsUpper = index < this.#count && this.#offsets[index] === offset + length;
    const joinsLower = index > 0 && this.#offsets[index - 1] + this.#lengths[index - 1] === offset;
    if (joinsLower) {
      this.#lengths[index - 1] += length;
      if (!joinsUpper) return;
      this.#lengths[index - 1] += this.#lengths[index];
      this.#remove(index);
    } else if (joinsUpper) {
      this.#offsets[index] = offset;
      this.#lengths[index] += length;
    } else {
      this.#insert(index, offset, length);
    }
  }

  /** @returns the index of the first extent above an offset */
  #upper(offset) {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle] < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insert(index, offset, length) {
    if (this.#count === this.#offsets.length) throw new Error('the reference has no room for more extents');
    this.#offsets.copyWithin(index + 1, index, this.#count);
    this.#lengths.copyWithin(index + 1, index, this.#count);
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
    this.#count++;
  }

  #remove(index) {
    this.#offsets.copyWithin(index, index + 1, this.#count);
    this.#lengths.copyWithin(index, index + 1, this.#count);
    this.#count--;
  }
}
