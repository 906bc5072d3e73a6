/** Integers as Redis reads them: of 64 bits, without a plus sign, blanks or leading zeros. */
const ZERO = 48;
const NINE = 57;
const MINUS = 45;

/** A double holds any number with this many digits exactly. */
const EXACT_DIGITS = 15;
const MOST_DIGITS = 19;

export const LEAST = -(2n ** 63n);
export const MOST = 2n ** 63n - 1n;

/** @returns a number if it is exact, else a bigint; nothing if the text is not an integer */
export function integerAt(buffer: Uint8Array, start: number, end: number): number | bigint | undefined {
  const isNegative = end > start && buffer[start] === MINUS;
  const first = isNegative ? start + 1 : start;
  const digits = end - first;
  if (digits < 1 || digits > MOST_DIGITS) return undefined;
  if (buffer[first] === ZERO) return digits === 1 && !isNegative ? 0 : undefined;
  let value = 0;
  for (let at = first; at < end; at++) {
    const byte = buffer[at] as number;
    if (byte < ZERO || byte > NINE) return undefined;
    value = value * 10 + (byte - ZERO);
  }
  if (digits <= EXACT_DIGITS) return isNegative ? -value : value;
  const exact = BigInt(Buffer.from(buffer.buffer, buffer.byteOffset + start, end - start).toString('latin1'));
  return exact < LEAST || exact > MOST ? undefined : exact;
}

/**
 * Like `integerAt`, but with the nearest number if a number is not exact: positions in contents are
 * never that large.
 */
export function positionAt(buffer: Uint8Array, start: number, end: number): number | undefined {
  const value = integerAt(buffer, start, end);
  return value === undefined ? undefined : Number(value);
}
