/**
 * The form of all failures of rules: what was checked, what was found, what the contract allows.
 * Every check of the suite ends here, so that no failure lacks an explanation.
 */
import { inspect, isDeepStrictEqual, types } from 'node:util';
import { messageOf } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';

/** Maximum number of list items in a message. */
const MOST_ITEMS = 4;
/** Maximum length of a value in a message, characters. */
const LONGEST_VALUE = 120;

/** A rule of the contract that a target breaks. */
export class BrokenRule extends Error {
  /**
   * @param what     what was checked
   * @param found    what was found, in words
   * @param expected what the contract allows, in words
   */
  constructor(what: string, found: string, expected: string, options?: ErrorOptions) {
    super(`${what}: found ${found}, expected ${expected}`, options);
    this.name = 'BrokenRule';
  }
}

/** Converts the failure of a rule to that form: an unexpected error is a call that should have succeeded. */
export function findingOf(failure: unknown, what = 'a call that this rule makes'): string {
  if (failure instanceof BrokenRule) return failure.message;
  const expected = 'it to succeed, or its promise to be rejected where it must fail';
  return `${what}: found ${failureInWords(failure)}, expected ${expected}`;
}

/** `a failure with OUT_OF_RANGE (read of …)`. */
export function failureInWords(failure: unknown): string {
  const code = (failure as { code?: unknown } | null | undefined)?.code;
  const name = typeof code === 'string' ? code : 'no code';
  return `a failure with ${name} (${messageOf(failure)})`;
}

/** Asserts a condition. @param expected the condition in words */
export function holds(isSo: boolean, what: string, found: unknown, expected: string): asserts isSo {
  if (!isSo) throw new BrokenRule(what, inWords(found), expected);
}

/** Asserts that a value equals another one exactly. */
export function is<T>(found: unknown, expected: T, what: string): asserts found is T {
  if (!Object.is(found, expected)) throw new BrokenRule(what, inWords(found), inWords(expected));
}

/** Asserts that a list has exactly these items, in this order. */
export function sameList(found: readonly unknown[], expected: readonly unknown[], what: string): void {
  holds(Array.isArray(found), what, found, 'a list');
  if (isDeepStrictEqual(found, expected)) return;
  let at = 0;
  while (at < found.length && isDeepStrictEqual(found[at], expected[at])) at++;
  const [here, there] = [found, expected].map((list) => `${listInWords(list)}${itemInWords(list, at)}`);
  throw new BrokenRule(what, String(here), String(there));
}

/** The same in any order. */
export function sameItems(found: readonly string[], expected: readonly string[], what: string): void {
  sameList(found.toSorted(), expected.toSorted(), what);
}

/** Asserts that an object has these values under these keys; other keys do not matter. */
export function sameFigures(found: object, expected: object, what: string): void {
  const wrong = Object.entries(expected).filter(
    ([key, value]) => !isDeepStrictEqual((found as Record<string, unknown>)[key], value),
  );
  if (wrong.length === 0) return;
  const figures = (of: object): string =>
    wrong.map(([key]) => `${key} ${inWords((of as Record<string, unknown>)[key])}`).join(', ');
  throw new BrokenRule(what, figures(found), figures(expected));
}

/** A value, as text for a message. It throws nothing. */
export function inWords(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value instanceof RegionId) return `the ID ${value.toString()}`;
  if (types.isUint8Array(value)) return `a Uint8Array of ${value.length} bytes`;
  if (Array.isArray(value)) return listInWords(value);
  const text = inspect(value, { depth: 1, breakLength: Infinity, customInspect: false, maxArrayLength: 4 });
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

function listInWords(list: readonly unknown[]): string {
  if (list.length === 0) return 'an empty list';
  const shown = list.slice(0, MOST_ITEMS).map(inWords).join(', ');
  return list.length > MOST_ITEMS ? `${list.length} items (${shown}, …)` : `[${shown}]`;
}

/** The item where two lists differ, unless it is already in the message. */
function itemInWords(list: readonly unknown[], at: number): string {
  if (at < MOST_ITEMS) return '';
  return ` with ${inWords(list[at])} at index ${at}`;
}
