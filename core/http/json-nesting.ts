/** How deep a body in JSON may be nested (RFC 8259, 9, leaves that to the reader): what looks at values in it calls itself for each level. */
import { BedrockError } from '../base/errors.js';

export const MAX_NESTING = 256;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** @throws INVALID_ARGUMENT */
export function checkNesting(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // With this bit, [ and { are one, and so are ] and }.
    const bracket = code | 0x20;
    if (code === QUOTE) at = endOfString(text, at + 1);
    else if (bracket === 0x7b && ++depth > MAX_NESTING)
      throw new BedrockError('INVALID_ARGUMENT', `the body is nested deeper than ${MAX_NESTING} levels`);
    else if (bracket === 0x7d) depth--;
  }
}

/** @returns where its closing quote is, or the end of the text */
function endOfString(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
