/** Names of values, all of 20 bytes. */

/** So many are there in-process: a power of two. */
export const NAMES = 2 ** 13;

const NAME_BYTES = 20;
const PREFIX = 'value:';
/** Odd, so that its multiples meet each of a power of two of names once. */
const STRIDE = 0x9e3779b5;

export function nameOf(number) {
  return PREFIX + String(number).padStart(NAME_BYTES - PREFIX.length, '0');
}

/**
 * So many names, a power of two, in an order that is not theirs: neighbours in the list are no
 * neighbours in a tree.
 */
export function scatteredNames(count) {
  return Array.from({ length: count }, (_, number) =>
    nameOf((Math.imul(number, STRIDE) >>> 0) & (count - 1)),
  );
}
