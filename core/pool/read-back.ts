/** Reads bytes back after a store was refused: only that tells whether they are unchanged. */
import { BedrockError } from '../base/errors.js';
import type { PoolMedium } from './medium.js';

/** @returns nothing if they cannot be read, and so may be anything */
export async function readBack(
  medium: PoolMedium,
  offset: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const there = new Uint8Array(length);
  try {
    await medium.read(offset, there);
    return there;
  } catch {
    return undefined;
  }
}

/** Whether a store or an allocation was refused. It has changed nothing then. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
