/**
 * The HTTP front door: Fastify, with the limits, the guard against foreign web pages and the error table in front of the routes.
 *
 * It listens before the providers are up and answers NOT_READY until they are. When it stops it takes no new requests, lets
 * those in flight end, and after the drain time-out closes their connections.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { chmod } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { types } from 'node:util';
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { formatAddress, type ListenAddress } from '../config/address.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import { BedrockError, failureRecord } from '../errors.js';
import type { Logger } from '../logging.js';
import { isInstance } from '../plain.js';
import { listenFailure, removeStaleSocket } from '../net/listening.js';
import { compilers } from './compilers.js';
import { Connections } from './connections.js';
import { deferContinue } from './continue.js';
import { addDaemonRoutes, ALWAYS_SERVED, type DaemonRoutesOptions } from './daemon-routes.js';
import { createGuard } from './guard.js';
import { invalidRequest } from './invalid-request.js';
import { takeJsonBodies } from './json-body.js';
import { describeRoutes } from './openapi.js';
import { isHandedOver } from './operations.js';
import { ClientGone, sendProblem, sendable, toBedrockError } from './problem.js';
import { addAdministrationRoutes, addProviderRoutes } from './provider-routes.js';
import { addPersistRoute, addRegionRoutes } from './region-routes.js';
import { addSchemas } from './schemas.js';
import { answerSmallRequests } from './small-requests.js';
import { answerUnknownRoutes } from './unknown-routes.js';

export interface HttpServerOptions extends Omit<DaemonRoutesOptions, 'isReady'> {
  address: ListenAddress;
  settings: DaemonSettings;
  version: string;
  logger: Logger;
  /** Folder that relative paths in requests count from. */
  directory: string;
}

/** A handler that throws only what can be sent. */
function catching(handler: RouteHandlerMethod): RouteHandlerMethod {
  return function (request, reply) {
    try {
      const answer: unknown = handler.call(this, request, reply);
      return types.isPromise(answer)
        ? answer.catch((thrown: unknown) => {
            throw sendable(thrown);
          })
        : answer;
    } catch (thrown) {
      throw sendable(thrown);
    }
  };
}

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isReady = false;
  #isStopping = false;
  #app: FastifyInstance | undefined;
  #connections: Connections | undefined;
  /** Connections refused for max_connections. */
  #refused = 0;

  constructor(private readonly options: HttpServerOptions) {}

  /**
   * Begins to listen.
   * @returns the address, with the real port
   * @throws START_FAILED
   */
  async listen(): Promise<ListenAddress> {
    const app = await this.#build();
    this.#app = app;
    const { address } = this.options;
    try {
      if (address.kind === 'tcp') {
        await app.listen({ host: address.host, port: address.port });
        return { ...address, port: (app.server.address() as AddressInfo).port };
      }
      await removeStaleSocket(address.path);
      await app.listen({ path: address.path });
      await chmod(address.path, 0o600);
      return address;
    } catch (cause) {
      await app.close();
      const at = address.kind === 'unix' ? { path: address.path } : { port: address.port };
      throw await listenFailure(formatAddress(address), at, cause);
    }
  }

  /** Takes no new requests, waits for those in flight, at most `drainTimeoutMs`. @returns whether all of them ended */
  async close(drainTimeoutMs: number): Promise<boolean> {
    const app = this.#app;
    if (app === undefined) return true;
    this.isReady = false;
    this.#isStopping = true;
    let isDrained = true;
    this.#connections?.stop();
    const late = setTimeout(() => {
      isDrained = false;
      this.#connections?.destroy();
    }, drainTimeoutMs);
    try {
      await app.close();
    } finally {
      clearTimeout(late);
    }
    return isDrained;
  }

  async #build(): Promise<FastifyInstance> {
    const { settings, address, providers, version } = this.options;
    const progressTimeoutMs = settings.http.progress_timeout_ms;
    const guard = createGuard({
      address,
      allowedHosts: settings.http.allowed_hosts,
      allowedOrigins: settings.http.allowed_origins,
    });
    const limits = { maxBodyBytes: settings.http.max_body_bytes, progressTimeoutMs };
    const app = Fastify({
      serverFactory: (routes) =>
        this.#createServer(
          answerSmallRequests({ providers, limits, isReady: () => this.isReady, guard, otherwise: routes }),
        ),
      clientErrorHandler: (error, socket) => this.#connections?.fail(error, socket),
      return503OnClosing: false,
      forceCloseConnections: false,
      exposeHeadRoutes: true,
      // The limit is that of all headers together.
      routerOptions: { maxParamLength: settings.http.max_header_bytes },
      schemaController: { compilersFactory: compilers },
      schemaErrorFormatter: invalidRequest,
      frameworkErrors: (error, request, reply) => void sendProblem(toBedrockError(error), request, reply),
    });
    app.addHook('onRequest', (request, reply, done) => {
      if (this.#isStopping) reply.header('connection', 'close');
      guard(request.raw);
      const path = request.routeOptions.url ?? '';
      if (!this.isReady && !ALWAYS_SERVED.has(path) && !isHandedOver(request.raw)) {
        const what = this.#isStopping ? 'stopping' : 'starting';
        throw new BedrockError('NOT_READY', `the daemon is ${what}; try again later`);
      }
      done();
    });
    app.setErrorHandler((error, request, reply) => {
      if (error instanceof ClientGone) {
        reply.hijack();
        request.raw.destroy();
        return;
      }
      const known = toBedrockError(error);
      this.#logInternal(request, known);
      return sendProblem(known, request, reply);
    });

    // Fastify looks into what a handler throws, which may throw in turn.
    app.addHook('onRoute', (route) => {
      route.handler = catching(route.handler);
    });
    await describeRoutes(app, version);
    addSchemas(app);
    // A body that no route asked for is not read.
    app.removeAllContentTypeParsers();
    answerUnknownRoutes(app);
    const logFailure = (request: FastifyRequest, error: unknown): void => {
      if (!isInstance(error, ClientGone)) this.#logInternal(request, toBedrockError(error));
    };
    const daemonRoutes = { ...this.options, isReady: () => this.isReady };
    const jsonLimits = { maxBodyBytes: settings.http.max_json_body_bytes, progressTimeoutMs };
    await app.register((scope, _options, done) => {
      takeJsonBodies(scope, jsonLimits);
      addDaemonRoutes(scope, daemonRoutes);
      addPersistRoute(scope, { providers });
      addAdministrationRoutes(scope, { providers, directory: this.options.directory });
      done();
    });
    await app.register((scope, _options, done) => {
      addProviderRoutes(scope, { providers, limits, jsonLimits, logFailure });
      done();
    });
    await app.register((scope, _options, done) => {
      addRegionRoutes(scope, { providers, limits, logFailure });
      done();
    });
    await app.ready();
    return app;
  }

  #createServer(handler: RequestListener): Server {
    const { settings, logger } = this.options;
    const { http } = settings;
    const server = createServer({
      maxHeaderSize: http.max_header_bytes,
      headersTimeout: http.progress_timeout_ms,
      // Time-outs count lack of progress; a long transfer is none. Bodies are watched by their reader.
      requestTimeout: 0,
      keepAliveTimeout: http.keep_alive_timeout_ms,
      connectionsCheckingInterval: Math.min(5000, Math.ceil(http.progress_timeout_ms / 4)),
      // The guard asks for it, as node:http would refuse without saying why.
      requireHostHeader: false,
    });
    // node:http would drop headers beyond a number; their size has a limit already.
    server.maxHeadersCount = 0;
    server.maxConnections = http.max_connections;
    server.on('drop', () => {
      if (this.#refused++ > 0) return;
      logger.warning(
        `more than bedrock.http.max_connections, ${http.max_connections}: further connections are closed`,
      );
    });
    this.#connections = new Connections(handler);
    this.#connections.watch(server, http.progress_timeout_ms);
    deferContinue(server);
    return server;
  }

  /** What the client is only told to be INTERNAL stands in the log. */
  #logInternal({ method, url }: FastifyRequest, error: BedrockError): void {
    if (error.code !== 'INTERNAL') return;
    const { message, stack } = failureRecord(error);
    this.options.logger.error(`${method} ${url} failed: ${message}`, { method, url, stack });
  }
}
