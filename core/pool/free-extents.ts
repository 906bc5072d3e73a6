/** A list of extents in two arrays: a pool full of holes has as many extents as regions. */
export class FreeExtents {
  readonly #offsets: Float64Array;
  readonly #lengths: Float64Array;
  #count = 0;

  /** @param limit the most extents that it can hold */
  constructor(limit: number) {
    this.#offsets = new Float64Array(limit);
    this.#lengths = new Float64Array(limit);
  }

  /** How many extents it holds. */
  get length(): number {
    return this.#count;
  }

  push(offset: number, length: number): void {
    this.#offsets[this.#count] = offset;
    this.#lengths[this.#count++] = length;
  }

  offsetAt(index: number): number {
    return this.#offsets[index] as number;
  }

  lengthAt(index: number): number {
    return this.#lengths[index] as number;
  }

  *[Symbol.iterator](): Generator<{ offset: number; length: number }> {
    for (let index = 0; index < this.#count; index++)
      yield { offset: this.offsetAt(index), length: this.lengthAt(index) };
  }
}
