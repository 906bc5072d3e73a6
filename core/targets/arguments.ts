/** Checks of what callers pass to a target. Bounds come first, so that nothing is half done when they fail. */
import { constants } from 'node:buffer';
import { types } from 'node:util';
import { allocateShared } from '../base/allocation.js';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { ImportOptions, ListOptions, RegionRange, WriteOptions } from '../contract/target.js';

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

/** Ranges that were checked. Copies, as the caller may change his own before they are used. */
export interface CheckedRanges {
  readonly ranges: readonly RegionRange[];
  /** Bytes that they hold together. */
  readonly total: number;
}

/** @throws INVALID_ARGUMENT, OUT_OF_RANGE */
export function checkRanges(
  action: string,
  ranges: readonly RegionRange[],
  regionSize: number,
): CheckedRanges {
  if (!Array.isArray(ranges)) {
    throw new BedrockError('INVALID_ARGUMENT', 'ranges must be an array of {offset, size}');
  }
  const checked: RegionRange[] = [];
  let total = 0;
  for (const range of ranges as readonly (RegionRange | null | undefined)[]) {
    if (typeof range !== 'object' || range === null) {
      throw new BedrockError('INVALID_ARGUMENT', 'a range must be an object {offset, size}');
    }
    const { offset, size } = range;
    checkRange(action, offset, size, regionSize);
    checked.push({ offset, size });
    total += size;
  }
  return { ranges: checked, total };
}

/** That ranges hold as many bytes as were given for them. @throws INVALID_ARGUMENT */
export function checkTotal(total: number, bytes: Uint8Array): void {
  if (total === bytes.length) return;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `the ranges hold ${total} bytes, but ${bytes.length} were given`,
  );
}

/**
 * Whether a write is to be durable when it resolves.
 * @throws INVALID_ARGUMENT for options of the wrong type: their caller might believe that it is
 */
export function checkPersist(options: unknown): boolean {
  const { persist } = checkOptions(options) as WriteOptions;
  if (persist !== undefined && typeof persist !== 'boolean') {
    throw new BedrockError('INVALID_ARGUMENT', `persist is ${String(persist)}; it must be true or false`);
  }
  return persist === true;
}

/** The options of a call: an object. */
export function checkOptions(options: unknown): object {
  if (typeof options !== 'object' || options === null) {
    throw new BedrockError('INVALID_ARGUMENT', `options must be an object, not ${String(options)}`);
  }
  return options;
}

/**
 * A buffer for a read, not yet filled.
 * @throws INVALID_ARGUMENT if no buffer can be that large, OVERLOADED if the system has no memory
 */
export function allocateBuffer(size: number): Buffer {
  if (size > constants.MAX_LENGTH) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `a read of ${size} bytes exceeds the largest buffer, ${constants.MAX_LENGTH} bytes; read it in parts`,
    );
  }
  return allocateShared(size);
}

/** Regions in a page of `list` unless the caller says otherwise. */
export const DEFAULT_LIST_LIMIT = 1000;

/** @throws INVALID_ARGUMENT */
export function checkListOptions(options: unknown): { after: RegionId | undefined; limit: number } {
  const { after, limit = DEFAULT_LIST_LIMIT } = checkOptions(options) as ListOptions;
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `limit is ${String(limit)}; it must be a whole number from 1 up`,
    );
  }
  if (after !== undefined) checkId(after);
  return { after, limit };
}

/** The time of an import, milliseconds since the epoch. @throws INVALID_ARGUMENT */
export function checkCreatedAt(options: unknown): number {
  const { createdAt } = checkOptions(options) as Partial<ImportOptions>;
  if (createdAt === undefined || !Number.isSafeInteger(createdAt) || createdAt < 0) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `createdAt is ${String(createdAt)}; it must be whole milliseconds since the epoch`,
    );
  }
  return createdAt;
}

/** @throws INVALID_ARGUMENT */
export function checkIds(ids: unknown): asserts ids is readonly RegionId[] {
  if (!Array.isArray(ids)) throw new BedrockError('INVALID_ARGUMENT', 'ids must be an array of RegionIds');
  for (const id of ids as unknown[]) checkId(id);
}

/** @throws INVALID_ARGUMENT */
export function checkId(id: unknown): asserts id is RegionId {
  if (!(id instanceof RegionId)) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      'the region must be named by a RegionId; RegionId.parse makes one of hex',
    );
  }
}
