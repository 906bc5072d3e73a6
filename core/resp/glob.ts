/**
 * Patterns of names, as in Redis: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, and a backslash before a
 * literal character. They match bytes, not characters.
 *
 * Matching needs no recursion. When a match fails, the last star takes one more byte; earlier stars
 * are never changed. So the time is at most the product of both lengths, for any pattern.
 */
const STAR = 42;
const QUESTION = 63;
const OPEN = 91;
const CLOSE = 93;
const CARET = 94;
const MINUS = 45;
const BACKSLASH = 92;

export class Glob {
  constructor(private readonly pattern: Uint8Array) {}

  /** Whether the pattern matches everything. */
  get isAll(): boolean {
    return this.pattern.length === 1 && this.pattern[0] === STAR;
  }

  /** The bytes that every match begins with. */
  get prefix(): Uint8Array {
    const literal: number[] = [];
    const { pattern } = this;
    for (let at = 0; at < pattern.length; at++) {
      const byte = pattern[at] as number;
      if (byte === STAR || byte === QUESTION || byte === OPEN) break;
      if (byte === BACKSLASH && at + 1 < pattern.length) at++;
      literal.push(pattern[at] as number);
    }
    return Uint8Array.from(literal);
  }

  matches(bytes: Uint8Array): boolean {
    const { pattern } = this;
    let at = 0;
    let from = 0;
    /** The place after the last star, and the position in the bytes where the rest was last tried. */
    let star = -1;
    let tried = 0;
    while (from < bytes.length) {
      if (at < pattern.length && pattern[at] === STAR) {
        star = ++at;
        tried = from;
        continue;
      }
      const next = at < pattern.length ? this.#step(at, bytes[from] as number) : -1;
      if (next >= 0) {
        at = next;
        from++;
      } else {
        if (star < 0) return false;
        at = star;
        from = ++tried;
      }
    }
    while (at < pattern.length && pattern[at] === STAR) at++;
    return at >= pattern.length;
  }

  /**
   * Matches one byte with the element at a place, which is not a star.
   * @returns the next place; -1 if it does not match
   */
  #step(at: number, byte: number): number {
    const { pattern } = this;
    const wanted = pattern[at] as number;
    if (wanted === QUESTION) return at + 1;
    if (wanted === OPEN) return this.#set(at + 1, byte);
    if (wanted === BACKSLASH && at + 1 < pattern.length) return pattern[at + 1] === byte ? at + 2 : -1;
    return wanted === byte ? at + 1 : -1;
  }

  #set(begin: number, byte: number): number {
    const { pattern } = this;
    let at = begin;
    const isNegated = pattern[at] === CARET;
    if (isNegated) at++;
    let isIn = false;
    // An unclosed bracket ends with the pattern, as in Redis.
    for (; at < pattern.length && pattern[at] !== CLOSE; at++) {
      if (pattern[at] === BACKSLASH && at + 1 < pattern.length) {
        if (pattern[++at] === byte) isIn = true;
      } else if (at + 2 < pattern.length && pattern[at + 1] === MINUS) {
        const [one, other] = [pattern[at] as number, pattern[at + 2] as number];
        if (byte >= Math.min(one, other) && byte <= Math.max(one, other)) isIn = true;
        at += 2;
      } else if (pattern[at] === byte) isIn = true;
    }
    return isIn === isNegated ? -1 : Math.min(at + 1, pattern.length);
  }
}
