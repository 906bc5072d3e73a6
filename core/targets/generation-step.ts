/**
 * How far a slot's next generation is beyond its last. The step is random, so that nobody can
 * predict an ID from earlier ones before it is given out. This keeps strangers out of regions that
 * are being made. IDs are not secret, since they can be listed.
 *
 * TableTarget, which other backends build on, counts by one: a backend that gives out an ID again
 * after a crash must be noticed. A random step would only make that unlikely.
 *
 * A slot that never had a region begins anywhere in the first 2^26 generations: 1/32 of the
 * generations of a pool. Each further region takes 512 on average, so a slot of a pool serves four
 * million regions before it is retired. That costs 64 bytes.
 */
import { randomFillSync } from 'node:crypto';

/** Powers of two. */
const FIRST_SPAN = 2 ** 26;
const NEXT_SPAN = 2 ** 10;

/** Drawn many at a time: one call for each would take longer than the rest of a creation in memory. */
const drawn = new Uint32Array(1024);
let left = 0;

/** @param last the slot's last generation, less than `most` */
export function nextGeneration(last: number, most: number): number {
  if (left === 0) {
    randomFillSync(drawn);
    left = drawn.length;
  }
  const span = last === 0 ? FIRST_SPAN : NEXT_SPAN;
  return Math.min(most, last + 1 + ((drawn[--left] as number) & (span - 1)));
}
