/**
 * Where the HTTP door listens: a server for each address of a host name, or one at a socket. Their connections are one set, to which
 * the limits and the end of the daemon apply.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { explain } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import type { ListenAddress } from '../net/address.js';
import { boundTo, closed, goOnAfterFailures, listenTcp } from '../net/listening.js';
import { UnixSocket } from '../net/unix-socket.js';
import { Connections } from './connections.js';
import { deferContinue } from './continue.js';

export interface Listening {
  /** With the real port. */
  address: ListenAddress;
  /** What the log says of the addresses behind a name. */
  bound: string;
}

export class Listener {
  readonly #connections: Connections;
  #servers: readonly Server[] = [];
  #socket: UnixSocket | undefined;
  /** Connections refused for max_connections. */
  #refused = 0;

  constructor(
    handler: RequestListener,
    private readonly settings: DaemonSettings['http'],
    private readonly logger: Logger,
  ) {
    this.#connections = new Connections(handler);
  }

  /** @throws START_FAILED, what the system says */
  async listen(address: ListenAddress): Promise<Listening> {
    if (address.kind === 'unix') {
      const server = this.#make();
      this.#socket = await UnixSocket.bind(server, address.path);
      this.#servers = [server];
      return { address, bound: '' };
    }
    const { servers, port, addresses } = await listenTcp(() => this.#make(), address);
    // All of them are of `#make`.
    this.#servers = servers as Server[];
    return { address: { ...address, port }, bound: boundTo(address.host, addresses) };
  }

  /** Takes no new requests, waits for those in flight, at most `drainTimeoutMs`. @returns whether all of them ended */
  async close(drainTimeoutMs: number): Promise<boolean> {
    let isDrained = true;
    this.#connections.stop();
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
      // Time-outs count lack of progress; a long transfer is none. Bodies are watched by their reader.
      requestTimeout: 0,
      keepAliveTimeout: settings.keep_alive_timeout_ms,
      connectionsCheckingInterval: Math.min(5000, Math.ceil(settings.progress_timeout_ms / 4)),
      // The guard asks for it, as node:http would refuse without saying why.
      requireHostHeader: false,
    });
    // From the first moment on: connections come while the next address is bound.
    server.once('listening', () => goOnAfterFailures(server, logger));
    // node:http would drop headers beyond a number; their size has a limit already.
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
