/**
 * Checks of the arguments that callers pass to a target. Bounds are checked first, so that a failed
 * check leaves nothing half done.
 */
import { constants } from 'node:buffer';
import { types } from 'node:util';
import { allocateShared } from '../base/allocation.js';
import { BedrockError, invalid } from '../base/errors.js';
import { MAX_NAME_BYTES } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { ImportOptions, ListOptions, RegionRange, WriteOptions } from '../contract/target.js';

/** A size or an offset: a safe integer from 0 up. @throws INVALID_ARGUMENT */
export function checkSize(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw invalid(
      `${name} is ${String(value)}; it must be a whole number of bytes from 0 to ${Number.MAX_SAFE_INTEGER}`,
    );
  }
}

/** Bytes that a caller lends. @throws INVALID_ARGUMENT */
export function checkBytes(name: string, value: unknown): asserts value is Uint8Array {
  if (!types.isUint8Array(value)) {
    throw invalid(`${name} must be a Uint8Array (a Buffer is one), not ${typeof value}`);
  }
}

/** Whether a range lies within a region. @throws INVALID_ARGUMENT, OUT_OF_RANGE */
export function checkRange(action: string, offset: number, size: number, regionSize: number): void {
  checkSize('offset', offset);
  checkSize('size', size);
  // Not offset + size, which rounds beyond 2^53.
  if (offset > regionSize || size > regionSize - offset) {
    const fault =
      offset > regionSize
        ? `${action} at ${offset} begins past the end of the region, which has ${regionSize} bytes`
        : `${action} of ${size} bytes at ${offset} exceeds region size ${regionSize}`;
    throw new BedrockError('OUT_OF_RANGE', fault, { details: { offset, size, regionSize } });
  }
}

/** Checked ranges. They are copies: the caller may change the originals before they are used. */
export interface CheckedRanges {
  readonly ranges: readonly RegionRange[];
  /** Bytes of all ranges together. */
  readonly total: number;
}

/** Whether many ranges lie within a region. @throws INVALID_ARGUMENT, OUT_OF_RANGE */
export function checkRanges(
  action: string,
  ranges: readonly RegionRange[],
  regionSize: number,
): CheckedRanges {
  if (!Array.isArray(ranges)) {
    throw invalid('ranges must be an array of {offset, size}');
  }
  const checked: RegionRange[] = [];
  let total = 0;
  for (const range of ranges as readonly (RegionRange | null | undefined)[]) {
    if (typeof range !== 'object' || range === null) {
      throw invalid('a range must be an object {offset, size}');
    }
    const { offset, size } = range;
    checkRange(action, offset, size, regionSize);
    checked.push({ offset, size });
    total += size;
  }
  return { ranges: checked, total };
}

/** Checks that as many bytes were given as the ranges hold. @throws INVALID_ARGUMENT */
export function checkTotal(total: number, bytes: Uint8Array): void {
  if (total === bytes.length) return;
  throw invalid(`the ranges hold ${total} bytes, but ${bytes.length} were given`);
}

/**
 * Checks that a source gives no more than it announced, and not less when it has ended.
 * @throws INVALID_ARGUMENT
 */
export function checkGiven(given: number, size: number, hasEnded = false): void {
  if (given > size) throw invalid(`the source gave more than the ${size} bytes it announced`);
  if (hasEnded && given < size) throw invalid(`the source ended after ${given} of ${size} bytes`);
}

/**
 * Whether a write must be durable when it resolves.
 * @throws INVALID_ARGUMENT for options of the wrong type: otherwise the caller might believe that
 *   the write is durable
 */
export function checkPersist(options: unknown): boolean {
  const { persist } = checkOptions(options) as WriteOptions;
  if (persist !== undefined && typeof persist !== 'boolean') {
    throw invalid(`persist is ${String(persist)}; it must be true or false`);
  }
  return persist === true;
}

/** The options of a call: an object. @throws INVALID_ARGUMENT */
export function checkOptions(options: unknown): object {
  if (typeof options !== 'object' || options === null) {
    throw invalid(`options must be an object, not ${String(options)}`);
  }
  return options;
}

/**
 * A buffer for a read, not yet filled.
 * @throws INVALID_ARGUMENT if no buffer can be that large, OVERLOADED if the system has no memory
 */
export function allocateBuffer(size: number): Buffer {
  if (size > constants.MAX_LENGTH) {
    throw invalid(
      `a read of ${size} bytes exceeds the largest buffer, ${constants.MAX_LENGTH} bytes; read it in parts`,
    );
  }
  return allocateShared(size);
}

/** Regions in a page of `list` by default. */
export const DEFAULT_LIST_LIMIT = 1000;

/** Which part of a listing is asked for. @throws INVALID_ARGUMENT */
export function checkListOptions(options: unknown): { after: RegionId | undefined; limit: number } {
  const { after, limit = DEFAULT_LIST_LIMIT } = checkOptions(options) as ListOptions;
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw invalid(`limit is ${String(limit)}; it must be a whole number from 1 up`);
  }
  if (after !== undefined) checkId(after);
  return { after, limit };
}

const ID_IN_HEX = /^[0-9a-fA-F]{32}$/;
const ID_DIGITS = 32;

/** A name that a region may have. @throws INVALID_ARGUMENT */
export function checkName(name: unknown): asserts name is string {
  const fault = nameFault(name);
  if (fault !== undefined) throw invalid(fault);
}

function nameFault(name: unknown): string | undefined {
  if (typeof name !== 'string') return `a region's name is a string, not ${typeof name}`;
  if (isPlain(name)) return undefined;
  if (name === '') return 'the name is empty; a region without a name has none, and is named by its ID';
  const bytes = Buffer.byteLength(name);
  if (bytes > MAX_NAME_BYTES)
    return `the name has ${bytes} bytes of UTF-8; at most ${MAX_NAME_BYTES} are allowed`;
  if (!name.isWellFormed()) return 'the name has half of a surrogate pair, which has no form in UTF-8';
  if (name.length === ID_DIGITS && ID_IN_HEX.test(name))
    return 'the name is 32 hexadecimal digits, which is an ID; RegionId.parse makes one of them, and a name must differ';
  return undefined;
}

/**
 * Whether a name is short and all ASCII, as most are: this takes less time than the other checks,
 * and replaces them.
 */
function isPlain(name: string): boolean {
  const { length } = name;
  if (length === 0 || length >= ID_DIGITS) return false;
  for (let at = 0; at < length; at++) if (name.charCodeAt(at) >= 0x80) return false;
  return true;
}

/** The time of an import, milliseconds since the epoch. @throws INVALID_ARGUMENT */
export function checkCreatedAt(options: unknown): number {
  const { createdAt } = checkOptions(options) as Partial<ImportOptions>;
  if (createdAt === undefined || !Number.isSafeInteger(createdAt) || createdAt < 0) {
    throw invalid(`createdAt is ${String(createdAt)}; it must be whole milliseconds since the epoch`);
  }
  return createdAt;
}

/** @throws INVALID_ARGUMENT */
export function checkIds(ids: unknown): asserts ids is readonly RegionId[] {
  if (!Array.isArray(ids)) throw invalid('ids must be an array of RegionIds');
  for (const id of ids as unknown[]) checkId(id);
}

/** @throws INVALID_ARGUMENT */
export function checkId(id: unknown): asserts id is RegionId {
  if (!(id instanceof RegionId)) {
    throw invalid(
      'the region must be given by a RegionId, which RegionId.parse makes of hex, or by its name, a string',
    );
  }
}
