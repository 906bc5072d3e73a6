/** Errors of commands that follow Redis, with its error texts: clients check them. */
import { BedrockError } from '../base/errors.js';

export class RedisFault extends BedrockError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

export const NOT_AN_INTEGER = 'value is not an integer or out of range';
export const SYNTAX = 'syntax error';

export function wrongArity(command: string): RedisFault {
  return new RedisFault(`wrong number of arguments for '${command}' command`);
}
