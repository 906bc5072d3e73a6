/**
 * The Redis door: it listens on TCP, on a unix socket, or on both, and gives its clients access to
 * the daemon (`Door`). `Connections` looks after those that have connected.
 */
import { createServer, type Server } from 'node:net';
import type { RespConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError, explain, failureRecord } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { formatHostPort, type RespAddress } from '../net/address.js';
import { ByteBudget } from '../net/byte-budget.js';
import type { OpenConnection } from '../net/open-connection.js';
import { boundTo, closed, goOnAfterFailures, listenFailure, listenTcp } from '../net/listening.js';
import type { TlsCertificates } from '../net/tls-certificates.js';
import { TlsFront, type TlsFigures } from '../net/tls-front.js';
import type { UnixSettings } from '../net/peer-users.js';
import {
  checkPassed,
  fromManager,
  type InheritedSockets,
  listenInherited,
  listenInheritedUnix,
} from '../net/inherited-sockets.js';
import { UnixSocket } from '../net/unix-socket.js';
import type { Changes } from '../runtime/changes.js';
import { type ProviderManager, servedTarget } from '../runtime/provider-manager.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import type { Access } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import { ConnectionAudit } from '../net/connection-audit.js';
import type { Limits } from '../security/limits.js';
import type { DaemonFacts } from './command.js';
import { Connections } from './connections.js';
import { Cursors } from './cursors.js';
import type { Door } from './door.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { DoorFigures } from './resp-metrics.js';
import { UploadWatch } from './uploads.js';

/** A larger argument that has not arrived completely gets its own place. */
const LONG_ARGUMENT_BYTES = 2 ** 13;

/** The answer to a client that does not use TLS at an address that needs it. */
const PLAIN_ANSWER = '-UNREACHABLE this address needs TLS; connect with resps:// (redis-cli --tls)\r\n';

/** The answer to a user who may not use the unix socket. */
const FOREIGN_USER =
  '-FORBIDDEN this user may not use the socket; bedrock.unix.allow_uids and allow_gids name those who may\r\n';

export interface RespServerOptions {
  address: RespAddress;
  /** Sockets that listen already, in place of the addresses. */
  inherited?: InheritedSockets | undefined;
  /** Those of TLS on the TCP address. */
  certificates?: TlsCertificates | undefined;
  /** Who may use the unix socket; default: the daemon's user. */
  unix?: UnixSettings;
  settings: Required<Omit<RespConfig, 'address' | 'unix'>>;
  providers: ProviderManager;
  version: string;
  logger: Logger;
  /** The running configuration. */
  config: () => unknown;
  /** What the daemon does at the moment. */
  status: DaemonFacts['status'];
  changes: Changes;
  queries: DaemonFacts['queries'];
  /** Who may do what; undefined: everybody may do everything. */
  access: Access | undefined;
  /** Where administrative commands and refusals are recorded. */
  audit?: AuditLog | undefined;
  /** Limits of connections, requests and bytes of one client. */
  rates?: Limits | undefined;
  /** Starts to stop the daemon; does not wait for it. */
  shutdown: () => void;
}

/** The addresses that it listens on. */
type Bound = RespAddress & {
  bound: string;
  /** The hosts of further TCP sockets. */
  others: readonly string[];
};

export class RespServer implements Door {
  /** Whether commands on regions are served. */
  isServing = false;
  readonly cursors = new Cursors();
  readonly limits: Door['limits'];
  readonly daemon: Door['daemon'];
  readonly arriving: ByteBudget;
  readonly replies: ByteBudget;
  readonly uploads: UploadWatch;
  readonly access: Access | undefined;
  readonly audit: AuditLog | undefined;
  readonly rates: Limits | undefined;
  readonly #options: RespServerOptions;
  readonly #servers: Server[] = [];
  readonly #connections: Connections;
  #socket: UnixSocket | undefined;
  readonly #tls: TlsFront | undefined;
  readonly #refusals: ConnectionAudit | undefined;
  #listening: Promise<Bound> | undefined;
  #isClosing = false;
  #refused = 0;
  /** Clients that were closed as slow because of the memory that they held. */
  #evicted = 0;

  constructor(options: RespServerOptions) {
    this.#options = options;
    this.access = options.access;
    this.audit = options.audit;
    this.rates = options.rates;
    const { certificates, settings, version, providers, config, status, changes, queries, shutdown } =
      options;
    this.#refusals = options.audit && new ConnectionAudit(options.audit, 'resp');
    if (certificates !== undefined) this.#tls = new TlsFront(certificates, PLAIN_ANSWER);
    if (this.#tls !== undefined && this.#refusals !== undefined)
      this.#tls.onFailed = this.#refusals.unsecured;
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
    this.#connections = new Connections(this, settings, options.address.unix, this.#refusals);
    this.daemon = {
      version,
      startedAt: performance.now(),
      operations: providers.operations,
      health: providers.health,
      directory: providers.directory,
      get providers() {
        return providers.all;
      },
      changes,
      isReady: () => this.isServing,
      config,
      status,
      queries,
      shutdown,
      figures: () => this.#figureLines(),
      describe: (id) => this.#connections.describe(id),
      describeAll: (ids) => this.#connections.describeAll(ids),
    };
  }

  /**
   * Starts to listen. It fails if `close` is called meanwhile.
   * @returns the addresses, with the real port, and log text for those behind a name
   * @throws START_FAILED
   */
  listen(): Promise<Bound> {
    return (this.#listening = this.#listen());
  }

  async #listen(): Promise<Bound> {
    const { address, inherited } = this.#options;
    let { tcp } = address;
    const { unix } = address;
    const passed = inherited?.resp ?? [];
    const [passedUnix, ...further] = inherited?.respUnix ?? [];
    checkPassed('resp', passed.length > 0, tcp !== undefined);
    checkPassed('resp-unix', passedUnix !== undefined, unix !== undefined);
    let where = '';
    let at: { port: number } | { path: string } = { port: 0 };
    let port = 0;
    let bound = '';
    let others: readonly string[] = [];
    try {
      if (tcp !== undefined) {
        where = formatHostPort(tcp);
        at = { port: tcp.port };
        const make = (): Server => {
          const server = this.#make();
          this.#tls?.guard(server);
          return server;
        };
        if (passed.length > 0) {
          const listeners = await listenInherited(make, passed, tcp.host);
          this.#servers.push(...listeners.servers);
          port = listeners.port;
          tcp = { ...tcp, host: listeners.host };
          bound = fromManager(listeners.others);
          others = listeners.others.map(({ address: host }) => host);
        } else {
          const listeners = await listenTcp(make, tcp);
          this.#servers.push(...listeners.servers);
          port = listeners.port;
          bound = boundTo(tcp.host, listeners.addresses);
        }
        this.#checkNotClosing();
      }
      if (unix !== undefined) {
        where = `unix:${unix}`;
        at = { path: unix };
        const server = this.#make();
        const refusal = {
          answer: FOREIGN_USER,
          ...(this.#refusals !== undefined && { note: this.#refusals.foreign }),
        };
        if (passedUnix === undefined) {
          this.#socket = await UnixSocket.bind(server, unix, this.#options.unix, refusal);
        } else {
          const settings = this.#options.unix ?? { mode: '0600' };
          await listenInheritedUnix(server, [passedUnix, ...further], settings, refusal);
        }
        this.#servers.push(server);
        this.#checkNotClosing();
      }
    } catch (cause) {
      await this.#stop(0);
      throw await listenFailure(where, at, cause);
    }
    // Safe: it was not closing just now, and `close` ends the watch.
    this.#connections.watch();
    return { tcp: tcp && { ...tcp, port }, unix, bound, others };
  }

  #checkNotClosing(): void {
    if (this.#isClosing) throw new BedrockError('START_FAILED', 'it was closed before it listened');
  }

  #make(): Server {
    const { settings, logger } = this.#options;
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#connections.add(socket),
    );
    // Registered at once: connections arrive while the next address is bound.
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

  /**
   * Takes no more requests, and waits for those in flight, at most `drainTimeoutMs`.
   * @returns whether all of them ended
   */
  async close(drainTimeoutMs: number): Promise<boolean> {
    this.#isClosing = true;
    // What it creates is known only when it has ended, even with a failure.
    await this.#listening?.catch(() => undefined);
    return this.#stop(drainTimeoutMs);
  }

  async #stop(drainTimeoutMs: number): Promise<boolean> {
    this.isServing = false;
    this.#connections.unwatch();
    this.#tls?.close();
    await this.#socket?.remove().catch((error: unknown) => {
      this.#options.logger.warning(`the socket was not removed: ${explain(error)}`);
    });
    // Safe: clients that have connected meanwhile are among the clients.
    const ended = this.#servers.map(closed);
    this.#connections.end();
    let isDrained = true;
    const late = setTimeout(() => {
      isDrained = false;
      this.#connections.destroy();
    }, drainTimeoutMs);
    await Promise.all(ended);
    clearTimeout(late);
    return isDrained;
  }

  // ---- what clients ask for ----

  isReady(): boolean {
    return this.isServing;
  }

  served(provider: string | undefined, index: number): ServedTarget {
    const { providers } = this.#options;
    return servedTarget(provider === undefined ? this.#firstWithRegions() : providers.get(provider), index);
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
    const { count, accepted, totals } = this.#connections;
    return {
      connections: count,
      accepted,
      refused: this.#refused,
      ...totals,
      evicted: this.#evicted,
      arrivingBytes: this.arriving.total,
    };
  }

  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[] {
    return this.#connections.list(limit);
  }

  /** Undefined without TLS. */
  get tlsFigures(): TlsFigures | undefined {
    return this.#tls?.figures;
  }

  /** The figures for INFO. */
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
}
