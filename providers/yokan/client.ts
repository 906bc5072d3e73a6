/** The client of a yokan provider. It uses the handle that a service or a dependency gives. */
import { BedrockError, type RemoteProviderHandle } from '../../core/index.js';
import type { PutMode } from './pairs.js';

export type { PutMode } from './pairs.js';

/** How a value is stored. */
export interface PutCall {
  /**
   * `any` by default; `new_only` is CONFLICT for a key that is there, `exist_only` NOT_FOUND for
   * one that is not.
   */
  mode?: PutMode;
}

/** How many values are stored. */
export interface PutManyCall {
  /**
   * Store all pairs or none. Then they may have at most `max_transaction_bytes` of the target
   * together. False by default.
   */
  atomic?: boolean;
}

/** Which keys are listed. */
export interface ListCall {
  /** Only keys that begin with this. */
  prefix?: string;
  /** Only keys after this one in the order of their bytes: `next` of the page before. */
  from?: string;
  /** Whether `from` itself is among them; false by default. */
  inclusive?: boolean;
  /** Most keys to give, 1 to 10000; 1000 by default. */
  limit?: number;
}

/** Part of the keys. */
export interface KeyPage {
  /** Keys in the order of their bytes. */
  readonly keys: readonly string[];
  /** Present if there are more: pass it as `from` for the next page. */
  readonly next?: string;
}

/** Part of the pairs. */
export interface PairPage {
  /** Pairs in the order of their keys' bytes. */
  readonly pairs: readonly { readonly key: string; readonly value: Uint8Array }[];
  /** Present if there are more: pass it as `from` for the next page. */
  readonly next?: string;
}

/**
 * A key-value store of another daemon. Every call may throw what `RemoteProviderHandle.request`
 * throws, and INVALID_ARGUMENT for a key that is empty, longer than 1024 bytes of UTF-8, or 32
 * hexadecimal digits.
 */
export class YokanClient {
  /**
   * @param provider a provider of type `yokan`: `service.provider('kv')` of `connect`, or a
   *   dependency on another daemon
   * @throws INVALID_ARGUMENT for a provider of another type
   */
  constructor(private readonly provider: RemoteProviderHandle) {
    if (provider.type !== 'yokan')
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `the provider ${provider.name} is of type ${provider.type}, not yokan`,
      );
  }

  /**
   * Stores a value, durably where the database is persistent.
   * @throws CONFLICT, NOT_FOUND, BODY_TOO_LARGE, OUT_OF_SPACE
   */
  async put(key: string, value: Uint8Array, { mode }: PutCall = {}): Promise<void> {
    await this.provider.request({ method: 'PUT', path: pathOf(key), query: { mode }, body: value });
  }

  /**
   * Stores many values one by one, in their order; with `atomic`, all or none.
   * @throws BODY_TOO_LARGE, TRANSACTION_TOO_LARGE, OUT_OF_SPACE
   */
  async putMany(
    pairs: Iterable<readonly [key: string, value: Uint8Array]>,
    call: PutManyCall = {},
  ): Promise<void> {
    const json = { ...call, pairs: Array.from(pairs, ([key, value]) => ({ key, value: toBase64(value) })) };
    await this.provider.request({ method: 'POST', path: '/put', json });
  }

  /**
   * The value of a key.
   * @throws NOT_FOUND
   */
  async get(key: string): Promise<Uint8Array> {
    return this.provider.request<Uint8Array>({ method: 'GET', path: pathOf(key) });
  }

  /** The values of many keys, in their order; undefined for a key that is not there. */
  async getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const { values } = await this.#ask<{ values: (string | null)[] }>('/get', keys);
    return values.map((value) => (value === null ? undefined : fromBase64(value)));
  }

  /** Whether a key is there. */
  async exists(key: string): Promise<boolean> {
    return (await this.existsMany([key]))[0] === true;
  }

  /** Whether keys are there, in their order. */
  async existsMany(keys: readonly string[]): Promise<boolean[]> {
    return (await this.#ask<{ exists: boolean[] }>('/exists', keys)).exists;
  }

  /** Bytes of the value of a key; undefined if it is not there. */
  async length(key: string): Promise<number | undefined> {
    return (await this.lengthMany([key]))[0];
  }

  /** Bytes of the values of keys, in their order; undefined for a key that is not there. */
  async lengthMany(keys: readonly string[]): Promise<(number | undefined)[]> {
    const { lengths } = await this.#ask<{ lengths: (number | null)[] }>('/length', keys);
    return lengths.map((length) => length ?? undefined);
  }

  /** Removes a key, durably where the database is persistent. Does nothing if it is not there. */
  async erase(key: string): Promise<void> {
    await this.provider.request({ method: 'DELETE', path: pathOf(key) });
  }

  /** Removes many keys. @returns which of them were there, in their order */
  async eraseMany(keys: readonly string[]): Promise<boolean[]> {
    return (await this.#ask<{ erased: boolean[] }>('/erase', keys)).erased;
  }

  /** How many keys there are. */
  async count(): Promise<number> {
    return (await this.provider.request<{ count: number }>({ method: 'GET', path: '/count' })).count;
  }

  /** A page of the keys. */
  listKeys(call: ListCall = {}): Promise<KeyPage> {
    return this.provider.request<KeyPage>({ method: 'GET', path: '/keys', query: { ...call } });
  }

  /**
   * A page of the pairs.
   * @throws BODY_TOO_LARGE if the values of the page have more than `max_value_bytes` together; ask
   *   for fewer then
   */
  async listPairs(call: ListCall = {}): Promise<PairPage> {
    const query = { ...call, values: true };
    const { pairs, ...rest } = await this.provider.request<{
      pairs: { key: string; value: string }[];
      next?: string;
    }>({ method: 'GET', path: '/keys', query });
    return { pairs: pairs.map(({ key, value }) => ({ key, value: fromBase64(value) })), ...rest };
  }

  #ask<T>(path: string, keys: readonly string[]): Promise<T> {
    return this.provider.request<T>({ method: 'POST', path, json: { keys } });
  }
}

function pathOf(key: string): string {
  if (!key.isWellFormed())
    throw new BedrockError(
      'INVALID_ARGUMENT',
      'the key has half of a surrogate pair, which has no form in UTF-8',
    );
  return `/keys/${encodeURIComponent(key)}`;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}
