/**
 * Checks of the arguments of calls on names and transactions. All arguments of a call are checked
 * before anything is done, and copied if the caller may change them meanwhile.
 */
import { asBedrockError, BedrockError, invalid } from '../base/errors.js';
import type { Change, NamesOptions, PutOptions, RegionRef, RenameOptions } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import { checkBytes, checkId, checkListOptions, checkName, checkOptions, checkSize } from './arguments.js';

/** A region by its ID or by its name. @throws INVALID_ARGUMENT */
export function checkRef(ref: unknown): asserts ref is RegionRef {
  if (typeof ref === 'string') checkName(ref);
  else checkId(ref);
}

/** A name that a region shall get, or null for none. @throws INVALID_ARGUMENT */
export function checkNewName(name: unknown): asserts name is string | null {
  if (name !== null) checkName(name);
}

/** @returns the condition of a put, if it has one @throws INVALID_ARGUMENT */
export function checkPutOptions(options: unknown): PutOptions['if'] {
  const { if: condition } = checkOptions(options) as PutOptions;
  if (condition === undefined || condition === 'absent' || condition instanceof RegionId) return condition;
  throw invalid(
    `if is ${String(condition)}; it must be 'absent' or a RegionId, which RegionId.parse makes of hex`,
  );
}

/** @returns whether a region that has the name shall be erased @throws INVALID_ARGUMENT */
export function checkRenameOptions(options: unknown): boolean {
  const { replace } = checkOptions(options) as RenameOptions;
  return checkReplace(replace);
}

function checkReplace(replace: boolean | undefined): boolean {
  if (replace === undefined || typeof replace === 'boolean') return replace === true;
  throw invalid(`replace is ${String(replace)}; it must be true or false`);
}

/** Which part of the names is asked for. */
export interface CheckedNames {
  /** Empty for all. */
  readonly prefix: string;
  /** What groups names, if they are grouped. */
  readonly delimiter: string | undefined;
  /** Only names after this text. */
  readonly after: string | undefined;
  /** Maximum number of entries. */
  readonly limit: number;
}

/** Which part of the names is asked for. @throws INVALID_ARGUMENT */
export function checkNamesOptions(options: unknown): CheckedNames {
  const { prefix, delimiter, after, limit: most } = checkOptions(options) as NamesOptions;
  const { limit } = checkListOptions(most === undefined ? {} : { limit: most });
  if (delimiter === '') throw invalid('the delimiter is empty; leave it out where names are not grouped');
  return {
    prefix: checkText('prefix', prefix) ?? '',
    delimiter: checkText('delimiter', delimiter),
    after: checkText('after', after),
    limit,
  };
}

/** Checks that a text has a form in UTF-8, since names are compared by their UTF-8 bytes. */
function checkText(what: string, text: unknown): string | undefined {
  if (text === undefined) return undefined;
  if (typeof text !== 'string') throw invalid(`${what} must be a string, not ${typeof text}`);
  if (text.isWellFormed()) return text;
  throw invalid(`${what} has half of a surrogate pair, which has no form in UTF-8`);
}

/**
 * Copies the changes of a transaction, except for their bytes.
 * @throws INVALID_ARGUMENT (details: change, its place in the list)
 */
export function checkChanges(changes: unknown): Change[] {
  if (!Array.isArray(changes)) throw invalid('changes must be an array of {type, …}');
  const checked: Change[] = [];
  try {
    // A list that grows meanwhile, as by a getter, is not followed without end.
    const { length } = changes as unknown[];
    while (checked.length < length) checked.push(checkChange((changes as unknown[])[checked.length]));
  } catch (error) {
    throw ofChange(error, checked.length);
  }
  return checked;
}

/** An error of a change, with the change's place in the list. */
export function ofChange(error: unknown, at: number): BedrockError {
  const { code, message, details } = asBedrockError(error);
  return new BedrockError(code, `change ${at}: ${message}`, {
    cause: error,
    details: { ...details, change: at },
  });
}

const TYPES = ['write', 'put', 'erase', 'rename', 'expect'];

function checkChange(given: unknown): Change {
  if (typeof given !== 'object' || given === null)
    throw invalid(`a change must be an object {type, …}, not ${String(given)}`);
  const change = given as Change;
  switch (change.type) {
    case 'write': {
      const { type, ref, offset, bytes } = change;
      checkRef(ref);
      checkSize('offset', offset);
      checkBytes('bytes', bytes);
      return { type, ref, offset, bytes };
    }
    case 'put': {
      const { type, name, contents } = change;
      checkName(name);
      checkBytes('contents', contents);
      return { type, name, contents };
    }
    case 'erase': {
      const { type, ref } = change;
      checkRef(ref);
      return { type, ref };
    }
    case 'rename': {
      const { type, ref, to } = change;
      checkRef(ref);
      checkNewName(to);
      return { type, ref, to, replace: checkReplace(change.replace) };
    }
    case 'expect': {
      const { type, name, id } = change;
      checkName(name);
      if (id !== null) checkId(id);
      return { type, name, id };
    }
    default:
      throw invalid(
        `the type of the change is ${String((given as { type?: unknown }).type)}; it must be one of ${TYPES.join(', ')}`,
      );
  }
}

/** Bytes of regions that the changes carry. */
export function movedBytes(changes: readonly Change[]): number {
  let bytes = 0;
  for (const change of changes) {
    if (change.type === 'write') bytes += change.bytes.length;
    if (change.type === 'put') bytes += change.contents.length;
  }
  return bytes;
}
