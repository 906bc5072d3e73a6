/**
 * A yokan provider: its one target, and routes for Yokan's operations. Single values are bodies of
 * bytes; the forms for many keys are JSON with values in base64.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  Answer,
  BedrockError,
  type ByteStream,
  defineRoute,
  jsonBody,
  type Provider,
  type ProviderContext,
  type ProviderCounter,
  type Target,
} from '../../core/index.js';
import type { YokanConfig } from '../../schemas/generated/yokan.js';
import { Pairs, type PutMode } from './pairs.js';

/** Keys in an answer: by default, and at most. */
const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 10_000;

/** For requests with many values: how many are in progress at once. */
const AT_ONCE = 64;

const MODES: readonly string[] = ['any', 'new_only', 'exist_only'] satisfies readonly PutMode[];

type Operation = 'put' | 'get' | 'exists' | 'length' | 'erase' | 'list' | 'count';

const KEY = { type: 'string', minLength: 1, description: 'Key, at most 1024 bytes of UTF-8.' };
const KEYS = {
  type: 'object',
  additionalProperties: false,
  required: ['keys'],
  properties: { keys: { type: 'array', maxItems: MAX_LIMIT, items: KEY } },
};
const PAIRS = {
  type: 'object',
  additionalProperties: false,
  required: ['pairs'],
  properties: {
    pairs: {
      type: 'array',
      maxItems: MAX_LIMIT,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['key', 'value'],
        properties: {
          key: KEY,
          value: { type: 'string', pattern: '^[A-Za-z0-9+/]*={0,2}$', description: 'Value, in base64.' },
        },
      },
    },
    atomic: {
      type: 'boolean',
      default: false,
      description: 'Store all pairs or none; together they may have max_transaction_bytes of the target.',
    },
  },
};

interface KeyList {
  keys: string[];
}

interface PairList {
  pairs: { key: string; value: string }[];
  atomic: boolean;
}

export class YokanProvider implements Provider {
  readonly targets: readonly [Target];
  readonly #pairs: Pairs;
  readonly #operations: ProviderCounter<'operation'>;
  readonly #config: Required<YokanConfig>;

  constructor(target: Target, config: Required<YokanConfig>, { metrics }: ProviderContext) {
    this.targets = [target];
    this.#config = config;
    this.#pairs = new Pairs(target, config.max_value_bytes);
    this.#operations = metrics.counter({
      name: 'yokan_operations_total',
      help: 'Keys that operations on a yokan provider handled, including failed ones; of a list, the keys that it returned.',
      labels: ['operation'],
    });
  }

  start(): Promise<void> {
    return this.targets[0].open();
  }

  stop(): Promise<void> {
    return this.targets[0].close();
  }

  #count(operation: Operation, keys = 1): void {
    this.#operations.inc(keys, { operation });
  }

  readonly routes = [
    defineRoute({
      method: 'PUT',
      path: '/keys/:key',
      summary: 'Store the body as the value of a key: 201 for a new key, 204 for a replaced value',
      query: ['mode'],
      body: 'bytes',
      handle: async ({ params: { key }, query: { mode = 'any' }, body }) => {
        this.#count('put');
        const value = await this.#valueOf(body);
        return new Answer((await this.#pairs.put(key, value, modeOf(mode))) ? 204 : 201);
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/keys/:key',
      summary: 'The value of a key',
      handle: ({ params: { key } }) => {
        this.#count('get');
        return this.#pairs.get(key);
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: '/keys/:key',
      summary: 'Remove a key; 204 even if it does not exist',
      handle: async ({ params: { key } }) => {
        this.#count('erase');
        await this.#pairs.erase(key);
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/keys',
      summary: 'Keys in the order of their bytes; with values=true the values as well, in base64',
      query: ['prefix', 'from', 'inclusive', 'limit', 'values'],
      handle: ({ query }) => this.#list(query),
    }),
    defineRoute({
      method: 'GET',
      path: '/count',
      summary: 'How many keys there are',
      handle: async () => {
        this.#count('count');
        return { count: await this.#pairs.count() };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/put',
      summary: 'Store many values one by one; with atomic, all or none',
      body: jsonBody<PairList>(PAIRS),
      handle: ({ body }) => this.#putMany(body),
    }),
    defineRoute({
      method: 'POST',
      path: '/get',
      scope: 'read',
      summary: 'The values of many keys, in base64; null for a key that is not there',
      body: jsonBody<KeyList>(KEYS),
      handle: async ({ body: { keys } }) => {
        this.#count('get', keys.length);
        return { values: await this.#valuesOf(keys) };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/exists',
      scope: 'read',
      summary: 'Whether keys are there',
      body: jsonBody<KeyList>(KEYS),
      handle: async ({ body: { keys } }) => {
        this.#count('exists', keys.length);
        const lengths = await forEach(keys, (key) => this.#pairs.length(key));
        return { exists: lengths.map((length) => length !== undefined) };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/length',
      scope: 'read',
      summary: 'Bytes of the values of keys; null for a key that is not there',
      body: jsonBody<KeyList>(KEYS),
      handle: async ({ body: { keys } }) => {
        this.#count('length', keys.length);
        const lengths = await forEach(keys, (key) => this.#pairs.length(key));
        return { lengths: lengths.map((length) => length ?? null) };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/erase',
      summary: 'Remove many keys; tells which existed',
      body: jsonBody<KeyList>(KEYS),
      handle: async ({ body: { keys } }) => {
        this.#count('erase', keys.length);
        return { erased: await forEach(keys, (key) => this.#pairs.erase(key)) };
      },
    }),
  ];

  async #valueOf(body: ByteStream): Promise<Uint8Array> {
    // Checked before a buffer is allocated for it.
    this.#pairs.checkSize(body.size);
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  async #valuesOf(keys: readonly string[]): Promise<(string | null)[]> {
    let bytes = 0;
    return forEach(keys, async (key) => {
      const value = await this.#pairs.find(key);
      if (value === undefined) return null;
      // The whole answer is held in memory.
      bytes += value.length;
      this.#checkAnswer(bytes);
      return Buffer.from(value).toString('base64');
    });
  }

  /** @throws BODY_TOO_LARGE */
  #checkAnswer(bytes: number): void {
    const limit = this.#config.max_value_bytes;
    if (bytes <= limit) return;
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `the values of one answer may have max_value_bytes together, ${limit}; ask for fewer keys at once`,
      { details: { limit } },
    );
  }

  async #putMany({ pairs, atomic }: PairList): Promise<void> {
    this.#count('put', pairs.length);
    const decoded = pairs.map(({ key, value }) => [key, bytesOf(key, value)] as const);
    if (atomic) return this.#pairs.putAll(decoded);
    // If a key occurs twice, its last value stays. So the pairs are stored in their order.
    for (const [at, [key, value]] of decoded.entries()) {
      await this.#pairs.put(key, value);
      if (at % AT_ONCE === AT_ONCE - 1) await nextTurn();
    }
  }

  async #list(
    query: Readonly<Partial<Record<'prefix' | 'from' | 'inclusive' | 'limit' | 'values', string>>>,
  ): Promise<unknown> {
    const { prefix, from } = query;
    const limit = limitOf(query.limit);
    const { keys, ...rest } = await this.#pairs.keys({
      limit,
      isInclusive: flagOf('inclusive', query.inclusive),
      ...(prefix !== undefined && { prefix }),
      ...(from !== undefined && { from }),
    });
    this.#count('list', keys.length);
    if (!flagOf('values', query.values)) return { keys, ...rest };
    const values = await this.#valuesOf(keys);
    // A key that was removed meanwhile is left out.
    const pairs = keys.flatMap((key, at) => (values[at] === null ? [] : [{ key, value: values[at] }]));
    return { pairs, ...rest };
  }
}

/**
 * The bytes of a value. The schema has checked the letters.
 * @throws INVALID_ARGUMENT if the text is not complete: its last bytes would be lost
 */
function bytesOf(key: string, base64: string): Buffer {
  if (base64.length % 4 === 0) return Buffer.from(base64, 'base64');
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `the value of the key ${JSON.stringify(key)} is not base64 with padding (RFC 4648, section 4)`,
  );
}

/**
 * Runs the work for each key, some at a time, with turns for others in between. Results are in the
 * order of the keys.
 */
async function forEach<T>(keys: readonly string[], work: (key: string) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let at = 0; at < keys.length; at += AT_ONCE) {
    if (at > 0) await nextTurn();
    results.push(...(await Promise.all(keys.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}

function modeOf(mode: string): PutMode {
  if (MODES.includes(mode)) return mode as PutMode;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `mode is ${JSON.stringify(mode)}; it is one of ${MODES.join(', ')}`,
  );
}

function flagOf(name: string, text = 'false'): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw new BedrockError('INVALID_ARGUMENT', `${name} is ${JSON.stringify(text)}; it must be true or false`);
}

function limitOf(text = String(DEFAULT_LIMIT)): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `limit is ${JSON.stringify(text)}; it must be a whole number from 1 to ${MAX_LIMIT}`,
  );
}
