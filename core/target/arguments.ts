/** Checks of what callers pass to a target. Bounds come first, so that nothing is half done when they fail. */
import { constants } from 'node:buffer';
import { types } from 'node:util';
import { BedrockError } from '../errors.js';
import type { RegionRange } from './target.js';

/** A size or an offset: a safe integer from 0 up. */
export function checkSize(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `${name} is ${String(value)}; it must be a whole number of bytes from 0 to ${Number.MAX_SAFE_INTEGER}`,
    );
  }
}

export function checkBytes(name: string, value: unknown): asserts value is Uint8Array {
  if (!types.isUint8Array(value)) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `${name} must be a Uint8Array (a Buffer is one), not ${typeof value}`,
    );
  }
}

/** @throws INVALID_ARGUMENT, OUT_OF_RANGE */
export function checkRange(action: string, offset: number, size: number, regionSize: number): void {
  checkSize('offset', offset);
  checkSize('size', size);
  // Not offset + size, which rounds beyond 2^53.
  if (offset > regionSize || size > regionSize - offset) {
    throw new BedrockError(
      'OUT_OF_RANGE',
      `${action} of ${size} bytes at ${offset} exceeds region size ${regionSize}`,
      {
        details: { offset, size, regionSize },
      },
    );
  }
}

/**
 * Checks every range, then says how many bytes they hold together.
 * @throws INVALID_ARGUMENT, OUT_OF_RANGE
 */
export function checkRanges(action: string, ranges: readonly RegionRange[], regionSize: number): number {
  if (!Array.isArray(ranges)) {
    throw new BedrockError('INVALID_ARGUMENT', 'ranges must be an array of {offset, size}');
  }
  let total = 0;
  for (const range of ranges as readonly (RegionRange | null | undefined)[]) {
    if (typeof range !== 'object' || range === null) {
      throw new BedrockError('INVALID_ARGUMENT', 'a range must be an object {offset, size}');
    }
    checkRange(action, range.offset, range.size, regionSize);
    total += range.size;
  }
  return total;
}

/**
 * A buffer for a read, not yet filled.
 * @throws INVALID_ARGUMENT if no buffer can be that large
 */
export function allocateBuffer(size: number): Buffer {
  if (size > constants.MAX_LENGTH) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `a read of ${size} bytes exceeds the largest buffer, ${constants.MAX_LENGTH} bytes; read it in parts`,
    );
  }
  try {
    return Buffer.allocUnsafe(size);
  } catch (cause) {
    throw new BedrockError('OVERLOADED', `no memory for a read of ${size} bytes; read it in parts`, {
      cause,
    });
  }
}
