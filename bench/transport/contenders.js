/**
 * Who takes part in a comparison of servers: a server, how it is reached, and a client process of
 * its own.
 */
import { fileURLToPath } from 'node:url';
import { Contender } from '../contender.js';
import { QUEUED } from './bare-messages.js';
import { medianInTurns } from '../turns.js';
import { startServers } from './servers.js';

export const CONNECTED = 'memory through connect()';
export const REDIS = 'redis-server';
export const REDIS_DURABLE = 'redis-server, fsync always';
export const HTTP_DOOR = 'our HTTP door';
export const NODE_HTTP = 'node:http';
/** Values under names, by the same commands everywhere. */
export const NAMED = {
  memory: 'names in memory',
  pmem: 'names on pmem',
  file: 'names in a file',
  redis: 'redis-server, nothing saved',
  durableRedis: 'redis-server, fsync always on the disk',
};
export const BARE = 'bare node:net';
export const BARE_ONE_WAY = 'bare node:net, one way';

const RESP_PROTOCOLS = { tcp: 'resp:', unix: 'resp+unix:' };

/**
 * The kind of client, the server, and what the client needs to know beside the address, or the URL
 * that it is given.
 */
const CONTENDERS = {
  memory: { kind: 'regions', server: 'daemon', options: { provider: 'memory' } },
  pmem: { kind: 'regions', server: 'daemon', options: { provider: 'pmem' } },
  [CONNECTED]: {
    kind: 'target',
    server: 'daemon',
    options: { provider: 'memory' },
    urlOf: ({ urls }, transport) => urls.find(({ protocol }) => protocol === RESP_PROTOCOLS[transport]),
  },
  [HTTP_DOOR]: { kind: 'target', server: 'daemon', options: { provider: 'memory' } },
  [REDIS]: { kind: 'redis', server: 'redis' },
  [REDIS_DURABLE]: { kind: 'redis', server: 'redis always', isLogged: true },
  [NAMED.memory]: { kind: 'strings', server: 'daemon', options: { provider: 'memory' } },
  [NAMED.pmem]: { kind: 'strings', server: 'daemon', options: { provider: 'pmem' } },
  [NAMED.file]: { kind: 'strings', server: 'daemon on a disk', options: { provider: 'file' } },
  [NAMED.redis]: { kind: 'strings', server: 'redis' },
  [NAMED.durableRedis]: { kind: 'strings', server: 'redis always on a disk' },
  [NODE_HTTP]: { kind: 'http', server: 'node:http' },
  [BARE]: { kind: 'net', server: 'net' },
  [BARE_ONE_WAY]: { kind: 'net', server: 'net' },
};

/**
 * One way nothing is asked for and nothing answered, so there is no depth either, but for what
 * waits for the system.
 */
const ONE_WAY = { write: 'pour', read: 'drain' };

const FIRST_WARM_UP_MS = 500;
const WARM_UP_MS = 100;
const SETTLE_MS = 20;
const TURN_MS = 80;
const MEMORY_SETTLE_MS = 1000;

export class Contenders {
  #started;
  #clients = new Map();
  #warm = new Set();

  constructor(started) {
    this.#started = started;
  }

  /** Starts the servers that these contenders need. */
  static async start(names) {
    return new Contenders(await startServers([...new Set(names.map((name) => CONTENDERS[name].server))]));
  }

  /** Whether its server is installed. */
  has(name) {
    return this.#started.servers.has(CONTENDERS[name].server);
  }

  server(name) {
    return this.#started.servers.get(CONTENDERS[name].server);
  }

  /** Its client process over 'tcp' or 'unix', started when it is asked for first. */
  async client(name, transport) {
    const key = `${name} ${transport}`;
    if (!this.#clients.has(key)) {
      const { kind, options, urlOf = ({ url }) => url } = CONTENDERS[name];
      const server = this.server(name);
      const to = { ...options, address: server.addresses?.[transport], url: urlOf(server, transport)?.href };
      const program = fileURLToPath(new URL('client.js', import.meta.url));
      this.#clients.set(key, await Contender.start(process.execPath, [program, kind, JSON.stringify(to)]));
    }
    return this.#clients.get(key);
  }

  /**
   * Has it carry out operations for a while that do not count; longer where nothing of the kind has
   * been asked of it yet.
   */
  async warmUp(name, cell) {
    const kind = `${name} ${cell.transport} ${cell.operation}`;
    if (!this.#warm.has(kind)) await this.#run(name, { ...cell, depth: 32 }, FIRST_WARM_UP_MS);
    this.#warm.add(kind);
    await this.#run(name, cell, WARM_UP_MS);
    await this.#tidy(name, cell);
  }

  /** @returns its rate, operations a second, and the CPU time of its server for each, microseconds */
  async measure(name, cell) {
    const server = this.server(name);
    await this.#run(name, cell, SETTLE_MS);
    const before = server.cpuSeconds();
    const { count, rate } = await this.#run(name, cell, TURN_MS);
    const cpuMicros = ((server.cpuSeconds() - before) / count) * 1e6;
    await this.#tidy(name, cell);
    return { rate, cpuMicros };
  }

  /**
   * Measures all who are installed. A round goes through all cells, so that what disturbs the
   * machine for seconds disturbs no cell in more than one.
   * @param cells [{transport, operation, size, depth, names}…], with the names of those who take part
   * @returns for each cell a map from names to medians of what `measure` gives
   */
  async measureInTurns(cells, rounds) {
    const turns = cells.flatMap((cell) =>
      cell.names.filter((name) => this.has(name)).map((name) => ({ cell, name })),
    );
    for (const { cell, name } of turns) await this.warmUp(name, cell);
    const medians = await medianInTurns(turns, rounds, ({ cell, name }) => this.measure(name, cell));
    const found = new Map(cells.map((cell) => [cell, new Map()]));
    for (const turn of turns) found.get(turn.cell).set(turn.name, medians.get(turn));
    return found;
  }

  /**
   * Has the client make so many values.
   * @returns bytes that the server's process grows by for each; undefined if it is absent
   */
  async bytesOfValue(name, size, count) {
    if (!this.has(name)) return undefined;
    const server = this.server(name);
    const client = await this.client(name, 'tcp');
    const before = server.residentBytes();
    await client.ask('fill', count, size);
    await new Promise((resolve) => setTimeout(resolve, MEMORY_SETTLE_MS));
    return (server.residentBytes() - before) / count;
  }

  async #run(name, { transport, operation, size, depth }, milliseconds) {
    const client = await this.client(name, transport);
    if (name !== BARE_ONE_WAY) return client.ask('rate', operation, size, depth, milliseconds);
    return client.ask('rate', ONE_WAY[operation], size, QUEUED, milliseconds);
  }

  /** A log that grows by all that was written would not fit long; a small one may be left for later. */
  async #tidy(name, { transport, size }) {
    if (!CONTENDERS[name].isLogged || size < 65536) return;
    await (await this.client(name, transport)).ask('tidy');
  }

  async stop() {
    await Promise.all([...this.#clients.values()].map((client) => client.stop()));
    await this.#started.stop();
  }
}
