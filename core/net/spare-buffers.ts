/**
 * Buffers for reuse: new memory costs a page fault per page, several times the cost of moving the bytes.
 *
 * Sizes are powers of two. The buffer that was returned last is reused first, as it is most likely
 * still in the processor's caches.
 */

import { allocateBytes, freeNow } from '../base/allocation.js';

const LEAST_EXPONENT = 12;
const MOST_EXPONENT = 22;
/** Longer buffers are allocated each time, and freed at once. */
export const MOST_SPARE_BYTES = 2 ** MOST_EXPONENT;
/** For each size buffers are kept up to this many bytes, but at least KEPT_BUFFERS of them. */
const KEPT_BYTES = 2 ** 22;
const KEPT_BUFFERS = 4;

const spare: Buffer[][] = Array.from({ length: MOST_EXPONENT + 1 }, () => []);

/**
 * A buffer of at least this size, not initialized. Its user returns it once, or drops it.
 * @throws OVERLOADED if the system has no memory
 */
export function takeBuffer(size: number): Buffer {
  if (size > MOST_SPARE_BYTES) return allocateBytes(size);
  const exponent = Math.max(LEAST_EXPONENT, 32 - Math.clz32(Math.max(size, 1) - 1));
  return (spare[exponent] as Buffer[]).pop() ?? allocateBytes(2 ** exponent);
}

/** @param buffer the whole buffer, not a part; neither it nor any part of it is used any more */
export function giveBuffer(buffer: Buffer): void {
  const { length } = buffer;
  if (length > MOST_SPARE_BYTES) {
    freeNow(buffer);
    return;
  }
  const kept = spare[31 - Math.clz32(length)] as Buffer[];
  if (kept.length < KEPT_BUFFERS || kept.length * length < KEPT_BYTES) kept.push(buffer);
}

/** The same for several. */
export function giveBuffers(buffers: readonly Buffer[]): void {
  for (const buffer of buffers) giveBuffer(buffer);
}

/** Leaves the kept buffers to the garbage collector. */
export function forgetSpareBuffers(): void {
  for (const kept of spare) kept.length = 0;
}
