/**
 * A target in front of a slower one: the same regions under the same IDs, with the blocks that were read last kept in a faster target.
 *
 * Reads go through the cache. Writes go to the store, and what they touch leaves the cache, so the cache never holds what the store
 * does not. They do not put their bytes into it: two writes to one place may reach the store in one order and the cache in the other.
 *
 * No stale bytes. A fill reads the store and then puts the block into the cache; a write that comes between would be missed. So each
 * region has a version, which changes when a write begins and when it has ended, and the fill is dropped unless the version is what it
 * was before it read, and no write is under way. Whoever reads after a write has ended finds the block gone.
 *
 * Erase while reading. A read may ask the store several times, and all of it must see the region. So an erasure refuses new calls at
 * once, and asks the store when the calls in flight on the region have ended.
 */
import { BedrockError, Lifecycle, RegionId } from 'bedrock-node';
import { BlockCache } from './block-cache.js';

/**
 * @import {
 *   Capabilities, ListOptions, Logger, RecoveryReport, RegionMapping, RegionPage, RegionRange, RegionSource, RegionStat, Target,
 *   TargetStats, WriteOptions
 * } from 'bedrock-node'
 */
/** @typedef {{ cache_bytes: number, block_bytes: number, cache_target: number, store_target: number }} TieredConfig */

/** A region that calls are in flight on, or that has blocks in the cache. */
class Entry {
  calls = 0;
  version = 0;
  writes = 0;
  isErased = false;
  /** Indexes of blocks that were put into the cache; some may have left it since. @type {Set<number>} */
  blocks = new Set();
  /** @type {number | undefined} */
  size;
  /** Set by an erasure that waits for the other calls. */
  whenAlone = () => {};
}

/** @implements {Target} */
export class TieredTarget extends Lifecycle {
  type = 'tiered';

  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Regions that may have bytes which are not durable yet. @type {Map<string, RegionId>} */
  #dirty = new Map();
  #cache;

  /** @param {TieredConfig} config @param {Target} fast @param {Target} store @param {Logger} logger */
  constructor(config, fast, store, logger) {
    super(logger);
    this.config = config;
    this.store = store;
    this.#cache = new BlockCache(fast, config.cache_bytes, logger);
  }

  /** @returns {Capabilities} */
  get capabilities() {
    return {
      ...this.store.capabilities,
      mappable: false,
      growable: false,
      importable: false,
      snapshots: false,
    };
  }

  get cachedBytes() {
    return this.#cache.bytes;
  }

  // ---- lifecycle: both targets are open, and stay so; they belong to other providers ----

  /** @returns {Promise<RecoveryReport>} */
  async openStorage() {
    const begun = performance.now();
    let [regions, bytes] = [0, 0];
    for await (const { size } of this.#all()) [regions, bytes] = [regions + 1, bytes + size];
    return { regions, bytes, quarantined: 0, durationMs: performance.now() - begun };
  }

  async closeStorage() {
    const dirty = [...this.#dirty.values()];
    this.#dirty.clear();
    this.#entries.clear();
    await this.#cache.clear();
    if (this.store.capabilities.persistent) {
      for (const id of dirty) await this.store.persist(id).catch(unlessGone);
    } else {
      // The store stays open; but a target that is volatile has no regions when it is opened again.
      await this.destroyStorage();
    }
  }

  async destroyStorage() {
    for await (const { id } of this.#all()) await this.store.erase(id).catch(unlessGone);
  }

  async *#all() {
    /** @type {RegionPage} */
    let page = await this.store.list();
    for (;;) {
      yield* page.regions;
      if (page.next === undefined) return;
      page = await this.store.list({ after: page.next });
    }
  }

  // ---- regions ----

  /** @param {number} size */
  create(size) {
    return this.#call(() => this.store.create(size));
  }

  /** @param {Uint8Array | RegionSource} contents @param {WriteOptions} [options] */
  createAndWrite(contents, options) {
    return this.#call(async () => {
      const id = await this.store.createAndWrite(contents, options);
      if (options?.persist !== true) this.#dirty.set(id.toString(), id);
      return id;
    });
  }

  /** @param {RegionId} id */
  erase(id) {
    return this.#with(id, async (entry) => {
      entry.isErased = true;
      try {
        if (entry.calls > 1) await new Promise((resolve) => (entry.whenAlone = () => resolve(undefined)));
        await this.store.erase(id);
      } catch (error) {
        entry.isErased = false;
        throw error;
      }
      for (const index of entry.blocks) this.#cache.drop(blockName(id, index));
      this.#entries.delete(id.toString());
      this.#dirty.delete(id.toString());
    });
  }

  /** @param {RegionId} id @returns {Promise<RegionStat>} */
  stat(id) {
    return this.#with(id, () => this.store.stat(id));
  }

  /** @param {ListOptions} [options] @returns {Promise<RegionPage>} */
  list(options) {
    return this.#call(async () => {
      const page = await this.store.list(options);
      return {
        ...page,
        regions: page.regions.filter(({ id }) => this.#entries.get(id.toString())?.isErased !== true),
      };
    });
  }

  /** @returns {Promise<TargetStats>} */
  stats() {
    return this.#call(async () => ({
      ...(await this.store.stats()),
      type: this.type,
      state: this.state,
      recovery: this.recovery,
    }));
  }

  /** @param {RegionId} id @returns {Promise<RegionMapping>} */
  map(id) {
    return this.#with(id, () => {
      throw new BedrockError('NOT_SUPPORTED', 'a tiered target cannot map regions; read them instead');
    });
  }

  // ---- import: the store's own business ----

  /** @returns {Promise<never>} */
  importRegion() {
    return this.#noImport();
  }

  /** @returns {Promise<never>} */
  importErased() {
    return this.#noImport();
  }

  /** @returns {Promise<never>} */
  listErased() {
    return this.#noImport();
  }

  #noImport() {
    return Promise.reject(
      new BedrockError('NOT_SUPPORTED', 'a tiered target takes no IDs in; the store behind it may'),
    );
  }

  // ---- writing ----

  /** @param {RegionId} id @param {number} offset @param {Uint8Array} bytes @param {WriteOptions} [options] */
  write(id, offset, bytes, options) {
    const ranges = [{ offset, size: bytes?.length }];
    return this.#change(id, ranges, options, () => this.store.write(id, offset, bytes, options));
  }

  /** @param {RegionId} id @param {readonly RegionRange[]} ranges @param {Uint8Array} bytes @param {WriteOptions} [options] */
  writev(id, ranges, bytes, options) {
    const now = copyOf(ranges);
    return this.#change(id, now, options, () => this.store.writev(id, now, bytes, options));
  }

  /** @param {RegionId} id @param {readonly RegionRange[]} [ranges] */
  persist(id, ranges) {
    return this.#with(id, () => this.store.persist(id, ranges));
  }

  /**
   * @param {RegionId} id
   * @param {readonly RegionRange[]} ranges as the caller gave them: the store has not looked at them yet
   * @param {WriteOptions | undefined} options
   * @param {() => Promise<void>} write
   */
  #change(id, ranges, options, write) {
    return this.#with(id, async (entry) => {
      entry.version++;
      entry.writes++;
      this.#dropBlocks(id, entry, ranges);
      if (options?.persist !== true) this.#dirty.set(id.toString(), id);
      try {
        await write();
      } finally {
        entry.writes--;
        entry.version++;
      }
    });
  }

  /** @param {RegionId} id @param {Entry} entry @param {readonly RegionRange[]} ranges */
  #dropBlocks(id, entry, ranges) {
    if (entry.blocks.size === 0) return;
    const { block_bytes } = this.config;
    for (const index of entry.blocks) {
      const [from, to] = [index * block_bytes, (index + 1) * block_bytes];
      const isTouched =
        Array.isArray(ranges) &&
        ranges.some((one) => isRange(one) && one.offset < to && one.offset + one.size > from);
      if (!isTouched) continue;
      this.#cache.drop(blockName(id, index));
      entry.blocks.delete(index);
    }
  }

  // ---- reading ----

  /** @param {RegionId} id @param {number} offset @param {number} size */
  async read(id, offset, size) {
    return this.readv(id, [{ offset, size }]);
  }

  /** @param {RegionId} id @param {number} offset @param {Uint8Array} buffer */
  readInto(id, offset, buffer) {
    return this.#with(id, async (entry) => {
      if (
        !(buffer instanceof Uint8Array) ||
        !(await this.#isCacheable(id, entry, [{ offset, size: buffer.length }]))
      )
        return this.store.readInto(id, offset, buffer);
      await this.#readThrough(id, entry, offset, buffer);
    });
  }

  /** @param {RegionId} id @param {readonly RegionRange[]} given */
  readv(id, given) {
    const ranges = copyOf(given);
    return this.#with(id, async (entry) => {
      // What is wrong, and what would sweep the cache, is the store's.
      if (!(await this.#isCacheable(id, entry, ranges))) return this.store.readv(id, ranges);
      const buffer = new Uint8Array(ranges.reduce((sum, { size }) => sum + size, 0));
      let at = 0;
      for (const { offset, size } of ranges) {
        await this.#readThrough(id, entry, offset, buffer.subarray(at, at + size));
        at += size;
      }
      return buffer;
    });
  }

  /** Whether ranges are valid, and small enough to leave most of the cache to others. @param {RegionId} id @param {Entry} entry @param {readonly RegionRange[]} ranges */
  async #isCacheable(id, entry, ranges) {
    if (!Array.isArray(ranges)) return false;
    const size = (entry.size ??= (await this.store.stat(id)).size);
    let total = 0;
    for (const range of ranges) {
      if (!isRange(range) || range.offset > size - range.size) return false;
      total += range.size;
    }
    return total <= this.config.cache_bytes / 4;
  }

  /** @param {RegionId} id @param {Entry} entry @param {number} offset @param {Uint8Array} into */
  async #readThrough(id, entry, offset, into) {
    const { block_bytes } = this.config;
    for (let at = 0; at < into.length;) {
      const index = Math.floor((offset + at) / block_bytes);
      const from = offset + at - index * block_bytes;
      const part = into.subarray(at, at + Math.min(into.length - at, block_bytes - from));
      if (!(await this.#cache.read(blockName(id, index), from, part)))
        await this.#fill(id, entry, index, from, part);
      at += part.length;
    }
  }

  /** Reads a block from the store, for the caller and for the cache. @param {RegionId} id @param {Entry} entry @param {number} index @param {number} from @param {Uint8Array} part */
  async #fill(id, entry, index, from, part) {
    const { block_bytes } = this.config;
    const { version } = entry;
    const begin = index * block_bytes;
    const bytes = await this.store.read(id, begin, Math.min(block_bytes, (entry.size ?? 0) - begin));
    part.set(bytes.subarray(from, from + part.length));
    const isCurrent = () => entry.version === version && entry.writes === 0 && !entry.isErased;
    entry.blocks.add(index);
    await this.#cache.add(blockName(id, index), bytes, isCurrent);
  }

  // ---- calls in flight ----

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  async #call(work) {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /**
   * A call on a region, which keeps an erasure of it waiting.
   * @template T @param {RegionId} id @param {(entry: Entry) => Promise<T>} work @returns {Promise<T>}
   */
  #with(id, work) {
    return this.#call(async () => {
      if (!(id instanceof RegionId)) throw new BedrockError('INVALID_ARGUMENT', 'a region ID is a RegionId');
      const name = id.toString();
      const entry = this.#entries.get(name) ?? new Entry();
      if (entry.isErased)
        throw new BedrockError('REGION_NOT_FOUND', `no region ${name} in this tiered target`);
      this.#entries.set(name, entry);
      entry.calls++;
      try {
        return await work(entry);
      } finally {
        entry.calls--;
        if (entry.calls === 1 && entry.isErased) entry.whenAlone();
        if (entry.calls === 0 && entry.blocks.size === 0 && this.#entries.get(name) === entry)
          this.#entries.delete(name);
      }
    });
  }
}

/** @param {RegionId} id @param {number} index */
function blockName(id, index) {
  return `${id.toString()}:${index}`;
}

/** Anything else is for the store to refuse. @param {unknown} given @returns {given is RegionRange} */
function isRange(given) {
  const { offset, size } = /** @type {Partial<RegionRange>} */ (given ?? {});
  return isCount(offset) && isCount(size);
}

/** @param {number | undefined} value */
function isCount(value) {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The caller's ranges as they are now; what is none is left for the store to refuse. @param {readonly RegionRange[]} ranges */
function copyOf(ranges) {
  return Array.isArray(ranges)
    ? ranges.map((range) => (range === Object(range) ? { ...range } : range))
    : ranges;
}

/** For a region that was erased meanwhile. @param {unknown} error */
function unlessGone(error) {
  if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
}
