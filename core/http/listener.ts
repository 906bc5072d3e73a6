/**
 * Where the HTTP door listens: one server for each address of a host name, or one on a unix socket.
 * The limits and the shutdown apply to the connections of all servers together.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import type { ListenAddress } from '../net/address.js';
import { boundTo, closed, goOnAfterFailures, listenTcp } from '../net/listening.js';
import { fromManager, listenInherited, listenInheritedUnix } from '../net/inherited-sockets.js';
import type { TlsFront } from '../net/tls-front.js';
import type { ConnectionAudit } from '../net/connection-audit.js';
import type { Limits } from '../security/limits.js';
import type { UnixSettings } from '../net/peer-users.js';
import type { OpenConnection } from '../net/open-connection.js';
import { UnixSocket } from '../net/unix-socket.js';
import { type ConnectionFigures, Connections } from './connections.js';
import { deferContinue } from './continue.js';
import { foreignUser } from './problem.js';

export interface Listening {
  /** With the actual port. */
  address: ListenAddress;
  /** The addresses behind a name, for the log. */
  bound: string;
  /** The hosts of further TCP sockets. */
  others: readonly string[];
}

export class Listener {
  readonly #connections: Connections;
  #servers: readonly Server[] = [];
  #socket: UnixSocket | undefined;
  /** Connections refused because of max_connections. */
  #refused = 0;

  constructor(
    handler: RequestListener,
    private readonly settings: DaemonSettings['http'],
    private readonly logger: Logger,
    /** TLS on TCP addresses. */
    private readonly tls: TlsFront | undefined,
    /** Who may use a unix socket. */
    private readonly unix: UnixSettings,
    limits: Limits | undefined,
    private readonly audit: ConnectionAudit | undefined,
  ) {
    this.#connections = new Connections(handler, limits, audit);
    if (tls !== undefined && audit !== undefined) tls.onFailed = audit.unsecured;
  }

  get figures(): ConnectionFigures {
    return this.#connections.figures;
  }

  /** Open connections, the oldest first, at most `limit`. */
  list(limit: number): OpenConnection[] {
    return this.#connections.list(limit);
  }

  /** Number of connections that were closed at once because of max_connections. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * @param inherited sockets that listen already, in place of the address
   * @throws START_FAILED, errors of the system
   */
  async listen(address: ListenAddress, inherited: readonly number[] = []): Promise<Listening> {
    const [first, ...further] = inherited;
    if (address.kind === 'unix') {
      const server = this.#make();
      const { audit } = this;
      const others = { answer: foreignUser(), ...(audit !== undefined && { note: audit.foreign }) };
      if (first === undefined) {
        this.#socket = await UnixSocket.bind(server, address.path, this.unix, others);
      } else {
        await listenInheritedUnix(server, [first, ...further], this.unix, others);
      }
      this.#servers = [server];
      return { address, bound: first === undefined ? '' : fromManager(), others: [] };
    }
    const make = (): Server => {
      const server = this.#make();
      this.tls?.guard(server);
      return server;
    };
    if (first !== undefined) {
      const { servers, host, port, others } = await listenInherited(make, inherited, address.host);
      this.#servers = servers as Server[];
      const hosts = others.map((other) => other.address);
      return { address: { ...address, host, port }, bound: fromManager(others), others: hosts };
    }
    const { servers, port, addresses } = await listenTcp(make, address);
    // `make` made all of them.
    this.#servers = servers as Server[];
    return { address: { ...address, port }, bound: boundTo(address.host, addresses), others: [] };
  }

  /**
   * Accepts no new requests and waits for those in flight, at most `drainTimeoutMs`.
   * @returns whether all of them ended
   */
  async close(drainTimeoutMs: number): Promise<boolean> {
    let isDrained = true;
    this.#connections.stop();
    this.tls?.close();
    await this.#socket?.remove().catch((error: unknown) => {
      this.logger.warning(`the socket was not removed: ${explain(error)}`);
    });
    const late = setTimeout(() => {
      isDrained = false;
      this.#connections.destroy();
    }, drainTimeoutMs);
    await Promise.all(this.#servers.map(closed));
    clearTimeout(late);
    return isDrained;
  }

  #make(): Server {
    const { settings, logger } = this;
    const server = createServer({
      maxHeaderSize: settings.max_header_bytes,
      headersTimeout: settings.progress_timeout_ms,
      // Time-outs here measure lack of progress, so a long transfer is allowed. The reader of a
      // body watches its progress.
      requestTimeout: 0,
      keepAliveTimeout: settings.keep_alive_timeout_ms,
      connectionsCheckingInterval: Math.min(5000, Math.ceil(settings.progress_timeout_ms / 4)),
      // The guard requires the header, because node:http would refuse without saying why.
      requireHostHeader: false,
    });
    // From the start, because connections come while the next address is being bound.
    server.once('listening', () => goOnAfterFailures(server, logger));
    // node:http would drop headers beyond a certain number; their size is already limited.
    server.maxHeadersCount = 0;
    server.maxConnections = settings.max_connections;
    server.on('drop', () => {
      if (this.#refused++ > 0) return;
      logger.warning(
        `more than bedrock.http.max_connections, ${settings.max_connections}: further connections are closed`,
      );
    });
    this.#connections.watch(server, settings.progress_timeout_ms);
    server.on('clientError', this.#connections.fail);
    deferContinue(server);
    return server;
  }
}
