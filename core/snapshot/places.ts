/**
 * Finds extents that overlap in a pack. In a snapshot that a writer made, no two regions share
 * bytes.
 */
import type { Extent } from './format.js';

export class Places {
  /** For each pack: offset and length of each extent, in turn. */
  readonly #packs = new Map<number, number[]>();

  add(extents: readonly Extent[]): void {
    for (const { pack, offset, length } of extents) {
      if (length === 0) continue;
      let places = this.#packs.get(pack);
      if (places === undefined) this.#packs.set(pack, (places = []));
      places.push(offset, length);
    }
  }

  /** @returns the place of a byte that belongs to two extents, if there is one */
  overlap(): { pack: number; offset: number } | undefined {
    for (const [pack, places] of this.#packs) {
      const order = Uint32Array.from({ length: places.length / 2 }, (_, at) => 2 * at);
      order.sort((one, other) => (places[one] ?? 0) - (places[other] ?? 0));
      let end = 0;
      for (const at of order) {
        const offset = places[at] ?? 0;
        if (offset < end) return { pack, offset };
        end = offset + (places[at + 1] ?? 0);
      }
    }
    return undefined;
  }
}
