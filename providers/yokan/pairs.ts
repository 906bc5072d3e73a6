/**
 * Pairs of keys and values over a target with names. A key is a name: text of at most 1024 bytes of
 * UTF-8. It must not be 32 hexadecimal digits, which are an ID. A value is always read from one
 * region as a whole, also while others replace it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BedrockError, type PutOptions, type Target } from '../../core/index.js';

/** Names of a page where all names are requested. */
const PAGE_NAMES = 500;

/** When a value is stored: always, only under a new key, or only in place of another value. */
export type PutMode = 'any' | 'new_only' | 'exist_only';

/** Which keys are requested. */
export interface KeyRange {
  /** Only keys that begin with this. */
  prefix?: string;
  /** Only keys from this one on, in the order of their bytes. */
  from?: string;
  /** Whether `from` itself is among them. */
  isInclusive?: boolean;
  /** Most keys to give. */
  limit: number;
}

export class Pairs {
  constructor(
    private readonly target: Target,
    private readonly maxValueBytes: number,
  ) {}

  /**
   * Stores a value, durably on a persistent target.
   * @returns whether it replaced another value; with `any`, whether there was one just before
   * @throws BODY_TOO_LARGE, CONFLICT (`new_only`, and the key is there), NOT_FOUND (`exist_only`,
   *   and it is not), INVALID_ARGUMENT, OUT_OF_SPACE
   */
  async put(key: string, value: Uint8Array, mode: PutMode = 'any'): Promise<boolean> {
    this.checkSize(value.length);
    for (;;) {
      const there = await this.#find(key);
      if (mode === 'new_only' && there !== undefined) throw keyExists(key);
      if (mode === 'exist_only' && there === undefined) throw keyNotFound(key);
      // No condition where none is needed: if many callers put one key, a condition would make all
      // but one of them start again, each time.
      const condition: PutOptions = mode === 'any' ? {} : { if: there?.id ?? 'absent' };
      try {
        await this.target.put(key, value, condition);
        return there !== undefined;
      } catch (error) {
        // Another caller was faster: the key is looked up again.
        if (!hasCode(error, 'NAME_TAKEN') && !hasCode(error, 'CONDITION_FAILED')) throw error;
      }
    }
  }

  /** Stores all pairs or none. @throws as `put`, TRANSACTION_TOO_LARGE */
  async putAll(pairs: readonly (readonly [key: string, value: Uint8Array])[]): Promise<void> {
    for (const [, value] of pairs) this.checkSize(value.length);
    await this.target.transact(pairs.map(([name, contents]) => ({ type: 'put', name, contents })));
  }

  /**
   * The value of a key.
   * @throws NOT_FOUND, BODY_TOO_LARGE (a region of that name that was not stored here),
   *   INVALID_ARGUMENT
   */
  async get(key: string): Promise<Uint8Array> {
    const value = await this.find(key);
    if (value === undefined) throw keyNotFound(key);
    return value;
  }

  /** The same, or undefined if there is none. */
  async find(key: string): Promise<Uint8Array | undefined> {
    for (;;) {
      const there = await this.#find(key);
      if (there === undefined) return undefined;
      this.checkSize(there.size);
      try {
        return await this.target.read(there.id, 0, there.size);
      } catch (error) {
        // It was replaced or erased since: the key is looked up again.
        if (!hasCode(error, 'REGION_NOT_FOUND')) throw error;
      }
    }
  }

  /** Bytes of a value, or undefined if there is none. */
  async length(key: string): Promise<number | undefined> {
    return (await this.#find(key))?.size;
  }

  /** Removes a pair, durably on a persistent target. @returns whether it was there */
  async erase(key: string): Promise<boolean> {
    try {
      await this.target.erase(key);
      return true;
    } catch (error) {
      if (hasCode(error, 'REGION_NOT_FOUND')) return false;
      throw error;
    }
  }

  /** How many pairs there are. */
  async count(): Promise<number> {
    let count = 0;
    let after: string | undefined;
    do {
      const { names, next } = await this.target.names({
        limit: PAGE_NAMES,
        ...(after !== undefined && { after }),
      });
      count += names.length;
      after = next;
      // Finding a million keys takes long, and others must have their turn.
      await nextTurn();
    } while (after !== undefined);
    return count;
  }

  /** Keys in the order of their bytes, and the key to continue from if there are more. */
  async keys({
    prefix,
    from,
    isInclusive = false,
    limit,
  }: KeyRange): Promise<{ keys: string[]; next?: string }> {
    const isFirst =
      isInclusive &&
      from !== undefined &&
      from.startsWith(prefix ?? '') &&
      (await this.#find(from)) !== undefined;
    const keys = isFirst ? [from] : [];
    if (keys.length === limit)
      return (await this.#hasMore(prefix, from)) ? { keys, next: from as string } : { keys };
    const { names, next } = await this.target.names({
      limit: limit - keys.length,
      ...(prefix !== undefined && { prefix }),
      ...(from !== undefined && { after: from }),
    });
    keys.push(...names.map(({ name }) => name));
    return next === undefined ? { keys } : { keys, next };
  }

  async #hasMore(prefix: string | undefined, after: string | undefined): Promise<boolean> {
    const { names } = await this.target.names({
      limit: 1,
      ...(prefix !== undefined && { prefix }),
      ...(after !== undefined && { after }),
    });
    return names.length > 0;
  }

  async #find(
    key: string,
  ): ReturnType<Target['find']> extends Promise<infer Found> ? Promise<Found | undefined> : never {
    try {
      return await this.target.find(key);
    } catch (error) {
      if (hasCode(error, 'REGION_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** @throws BODY_TOO_LARGE */
  checkSize(size: number): void {
    if (size <= this.maxValueBytes) return;
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `a value of ${size} bytes exceeds max_value_bytes, ${this.maxValueBytes}; put it as a region of that name`,
      { details: { size, limit: this.maxValueBytes } },
    );
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof BedrockError && error.code === code;
}

function keyNotFound(key: string): BedrockError {
  return new BedrockError('NOT_FOUND', `there is no key ${JSON.stringify(key)}`);
}

function keyExists(key: string): BedrockError {
  return new BedrockError('CONFLICT', `the key ${JSON.stringify(key)} already exists`);
}
