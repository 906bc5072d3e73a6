/**
 * A target whose regions are strings in Redis. BaseTarget does arguments, bounds and calls in flight; here is what is left: which
 * regions there are, kept in memory while the pool is open, and where their bytes lie.
 *
 * An ID is a sequence number, the epoch (every opening of the pool begins a new one) and the id of the pool, so that none is ever
 * given twice, and one of an erased region, or of another pool, is found nowhere.
 */
import { BaseTarget, BedrockError, Region, RegionId } from 'bedrock-node';
import { RedisPool } from './redis-pool.js';

/** @import { BackendContext, Capabilities, RecoveryReport, Usage } from 'bedrock-node' */
/** @import { RedisConfig, StoredRegion } from './redis-pool.js' */

/** @type {Capabilities} */
export const CAPABILITIES = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
};

/** Commands of one call that are under way at once. */
const WINDOW = 16;
const MAX_SEQUENCE = 0xffff_ffff;

class RedisRegion extends Region {
  /** Whether Redis knows that there may be chunks. */
  isMarked = false;
  isListed = false;

  /** What its keys are named by. */
  get name() {
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
    for (const { name, size } of await pool.unlisted()) await pool.deleteChunks(name, size);
    let quarantined = 0;
    for (const stored of await pool.regions()) {
      const region = this.#regionOf(stored);
      if (region === undefined) {
        quarantined++;
        this.logger.error(`region ${stored.name} is damaged and was set aside`);
      } else this.#add(region);
    }
    const bytes = this.#usedBytes;
    return { regions: this.#regions.size, bytes, quarantined, durationMs: performance.now() - begun };
  }

  async closeStorage() {
    const pool = this.#pool;
    this.#pool = undefined;
    this.#regions.clear();
    this.#ordered = [];
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
    const listed = new Map((await pool.regions()).map((stored) => [stored.name, stored]));
    const lost = this.#ordered.filter(({ name }) => !listed.has(name));
    for (const region of lost) {
      this.#remove(region);
      this.#usedBytes -= region.size;
    }
    if (lost.length > 0) this.logger.error(`Redis was restarted and has lost ${lost.length} regions`);
    // Erased, and back: their IDs must not be valid again.
    for (const stored of listed.values()) if (!this.#regions.has(stored.name)) await pool.discard(stored);
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
  find(id) {
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
    this.#usedBytes += size;
    return new RedisRegion(RegionId.of(++this.#sequence, epoch, poolLow, poolHigh), size, this.clock.now());
  }

  /** @param {RedisRegion} region */
  async publish(region) {
    await this.#open.list(region);
    region.isListed = true;
    this.#add(region);
    // `allocate` has counted it.
    this.#usedBytes -= region.size;
  }

  /** @param {RedisRegion} region */
  async unpublish(region) {
    await this.#open.unlist(region.name, region.size);
    region.isListed = false;
    region.isMarked = true;
    this.#remove(region);
  }

  /** @param {RedisRegion} region */
  async release(region) {
    this.#garbage.add(region);
    await this.#collect(region);
  }

  /** @param {RedisRegion} region */
  async #collect(region) {
    // Also after a `publish` that failed: it may have reached Redis all the same.
    if (!region.isMarked) await this.#open.unlist(region.name, region.size);
    await this.#open.deleteChunks(region.name, region.size);
    // A renewal of the lease may have come in between.
    if (this.#garbage.delete(region)) this.#usedBytes -= region.size;
  }

  /** Gives back what could not be given back while Redis was gone. */
  async #collectAll() {
    for (const region of this.#garbage) await this.#collect(region);
  }

  /** @param {RedisRegion} region */
  #add(region) {
    this.#regions.set(region.name, region);
    this.#ordered.splice(this.#placeAfter(region.id), 0, region);
    this.#usedBytes += region.size;
  }

  /** Its space stays counted until it is released. @param {RedisRegion} region */
  #remove(region) {
    if (!this.#regions.delete(region.name)) return;
    this.#ordered.splice(this.#placeAfter(region.id) - 1, 1);
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
  #regionOf({ name, size, createdAt }) {
    const [, epoch, sequence] = /^(\d+)-(\d+)$/.exec(name) ?? [];
    if (sequence === undefined || !Number.isSafeInteger(size) || size < 0 || !Number.isSafeInteger(createdAt))
      return undefined;
    const { poolLow, poolHigh } = this.#open;
    const id = RegionId.of(Number(sequence), Number(epoch), poolLow, poolHigh);
    return Object.assign(new RedisRegion(id, size, createdAt), { isListed: true });
  }

  // ---- bytes ----

  /** @param {RedisRegion} region @param {number} offset @param {Uint8Array} into */
  async readBytes(region, offset, into) {
    await this.#eachPiece(offset, into.length, async ({ index, from, at, size }) => {
      const bytes = await this.#open.readChunk(region.name, index, from, size);
      into.set(bytes, at);
      into.fill(0, at + bytes.length, at + size);
    });
  }

  /** @param {RedisRegion} region @param {number} offset @param {Uint8Array} bytes */
  async writeBytes(region, offset, bytes) {
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (!region.isListed && !region.isMarked) {
      await this.#open.mark(region.name, region.size);
      region.isMarked = true;
    }
    await this.#eachPiece(offset, bytes.length, ({ index, from, at, size }) =>
      this.#open.writeChunk(region.name, index, from, source.subarray(at, at + size)),
    );
  }

  persistRanges() {
    // Redis has written to its log, and synced it if it is set to, before it acknowledges a change.
  }

  /**
   * Works on the chunks that a range lies in, several at a time.
   * @param {number} offset @param {number} size
   * @param {(piece: { index: number, from: number, at: number, size: number }) => Promise<void>} work
   */
  async #eachPiece(offset, size, work) {
    const { chunkBytes } = this.#open;
    /** @type {Promise<void>[]} */
    let window = [];
    for (let at = 0; at < size;) {
      const index = Math.floor((offset + at) / chunkBytes);
      const from = offset + at - index * chunkBytes;
      const length = Math.min(size - at, chunkBytes - from);
      window.push(work({ index, from, at, size: length }));
      at += length;
      if (window.length < WINDOW && at < size) continue;
      // All of them end before the call does, whatever becomes of one.
      const outcomes = await Promise.allSettled(window);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      window = [];
    }
  }
}
