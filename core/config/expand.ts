/**
 * Expands short keys: `"x.y": v` means `{"x": {"y": v}}`, at every level, merged with existing values.
 *
 * Works on a copy. The positions that a parser recorded for keys are copied too, so that later
 * faults can still be located.
 */
import { type ConfigPath, describeFound } from '../validation/issues.js';

export type JsonObject = Record<string, unknown>;

/** Offset in the text of each key of an object, or of each entry of an array. */
export type Positions = WeakMap<object, Map<string | number, number>>;

/** Called for each fault; `position` is an offset in the text, if known. */
export type ReportFault = (path: ConfigPath, message: string, position: number | undefined) => void;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Expands short keys everywhere below `value`. Values that a configuration cannot contain are
 * reported and omitted.
 */
export function expand(
  value: unknown,
  positions: Positions,
  report: ReportFault,
  path: ConfigPath = [],
  around: readonly object[] = [],
): unknown {
  if (value instanceof Date) return value.toJSON();
  const fault = faultOfValue(value, around);
  if (fault !== undefined) {
    report(path, fault, undefined);
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return value;
  const within = [...around, value];
  if (Array.isArray(value)) {
    const copy = value.map((entry, index) => expand(entry, positions, report, [...path, index], within));
    const noted = positions.get(value);
    if (noted !== undefined) positions.set(copy, noted);
    return copy;
  }
  const result: JsonObject = {};
  const noted = positions.get(value);
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue;
    const position = noted?.get(key);
    const steps = key.split('.');
    const keyFault = faultOfKey(key, steps);
    if (keyFault !== undefined) {
      report([...path, key], keyFault, position);
      continue;
    }
    const expanded = expand(entry, positions, report, [...path, ...steps], within);
    if (expanded !== undefined) put(result, steps, expanded, position, { positions, report, path });
  }
  return result;
}

/** Checks for values that a program can pass, but no file can contain. */
function faultOfValue(value: unknown, around: readonly object[]): string | undefined {
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
    return `found a ${typeof value}, expected a value that JSON knows`;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (around.includes(value)) return 'the value contains itself';
  if (Array.isArray(value)) return undefined;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  return `found an instance of ${value.constructor.name}, expected a plain object`;
}

function faultOfKey(key: string, steps: readonly string[]): string | undefined {
  if (key === '') return 'a key cannot be empty';
  if (steps.includes('')) {
    return `in the key ${describeFound(key)} a name is missing before or after a dot; "x.y": v means {"x": {"y": v}}`;
  }
  return steps.includes('__proto__') ? '__proto__ cannot be a key' : undefined;
}

/** The state of an expansion, and its fault reporter. */
interface Expansion {
  positions: Positions;
  report: ReportFault;
  path: ConfigPath;
}

/** Puts a value under a sequence of keys, merging objects. */
function put(
  target: JsonObject,
  steps: string[],
  value: unknown,
  position: number | undefined,
  at: Expansion,
): void {
  const [key = '', ...rest] = steps;
  const path = [...at.path, key];
  const present = Object.hasOwn(target, key) ? target[key] : undefined;
  if (present === undefined) {
    note(at.positions, target, key, position);
    if (rest.length === 0) {
      target[key] = value;
      return;
    }
    const inner: JsonObject = {};
    target[key] = inner;
    put(inner, rest, value, position, { ...at, path });
  } else if (!isObject(present) || (rest.length === 0 && !isObject(value))) {
    at.report(path, 'is set twice; a key with a dot means the same as nested keys', position);
  } else if (rest.length > 0) {
    put(present, rest, value, position, { ...at, path });
  } else {
    const noted = at.positions.get(value as JsonObject);
    for (const [innerKey, inner] of Object.entries(value as JsonObject)) {
      put(present, [innerKey], inner, noted?.get(innerKey) ?? position, { ...at, path });
    }
  }
}

function note(
  positions: Positions,
  target: object,
  key: string | number,
  position: number | undefined,
): void {
  if (position === undefined) return;
  const noted = positions.get(target) ?? new Map<string | number, number>();
  noted.set(key, position);
  positions.set(target, noted);
}
