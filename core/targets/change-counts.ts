/**
 * Counts how often the bytes of each region were changed in place. A caller that has read a region,
 * and uses the bytes later, compares counts to learn whether the bytes are still the same. Counts
 * are in memory only, and have no meaning after the target is closed.
 *
 * A count belongs to a slot. A later region in the same slot continues the count, which does not
 * matter for comparisons. Memory for counts is taken only where there was a write, and at most 4
 * MiB: slots with the same low 20 bits share a count. So an unchanged region may seem changed, but
 * never the other way round.
 */
const CHUNK_BITS = 10;
const CHUNK_SLOTS = 2 ** CHUNK_BITS;
const CHUNKS = 2 ** 10;

export class ChangeCounts {
  readonly #chunks: (Uint32Array | undefined)[] = [];

  /** The count of a slot, from 0 to 2^32 - 1; then it starts at 0 again. */
  of(slot: number): number {
    return this.#chunks[chunkOf(slot)]?.[slot & (CHUNK_SLOTS - 1)] ?? 0;
  }

  raise(slot: number): void {
    const at = chunkOf(slot);
    const chunk = (this.#chunks[at] ??= new Uint32Array(CHUNK_SLOTS));
    const index = slot & (CHUNK_SLOTS - 1);
    chunk[index] = (chunk[index] as number) + 1;
  }
}

function chunkOf(slot: number): number {
  return (slot >>> CHUNK_BITS) & (CHUNKS - 1);
}
