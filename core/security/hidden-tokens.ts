/**
 * Keeps the secrets of tokens out of texts. An error shows what its request named. So a token that
 * a client has put into the wrong argument could end up in logs of the error.
 */

/** A token, or most of one, as a part of another text. */
const WITHIN = /bedrock_([A-Za-z0-9][A-Za-z0-9.-]{0,63})_[A-Za-z0-9_-]{24,}/g;

/** The text of an error without the secrets of tokens. */
export function hideTokens(text: string): string {
  return text.includes('bedrock_') ? text.replace(WITHIN, 'bedrock_$1_…') : text;
}
