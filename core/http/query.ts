/** Query parameters: the schema has checked their form, here they become values. */
import { BedrockError } from '../base/errors.js';

/** @throws INVALID_ARGUMENT beyond 2^53 - 1 */
export function naturalNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `?${name}=${text} exceeds the largest number of bytes, ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  return value;
}

export function optionalNumber(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : naturalNumber(name, text);
}
