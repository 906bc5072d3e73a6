/**
 * A cache that is still warm after a restart: values under names of a target, each with the time of its end.
 *
 * A value is made once even if many ask for it at the same time. When the cache is full, the values that were used least recently go
 * first. The order of use is not stored: after a restart it begins with the order of creation.
 *
 * A value begins with 8 bytes, little-endian: the time of its end in milliseconds since the epoch. Its bytes follow.
 */
import { BedrockError } from 'bedrock-node';

/** @import { RegionId, Target } from 'bedrock-node' */
/** @typedef {{ prefix?: string, maxBytes?: number, ttlMs?: number, now?: () => number }} CacheOptions */

const HEADER_BYTES = 8;

export class Cache {
  #target;
  #prefix;
  #maxBytes;
  #ttlMs;
  #now;
  /**
   * Bytes of each value, by its name: the one that was used least recently comes first.
   * @type {Map<string, number>}
   */
  #sizes = new Map();
  #bytes = 0;
  /**
   * Values that are being made.
   * @type {Map<string, Promise<Uint8Array>>}
   */
  #making = new Map();

  /** @param {Target} target @param {Required<CacheOptions>} options */
  constructor(target, { prefix, maxBytes, ttlMs, now }) {
    this.#target = target;
    this.#prefix = prefix;
    this.#maxBytes = maxBytes;
    this.#ttlMs = ttlMs;
    this.#now = now;
  }

  /**
   * @param {Target} target a `named` one, local or of another daemon; nobody else may change the names with the prefix
   * @param {CacheOptions} [options] `maxBytes` of all values together, and how long a value is used
   */
  static async open(target, options = {}) {
    const { prefix = 'cache/', maxBytes = 2 ** 26, ttlMs = 3_600_000, now = Date.now } = options;
    const cache = new Cache(target, { prefix, maxBytes, ttlMs, now });
    await cache.#takeStored();
    return cache;
  }

  async #takeStored() {
    const found = [];
    /** @type {string | undefined} */
    let after;
    do {
      const page = await this.#target.names({ prefix: this.#prefix, ...(after !== undefined && { after }) });
      found.push(...page.names);
      after = page.next;
    } while (after !== undefined);
    found.sort((one, other) => one.createdAt - other.createdAt);
    for (const { name, size } of found) this.#note(name, size);
  }

  /** Bytes of all values, with their headers. */
  get bytes() {
    return this.#bytes;
  }

  /**
   * The value of a key: the stored one, or one that `make` makes.
   * @param {string} key @param {() => Promise<Uint8Array> | Uint8Array} make
   * @returns {Promise<Uint8Array>}
   */
  async get(key, make) {
    const name = this.#prefix + key;
    const made = this.#making.get(name);
    if (made !== undefined) return made;
    const value = this.#find(name).then(async (stored) => stored ?? this.#store(name, await make()));
    this.#making.set(name, value);
    try {
      return await value;
    } finally {
      this.#making.delete(name);
    }
  }

  /** @param {string} name */
  async #find(name) {
    try {
      // By its ID, so that header and bytes are of one value.
      const { id, size } = await this.#target.find(name);
      const stored = Buffer.from(await this.#target.read(id, 0, size));
      if (Number(stored.readBigInt64LE(0)) <= this.#now()) return undefined;
      this.#note(name, size);
      return stored.subarray(HEADER_BYTES);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** @param {string} name @param {Uint8Array} value */
  async #store(name, value) {
    const size = HEADER_BYTES + value.length;
    if (size > this.#maxBytes) return value;
    const header = Buffer.alloc(HEADER_BYTES);
    // A time without end is the last one that a number holds exactly.
    const end = Math.min(this.#now() + this.#ttlMs, Number.MAX_SAFE_INTEGER);
    header.writeBigInt64LE(BigInt(Math.trunc(end)));
    while (this.#bytes - (this.#sizes.get(name) ?? 0) + size > this.#maxBytes) await this.#evict(name);
    for (;;) {
      try {
        await this.#target.put(name, { size, source: [header, value] });
        this.#note(name, size);
        // Others may have been stored meanwhile, for which there was room as well.
        while (this.#bytes > this.#maxBytes) await this.#evict(name);
        return value;
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
        // The target is smaller than maxBytes, or others use it too. A value that finds no room is not cached.
        if (!(await this.#evict(name))) return value;
      }
    }
  }

  /** Erases the value that was used least recently. @param {string} except @returns {Promise<boolean>} whether there was one */
  async #evict(except) {
    for (const name of this.#sizes.keys()) {
      if (name === except) continue;
      this.#forget(name);
      try {
        await this.#target.erase(name);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
      return true;
    }
    return false;
  }

  /** The value is there, and was used just now. @param {string} name @param {number} size */
  #note(name, size) {
    this.#forget(name);
    this.#sizes.set(name, size);
    this.#bytes += size;
  }

  /** @param {string} name */
  #forget(name) {
    this.#bytes -= this.#sizes.get(name) ?? 0;
    this.#sizes.delete(name);
  }
}

/** @param {unknown} error */
function isMissing(error) {
  return error instanceof BedrockError && error.code === 'REGION_NOT_FOUND';
}
