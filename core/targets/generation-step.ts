/**
 * How far a slot's next generation lies beyond its last: at random, so that an ID cannot be told before it is given out by whoever knows
 * those before it. That keeps strangers out of the moments in which a region is being made; a secret it is none, as IDs are listed.
 *
 * RegionTable, which other backends build on, counts by one: a backend that gives IDs out again after a crash must be seen to, not be
 * unlikely to.
 *
 * A slot that never had a region begins anywhere in the first 2^26 generations: a 32nd of those of a pool. Each further region takes
 * 512 on average, so a slot of a pool serves for four million regions and is retired then: 64 bytes.
 */
import { randomFillSync } from 'node:crypto';

/** Powers of two. */
const FIRST_SPAN = 2 ** 26;
const NEXT_SPAN = 2 ** 10;

/** Drawn many at a time: a call for each would take longer than all else that a creation in memory does. */
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
