/** What stores of keys and values hold: values of one size at a time, of 32 MiB altogether at most. */
import { NAMES, scatteredNames } from '../kv/names.js';

/** Writes of one transaction, where they are made together. */
export const TOGETHER = 8;

const SPAN = 2 ** 25;
const MAX_KEYS = 2 ** 13;
const IN_FLIGHT = 256;
/** Of all values that were given, so that no two runs give the same. */
let next = 0;
const source = Buffer.alloc(2 ** 20, 7);

export function keysOf(size) {
  return Math.min(MAX_KEYS, SPAN / size);
}

/** @returns keys by number, in the order of numbers; or, of named values, the names in no order */
export function allKeys({ isNamed = false, names = NAMES }, keyOf) {
  return isNamed ? scatteredNames(names) : Array.from({ length: MAX_KEYS }, (_, number) => keyOf(number));
}

export function sourceBytes(size) {
  return source.subarray(0, size);
}

/**
 * Values to put: of named values another one each time, as a store may write nothing of one that is
 * there already. Its memory is used again after more calls than are ever in flight.
 * @returns a function that gives the next
 */
export function valuesOf(size, { isNamed = true } = {}) {
  if (!isNamed) return () => sourceBytes(size);
  const values = Array.from({ length: IN_FLIGHT }, () => Buffer.from(sourceBytes(size)));
  return () => {
    const value = values[next++ % IN_FLIGHT];
    value.writeUInt32LE(next, 0);
    return value;
  };
}
