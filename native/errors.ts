/** Errors of native calls: system errors under their own codes, mistakes of the caller as BedrockErrors. */
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { BedrockError, messageOf } from '../core/base/errors.js';

/** A failed call of the system or of libpmem. It has the form of errors of node:fs. */
export class SystemError extends Error {
  /** Name of the class, the same for every code. */
  override readonly name = 'SystemError';

  constructor(
    /** The system's name of the error, such as `ENOENT`. */
    readonly code: string,
    /** The system's number of the error, negative as everywhere in Node.js. */
    readonly errno: number,
    /** The call that failed, such as `mapFile`. */
    readonly syscall: string,
    message: string,
    /** The file, if its path is known. */
    readonly path: string | undefined,
    cause?: unknown,
  ) {
    super(`${code}: ${message}`, cause === undefined ? undefined : { cause });
  }
}

/** Converts an error of the addon (its `errno` is positive) to the one that callers see. */
export function systemError(thrown: unknown, syscall: string, path?: string): unknown {
  const errno = (thrown as { errno?: unknown } | undefined)?.errno;
  if (typeof errno !== 'number') return thrown;
  const named = path === undefined ? messageOf(thrown) : `${messageOf(thrown)} (${path})`;
  return new SystemError(errorName(errno), -errno, syscall, named, path);
}

function errorName(errno: number): string {
  const name = getSystemErrorName(-errno);
  if (!name.startsWith('Unknown')) return name;
  const [known] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [];
  return known ?? `E${errno}`;
}

export function invalidArgument(message: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', message);
}

/** A whole number from 0 to 2^53 - 1. @throws INVALID_ARGUMENT */
export function checkSize(name: string, value: unknown): asserts value is number {
  if (!isSize(value))
    throw invalidArgument(`${name} must be a whole number from 0 to 2^53 - 1, not ${show(value)}`);
}

export function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A value of any kind, as text for a message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value.toString()}n`;
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
