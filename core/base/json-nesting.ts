/**
 * Limits how deep a JSON body may be nested (RFC 8259, 9, leaves the limit to the reader). Code
 * that inspects the values recurses once per level.
 */
import { invalid } from './errors.js';

export const MAX_NESTING = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @throws INVALID_ARGUMENT */
export function checkNesting(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // With this bit set, [ and { are equal, and so are ] and }.
    const bracket = code | 0x20;
    if (code === QUOTE) at = endOfString(text, at + 1);
    else if (bracket === 0x7b && ++depth > MAX_NESTING)
      throw invalid(`the body is nested deeper than ${MAX_NESTING} levels`);
    else if (bracket === 0x7d) depth--;
  }
}

/** @returns the position of the closing quote, or the end of the text */
function endOfString(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
