/** What stands somewhere after a store was refused: whether it is as it was, only a look can tell. */
import { BedrockError } from '../base/errors.js';
import type { PoolMedium } from './medium.js';

/** @returns nothing if it cannot be read, and so may be anything */
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

/** Of a store or of space that was refused; what was refused has changed nothing. */
export function isOutOfSpace(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'OUT_OF_SPACE';
}
