/**
 * Records what changed in a target since it was last asked: whole regions, and blocks of their
 * bytes.
 */
import type { BaseTarget, RegionId, RegionRange } from '../../../core/index.js';

type ChangeListener = Parameters<BaseTarget['watchChanges']>[0];

/** Bytes of a region for each bit of its map. */
const BLOCK_BYTES = 2 ** 16;

export interface ChangedRegion {
  readonly id: RegionId;
  /**
   * Ranges that may have changed: whole blocks, sorted, not adjacent. So the last one may end
   * beyond the region.
   */
  readonly ranges: readonly RegionRange[];
}

export class ChangedRegions implements ChangeListener {
  #regions = new Map<string, { readonly id: RegionId; readonly blocks: Blocks }>();

  /** How many regions have changed. */
  get count(): number {
    return this.#regions.size;
  }

  /** The most bytes that may have to be sent. */
  get bytes(): number {
    let blocks = 0;
    for (const region of this.#regions.values()) blocks += region.blocks.count;
    return blocks * BLOCK_BYTES;
  }

  wrote(id: RegionId, offset: number, size: number): void {
    if (size > 0) this.#of(id).add(offset, size);
  }

  changed(id: RegionId): void {
    this.#of(id);
  }

  #of(id: RegionId): Blocks {
    const key = id.toString();
    let region = this.#regions.get(key);
    if (region === undefined) this.#regions.set(key, (region = { id, blocks: new Blocks() }));
    return region.blocks;
  }

  /** Returns what changed until now. Later changes are returned by the next call. */
  take(): ChangedRegion[] {
    const taken = this.#regions;
    this.#regions = new Map();
    return [...taken.values()].map(({ id, blocks }) => ({ id, ranges: blocks.ranges() }));
  }
}

class Blocks {
  count = 0;
  #bits = new Uint32Array(1);

  add(offset: number, size: number): void {
    const last = Math.floor((offset + size - 1) / BLOCK_BYTES);
    for (let block = Math.floor(offset / BLOCK_BYTES); block <= last; block++) {
      const word = block >>> 5;
      if (word >= this.#bits.length) this.#grow(Math.floor(last / 32) + 1);
      const bit = 1 << (block & 31);
      const before = this.#bits[word] as number;
      if ((before & bit) !== 0) continue;
      this.#bits[word] = before | bit;
      this.count++;
    }
  }

  #grow(words: number): void {
    const bits = new Uint32Array(Math.max(words, 2 * this.#bits.length));
    bits.set(this.#bits);
    this.#bits = bits;
  }

  ranges(): RegionRange[] {
    const ranges: { offset: number; size: number }[] = [];
    for (const [word, bits] of this.#bits.entries()) {
      if (bits === 0) continue;
      for (let bit = 0; bit < 32; bit++) {
        if ((bits & (1 << bit)) === 0) continue;
        const offset = (word * 32 + bit) * BLOCK_BYTES;
        const last = ranges.at(-1);
        if (last !== undefined && last.offset + last.size === offset) last.size += BLOCK_BYTES;
        else ranges.push({ offset, size: BLOCK_BYTES });
      }
    }
    return ranges;
  }
}
