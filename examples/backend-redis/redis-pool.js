/**
 * A pool of regions in Redis: its keys, who may change them, and the connection.
 *
 * | key                 | type   | holds                                                                                 |
 * | ------------------- | ------ | ------------------------------------------------------------------------------------- |
 * | `{prefix}:pool`     | hash   | `id` (8 bytes, hex), `epoch`, `owner`, `connection`, `chunk_bytes`                    |
 * | `{prefix}:regions`  | hash   | for each region, `<epoch>-<sequence>`: `<size> <createdAt>` or `<size> <createdAt> <name>` |
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
 * Order of a creation: chunks are written under a key in `unlisted`; one script moves the key to `regions`. Of an erasure: one
 * script moves it back; then the chunks go, then the key. Whoever opens the pool deletes what is in `unlisted`.
 *
 * Names lie in the entries of `regions`, so one script moves a name from an old region to a new one: see `Step`. Redis runs a script
 * alone, and logs as a whole what it did, so whoever opens the pool finds all of it or nothing.
 *
 * A step whose answer is lost has failed for its caller, and may have been made. So it is undone before anything else is done on the
 * pool. It cannot come after that: each script tells the number of its connection, and a new connection makes older numbers invalid.
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
 * @property {number} max_transaction_bytes
 * @property {number} chunk_bytes
 * @property {number} lease_ms
 * @property {number} timeout_ms
 */
/** @typedef {{ key: string, size: number, createdAt: number, name: string | undefined }} StoredRegion */
/** @typedef {{ key: string, index: number, offset: number, bytes: Buffer }} ChunkWrite offset: within the chunk */
/**
 * What is made at once: regions that are there from then on, with these names, regions that are not, and bytes.
 * @typedef {{ listed?: StoredRegion[], unlisted?: StoredRegion[], writes?: ChunkWrite[] }} Step
 */
/** @typedef {[command: string, key: string, ...args: (string | Buffer)[]]} Command */

const BYTES = { [RESP_TYPES.BLOB_STRING]: Buffer };
const CHECK_OWNER = `local held = redis.call('HMGET', KEYS[1], 'owner', 'connection')
if held[1] ~= ARGV[1] then
  return redis.error_reply('FENCED another daemon has opened the pool, or Redis has lost it') end\n`;

const SCRIPTS = {
  // ARGV from the third on: for each key but the first, how many arguments follow, the command, and its arguments behind the key.
  run: `${CHECK_OWNER}
    if held[2] ~= ARGV[2] then return redis.error_reply('LATE the connection was given up') end
    local at = 3
    for number = 2, #KEYS do
      local count = tonumber(ARGV[at])
      redis.call(ARGV[at + 1], KEYS[number], unpack(ARGV, at + 2, at + count))
      at = at + count + 1
    end`,
  renew: `${CHECK_OWNER}
    redis.call('HSET', KEYS[1], 'connection', ARGV[2])
    return redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3])`,
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
  /** How many connections were lost. */
  #connection = 0;
  /** What makes steps undone whose answers were lost. @type {Step[]} */
  #undone = [];
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
    const owner = ['owner', this.#token, 'connection', String(this.#connection)];
    await this.send(['HSET', pool, 'epoch', String(this.epoch), ...owner]);
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
      await this.#eval(SCRIPTS.unlock, [this.#key('lock')], []).catch((error) =>
        this.logger.warning(`the lock stays until it expires: ${messageOf(error)}`),
      );
    }
    if (this.client.isOpen) this.client.destroy();
  }

  /** Deletes every key of the pool, whose lock must be held. */
  async deleteAll() {
    const all = [...(await this.regions()), ...(await this.unlisted())];
    for (const { key, size } of all) await this.deleteChunks(key, size);
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

  /** @returns {Promise<StoredRegion[]>} what cannot be read has NaN in it */
  async regions() {
    const found = await this.#scan('regions');
    return found.map(([key, value]) => {
      const [, size = NaN, createdAt = NaN, name] = /^(\d+) (\d+)(?: (.+))?$/s.exec(value) ?? [];
      return { key, size: Number(size), createdAt: Number(createdAt), name };
    });
  }

  /** @returns {Promise<{ key: string, size: number }[]>} */
  async unlisted() {
    const found = await this.#scan('unlisted');
    return found.map(([key, size]) => ({ key, size: Number(size) }));
  }

  /** Says that there may be chunks under a key that is no region. @param {string} key @param {number} size */
  mark(key, size) {
    return this.#change([this.#marking({ key, size })]);
  }

  /**
   * Makes a step, all of it or nothing.
   * @param {() => { step: Step, undo: Step }} decide called when the pool was found to be ours, and regions to be there; `undo` is to
   *   make everything as it was
   */
  async step(decide) {
    await this.#stillOurs();
    const { step, undo } = decide();
    try {
      await this.#run(this.#commandsOf(step));
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'UNREACHABLE') {
        this.#undone.push(undo);
        this.#isChecked = false;
      }
      throw error;
    }
  }

  /** Undoes steps whose answers were lost, except for regions that Redis has lost as well. */
  async #undo() {
    for (let undo = this.#undone[0]; undo !== undefined; undo = this.#undone[0]) {
      const { listed = [], unlisted = [], writes = [] } = undo;
      const keys = new Set([...listed, ...unlisted, ...writes].map(({ key }) => key));
      /** @type {Set<string>} */
      const known = new Set();
      for (const key of keys) {
        const found = ['regions', 'unlisted'].map((name) => this.send(['HEXISTS', this.#key(name), key]));
        if ((await Promise.all(found)).some(Boolean)) known.add(key);
      }
      const isKnown = (/** @type {{ key: string }} */ { key }) => known.has(key);
      const step = {
        listed: listed.filter(isKnown),
        unlisted: unlisted.filter(isKnown),
        writes: writes.filter(isKnown),
      };
      // The first command, which does nothing, has the others made by a Redis that is full.
      await this.#run([['HDEL', this.#key('unlisted'), ''], ...this.#commandsOf(step)]);
      this.#undone.shift();
    }
  }

  /** Erases what may be listed and must not be. @param {StoredRegion} region */
  async unlist(region) {
    await this.#stillOurs();
    await this.discard(region);
  }

  /** The same for `onRestart`, while every other change waits. @param {StoredRegion} region */
  async discard(region) {
    await this.#run(this.#commandsOf({ unlisted: [region] }));
    await this.deleteChunks(region.key, region.size);
  }

  /** Deletes what a region, which is not listed, has left. @param {string} key @param {number} size */
  async deleteChunks(key, size) {
    const chunks = Math.ceil(size / this.chunkBytes);
    for (let first = 0; first < chunks; first += UNLINK_BATCH) {
      const count = Math.min(UNLINK_BATCH, chunks - first);
      await this.send(['UNLINK', ...Array.from({ length: count }, (_, at) => this.#chunk(key, first + at))]);
    }
    await this.send(['HDEL', this.#key('unlisted'), key]);
  }

  /** @param {string} key @param {number} index */
  #chunk(key, index) {
    return this.#key(`${key}:${index}`);
  }

  /** @param {ChunkWrite} write */
  writeChunk(write) {
    return this.#change([this.#writing(write)]);
  }

  /**
   * @param {string} key @param {number} index @param {number} offset within the chunk @param {number} size
   * @returns {Promise<Buffer>} fewer bytes where the rest is zero
   */
  async readChunk(key, index, offset, size) {
    await this.#stillOurs();
    const range = [String(offset), String(offset + size - 1)];
    return /** @type {Promise<Buffer>} */ (this.send(['GETRANGE', this.#chunk(key, index), ...range], BYTES));
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

  /** @param {Command[]} commands */
  async #change(commands) {
    await this.#stillOurs();
    await this.#run(commands);
  }

  /** Runs commands that change the pool, in one script. @param {Command[]} commands */
  async #run(commands) {
    if (commands.length === 0) return;
    const keys = commands.map(([, key]) => key);
    const args = commands.flatMap(([command, , ...rest]) => [String(rest.length + 1), command, ...rest]);
    await this.#eval(SCRIPTS.run, [this.#key('pool'), ...keys], [String(this.#connection), ...args]);
  }

  /**
   * A Redis that is full refuses a script at its first command if that takes memory, and at no later one: so nothing is half done, and
   * erasures always are.
   * @param {Step} step @returns {Command[]}
   */
  #commandsOf({ listed = [], unlisted = [], writes = [] }) {
    const [regions, others] = [this.#key('regions'), this.#key('unlisted')];
    /** @type {Command[]} */
    const commands = [];
    for (const { key, size, createdAt, name } of listed) {
      const value = `${size} ${createdAt}${name === undefined ? '' : ` ${name}`}`;
      commands.push(['HSET', regions, key, value], ['HDEL', others, key]);
    }
    for (const write of writes) commands.push(this.#writing(write));
    for (const region of unlisted) commands.push(['HDEL', regions, region.key], this.#marking(region));
    return commands;
  }

  /** @param {{ key: string, size: number }} region @returns {Command} */
  #marking({ key, size }) {
    return ['HSET', this.#key('unlisted'), key, String(size)];
  }

  /** @param {ChunkWrite} write @returns {Command} */
  #writing({ key, index, offset, bytes }) {
    return ['SETRANGE', this.#chunk(key, index), String(offset), bytes];
  }

  /** @param {string} script @param {string[]} keys @param {(string | Buffer)[]} args */
  #eval(script, keys, args) {
    return this.send(['EVAL', script, String(keys.length), ...keys, this.#token, ...args]);
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
    const connection = this.#connection;
    const keys = ['pool', 'lock'].map((name) => this.#key(name));
    await this.#eval(SCRIPTS.renew, keys, [String(connection), String(this.config.lease_ms)]);
    this.#leaseEnd = leaseEnd;
    await this.#undo();
    const runId = await this.#readRunId();
    if (runId !== this.#runId) {
      await this.hooks.onRestart?.();
      this.#runId = runId;
    }
    this.#isChecked = connection === this.#connection && this.#undone.length === 0;
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
      this.#connection++;
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
    if (text.startsWith('LATE')) {
      this.#isChecked = false;
      return new BedrockError('UNREACHABLE', `${this.where}: ${text.slice(5)}`);
    }
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
