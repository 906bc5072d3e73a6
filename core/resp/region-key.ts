/**
 * How an argument names a region: by ID, 32 hexadecimal digits, or by name.
 *
 * - `ID`, `provider/ID`, `provider.target/ID`: digits in either case.
 * - Anything else is a name, in UTF-8. `provider` and a byte 0xFF before it, which UTF-8 never has,
 *   choose another target. If nothing precedes that byte, what follows is a name even if it looks
 *   like one of the forms above.
 */
import { isUtf8 } from 'node:buffer';
import { BedrockError } from '../base/errors.js';
import { MAX_NAME_BYTES, type RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';

/** The byte after the part that chooses the target of a name. */
export const NAME_MARK = 0xff;

const NO_DIGIT = 255;
/** Value of each hexadecimal digit by its code; NO_DIGIT for other bytes. */
const HEX_DIGITS = new Uint8Array(256).fill(NO_DIGIT);
for (let digit = 0; digit < 16; digit++) {
  HEX_DIGITS[digit.toString(16).charCodeAt(0)] = digit;
  HEX_DIGITS[digit.toString(16).toUpperCase().charCodeAt(0)] = digit;
}

/** Characters of an ID in hexadecimal digits. */
export const ID_DIGITS = 32;
const WORD_DIGITS = 8;

const SLASH = 47;
const ASCII_END = 128;

/** What may precede the slash before an ID. */
const TARGET = /^\w+(?:\.\d{1,9})?$/;

/**
 * The region that bytes name.
 * @throws INVALID_ARGUMENT if they are not UTF-8
 */
export function refAt(buffer: Buffer, start: number, end: number): RegionRef {
  const length = end - start;
  if (length >= ID_DIGITS && isId(buffer, start, end)) {
    const id = idAt(buffer, end - ID_DIGITS);
    if (id !== undefined) return id;
  }
  for (let at = start; at < end; at++)
    if ((buffer[at] as number) >= ASCII_END) return wideName(buffer.subarray(start, end));
  return buffer.toString('latin1', start, end);
}

/**
 * Whether bytes are a name of ASCII, which chooses no target and cannot be an ID. Most keys are.
 * This looks at each byte once, and nothing needs to be decoded.
 */
export function isPlainName(buffer: Buffer, start: number, end: number): boolean {
  const length = end - start;
  if (length === 0 || length > MAX_NAME_BYTES) return false;
  if (length >= ID_DIGITS && HEX_DIGITS[buffer[end - 1] as number] !== NO_DIGIT) return false;
  for (let at = start; at < end; at++) if ((buffer[at] as number) >= ASCII_END) return false;
  return true;
}

/** The part of an argument that chooses the target, in the form `provider/`; empty if there is none. */
export function prefixAt(buffer: Buffer, start: number, end: number): string {
  if (end - start > ID_DIGITS && isId(buffer, start, end) && idAt(buffer, end - ID_DIGITS) !== undefined)
    return buffer.toString('latin1', start, end - ID_DIGITS);
  for (let at = start; at < end; at++)
    if (buffer[at] === NAME_MARK) return at === start ? '' : `${buffer.toString('latin1', start, at)}/`;
  return '';
}

/** The ID in the 32 digits from `start` on, if they are one. */
export function idAt(buffer: Uint8Array, start: number): RegionId | undefined {
  const slot = wordAt(buffer, start);
  if (slot < 0) return undefined;
  const generation = wordAt(buffer, start + WORD_DIGITS);
  const poolLow = wordAt(buffer, start + 2 * WORD_DIGITS);
  const poolHigh = wordAt(buffer, start + 3 * WORD_DIGITS);
  if (generation < 0 || poolLow < 0 || poolHigh < 0) return undefined;
  return RegionId.of(slot, generation, poolLow, poolHigh);
}

/** Whether it has the form of an ID, given that its last characters are digits of one. */
function isId(buffer: Buffer, start: number, end: number): boolean {
  const slash = end - ID_DIGITS - 1;
  if (slash < start) return true;
  return buffer[slash] === SLASH && TARGET.test(buffer.toString('latin1', start, slash));
}

/** The little-endian word of eight hexadecimal digits; -1 if a byte is not one. */
function wordAt(buffer: Uint8Array, start: number): number {
  let word = 0;
  let all = 0;
  for (let at = start + WORD_DIGITS - 2; at >= start; at -= 2) {
    const high = HEX_DIGITS[buffer[at] as number] as number;
    const low = HEX_DIGITS[buffer[at + 1] as number] as number;
    all |= high | low;
    word = (word << 8) | (high << 4) | low;
  }
  return all > 15 ? -1 : word >>> 0;
}

function wideName(bytes: Buffer): string {
  const name = bytes.subarray(bytes.indexOf(NAME_MARK) + 1);
  if (isUtf8(name)) return name.toString('utf8');
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `a region is named by 32 hexadecimal digits or by a name in UTF-8, not by ${JSON.stringify(name.toString('latin1', 0, 32))}`,
  );
}
