/** What stores of keys and values hold: values of one size at a time, of 32 MiB altogether at most. */

const SPAN = 2 ** 25;
const MAX_KEYS = 2 ** 13;
const source = Buffer.alloc(2 ** 20, 7);

export function keysOf(size) {
  return Math.min(MAX_KEYS, SPAN / size);
}

export function sourceBytes(size) {
  return source.subarray(0, size);
}
