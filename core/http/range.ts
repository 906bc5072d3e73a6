/** Parses the Range header (RFC 9110, 14.2). Only a single range of bytes is supported. */
import { BedrockError } from '../base/errors.js';

export interface ByteRange {
  readonly start: number;
  /** Position after the last byte. */
  readonly end: number;
}

/** No blanks within, as in the RFC. A pattern that allowed them would examine many blanks again and again. */
const ONE_RANGE = /^bytes=(\d*)-(\d*)$/i;

/**
 * The part of a region that a Range header asks for. Its end is clamped to the end of the region.
 * @returns undefined for the whole region: without the header, and, as the RFC allows, for another
 *   unit, a malformed header or several ranges
 * @throws OUT_OF_RANGE if the range starts past the end
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = ONE_RANGE.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  // Numbers beyond 2^53 are rounded, but they are larger than any region anyway.
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  // The last bytes of an empty region are the whole region (RFC 9110, 14.1.2), and Content-Range
  // cannot express that.
  if (first === '' && Number(last) > 0 && size === 0) return undefined;
  if (start >= size || end <= start) {
    throw new BedrockError(
      'OUT_OF_RANGE',
      `the range ${match[0].slice(0, 64)} starts past the end of the region, ${size} bytes`,
      {
        details: { regionSize: size },
      },
    );
  }
  return { start, end };
}
