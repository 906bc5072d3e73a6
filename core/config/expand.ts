/**
 * The short form of keys: `"x.y": v` means `{"x": {"y": v}}`, at every level, merged with what stands there already.
 *
 * Works on a copy; the positions that a parser noted for keys move along, so that faults found later can still be located.
 */
import { describeFound, type ConfigPath } from './issues.js';

export type JsonObject = Record<string, unknown>;

/** Offset in the text of each key of an object, or each entry of an array. */
export type Positions = WeakMap<object, Map<string | number, number>>;

/** Called for each fault; `position` is an offset in the text where known. */
export type ReportFault = (path: ConfigPath, message: string, position: number | undefined) => void;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Expands short keys everywhere below `value`. */
export function expand(
  value: unknown,
  positions: Positions,
  report: ReportFault,
  path: ConfigPath = [],
): unknown {
  if (value instanceof Date) return String(value);
  if (Array.isArray(value)) {
    const copy = value.map((entry, index) => expand(entry, positions, report, [...path, index]));
    const noted = positions.get(value);
    if (noted !== undefined) positions.set(copy, noted);
    return copy;
  }
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  const noted = positions.get(value);
  for (const [key, entry] of Object.entries(value)) {
    if (entry === undefined) continue;
    const position = noted?.get(key);
    const steps = key.split('.');
    if (steps.includes('') || steps.includes('__proto__')) {
      report([...path, key], `${describeFound(key)} is not a key; a dot separates two names`, position);
      continue;
    }
    const expanded = expand(entry, positions, report, [...path, ...steps]);
    place(result, steps, expanded, position, { positions, report, path });
  }
  return result;
}

interface Place {
  positions: Positions;
  report: ReportFault;
  path: ConfigPath;
}

/** Puts a value under a row of keys, merging objects. */
function place(
  target: JsonObject,
  steps: string[],
  value: unknown,
  position: number | undefined,
  at: Place,
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
    place(inner, rest, value, position, { ...at, path });
  } else if (!isObject(present) || (rest.length === 0 && !isObject(value))) {
    at.report(path, 'is set twice, once by a key with a dot', position);
  } else if (rest.length > 0) {
    place(present, rest, value, position, { ...at, path });
  } else {
    const noted = at.positions.get(value as JsonObject);
    for (const [innerKey, inner] of Object.entries(value as JsonObject)) {
      place(present, [innerKey], inner, noted?.get(innerKey) ?? position, { ...at, path });
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
