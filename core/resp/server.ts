/**
 * The Redis door: a listener on TCP, on a unix socket, or on both, and the clients on them.
 *
 * Sockets read straight into the buffers of `Client` where Node lets them (`onread` of net, for which the connection is handed over
 * to a socket that is made with it); one that cannot is read as any other.
 */
import { createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net';
import type { RespConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError, explain, failureRecord } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { formatHostPort, type RespAddress } from '../net/address.js';
import { ByteBudget } from '../net/byte-budget.js';
import { boundTo, closed, goOnAfterFailures, listenFailure, listenTcp } from '../net/listening.js';
import { UnixSocket } from '../net/unix-socket.js';
import { type ProviderManager, targetOf } from '../runtime/provider-manager.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import { checkedTarget } from '../targets/checked-target.js';
import { DirectTarget } from '../targets/direct-target.js';
import { clientLine } from './client-line.js';
import { Client } from './client.js';
import { Cursors } from './cursors.js';
import type { Door } from './door.js';
import type { Place } from './operation-call.js';
import type { DoorFigures } from './resp-metrics.js';
import { UploadWatch } from './uploads.js';

/** An argument of more bytes that is not there whole gets a place of its own. */
const LONG_ARGUMENT_BYTES = 2 ** 13;

export interface RespServerOptions {
  address: RespAddress;
  settings: Required<Omit<RespConfig, 'address' | 'unix'>>;
  providers: ProviderManager;
  version: string;
  logger: Logger;
  /** The running configuration. */
  config: () => unknown;
  /** Begins to stop the daemon; does not wait for it. */
  shutdown: () => void;
}

/** Where it listens. */
type Bound = RespAddress & { bound: string };

export class RespServer implements Door {
  /** Whether commands on regions are served. */
  isServing = false;
  readonly cursors = new Cursors();
  readonly limits: Door['limits'];
  readonly daemon: Door['daemon'];
  readonly arriving: ByteBudget;
  readonly replies: ByteBudget;
  readonly uploads: UploadWatch;
  readonly #options: RespServerOptions;
  readonly #servers: Server[] = [];
  readonly #clients = new Map<Client, Socket>();
  #socket: UnixSocket | undefined;
  #listening: Promise<Bound> | undefined;
  #isClosing = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #lastClient = 0;
  #accepted = 0;
  #refused = 0;
  /** Requests of clients that are gone. */
  #requestsBefore = 0;
  /** Those of them that failed. */
  #failedBefore = 0;
  /** Clients closed as slow, for the memory they held. */
  #evicted = 0;

  constructor(options: RespServerOptions) {
    this.#options = options;
    const { settings, version, providers, config, shutdown } = options;
    this.limits = {
      maxArguments: settings.max_arguments,
      maxBulkBytes: settings.max_bulk_bytes,
      maxRequestBytes: settings.max_request_bytes,
      maxBufferedBytes: settings.max_buffered_bytes,
      longArgumentBytes: LONG_ARGUMENT_BYTES,
    };
    this.arriving = new ByteBudget(settings.max_arriving_bytes);
    this.replies = new ByteBudget(settings.max_replies_bytes);
    this.uploads = new UploadWatch(settings.upload_timeout_ms);
    this.daemon = {
      version,
      startedAt: performance.now(),
      providers: providers.all,
      isReady: () => this.isServing,
      config,
      shutdown,
      figures: () => this.#figureLines(),
      describe: (client) => this.#describe(client as Client),
      describeAll: (ids) =>
        [...this.#clients.keys()]
          .filter(({ id }) => ids === undefined || ids.has(id))
          .map((client) => this.#describe(client))
          .join(''),
    };
  }

  /** Closes the connections of clients that have asked for nothing in a while. A client within a request is not idle. */
  readonly #closeIdle = (): void => {
    const { idle_timeout_ms: idleMs } = this.#options.settings;
    const latest = performance.now() - idleMs;
    for (const [client, socket] of this.#clients)
      if (client.arrivedAt <= latest && !client.isBusy && !client.isAwaited) socket.destroy();
  };

  /**
   * Begins to listen. Where `close` is called meanwhile it fails.
   * @returns the addresses, with the real port, and what the log says of those behind a name
   * @throws START_FAILED
   */
  listen(): Promise<Bound> {
    return (this.#listening = this.#listen());
  }

  async #listen(): Promise<Bound> {
    const { tcp, unix } = this.#options.address;
    let where = '';
    let at: { port: number } | { path: string } = { port: 0 };
    let port = 0;
    let bound = '';
    try {
      if (tcp !== undefined) {
        where = formatHostPort(tcp);
        at = { port: tcp.port };
        const listeners = await listenTcp(() => this.#make(), tcp);
        this.#servers.push(...listeners.servers);
        this.#checkNotClosing();
        port = listeners.port;
        bound = boundTo(tcp.host, listeners.addresses);
      }
      if (unix !== undefined) {
        where = `unix:${unix}`;
        at = { path: unix };
        const server = this.#make();
        this.#socket = await UnixSocket.bind(server, unix);
        this.#servers.push(server);
        this.#checkNotClosing();
      }
    } catch (cause) {
      await this.#stop(0);
      throw await listenFailure(where, at, cause);
    }
    // Safe: it was not closing just now, and `close` ends the timer.
    const { idle_timeout_ms: idleMs } = this.#options.settings;
    if (idleMs > 0) this.#idleTimer = setInterval(this.#closeIdle, Math.max(10, idleMs / 8)).unref();
    return { tcp: tcp && { ...tcp, port }, unix, bound };
  }

  #checkNotClosing(): void {
    if (this.#isClosing) throw new BedrockError('START_FAILED', 'it was closed before it listened');
  }

  #make(): Server {
    const { settings, logger } = this.#options;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#connected(socket),
    );
    // From the first moment on: connections come while the next address is bound.
    server.once('listening', () => goOnAfterFailures(server, logger));
    server.maxConnections = settings.max_connections;
    server.on('drop', () => {
      if (this.#refused++ > 0) return;
      logger.warning(
        `more than bedrock.resp.max_connections, ${settings.max_connections}: further connections are closed`,
      );
    });
    return server;
  }

  /** Takes no further requests, waits for those in flight, at most `drainTimeoutMs`. @returns whether all of them ended */
  async close(drainTimeoutMs: number): Promise<boolean> {
    this.#isClosing = true;
    // What it makes is known only when it has ended, be it that it failed.
    await this.#listening?.catch(() => undefined);
    return this.#stop(drainTimeoutMs);
  }

  async #stop(drainTimeoutMs: number): Promise<boolean> {
    this.isServing = false;
    clearInterval(this.#idleTimer);
    await this.#socket?.remove().catch((error: unknown) => {
      this.#options.logger.warning(`the socket was not removed: ${explain(error)}`);
    });
    // Safe: those that have connected meanwhile are among the clients.
    const ended = this.#servers.map(closed);
    for (const client of this.#clients.keys()) client.end();
    let isDrained = true;
    const late = setTimeout(() => {
      isDrained = false;
      for (const socket of this.#clients.values()) socket.destroy();
    }, drainTimeoutMs);
    await Promise.all(ended);
    clearTimeout(late);
    return isDrained;
  }

  #connected(accepted: Socket): void {
    this.#accepted++;
    const client = new Client(++this.#lastClient, this);
    const socket = readingInto(accepted, client);
    client.attach(socket);
    this.#clients.set(client, socket);
    const { progress_timeout_ms: progressMs } = this.#options.settings;
    socket.setTimeout(progressMs);
    socket.on('timeout', () => {
      if (client.isAwaited) socket.destroy();
      else socket.setTimeout(progressMs);
    });
    socket.on('end', () => client.inputEnded());
    // A connection that breaks is followed by its close.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#clients.delete(client);
      this.#requestsBefore += client.requests;
      this.#failedBefore += client.failedRequests;
      client.closed();
    });
    socket.resume();
  }

  // ---- what clients ask for ----

  isReady(): boolean {
    return this.isServing;
  }

  place(provider: string | undefined, index: number): Place {
    const { providers } = this.#options;
    const found = provider === undefined ? this.#firstWithRegions() : providers.get(provider);
    const target = checkedTarget(targetOf(found, index));
    return { provider: found, index, target, direct: target instanceof DirectTarget ? target : undefined };
  }

  #firstWithRegions(): RunningProvider {
    const found = this.#options.providers.all.find(({ targets }) => targets.length > 0);
    if (found !== undefined) return found;
    throw new BedrockError('PROVIDER_NOT_FOUND', 'no provider of this daemon holds regions');
  }

  noteEvicted(what: string): void {
    if (this.#evicted++ > 0) return;
    this.#options.logger.warning(
      `the memory for requests or replies is full: a client that held ${what} and was slow is closed, and so will be others`,
    );
  }

  logFailure(error: BedrockError): void {
    const { message, stack } = failureRecord(error);
    this.#options.logger.error(`a command failed: ${message}`, { stack });
  }

  get figures(): DoorFigures {
    let requests = this.#requestsBefore;
    let failed = this.#failedBefore;
    let bufferedBytes = 0;
    for (const [client, socket] of this.#clients) {
      requests += client.requests;
      failed += client.failedRequests;
      bufferedBytes += socket.writableLength;
    }
    return {
      connections: this.#clients.size,
      accepted: this.#accepted,
      refused: this.#refused,
      requests,
      failed,
      evicted: this.#evicted,
      arrivingBytes: this.arriving.total,
      bufferedBytes,
    };
  }

  /** As INFO has them. */
  #figureLines(): ReturnType<Door['daemon']['figures']> {
    const { connections, accepted, refused, evicted, requests, failed, arrivingBytes, bufferedBytes } =
      this.figures;
    return {
      clients: [
        `connected_clients:${connections}`,
        `maxclients:${this.#options.settings.max_connections}`,
        'blocked_clients:0',
        `arriving_bytes:${arrivingBytes}`,
        `buffered_bytes:${bufferedBytes}`,
      ],
      stats: [
        `total_connections_received:${accepted}`,
        `total_commands_processed:${requests}`,
        `rejected_connections:${refused}`,
        `evicted_clients:${evicted}`,
        `total_error_replies:${failed}`,
      ],
    };
  }

  #describe(client: Client): string {
    const socket = this.#clients.get(client);
    // What a connection that is gone has left to carry out, nobody reads.
    return socket === undefined ? '' : clientLine(client.facts, socket, this.#options.address.unix);
  }
}

/** A socket whose bytes go to the client. */
function readingInto(accepted: Socket, client: Client): Socket {
  // Node has `onread` only for sockets that it makes from the outset, so the connection moves to one; there is no public way to.
  const handle = (accepted as { _handle?: unknown })._handle;
  if (typeof handle !== 'object' || handle === null) {
    accepted.on('data', (bytes) => {
      if (!client.take(bytes)) accepted.pause();
    });
    return accepted;
  }
  (accepted as { _handle?: unknown })._handle = null;
  const socket = new Socket({
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: () => client.room(),
      callback: (count: number, where: Uint8Array) => client.received(count, where as Buffer),
    },
  } as SocketConstructorOpts);
  // The server counts the one that it accepted.
  socket.once('close', () => accepted.destroy());
  return socket;
}
