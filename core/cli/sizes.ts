/** Sizes in the form that people write and read. */
import { InvalidArgumentError } from 'commander';
import type { RegionRange } from '../contract/target.js';

const SIZE = /^(\d+)\s*(?:([KMGT])(?:iB)?|B)?$/i;

/** For help texts. */
export const SIZE_FORMS = 'bytes, or with a suffix: 64K, 16MiB, 1G (K, M, G, T are powers of 1024)';

/** `64K` is 65536. @throws InvalidArgumentError */
export function parseSize(text: string): number {
  const [, digits, unit = ''] = SIZE.exec(text.trim()) ?? [];
  const exponent = unit === '' ? 0 : 'KMGT'.indexOf(unit.toUpperCase()) + 1;
  const size = Number(digits ?? NaN) * 1024 ** exponent;
  if (Number.isSafeInteger(size)) return size;
  if (digits !== undefined)
    throw new InvalidArgumentError(`It takes at most ${Number.MAX_SAFE_INTEGER} bytes.`);
  throw new InvalidArgumentError(`It takes ${SIZE_FORMS}.`);
}

/** `OFFSET:SIZE`. @throws InvalidArgumentError */
export function parseByteRange(text: string): RegionRange {
  const [offset, size, ...rest] = text.split(':');
  if (offset === undefined || size === undefined || rest.length > 0)
    throw new InvalidArgumentError('It takes OFFSET:SIZE, such as 0:4K.');
  return { offset: parseSize(offset), size: parseSize(size) };
}

/** A whole number from 0 up. @throws InvalidArgumentError */
export function parseNatural(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It takes a whole number from 0 up.');
  return Number(text);
}
