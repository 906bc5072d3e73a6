/** The places of extents in packs. No two regions share bytes in a snapshot that a writer made. */
import type { Extent } from './format.js';

export class Places {
  /** By pack: offsets and lengths in turn. */
  readonly #packs = new Map<number, number[]>();

  add(extents: readonly Extent[]): void {
    for (const { pack, offset, length } of extents) {
      if (length === 0) continue;
      let places = this.#packs.get(pack);
      if (places === undefined) this.#packs.set(pack, (places = []));
      places.push(offset, length);
    }
  }

  /** @returns where a byte is that two extents have, if there is one */
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
