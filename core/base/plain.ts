/**
 * Reads values of foreign code without trusting them: a getter or `toString` may throw, a proxy may
 * have been revoked, an object may contain itself, a text may have a gigabyte. Nothing here throws,
 * and all results are bounded.
 */
import { inspect } from 'node:util';

/** A value that JSON can express. */
export type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** Maximum length of a text that is made from a value, characters, unless a caller sets less. */
const MAX_TEXT = 2 ** 20;

/** Limits of a plain copy, unless a caller sets others: number of values, characters, depth. */
const PLAIN_LIMITS = { values: 2 ** 12, characters: 2 ** 16, depth: 16 } as const;

export type PlainLimits = Record<keyof typeof PLAIN_LIMITS, number>;

/** Whether it is an object with members, as in JSON. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A property; undefined if it does not exist or cannot be read. */
export function propertyOf(value: unknown, key: string): unknown {
  try {
    return (value as Record<string, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** `instanceof` for a value that may be a proxy that throws. */
export function isInstance<T>(value: unknown, Class: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof Class;
  } catch {
    return false;
  }
}

/** A text of limited length; a shortened one states its original length. */
export function bounded(text: string, most: number): string {
  if (text.length <= most) return text;
  const remark = `… (${text.length} characters)`;
  const kept = Math.max(0, most - remark.length);
  // Do not split a surrogate pair.
  const isHalf = /[\uD800-\uDBFF]/.test(text.charAt(kept - 1));
  return text.slice(0, isHalf ? kept - 1 : kept) + remark;
}

/** A text for any value: a string is itself, an object is described on one line. */
export function textOf(value: unknown, most = MAX_TEXT): string {
  if (typeof value === 'string') return bounded(value, most);
  try {
    if (typeof value !== 'object' || value === null) return bounded(String(value), most);
    // Runs no code of the object.
    return bounded(
      inspect(value, {
        depth: 2,
        breakLength: Infinity,
        compact: true,
        customInspect: false,
        maxArrayLength: 16,
        maxStringLength: 256,
      }),
      most,
    );
  } catch {
    return `something that has no text (${typeof value})`;
  }
}

/**
 * A copy that JSON can express, by JSON's own rules where it has any. An integer of any size
 * becomes a number, or its digits. A value that cannot be read, contains itself or exceeds the
 * limits is replaced by a word in brackets.
 */
export function plainOf(value: unknown, limits: Partial<PlainLimits> = {}): Plain | undefined {
  return new Copier({ ...PLAIN_LIMITS, ...limits }).copy(value, 0);
}

class Copier {
  #values: number;
  #characters: number;
  readonly #depth: number;
  /** The objects that contain the one being copied. */
  readonly #around = new Set<object>();

  constructor({ values, characters, depth }: PlainLimits) {
    this.#values = values;
    this.#characters = characters;
    this.#depth = depth;
  }

  /** @returns undefined for a value that JSON omits */
  copy(value: unknown, depth: number): Plain | undefined {
    if (this.#values-- <= 0) return '[and more]';
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isFinite(value) ? value : null;
      case 'boolean':
        return value;
      case 'bigint':
        return Number.isSafeInteger(Number(value)) ? Number(value) : this.#text(String(value));
      case 'object':
        return value === null ? null : this.#object(value, depth);
      default:
        return undefined;
    }
  }

  #object(value: object, depth: number): Plain | undefined {
    if (this.#around.has(value)) return '[circular]';
    if (depth >= this.#depth) return '[deeper]';
    this.#around.add(value);
    try {
      const { toJSON } = value as { toJSON?: unknown };
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
      if (typeof toJSON === 'function') return this.copy(toJSON.call(value, ''), depth + 1);
      if (value instanceof Error) return this.#text(textOf(propertyOf(value, 'message')));
      return Array.isArray(value) ? this.#array(value, depth) : this.#record(value, depth);
    } catch {
      return '[unreadable]';
    } finally {
      this.#around.delete(value);
    }
  }

  #array(list: readonly unknown[], depth: number): Plain[] {
    const copied: Plain[] = [];
    for (let index = 0; index < list.length; index++) {
      copied.push(this.copy(propertyOf(list, String(index)), depth + 1) ?? null);
      if (this.#values <= 0) break;
    }
    return copied;
  }

  #record(value: object, depth: number): Plain {
    const copied: [string, Plain][] = [];
    for (const key of Object.keys(value)) {
      const plain = this.copy(this.#member(value, key), depth + 1);
      if (plain !== undefined) copied.push([this.#text(key), plain]);
      if (this.#values <= 0) break;
    }
    return Object.fromEntries(copied);
  }

  #member(value: object, key: string): unknown {
    try {
      return (value as Record<string, unknown>)[key];
    } catch {
      return '[unreadable]';
    }
  }

  #text(text: string): string {
    const taken = bounded(text, Math.max(0, this.#characters));
    this.#characters -= taken.length;
    return taken;
  }
}
