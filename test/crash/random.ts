/** Numbers that look random and come again with the same seed: mulberry32. */
export class Random {
  #state: number;

  /** @param parts what the numbers depend on, in order */
  constructor(...parts: readonly number[]) {
    this.#state = 0x9e37_79b9;
    for (const part of parts) {
      this.#state = (Math.imul(this.#state ^ part, 0x85eb_ca6b) + Math.floor(part / 2 ** 32)) | 0;
      this.word();
    }
  }

  /** 0 to 2^32 - 1. */
  word(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let word = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return (word ^ (word >>> 14)) >>> 0;
  }

  /** 0 to `bound - 1`. */
  below(bound: number): number {
    return Math.floor((this.word() / 2 ** 32) * bound);
  }

  chance(probability: number): boolean {
    return this.word() < probability * 2 ** 32;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
