/**
 * Buffers that are used again: fresh memory costs a fault for each of its pages, several times what it costs to move the bytes.
 *
 * Lengths are powers of two. What is given back last is taken first, as it is most likely still in the processor's caches.
 */

import { allocateBytes, freeNow } from '../base/allocation.js';

const LEAST_EXPONENT = 12;
const MOST_EXPONENT = 22;
/** Longer ones are made anew each time, and freed at once. */
export const MOST_POOLED_BYTES = 2 ** MOST_EXPONENT;
/** Bytes that are kept of each length, and at least how many buffers. */
const KEPT_BYTES = 2 ** 22;
const KEPT_BUFFERS = 4;

const spare: Buffer[][] = Array.from({ length: MOST_EXPONENT + 1 }, () => []);

/**
 * A buffer of at least as many bytes, with whatever they are; whoever has it gives it back, once, or drops it.
 * @throws OVERLOADED if the system has no memory
 */
export function takeBuffer(size: number): Buffer {
  if (size > MOST_POOLED_BYTES) return allocateBytes(size);
  const exponent = Math.max(LEAST_EXPONENT, 32 - Math.clz32(Math.max(size, 1) - 1));
  return (spare[exponent] as Buffer[]).pop() ?? allocateBytes(2 ** exponent);
}

/** @param buffer as it was taken, no part of it; nobody uses it any more, nor any part of it */
export function giveBuffer(buffer: Buffer): void {
  const { length } = buffer;
  if (length > MOST_POOLED_BYTES) {
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

/** Leaves those that are kept to the garbage collector. */
export function forgetSpareBuffers(): void {
  for (const kept of spare) kept.length = 0;
}
