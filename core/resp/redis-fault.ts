/** Errors of commands that follow Redis, with its error texts: clients check them. */
import { BedrockError } from '../base/errors.js';

const CODES = {
  ERR: 'INVALID_ARGUMENT',
  NOAUTH: 'UNAUTHENTICATED',
  WRONGPASS: 'UNAUTHENTICATED',
  NOPERM: 'PERMISSION_DENIED',
} as const;

export class RedisFault extends BedrockError {
  /** @param word first word of the error, which clients know */
  constructor(
    message: string,
    readonly word: 'ERR' | 'NOAUTH' | 'WRONGPASS' | 'NOPERM' = 'ERR',
  ) {
    super(CODES[word], message);
  }
}

export const NOT_AN_INTEGER = 'value is not an integer or out of range';
export const SYNTAX = 'syntax error';

export function wrongArity(command: string): RedisFault {
  return new RedisFault(`wrong number of arguments for '${command}' command`);
}
