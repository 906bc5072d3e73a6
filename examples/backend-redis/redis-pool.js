/**
 * A pool of regions in Redis: its keys, who may change them, and the connection.
 *
 * | key                 | type   | holds                                                                                 |
 * | ------------------- | ------ | ------------------------------------------------------------------------------------- |
 * | `{prefix}:pool`     | hash   | `id` (8 bytes, hex), `epoch`, `owner`, `chunk_bytes`                                  |
 * | `{prefix}:regions`  | hash   | for each region, `<epoch>-<sequence>`: `<size> <createdAt>`                           |
 * | `{prefix}:unlisted` | hash   | what has chunks and is no region (being made, or erased): `<size>`                    |
 * | `{prefix}:lock`     | string | token of the daemon that has the pool open; expires unless renewed                    |
 * | `{prefix}:<region>:<n>` | string | chunk n of a region; absent or short where nothing but zeros was written          |
 *
 * The braces keep all keys of a pool in one slot of a Redis cluster.
 *
 * Who may change them: every change is a script that first compares `owner` with the token of the one who asks. Taking over the
 * pool sets `owner`, so a daemon that slept through its lease can do no harm when it wakes up. The lock alone could not promise
 * that; it only decides who may take over.
 *
 * Order of a creation: chunks are written under a name in `unlisted`; one script moves the name to `regions`. Of an erasure: one
 * script moves it back; then the chunks go, then the name. Whoever opens the pool deletes what is in `unlisted`.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, messageOf } from 'bedrock-node';
import { createClient, ErrorReply, RESP_TYPES } from 'redis';

/** @import { Logger } from 'bedrock-node' */
/**
 * @typedef {object} RedisConfig
 * @property {string} url
 * @property {string} prefix
 * @property {number} max_bytes
 * @property {number} chunk_bytes
 * @property {number} lease_ms
 * @property {number} timeout_ms
 */
/** @typedef {{ name: string, size: number, createdAt: number }} StoredRegion */

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const CHECK_OWNER = `if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then
  return redis.error_reply('FENCED another daemon has opened the pool, or Redis has lost it') end\n`;

const SCRIPTS = {
  write: `${CHECK_OWNER} return redis.call('SETRANGE', KEYS[2], ARGV[2], ARGV[3])`,
  mark: `${CHECK_OWNER} return redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])`,
  list: `${CHECK_OWNER} redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) return redis.call('HDEL', KEYS[3], ARGV[2])`,
  unlist: `${CHECK_OWNER} redis.call('HDEL', KEYS[2], ARGV[2]) return redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])`,
  renew: `${CHECK_OWNER} return redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])`,
  unlock: `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end`,
};

/** Chunks that are deleted with one command. */
const UNLINK_BATCH = 500;

export class RedisPool {
  #token = randomBytes(16).toString('hex');
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #renewal;
  /** The server as it was when the pool was opened: it may have lost something since if it is another one. */
  #runId = '';
  /** Whether the pool was found to be ours since the connection was made. */
  #isChecked = false;
  /** @type {Promise<void> | undefined} */
  #checking;
  /** @type {BedrockError | undefined} */
  #lost;
  #isOffline = false;
  /** Until when nobody else can have taken over; by the clock of performance.now(). */
  #leaseEnd = 0;

  poolLow = 0;
  poolHigh = 0;
  epoch = 0;
  chunkBytes = 0;

  /**
   * @param {RedisConfig} config
   * @param {Logger} logger
   * @param {object} [hooks]
   * @param {() => Promise<void>} [hooks.onRestart] called when Redis was restarted and the pool is still ours
   * @param {() => Promise<void>} [hooks.onRenewal] called whenever the lease was renewed
   */
  constructor(config, logger, hooks = {}) {
    this.config = config;
    this.logger = logger;
    this.hooks = hooks;
    this.client = this.#makeClient();
  }

  /** @param {string} name */
  #key(name) {
    return `{${this.config.prefix}}:${name}`;
  }

  // ---- open and close ----

  /** Connects, locks the pool, and makes it ours. @throws UNREACHABLE, POOL_IN_USE */
  async open() {
    try {
      await this.client.connect();
    } catch (error) {
      throw this.#translate(error);
    }
    this.#runId = await this.#readRunId();
    await this.#lock();
    this.#leaseEnd = performance.now() + this.config.lease_ms;
    const pool = this.#key('pool');
    await this.send(['HSETNX', pool, 'id', randomBytes(8).toString('hex')]);
    await this.send(['HSETNX', pool, 'chunk_bytes', String(this.config.chunk_bytes)]);
    const stored = toMap(await this.send(['HGETALL', pool]));
    // Of the clock, so that not even a Redis that forgets its last seconds gives an ID twice.
    this.epoch = Math.max(Number(stored.get('epoch') ?? 0) + 1, Math.floor(Date.now() / 1000));
    await this.send(['HSET', pool, 'epoch', String(this.epoch), 'owner', this.#token]);
    const id = Buffer.from(String(stored.get('id')), 'hex');
    [this.poolLow, this.poolHigh] = [id.readUInt32LE(0), id.readUInt32LE(4)];
    this.chunkBytes = Number(stored.get('chunk_bytes'));
    this.#isChecked = true;
    this.#renewal = setInterval(() => {
      this.#renew().catch((error) => this.logger.warning(`the lock was not renewed: ${messageOf(error)}`));
    }, this.config.lease_ms / 3);
  }

  async close() {
    clearInterval(this.#renewal);
    if (this.client.isReady && this.#lost === undefined) {
      await this.#eval(SCRIPTS.unlock, ['lock'], []).catch((error) =>
        this.logger.warning(`the lock stays until it expires: ${messageOf(error)}`),
      );
    }
    if (this.client.isOpen) this.client.destroy();
  }

  /** Deletes every key of the pool, whose lock must be held. */
  async deleteAll() {
    const names = [...(await this.regions()), ...(await this.unlisted())];
    for (const { name, size } of names) await this.deleteChunks(name, size);
    await this.send(['DEL', ...['pool', 'regions', 'unlisted', 'lock'].map((name) => this.#key(name))]);
  }

  /** Waits for the lock of a daemon that was killed, and gives up on one that is renewed. */
  async #lock() {
    const lock = this.#key('lock');
    let before = Infinity;
    while ((await this.send(['SET', lock, this.#token, 'NX', 'PX', String(this.config.lease_ms)])) === null) {
      const left = Number(await this.send(['PTTL', lock]));
      if (left > before) {
        throw new BedrockError(
          'POOL_IN_USE',
          `another daemon has the pool ${this.config.prefix} of ${this.where} open`,
        );
      }
      if (before === Infinity)
        this.logger.info(`waiting up to ${left} ms for the lock of the pool to expire`);
      before = left;
      await delay(Math.min(Math.max(left, 1), 100));
    }
  }

  // ---- regions ----

  /** @returns {Promise<StoredRegion[]>} */
  async regions() {
    const found = await this.#scan('regions');
    return found.map(([name, value]) => {
      const [size, createdAt] = value.split(' ').map(Number);
      return { name, size: size ?? NaN, createdAt: createdAt ?? NaN };
    });
  }

  /** @returns {Promise<Omit<StoredRegion, 'createdAt'>[]>} */
  async unlisted() {
    const found = await this.#scan('unlisted');
    return found.map(([name, size]) => ({ name, size: Number(size) }));
  }

  /** Says that there may be chunks under a name that is no region. @param {string} name @param {number} size */
  mark(name, size) {
    return this.#change(SCRIPTS.mark, ['regions', 'unlisted'], [name, String(size)]);
  }

  /** @param {StoredRegion} region */
  list({ name, size, createdAt }) {
    return this.#change(SCRIPTS.list, ['regions', 'unlisted'], [name, `${size} ${createdAt}`]);
  }

  /** @param {string} name @param {number} size */
  unlist(name, size) {
    return this.#change(SCRIPTS.unlist, ['regions', 'unlisted'], [name, String(size)]);
  }

  /** Erases what is listed and must not be. For `onRestart`, while every other change waits. @param {StoredRegion} region */
  async discard({ name, size }) {
    await this.#eval(SCRIPTS.unlist, ['pool', 'regions', 'unlisted'], [name, String(size)]);
    await this.deleteChunks(name, size);
  }

  /** Deletes what a region, which is not listed, has left. @param {string} name @param {number} size */
  async deleteChunks(name, size) {
    const chunks = Math.ceil(size / this.chunkBytes);
    for (let first = 0; first < chunks; first += UNLINK_BATCH) {
      const count = Math.min(UNLINK_BATCH, chunks - first);
      await this.send(['UNLINK', ...Array.from({ length: count }, (_, at) => this.#chunk(name, first + at))]);
    }
    await this.send(['HDEL', this.#key('unlisted'), name]);
  }

  /** @param {string} name @param {number} index */
  #chunk(name, index) {
    return this.#key(`${name}:${index}`);
  }

  /** @param {string} name @param {number} index @param {number} offset within the chunk @param {Buffer} bytes */
  writeChunk(name, index, offset, bytes) {
    return this.#change(SCRIPTS.write, [`${name}:${index}`], [String(offset), bytes]);
  }

  /**
   * @param {string} name @param {number} index @param {number} offset within the chunk @param {number} size
   * @returns {Promise<Buffer>} fewer bytes where the rest is zero
   */
  async readChunk(name, index, offset, size) {
    await this.#stillOurs();
    const range = [String(offset), String(offset + size - 1)];
    return /** @type {Promise<Buffer>} */ (
      this.send(['GETRANGE', this.#chunk(name, index), ...range], BYTES)
    );
  }

  // ---- what Redis is set to ----

  /** @param {string} name @returns {Promise<string | undefined>} nothing where the server does not tell */
  async setting(name) {
    try {
      return toMap(await this.send(['CONFIG', 'GET', name])).get(name);
    } catch {
      return undefined;
    }
  }

  async #readRunId() {
    return /run_id:(\w+)/.exec(String(await this.send(['INFO', 'server'])))?.[1] ?? '';
  }

  // ---- ownership ----

  /** @param {string} script @param {string[]} keys @param {(string | Buffer)[]} args */
  async #change(script, keys, args) {
    await this.#stillOurs();
    await this.#eval(script, ['pool', ...keys], args);
  }

  /** @param {string} script @param {string[]} keys @param {(string | Buffer)[]} args */
  #eval(script, keys, args) {
    return this.send([
      'EVAL',
      script,
      String(keys.length),
      ...keys.map((key) => this.#key(key)),
      this.#token,
      ...args,
    ]);
  }

  /** Asks whether the pool is still ours, after a connection was lost or a lease has run out; else it costs nothing. */
  #stillOurs() {
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isChecked && performance.now() < this.#leaseEnd) return undefined;
    return this.#verify();
  }

  /** However many ask, one look is enough. @returns {Promise<void>} */
  #verify() {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined));
    return this.#checking;
  }

  async #renew() {
    await this.#verify();
    await this.hooks.onRenewal?.();
  }

  async #check() {
    const leaseEnd = performance.now() + this.config.lease_ms;
    await this.#eval(SCRIPTS.renew, ['pool', 'lock'], [String(this.config.lease_ms)]);
    this.#leaseEnd = leaseEnd;
    const runId = await this.#readRunId();
    if (runId !== this.#runId) {
      await this.hooks.onRestart?.();
      this.#runId = runId;
    }
    this.#isChecked = true;
  }

  // ---- connection ----

  get where() {
    return this.config.url.replace(/\/\/[^/@]*@/, '//');
  }

  #makeClient() {
    const { url, timeout_ms } = this.config;
    let wasReady = false;
    /** @param {number} retries */
    const reconnectStrategy = (retries) => (wasReady ? Math.min(20 * 2 ** retries, 1000) : false);
    const common = { connectTimeout: timeout_ms, socketTimeout: timeout_ms, reconnectStrategy };
    const isSocket = url.startsWith('unix:');
    const client = createClient({
      ...(!isSocket && { url }),
      socket: isSocket ? { ...common, path: url.slice('unix:'.length) } : common,
      // A command is refused while there is no connection, instead of waiting for one.
      disableOfflineQueue: true,
      // Silence is to mean that something is wrong.
      pingInterval: timeout_ms / 3,
      RESP: 2,
    });
    client.on('error', (error) => {
      this.#isChecked = false;
      if (wasReady && !this.#isOffline) this.logger.warning(`lost ${this.where}: ${messageOf(error)}`);
      this.#isOffline = wasReady;
    });
    client.on('ready', () => {
      if (this.#isOffline) this.logger.info(`connected to ${this.where} again`);
      wasReady = true;
      this.#isOffline = false;
    });
    return client;
  }

  /**
   * @param {(string | Buffer)[]} command
   * @param {typeof BYTES} [typeMapping]
   * @returns {Promise<unknown>}
   */
  async send(command, typeMapping) {
    try {
      return await this.client.sendCommand(command, typeMapping === undefined ? {} : { typeMapping });
    } catch (error) {
      throw this.#translate(error);
    }
  }

  /** @param {unknown} error */
  #translate(error) {
    const text = messageOf(error);
    if (!(error instanceof ErrorReply))
      return new BedrockError('UNREACHABLE', `${this.where} cannot be reached or broke off: ${text}`, {
        cause: error,
      });
    if (text.startsWith('FENCED')) {
      this.#lost ??= new BedrockError(
        'POOL_IN_USE',
        `${text.slice(7)}; restart this daemon to open it again`,
      );
      return this.#lost;
    }
    if (text.startsWith('OOM'))
      return new BedrockError('OUT_OF_SPACE', `Redis is full: ${text}; raise its maxmemory`, {
        cause: error,
      });
    const isReadOnly = /^(READONLY|MISCONF)/.test(text);
    return new BedrockError(isReadOnly ? 'READ_ONLY' : 'INTERNAL', `Redis refused: ${text}`, {
      cause: error,
    });
  }

  /** @param {string} name @returns {Promise<[string, string][]>} */
  async #scan(name) {
    /** @type {Map<string, string>} */
    const found = new Map();
    let cursor = '0';
    do {
      const reply = await this.send(['HSCAN', this.#key(name), cursor, 'COUNT', '1000']);
      const [next, flat] = /** @type {[string, string[]]} */ (reply);
      for (const [field, value] of toMap(flat)) found.set(field, value);
      cursor = String(next);
    } while (cursor !== '0');
    return [...found];
  }
}

/** @param {unknown} reply fields and values in turn @returns {Map<string, string>} */
function toMap(reply) {
  const flat = /** @type {string[]} */ (reply);
  /** @type {Map<string, string>} */
  const map = new Map();
  for (let at = 0; at + 1 < flat.length; at += 2) map.set(String(flat[at]), String(flat[at + 1]));
  return map;
}
