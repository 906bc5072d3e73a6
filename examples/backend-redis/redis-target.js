/**
 * A target whose regions are strings in Redis. BaseTarget does arguments, bounds and calls in flight; here is what is left: which
 * regions there are, kept in memory while the pool is open, and where their bytes lie.
 *
 * An ID is a sequence number, the epoch (every opening of the pool begins a new one) and the id of the pool, so that none is ever
 * given twice, and one of an erased region, or of another pool, is found nowhere.
 *
 * Whatever changes regions or names is one step in Redis, and then one in memory. Between the two, callers see the state before; and a
 * step whose answer is lost is undone, so that state stays the truth.
 */
import { BaseTarget, BedrockError, Region, RegionId } from 'bedrock-node';
import { OrderedNames } from './ordered-names.js';
import { RedisPool } from './redis-pool.js';

/** @import { BackendContext, Capabilities, ListedRegion, Naming, RecoveryReport, Transaction, Usage } from 'bedrock-node' */
/** @import { ChunkWrite, RedisConfig, Step, StoredRegion } from './redis-pool.js' */

/** @type {Capabilities} */
export const CAPABILITIES = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: true,
};

/** Commands of one call that are under way at once. */
const WINDOW = 16;
const MAX_SEQUENCE = 0xffff_ffff;

class RedisRegion extends Region {
  /** Whether Redis knows that there may be chunks. */
  isMarked = false;
  isListed = false;
  /** Whether its size is counted as used. */
  isCounted = false;

  /** What its keys are named by. */
  get key() {
    return `${this.id.generation}-${this.id.slot}`;
  }
}

/** @extends {BaseTarget<RedisRegion>} */
export class RedisTarget extends BaseTarget {
  type = 'redis';
  capabilities = CAPABILITIES;

  /** @type {RedisPool | undefined} */
  #pool;
  /** @type {Map<string, RedisRegion>} */
  #regions = new Map();
  /** The same in the order of their IDs. @type {RedisRegion[]} */
  #ordered = [];
  /** @type {OrderedNames<RedisRegion>} */
  #names = new OrderedNames();
  /** Regions whose space is to be given back. @type {Set<RedisRegion>} */
  #garbage = new Set();
  #usedBytes = 0;
  #sequence = 0;
  #isSynced = false;

  /** @param {RedisConfig} config @param {Pick<BackendContext, 'logger' | 'clock'>} context */
  constructor(config, { logger, clock }) {
    super(logger);
    this.config = config;
    this.clock = clock;
  }

  /** Redis acknowledges a change when it is on the disk, or only when it is in its memory. */
  get mode() {
    return this.#isSynced ? 'fdatasync' : 'unsynced';
  }

  get #open() {
    if (this.#pool === undefined) throw new BedrockError('TARGET_CLOSED', 'the pool is not open');
    return this.#pool;
  }

  // ---- storage ----

  /** @returns {Promise<RecoveryReport>} */
  async openStorage() {
    const begun = performance.now();
    const pool = new RedisPool(this.config, this.logger, {
      onRestart: () => this.#afterRestart(),
      onRenewal: () => this.#collectAll(),
    });
    this.#pool = pool;
    await pool.open();
    await this.#readSettings(pool);
    for (const { key, size } of await pool.unlisted()) await pool.deleteChunks(key, size);
    let quarantined = 0;
    for (const stored of await pool.regions()) {
      const region = this.#regionOf(stored);
      if (region === undefined) {
        quarantined++;
        this.logger.error(`region ${stored.key} is damaged and was set aside`);
        continue;
      }
      this.#add(region);
      this.#names.set(region, stored.name);
    }
    const bytes = this.#usedBytes;
    return { regions: this.#regions.size, bytes, quarantined, durationMs: performance.now() - begun };
  }

  async closeStorage() {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#regions.clear();
    this.#ordered = [];
    this.#names = new OrderedNames();
    this.#garbage.clear();
    this.#usedBytes = 0;
    this.#sequence = 0;
    await pool?.close();
  }

  async destroyStorage() {
    const pool = new RedisPool(this.config, this.logger);
    try {
      await pool.open();
      await pool.deleteAll();
    } finally {
      await pool.close();
    }
  }

  /** @param {RedisPool} pool */
  async #readSettings(pool) {
    const [isLogged, sync] = [await pool.setting('appendonly'), await pool.setting('appendfsync')];
    this.#isSynced = isLogged === 'yes' && sync === 'always';
    if (!this.#isSynced) {
      const text = `appendonly ${isLogged ?? 'unknown'}, appendfsync ${sync ?? 'unknown'}`;
      this.logger.warning(
        `Redis (${text}) may lose acknowledged changes when it is killed; --appendonly yes --appendfsync always keeps them`,
      );
    }
    const policy = (await pool.setting('maxmemory-policy')) ?? '';
    if (policy.startsWith('allkeys') && (await pool.setting('maxmemory')) !== '0') {
      const text = `Redis would drop regions when it is full (maxmemory-policy ${policy}); set it to noeviction`;
      throw new BedrockError('INVALID_ARGUMENT', text);
    }
  }

  /** A Redis that was restarted may have lost its last changes: what it lists now is what there is. */
  async #afterRestart() {
    const pool = this.#open;
    const listed = new Map((await pool.regions()).map((stored) => [stored.key, stored]));
    const lost = this.#ordered.filter(({ key }) => !listed.has(key));
    for (const region of lost) {
      this.#remove(region);
      this.#uncount(region);
    }
    if (lost.length > 0) this.logger.error(`Redis was restarted and has lost ${lost.length} regions`);
    this.#names.setAll(this.#ordered.map((region) => ({ region, name: listed.get(region.key)?.name })));
    // Erased, and back: their IDs must not be valid again.
    for (const stored of listed.values()) if (!this.#regions.has(stored.key)) await pool.discard(stored);
  }

  /** @returns {Usage} */
  usage() {
    return {
      regions: this.#regions.size,
      usedBytes: this.#usedBytes,
      capacityBytes: this.config.max_bytes,
      largestFreeBytes: this.config.max_bytes - this.#usedBytes,
    };
  }

  // ---- regions ----

  /** @param {RegionId} id */
  lookUp(id) {
    if (!this.#isOurs(id)) return undefined;
    return this.#regions.get(`${id.generation}-${id.slot}`);
  }

  /** @param {RegionId | undefined} after */
  regionsAfter(after) {
    if (after === undefined) return this.#ordered;
    if (!this.#isOurs(after))
      throw new BedrockError('REGION_NOT_FOUND', `${after.toString()} is of another pool`);
    return this.#ordered.slice(this.#placeAfter(after));
  }

  /** @param {RegionId} id */
  #isOurs(id) {
    return id.poolLow === this.#open.poolLow && id.poolHigh === this.#open.poolHigh;
  }

  /** @param {number} size */
  allocate(size) {
    const used = this.#usedBytes;
    const free = this.config.max_bytes - used;
    if (size > free) {
      const text = `a region of ${size} bytes does not fit: ${used} used, ${free} free of max_bytes`;
      throw new BedrockError('OUT_OF_SPACE', text, {
        details: { requested: size, used, free, largestFree: free },
      });
    }
    if (this.#sequence === MAX_SEQUENCE)
      throw new BedrockError('OUT_OF_SPACE', 'all IDs of this run are used up; restart the daemon');
    const { epoch, poolLow, poolHigh } = this.#open;
    const id = RegionId.of(++this.#sequence, epoch, poolLow, poolHigh);
    return this.#counted(new RedisRegion(id, size, this.clock.now()));
  }

  /** @param {RedisRegion} region @param {Naming<RedisRegion>} [naming] */
  publish(region, naming) {
    return this.#change({
      published: [{ region, name: naming?.name }],
      erased: naming?.replaced === undefined ? [] : [naming.replaced],
    });
  }

  /** @param {RedisRegion} region */
  unpublish(region) {
    return this.#change({ erased: [region] });
  }

  /** @param {RedisRegion} region */
  async release(region) {
    this.#garbage.add(region);
    await this.#collect(region);
  }

  /** @param {RedisRegion} region */
  async #collect(region) {
    // Also after a `publish` that failed: it may have reached Redis all the same.
    if (!region.isMarked) await this.#open.unlist(this.#storedOf(region, undefined));
    else await this.#open.deleteChunks(region.key, region.size);
    this.#garbage.delete(region);
    this.#uncount(region);
  }

  /** Gives back what could not be given back while Redis was gone. */
  async #collectAll() {
    for (const region of this.#garbage) await this.#collect(region);
  }

  /** @param {RedisRegion} region */
  #add(region) {
    region.isListed = true;
    this.#counted(region);
    this.#regions.set(region.key, region);
    this.#ordered.splice(this.#placeAfter(region.id), 0, region);
  }

  /** Its space stays counted until it is released. @param {RedisRegion} region */
  #remove(region) {
    region.isListed = false;
    this.#names.set(region, undefined);
    if (!this.#regions.delete(region.key)) return;
    this.#ordered.splice(this.#placeAfter(region.id) - 1, 1);
  }

  /** @param {RedisRegion} region */
  #counted(region) {
    if (!region.isCounted) this.#usedBytes += region.size;
    region.isCounted = true;
    return region;
  }

  /** @param {RedisRegion} region */
  #uncount(region) {
    if (region.isCounted) this.#usedBytes -= region.size;
    region.isCounted = false;
  }

  /** How many regions have an ID up to this one. @param {RegionId} id */
  #placeAfter(id) {
    let [from, to] = [0, this.#ordered.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      const other = /** @type {RedisRegion} */ (this.#ordered[middle]).id;
      const isBefore = other.generation - id.generation || other.slot - id.slot;
      if (isBefore <= 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** @param {StoredRegion} stored */
  #regionOf({ key, size, createdAt }) {
    const [, epoch, sequence] = /^(\d+)-(\d+)$/.exec(key) ?? [];
    if (sequence === undefined || !Number.isSafeInteger(size) || !Number.isSafeInteger(createdAt))
      return undefined;
    const { poolLow, poolHigh } = this.#open;
    const id = RegionId.of(Number(sequence), Number(epoch), poolLow, poolHigh);
    return new RedisRegion(id, size, createdAt);
  }

  /** @param {RedisRegion} region @param {string | undefined} name @returns {StoredRegion} */
  #storedOf({ key, size, createdAt }, name) {
    return { key, size, createdAt, name };
  }

  // ---- names and transactions ----

  /** @param {string} name */
  lookUpName(name) {
    return this.#names.regionOf(name);
  }

  /** @param {ListedRegion} region */
  nameOf(region) {
    return this.#names.nameOf(/** @type {RedisRegion} */ (region));
  }

  /** @param {Uint8Array | undefined} from */
  namesFrom(from) {
    return this.#names.from(from);
  }

  /** @param {RedisRegion} region @param {string | undefined} name @param {RedisRegion | undefined} replaced */
  renameRegion(region, name, replaced) {
    return this.#change({
      renamed: [{ region, name }],
      erased: replaced === undefined ? [] : [replaced],
    });
  }

  get maxTransactionBytes() {
    return this.config.max_transaction_bytes;
  }

  /** @param {Transaction<RedisRegion>} transaction */
  async commit(transaction) {
    /** @type {ChunkWrite[]} */
    const writes = [];
    /** @type {ChunkWrite[]} */
    const before = [];
    for (const { region, offset, bytes } of transaction.writes) {
      writes.push(...this.#chunkWrites(region, offset, bytes));
      // For the undoing. Safe: no call is in flight on the region, so its bytes stay what they are.
      const old = new Uint8Array(bytes.length);
      await this.readBytes(region, offset, old);
      before.push(...this.#chunkWrites(region, offset, old));
    }
    await this.#change({ ...transaction, writes }, before);
  }

  /**
   * Makes a transaction in one step, or what comes to one: a creation, an erasure, a change of a name.
   * @param {Partial<Omit<Transaction<RedisRegion>, 'writes'>> & { writes?: ChunkWrite[] }} changes
   * @param {ChunkWrite[]} [before] the bytes that `writes` overwrite
   */
  async #change({ published = [], renamed = [], erased = [], writes = [] }, before = []) {
    const named = [...published, ...renamed];
    await this.#open.step(() => {
      this.#checkUnchanged(named, [...renamed.map(({ region }) => region), ...erased]);
      for (const { key } of writes) this.#checkListed(this.#regions.get(key), key);
      // From now on Redis may list them.
      for (const { region } of published) region.isMarked = false;
      const gone = erased.map((region) => this.#storedOf(region, this.nameOf(region)));
      const step = {
        listed: named.map(({ region, name }) => this.#storedOf(region, name)),
        unlisted: gone,
        writes,
      };
      const undo = {
        listed: [...renamed.map(({ region }) => this.#storedOf(region, this.nameOf(region))), ...gone],
        unlisted: published.map(({ region }) => this.#storedOf(region, undefined)),
        writes: before,
      };
      return { step, undo };
    });
    for (const region of erased) {
      region.isMarked = true;
      this.#remove(region);
    }
    for (const { region } of published) this.#add(region);
    this.#names.setAll(named);
  }

  /**
   * What was looked at before the step may be no more, if Redis was restarted meanwhile.
   * @param {readonly { region: RedisRegion, name: string | undefined }[]} named @param {readonly RedisRegion[]} regions
   */
  #checkUnchanged(named, regions) {
    for (const region of regions) this.#checkListed(region, region.key);
    for (const { name } of named) {
      const holder = name === undefined ? undefined : this.#names.regionOf(name);
      if (holder !== undefined && !regions.includes(holder)) throw restarted(`gives ${holder.key} the name`);
    }
  }

  /** @param {RedisRegion | undefined} region @param {string} key */
  #checkListed(region, key) {
    if (region === undefined || !this.#regions.has(region.key)) throw restarted(`has lost region ${key}`);
  }

  // ---- bytes ----

  /** @param {RedisRegion} region @param {number} offset @param {Uint8Array} into */
  async readBytes(region, offset, into) {
    await inWindows(this.#pieces(offset, into.length), async ({ index, from, at, size }) => {
      const bytes = await this.#open.readChunk(region.key, index, from, size);
      into.set(bytes, at);
      into.fill(0, at + bytes.length, at + size);
    });
  }

  /** @param {RedisRegion} region @param {number} offset @param {Uint8Array} bytes */
  async writeBytes(region, offset, bytes) {
    if (!region.isListed && !region.isMarked) {
      await this.#open.mark(region.key, region.size);
      region.isMarked = true;
    }
    await inWindows(this.#chunkWrites(region, offset, bytes), (write) => this.#open.writeChunk(write));
  }

  persistRanges() {
    // Redis has written to its log, and synced it if it is set to, before it acknowledges a change.
  }

  /** @param {RedisRegion} region @param {number} offset @param {Uint8Array} bytes @returns {Generator<ChunkWrite>} */
  *#chunkWrites({ key }, offset, bytes) {
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const { index, from, at, size } of this.#pieces(offset, bytes.length))
      yield { key, index, offset: from, bytes: source.subarray(at, at + size) };
  }

  /** The chunks that a range lies in. @param {number} offset @param {number} size */
  *#pieces(offset, size) {
    const { chunkBytes } = this.#open;
    for (let at = 0; at < size;) {
      const index = Math.floor((offset + at) / chunkBytes);
      const from = offset + at - index * chunkBytes;
      const length = Math.min(size - at, chunkBytes - from);
      yield { index, from, at, size: length };
      at += length;
    }
  }
}

/** @param {string} what */
function restarted(what) {
  return new BedrockError('UNREACHABLE', `Redis was restarted meanwhile and ${what}; try again`);
}

/**
 * Works on several things at a time.
 * @template T @param {Iterable<T>} things @param {(thing: T) => Promise<void>} work
 */
async function inWindows(things, work) {
  /** @type {Promise<void>[]} */
  let window = [];
  const end = async () => {
    // All of them end before the call does, whatever becomes of one.
    const outcomes = await Promise.allSettled(window);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    window = [];
  };
  for (const thing of things) {
    window.push(work(thing));
    if (window.length === WINDOW) await end();
  }
  await end();
}
