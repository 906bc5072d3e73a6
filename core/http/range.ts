/** The Range header (RFC 9110, 14.2), as far as it is served: one range of bytes. */
import { BedrockError } from '../base/errors.js';

export interface ByteRange {
  readonly start: number;
  /** The byte after the last. */
  readonly end: number;
}

/** Without blanks within, as the RFC has it: a pattern that allowed them would look at each of many blanks again and again. */
const ONE_RANGE = /^bytes=(\d*)-(\d*)$/i;

/**
 * The part of a region that a Range header asks for, its end clamped to the region's.
 * @returns undefined for the whole region: without the header, and, as the RFC allows, for another unit, a malformed header or
 *   several ranges
 * @throws OUT_OF_RANGE if the range starts past the end
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = ONE_RANGE.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  // Digits beyond 2^53 round, and are far beyond any region all the same.
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  // The last bytes of nothing are the whole of it (RFC 9110, 14.1.2), and Content-Range has no form for that.
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
