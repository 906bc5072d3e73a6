/** Converts query parameters to values. The schema has already checked their form. */
import { invalid } from '../base/errors.js';
import { DEFAULT_LIST_LIMIT } from '../targets/arguments.js';

const MAX_LIST_LIMIT = 10_000;

/** @throws INVALID_ARGUMENT beyond 2^53 - 1 */
export function naturalNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw invalid(`?${name}=${text} exceeds the largest number of bytes, ${Number.MAX_SAFE_INTEGER}`);
  }
  return value;
}

export function optionalNumber(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : naturalNumber(name, text);
}

/** Maximum number of entries in a page of a list. @throws INVALID_ARGUMENT */
export function listLimit(
  text: string | undefined,
  { byDefault = DEFAULT_LIST_LIMIT, most = MAX_LIST_LIMIT } = {},
): number {
  const limit = optionalNumber('limit', text) ?? byDefault;
  if (limit >= 1 && limit <= most) return limit;
  throw invalid(`?limit=${limit} must be from 1 to ${most}`);
}
