/**
 * A set of slots that finds its next member in a few steps, however far away it is.
 *
 * It is a bitmap with summaries: a bit of level k + 1 tells whether a word of level k has any bit.
 * Six levels span 2^30 slots. It allocates only when it grows: an eighth of a byte for each slot.
 */
const MAX_SLOT = 0xffff_ffff;

export class SlotSet {
  /** Level 0 has one bit for each slot; the last level is one word. */
  #levels: Int32Array[] = [new Int32Array(1)];

  /** Makes room for slots 0 to `slots - 1`. New slots are not members. */
  reserve(slots: number): void {
    const members = this.#levels[0] as Int32Array;
    if (slots <= 32 * members.length) return;
    let words = members.length;
    while (32 * words < slots) words *= 2;
    let below = new Int32Array(words);
    below.set(members);
    this.#levels = [below];
    while (below.length > 1) {
      const summary = new Int32Array(Math.ceil(below.length / 32));
      for (const [index, word] of below.entries())
        if (word !== 0) summary[index >>> 5] = (summary[index >>> 5] as number) | (1 << (index & 31));
      this.#levels.push(summary);
      below = summary;
    }
  }

  add(slot: number): void {
    let position = slot;
    for (const level of this.#levels) {
      const index = position >>> 5;
      const before = level[index] as number;
      level[index] = before | (1 << (position & 31));
      if (before !== 0) return;
      position = index;
    }
  }

  delete(slot: number): void {
    let position = slot;
    for (const level of this.#levels) {
      const index = position >>> 5;
      const after = (level[index] as number) & ~(1 << (position & 31));
      level[index] = after;
      if (after !== 0) return;
      position = index;
    }
  }

  /** The lowest member from `from` on, any integer from 0 to 2^32; -1 if there is none. */
  next(from: number): number {
    // 2^32 comes after the last slot that an ID can have. The shifts below would take it for 0.
    if (from > MAX_SLOT) return -1;
    let position = from;
    for (let depth = 0; depth < this.#levels.length; depth++) {
      const level = this.#levels[depth] as Int32Array;
      const index = position >>> 5;
      if (index >= level.length) return -1;
      const word = (level[index] as number) & (-1 << (position & 31));
      if (word !== 0) return this.#firstBelow(depth, 32 * index + lowestBit(word));
      position = index + 1;
    }
    return -1;
  }

  /** The lowest member below a bit of a level. */
  #firstBelow(depth: number, bit: number): number {
    let position = bit;
    for (let below = depth - 1; below >= 0; below--)
      position = 32 * position + lowestBit((this.#levels[below] as Int32Array)[position] as number);
    return position;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
