/**
 * Numbers with a fraction, computed as in Redis: the extended format of x86, with 64 bits of
 * significand and 15 of exponent. Each result is rounded to the nearest number, and ties to the
 * even one. Printed with at most 17 digits after the point. It uses integers of any length, so
 * results are the same on every machine.
 *
 * Numbers close to zero, below the smallest normal number, keep the precision that the format gives
 * them.
 */

/** Bits of the significand. */
const PRECISION = 64;
/** Exponent of the last bit: for the smallest number, and for the largest. */
const LEAST_EXPONENT = -16_445;
const MOST_EXPONENT = 16_320;
/** Digits after the point. */
const DIGITS = 17;

const NUMBER = /^[+-]?(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?$/;
const HEX_NUMBER = /^[+-]?0[xX](?:([\da-fA-F]+)(?:\.([\da-fA-F]*))?|\.([\da-fA-F]+))(?:[pP]([+-]?\d+))?$/;
const INFINITE = /^[+-]?inf(?:inity)?$/i;

/** Exponents beyond this are always outside the format, given the limit on digits. */
const WIDE_EXPONENT = 40_000n;

export class LongDouble {
  static readonly zero = new LongDouble(0n, 0, true);

  /** significand * 2 ** exponent */
  private constructor(
    private readonly significand: bigint,
    private readonly exponent: number,
    readonly isFinite: boolean,
  ) {}

  /** @returns nothing for text that Redis does not accept; an infinite number is not finite */
  static parse(text: string): LongDouble | undefined {
    if (INFINITE.test(text)) return new LongDouble(0n, 0, false);
    const isNegative = text.startsWith('-');
    const decimal = NUMBER.exec(text);
    const found = decimal ?? HEX_NUMBER.exec(text);
    if (found === null) return undefined;
    const [, whole = '', fraction = '', alone = '', power = '0'] = found;
    const behind = fraction + alone;
    const digits = BigInt(`${decimal === null ? '0x' : ''}0${whole}${behind}`);
    if (digits === 0n) return LongDouble.zero;
    let exponent = BigInt(power);
    if (exponent > WIDE_EXPONENT || exponent < -WIDE_EXPONENT) return undefined;
    exponent -= BigInt(behind.length * (decimal === null ? 4 : 1));
    const base = decimal === null ? 2n : 10n;
    const up = exponent > 0n ? base ** exponent : 1n;
    const down = exponent < 0n ? base ** -exponent : 1n;
    const value = LongDouble.#nearest(digits * up, down, isNegative);
    // A number outside the format is refused, and so is one that is too small for it.
    return value.isFinite && value.significand !== 0n ? value : undefined;
  }

  /** The nearest number to a quotient. */
  static #nearest(dividend: bigint, divisor: bigint, isNegative: boolean): LongDouble {
    // Chosen so that the quotient has as many bits as the significand, or one more.
    let exponent = bitsOf(dividend) - bitsOf(divisor) - PRECISION;
    if (exponent < LEAST_EXPONENT) exponent = LEAST_EXPONENT;
    let [above, below] = scaled(dividend, divisor, exponent);
    if (bitsOf(above / below) > PRECISION) [above, below] = scaled(dividend, divisor, ++exponent);
    let significand = above / below;
    const twice = 2n * (above - significand * below);
    if (twice > below || (twice === below && (significand & 1n) === 1n)) significand++;
    if (bitsOf(significand) > PRECISION) {
      significand >>= 1n;
      exponent++;
    }
    const isFinite = exponent <= MOST_EXPONENT;
    return new LongDouble(isNegative ? -significand : significand, exponent, isFinite);
  }

  plus(other: LongDouble): LongDouble {
    if (!this.isFinite || !other.isFinite) return new LongDouble(0n, 0, false);
    const exponent = Math.min(this.exponent, other.exponent);
    const sum =
      (this.significand << BigInt(this.exponent - exponent)) +
      (other.significand << BigInt(other.exponent - exponent));
    if (sum === 0n) return LongDouble.zero;
    const size = sum < 0n ? -sum : sum;
    const [dividend, divisor] = scaled(size, 1n, -exponent);
    return LongDouble.#nearest(dividend, divisor, sum < 0n);
  }

  /** In decimal, without an exponent and without zeros at the end of the fraction. */
  toString(): string {
    const { significand, exponent } = this;
    const size = significand < 0n ? -significand : significand;
    const [dividend, divisor] = scaled(size * 10n ** BigInt(DIGITS), 1n, -exponent);
    let digits = dividend / divisor;
    const twice = 2n * (dividend - digits * divisor);
    if (twice > divisor || (twice === divisor && (digits & 1n) === 1n)) digits++;
    const text = String(digits).padStart(DIGITS + 1, '0');
    let end = text.length;
    while (end > text.length - DIGITS && text[end - 1] === '0') end--;
    const fraction = text.slice(text.length - DIGITS, end);
    const whole = text.slice(0, -DIGITS);
    const sign = significand < 0n && digits > 0n ? '-' : '';
    return `${sign}${whole}${fraction === '' ? '' : `.${fraction}`}`;
  }
}

/** A quotient divided by 2 ** exponent. */
function scaled(dividend: bigint, divisor: bigint, exponent: number): [dividend: bigint, divisor: bigint] {
  return exponent > 0 ? [dividend, divisor << BigInt(exponent)] : [dividend << BigInt(-exponent), divisor];
}

function bitsOf(value: bigint): number {
  const hex = value.toString(16);
  return 4 * hex.length - Math.clz32(parseInt(hex.charAt(0), 16)) + 28;
}
