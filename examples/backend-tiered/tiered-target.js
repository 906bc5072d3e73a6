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
 *
 * Names are the store's. A region that loses its name to another is erased by the store, in the same step; so it is held before: new
 * calls on it wait, and the calls in flight end first. For a `put` that is when its contents are in the store but for
 * the last of them. A name that is being looked up does not change until the region that it means is counted as in use.
 */
import { BedrockError, Lifecycle, RegionId } from 'bedrock-node';
import { BlockCache } from './block-cache.js';
import { NameTurns } from './name-turns.js';

/**
 * @import {
 *   Capabilities, Change, CreateAndWriteOptions, CreateOptions, ErrorCode, ListOptions, Logger, NamedRegion, NamesOptions, NamesPage, PutOptions,
 *   RecoveryReport, RegionMapping, RegionPage, RegionRange, RegionRef, RegionSource, RegionStat, RenameOptions, Target, TargetStats,
 *   TransactionResult, WriteOptions
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
  /** While it may be replaced: new calls wait until this resolves. @type {Promise<void> | undefined} */
  hold;
  /** Who waits until there are no more calls than so many. @type {{ calls: number, resolve: () => void }[]} */
  #waiting = [];

  begin() {
    this.calls++;
  }

  end() {
    this.calls--;
    const due = this.#waiting.filter(({ calls }) => this.calls <= calls);
    this.#waiting = this.#waiting.filter(({ calls }) => this.calls > calls);
    for (const { resolve } of due) resolve();
  }

  /** @param {number} calls @returns {Promise<void>} */
  async atMost(calls) {
    if (this.calls > calls)
      await new Promise((resolve) => this.#waiting.push({ calls, resolve: () => resolve(undefined) }));
  }
}

/** @implements {Target} */
export class TieredTarget extends Lifecycle {
  type = 'tiered';

  /** @type {Map<string, Entry>} */
  #entries = new Map();
  /** Regions that may have bytes which are not durable yet. @type {Map<string, RegionId>} */
  #dirty = new Map();
  #turns = new NameTurns();
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

  /** @param {number} size @param {CreateOptions} [options] */
  create(size, options) {
    return this.#call(async () => {
      const take = this.#taking(options?.name, false);
      try {
        await take.begin();
        return await this.store.create(size, options);
      } finally {
        await take.end();
      }
    });
  }

  /** @param {Uint8Array | RegionSource} contents @param {CreateAndWriteOptions} [options] */
  createAndWrite(contents, options) {
    return this.#call(async () => {
      const id = await this.#makeNamed(options?.name, contents, false, (given) =>
        this.store.createAndWrite(given, options),
      );
      if (options?.persist !== true) this.#dirty.set(id.toString(), id);
      return id;
    });
  }

  /** @param {RegionRef} ref */
  erase(ref) {
    return this.#with(ref, async (id, entry) => {
      if (entry.isErased) throw notFound(id.toString());
      entry.isErased = true;
      try {
        await entry.atMost(1);
        await this.store.erase(id);
      } catch (error) {
        entry.isErased = false;
        throw error;
      }
      this.#forget(id, entry);
    });
  }

  /** What is kept of a region that is no more. @param {RegionId} id @param {Entry} entry */
  #forget(id, entry) {
    this.#dropAll(id, entry);
    const name = id.toString();
    if (this.#entries.get(name) === entry) this.#entries.delete(name);
    this.#dirty.delete(name);
  }

  /** @param {RegionId} id @param {Entry} entry */
  #dropAll(id, entry) {
    for (const index of entry.blocks) this.#cache.drop(blockName(id, index));
    entry.blocks.clear();
  }

  /** @param {RegionRef} ref @returns {Promise<RegionStat>} */
  stat(ref) {
    return this.#with(ref, (id) => this.store.stat(id));
  }

  /** @param {ListOptions} [options] @returns {Promise<RegionPage>} */
  list(options) {
    return this.#call(async () => {
      const page = await this.store.list(options);
      return {
        ...page,
        regions: page.regions.filter(({ id }) => !this.#isErased(id)),
      };
    });
  }

  /** @param {RegionId} id */
  #isErased(id) {
    return this.#entries.get(id.toString())?.isErased === true;
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

  /** @param {RegionRef} ref @returns {Promise<RegionMapping>} */
  map(ref) {
    return this.#with(ref, () => Promise.reject(noMapping()));
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

  // ---- names: those of the store ----

  /** @param {string} name @param {Uint8Array | RegionSource} contents @param {PutOptions} [options] */
  put(name, contents, options) {
    return this.#call(() =>
      this.#makeNamed(name, contents, true, (given) => this.store.put(name, given, options)),
    );
  }

  /** @param {string} name @returns {Promise<NamedRegion>} */
  find(name) {
    return this.#call(async () => {
      const end = await this.#turns.look(name);
      try {
        const found = await this.store.find(name);
        if (this.#isErased(found.id)) throw notFound(name);
        return found;
      } finally {
        end();
      }
    });
  }

  /** @param {RegionRef} ref @param {string | null} name @param {RenameOptions} [options] */
  rename(ref, name, options) {
    return this.#call(async () => {
      if (ref instanceof RegionId && this.#isErased(ref)) throw notFound(ref.toString());
      const take = this.#taking(name, options?.replace === true);
      try {
        await take.begin();
        await this.store.rename(ref, name, options);
      } finally {
        await take.end();
      }
    });
  }

  /** @param {NamesOptions} [options] @returns {Promise<NamesPage>} */
  names(options) {
    return this.#call(async () => {
      const page = await this.store.names(options);
      return { ...page, names: page.names.filter(({ id }) => !this.#isErased(id)) };
    });
  }

  /** @returns {AsyncIterable<never>} */
  mapNames() {
    return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(noMapping()) }) };
  }

  /**
   * Holds all regions that the changes tell of, by their IDs or names, while the store makes them.
   * @param {readonly Change[]} changes @returns {Promise<TransactionResult>}
   */
  transact(changes) {
    const now = copyOf(changes);
    return this.#call(async () => {
      const { names, ids } = toldBy(now);
      /** @type {(() => void | Promise<void>)[]} */
      const ends = [];
      try {
        // In one order, so that none waits for one that waits for it. The empty name, which no region has, is that of all transactions: they
        // come one after another, and hold regions in any order.
        for (const name of [...new Set(names).add('')].sort()) ends.unshift(await this.#turns.change(name));
        for (const name of names) {
          // What is no name is for the store to refuse, which says of which change it is.
          const found = await this.store.find(name).catch(unless('REGION_NOT_FOUND', 'INVALID_ARGUMENT'));
          if (found !== undefined) ids.set(found.id.toString(), found.id);
        }
        for (const id of ids.values()) {
          ends.unshift(await this.#holdRegion(id));
          const entry = this.#entries.get(id.toString());
          if (entry !== undefined) this.#dropAll(id, entry);
        }
        return await this.store.transact(now);
      } finally {
        for (const end of ends) await end();
      }
    });
  }

  /**
   * Makes a region with contents, which takes a name when they are there.
   * @param {string | undefined} name @param {Uint8Array | RegionSource} contents @param {boolean} mayReplace
   * @param {(contents: Uint8Array | RegionSource) => Promise<RegionId>} make
   */
  async #makeNamed(name, contents, mayReplace, make) {
    const take = this.#taking(name, mayReplace);
    try {
      if (name !== undefined && isSource(contents)) return await make(endingWith(contents, take.begin));
      await take.begin();
      return await make(contents);
    } finally {
      await take.end();
    }
  }

  /**
   * The change of a name in the store. `begin` waits until nobody else changes it or looks it up, and then holds the region that has it,
   * if it may be replaced. `end` looks whether it was, and lets the others on.
   * @param {string | null | undefined} name @param {boolean} mayReplace
   */
  #taking(name, mayReplace) {
    let isOver = false;
    let endTurn = () => {};
    let endHold = async () => {};
    const wait = async () => {
      if (typeof name !== 'string') return;
      endTurn = await this.#turns.change(name);
      if (mayReplace) endHold = await this.#hold(name);
    };
    /** @type {Promise<void> | undefined} */
    let waiting;
    return {
      begin: async () => {
        if (!isOver) await (waiting ??= wait());
      },
      end: async () => {
        isOver = true;
        // A store that breaks off does not wait for the end of contents.
        await waiting?.catch(() => undefined);
        await endHold();
        endTurn();
      },
    };
  }

  /** Keeps calls from the region of a name. @param {string} name */
  async #hold(name) {
    const found = await this.store.find(name).catch(unlessGone);
    return found === undefined ? async () => {} : this.#holdRegion(found.id);
  }

  /** Keeps calls from a region, when those in flight have ended. @param {RegionId} id @returns what lets them on */
  async #holdRegion(id) {
    let entry = this.#entryOf(id);
    // Somebody else may hold it, for another name that it had a moment ago.
    for (; entry.hold !== undefined; entry = this.#entryOf(id)) await entry.hold;
    const own = entry;
    let end = () => {};
    own.hold = new Promise((resolve) => (end = resolve));
    await own.atMost(0);
    return async () => {
      // The store alone knows whether the region is there still. If it cannot say, the cache holds nothing that is in doubt.
      const isThere = await this.store.stat(id).then(Boolean, () => false);
      own.hold = undefined;
      if (isThere) this.#leave(id, own);
      else this.#forget(id, own);
      end();
    };
  }

  #noImport() {
    return Promise.reject(
      new BedrockError('NOT_SUPPORTED', 'a tiered target takes no IDs in; the store behind it may'),
    );
  }

  // ---- writing ----

  /** @param {RegionRef} ref @param {number} offset @param {Uint8Array} bytes @param {WriteOptions} [options] */
  write(ref, offset, bytes, options) {
    const ranges = [{ offset, size: bytes?.length }];
    return this.#change(ref, ranges, options, (id) => this.store.write(id, offset, bytes, options));
  }

  /** @param {RegionRef} ref @param {readonly RegionRange[]} ranges @param {Uint8Array} bytes @param {WriteOptions} [options] */
  writev(ref, ranges, bytes, options) {
    const now = copyOf(ranges);
    return this.#change(ref, now, options, (id) => this.store.writev(id, now, bytes, options));
  }

  /** @param {RegionRef} ref @param {readonly RegionRange[]} [ranges] */
  persist(ref, ranges) {
    const now = ranges && copyOf(ranges);
    return this.#with(ref, (id) => this.store.persist(id, now));
  }

  /**
   * @param {RegionRef} ref
   * @param {readonly RegionRange[]} ranges as the caller gave them: the store has not looked at them yet
   * @param {WriteOptions | undefined} options
   * @param {(id: RegionId) => Promise<void>} write
   */
  #change(ref, ranges, options, write) {
    return this.#with(ref, async (id, entry) => {
      entry.version++;
      entry.writes++;
      this.#dropBlocks(id, entry, ranges);
      if (options?.persist !== true) this.#dirty.set(id.toString(), id);
      try {
        await write(id);
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

  /** @param {RegionRef} ref @param {number} offset @param {number} size */
  async read(ref, offset, size) {
    return this.readv(ref, [{ offset, size }]);
  }

  /** @param {RegionRef} ref @param {number} offset @param {Uint8Array} buffer */
  readInto(ref, offset, buffer) {
    return this.#with(ref, async (id, entry) => {
      if (
        !(buffer instanceof Uint8Array) ||
        !(await this.#isCacheable(id, entry, [{ offset, size: buffer.length }]))
      )
        return this.store.readInto(id, offset, buffer);
      await this.#readThrough(id, entry, offset, buffer);
    });
  }

  /** @param {RegionRef} ref @param {readonly RegionRange[]} given */
  readv(ref, given) {
    const ranges = copyOf(given);
    return this.#with(ref, async (id, entry) => {
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
        await this.#readBlock(id, entry, index, from, part);
      at += part.length;
    }
  }

  /** Reads a block from the store, for the caller and for the cache. @param {RegionId} id @param {Entry} entry @param {number} index @param {number} from @param {Uint8Array} part */
  async #readBlock(id, entry, index, from, part) {
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
   * @template T @param {RegionRef} ref @param {(id: RegionId, entry: Entry) => Promise<T>} work @returns {Promise<T>}
   */
  #with(ref, work) {
    return this.#call(async () => {
      // At once, if it can be: an erasure has the ID refused from its call on.
      const { id, entry } = this.#begin(ref) ?? (await this.#beginLater(ref));
      try {
        return await work(id, entry);
      } finally {
        entry.end();
        this.#leave(id, entry);
      }
    });
  }

  /** Counts a call on a region. @param {RegionRef} ref @returns nothing if there is something to be waited for */
  #begin(ref) {
    if (typeof ref === 'string') return undefined;
    if (!(ref instanceof RegionId))
      throw new BedrockError('INVALID_ARGUMENT', 'a region is told by a RegionId, or by its name');
    if (this.#isErased(ref)) throw notFound(ref.toString());
    const entry = this.#entryOf(ref);
    if (entry.hold !== undefined) return undefined;
    entry.begin();
    return { id: ref, entry };
  }

  /** The same, after waiting. @param {RegionRef} ref @returns {Promise<{ id: RegionId, entry: Entry }>} */
  async #beginLater(ref) {
    for (;;) {
      const found = await this.#lookUp(ref);
      if (found.begun !== undefined) return found.begun;
      await this.#entries.get(found.id.toString())?.hold;
    }
  }

  /** @param {RegionRef} ref */
  async #lookUp(ref) {
    if (typeof ref !== 'string') return { id: ref, begun: this.#begin(ref) };
    const endTurn = await this.#turns.look(ref);
    try {
      const { id } = await this.store.find(ref);
      return { id, begun: this.#begin(id) };
    } finally {
      endTurn();
    }
  }

  /** @param {RegionId} id */
  #entryOf(id) {
    const name = id.toString();
    const entry = this.#entries.get(name) ?? new Entry();
    this.#entries.set(name, entry);
    return entry;
  }

  /** Drops what is known of a region that nobody uses, unless it has blocks. @param {RegionId} id @param {Entry} entry */
  #leave(id, entry) {
    if (entry.calls > 0 || entry.hold !== undefined || entry.blocks.size > 0) return;
    if (this.#entries.get(id.toString()) === entry) this.#entries.delete(id.toString());
  }
}

/** @param {Uint8Array | RegionSource} contents @returns {contents is RegionSource} what is neither is for the store to refuse */
function isSource(contents) {
  const { size, source } = Object(contents);
  return size > 0 && (Symbol.asyncIterator in Object(source) || Symbol.iterator in Object(source));
}

/**
 * The same contents, the last bytes of which wait for something when all of them have been taken: a store knows by their number that it
 * has them all.
 * @param {RegionSource} contents @param {() => Promise<void>} wait @returns {RegionSource}
 */
function endingWith({ size, source }, wait) {
  const pieces = (async function* () {
    let left = size;
    /** @type {Uint8Array | undefined} */
    let last;
    for await (const piece of source) {
      if (last !== undefined) yield last;
      const isLast = piece instanceof Uint8Array && (left -= piece.length) <= 0;
      // The source may use a piece again when it is asked for the next one.
      last = isLast ? piece.slice() : undefined;
      if (last === undefined) yield piece;
    }
    await wait();
    if (last !== undefined) yield last;
  })();
  return { size, source: pieces };
}

function noMapping() {
  return new BedrockError('NOT_SUPPORTED', 'a tiered target cannot map regions; read them instead');
}

/** @param {string} ref */
function notFound(ref) {
  return new BedrockError('REGION_NOT_FOUND', `no region ${ref} in this tiered target`);
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

/**
 * The caller's ranges or changes as they are now; what is none is left for the store to refuse.
 * @template {object} T @param {readonly T[]} list @returns {readonly T[]}
 */
function copyOf(list) {
  return Array.isArray(list) ? list.map((one) => (one === Object(one) ? { ...one } : one)) : list;
}

/** Names and IDs in changes. @param {readonly Change[]} changes */
function toldBy(changes) {
  /** @type {Set<string>} */
  const names = new Set();
  /** @type {Map<string, RegionId>} */
  const ids = new Map();
  for (const change of Array.isArray(changes) ? changes : []) {
    const { ref, name, to } = Object(change);
    for (const one of [ref, name, to]) {
      if (typeof one === 'string') names.add(one);
      if (one instanceof RegionId) ids.set(one.toString(), one);
    }
  }
  return { names, ids };
}

/** Ignores errors of these codes. @param {...ErrorCode} codes @returns {(error: unknown) => undefined} */
function unless(...codes) {
  return (error) => {
    if (!(error instanceof BedrockError) || !codes.includes(error.code)) throw error;
  };
}

/** For a region that was erased meanwhile. */
const unlessGone = unless('REGION_NOT_FOUND');
