/**
 * The doors of a daemon: the certificates, the HTTP server, the server of the Redis protocol, their
 * limits and their metrics.
 *
 * Order: load the certificates -> listen (requests get NOT_READY) -> `open` -> `close`. The daemon
 * decides when. The daemon also owns what the doors serve (providers, changes, queries), and what
 * checks and records their clients (`Access`, `AuditLog`).
 */
import type { Registry as MetricsRegistry } from 'prom-client';
import { BedrockError, explain } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import { registerHttpMetrics } from '../http/http-metrics.js';
import { HttpServer } from '../http/server.js';
import type { InheritedSockets } from '../net/inherited-sockets.js';
import { formatAddress, formatHostPort, isLoopback } from '../net/address.js';
import { TlsCertificates } from '../net/tls-certificates.js';
import type { TlsFigures } from '../net/tls-front.js';
import type { OpenConnection } from '../net/open-connection.js';
import type { Queries } from '../query/queries.js';
import { registerRespMetrics } from '../resp/resp-metrics.js';
import type { Changes } from '../runtime/changes.js';
import type { DaemonStatus } from '../contract/daemon-status.js';
import { daemonStatus } from '../runtime/daemon-status.js';
import { registerHealthMetrics } from '../runtime/health-metrics.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { registerThreadMetrics } from '../runtime/thread-metrics.js';
import type { RunningConfig } from '../runtime/running-config.js';
import type { Access } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import { Limits } from '../security/limits.js';
import { registerAuthMetrics } from './auth-metrics.js';
import { registerAuditMetrics } from './audit-metrics.js';
import { registerLimitMetrics } from './limit-metrics.js';
import { registerQueryMetrics } from './query-metrics.js';
import { registerTlsMetrics } from './tls-metrics.js';

/** What the doors serve, and what every door needs. */
interface DoorsParts {
  readonly running: RunningConfig;
  readonly manager: ProviderManager;
  readonly changes: Changes;
  readonly queries: Queries;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  /** The clients that may use the daemon; undefined: everybody. */
  readonly access: Access | undefined;
  readonly audit: AuditLog | undefined;
  /** Those that the service manager listens on. */
  readonly sockets: InheritedSockets | undefined;
  /** Stops the daemon. @param door as it is named in the log */
  readonly shutdown: (door: string) => void;
}

/** What the daemon needs of a door, whatever its protocol. */
interface Door {
  /** Whether requests are served; until then they get NOT_READY. */
  isServing: boolean;
  /** Numbers, by their names in the status. */
  readonly figures: { readonly connections: number };
  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[];
  /** Undefined without TLS. */
  readonly tlsFigures: TlsFigures | undefined;
  /** Waits for requests in flight, then closes. @returns whether all of them ended in time */
  close(drainTimeoutMs: number): Promise<boolean>;
}

export class Doors {
  readonly #parts: DoorsParts;
  readonly #http: HttpServer;
  /** The doors, by their names in metrics and in the status. */
  readonly #doors = new Map<string, Door>();
  #certificates: TlsCertificates | undefined;
  /** How much a client may request over all doors together. */
  readonly #limits: Limits | undefined;
  #address: string | undefined;

  constructor(parts: DoorsParts) {
    const { running, manager, queries, metrics, logger, access, audit } = parts;
    const { address, settings } = running.start;
    this.#parts = parts;
    if (audit !== undefined) registerAuditMetrics(metrics, audit);
    if (access !== undefined) registerAuthMetrics(metrics, access);
    registerQueryMetrics(metrics, queries);
    registerThreadMetrics(metrics);
    const limits = settings.limits && new Limits(settings.limits);
    this.#limits = limits;
    if (limits !== undefined) {
      limits.onFirst = (message) => logger.warning(message);
      registerLimitMetrics(metrics, limits);
    }
    const server = new HttpServer({
      ...this.#served(),
      address,
      settings,
      metrics,
      limits,
      connections: (limit) => this.#list(limit),
      inherited: parts.sockets?.http,
      shutdown: () => parts.shutdown('HTTP'),
    });
    this.#http = server;
    this.#doors.set('http', server);
    registerHttpMetrics(metrics, { figures: () => server.figures, answers: () => server.answers });
    registerHealthMetrics(metrics, manager, () => server.isServing);
  }

  /** The present status of the daemon. */
  readonly #status = (): Promise<DaemonStatus> => {
    const { running, manager, version, clock } = this.#parts;
    const doors = (): DaemonStatus['doors'] =>
      this.#ofEach(({ figures }) => Object.fromEntries(Object.entries(figures)));
    return daemonStatus({ providers: manager, version, clock, doors, streams: () => running.streams });
  };

  /** Open connections of all doors, the oldest of each first, at most `limit`. */
  #list(limit: number): { connections: object[]; total: number } {
    const all = [...this.#doors].flatMap(([door, served]) =>
      served.list(limit).map((one) => ({ door, ...one })),
    );
    const total = [...this.#doors.values()].reduce((sum, { figures }) => sum + figures.connections, 0);
    return { connections: all.slice(0, limit), total };
  }

  /** What every door gets. */
  #served() {
    const { running, manager, changes, queries, logger, version, access, audit } = this.#parts;
    const config = (): object => running.print(manager.all);
    return {
      providers: manager,
      config,
      status: this.#status,
      changes,
      queries,
      logger,
      version,
      access,
      audit,
    };
  }

  #ofEach<T>(figure: (door: Door) => T): Record<string, T> {
    return Object.fromEntries([...this.#doors].map(([name, door]) => [name, figure(door)]));
  }

  /** Address of the HTTP door, with the real port; undefined until it listens. */
  get address(): string | undefined {
    return this.#address;
  }

  /**
   * Listens; every request gets NOT_READY until `open`. A failure closes what was opened.
   * @throws START_FAILED
   */
  async listen(): Promise<void> {
    await this.#loadCertificates();
    await this.#listenHttp();
    try {
      await this.#listenResp();
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Serves requests from now on. */
  open(): void {
    this.#certificates?.watch();
    for (const door of this.#doors.values()) door.isServing = true;
  }

  /** Reads the certificates again. The result is logged. */
  async renewCertificates(): Promise<void> {
    await this.#certificates?.renew();
  }

  /** Closes at once, and logs nothing: for a start that has failed. */
  async abandon(): Promise<void> {
    await this.#closeServers(0);
  }

  /**
   * Waits for requests in flight, then closes. Never throws, since the providers must be stopped
   * after it.
   * @returns whether the doors closed without an error
   */
  async close(drainMs: number): Promise<boolean> {
    const { logger } = this.#parts;
    try {
      const drained = await this.#closeServers(drainMs);
      if (drained.includes(false)) {
        logger.warning(`requests still ran after ${drainMs} ms; their connections were closed`);
      }
      return true;
    } catch (error) {
      logger.error(`the listener did not close cleanly: ${explain(error)}`);
      return false;
    } finally {
      this.#certificates?.stop();
    }
  }

  #closeServers(drainMs: number): Promise<boolean[]> {
    return Promise.all([...this.#doors.values()].map((door) => door.close(drainMs)));
  }

  /** @throws START_FAILED */
  async #loadCertificates(): Promise<void> {
    const { running, logger, metrics } = this.#parts;
    const { tls } = running.settings;
    if (tls === undefined) return;
    const certificates = await TlsCertificates.load(tls, logger);
    this.#certificates = certificates;
    registerTlsMetrics(metrics, certificates, () => this.#ofEach((door) => door.tlsFigures));
  }

  async #listenHttp(): Promise<void> {
    const { address, bound, others } = await this.#http.listen(this.#certificates);
    this.#address = formatAddress(address);
    this.#parts.running.setAddress(this.#address);
    this.#parts.logger.info(`listening on ${this.#address}${bound}`);
    if (address.kind === 'tcp') this.#warnIfOpen([address.host, ...others]);
  }

  /** The Redis door is loaded only if it is configured: a daemon without it does not need its memory. */
  async #listenResp(): Promise<void> {
    const { running, metrics, logger, sockets } = this.#parts;
    const { respAddress, settings } = running.start;
    if (respAddress === undefined || settings.resp === undefined) {
      if (sockets === undefined || sockets.resp.length + sockets.respUnix.length === 0) return;
      throw new BedrockError(
        'START_FAILED',
        'the service manager passes a socket for the Redis protocol, and bedrock.resp is not configured',
      );
    }
    const { RespServer } = await import('../resp/server.js');
    const server = new RespServer({
      ...this.#served(),
      address: respAddress,
      inherited: sockets,
      certificates: this.#certificates,
      unix: running.settings.unix,
      settings: settings.resp,
      rates: this.#limits,
      shutdown: () => this.#parts.shutdown('the Redis protocol'),
    });
    this.#doors.set('resp', server);
    registerRespMetrics(metrics, () => server.figures);
    const { tcp, unix, bound, others } = await server.listen();
    if (tcp !== undefined) {
      const address = formatHostPort(tcp);
      running.setRespAddress(address);
      const scheme = this.#certificates === undefined ? 'resp' : 'resps';
      logger.info(`listening on ${scheme}://${address}${bound}`);
      this.#warnIfOpen([tcp.host, ...others]);
    }
    if (unix !== undefined) logger.info(`listening on resp+unix:${unix}`);
  }

  #warnIfOpen(hosts: readonly string[]): void {
    const { access, running, logger } = this.#parts;
    const isSafe = access !== undefined && running.settings.tls !== undefined;
    const host = hosts.find((each) => !isLoopback(each));
    if (host === undefined || isSafe) return;
    logger.warning(
      access === undefined
        ? `other machines can reach ${host}, and anyone who reaches it can read and erase all regions: bedrock.insecure allows that`
        : `other machines can reach ${host}, and tokens are sent there as plain text: use bedrock.tls, or a network that you trust`,
    );
  }
}
