/**
 * The HTTP front door: Fastify, with the limits, the guard against foreign web pages and the error table in front of the routes.
 *
 * It listens before the providers are up and answers NOT_READY until they are. When it stops it takes no new requests, lets
 * those in flight end, and after the drain time-out closes their connections.
 */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { types } from 'node:util';
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { formatAddress, type ListenAddress } from '../config/address.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import { BedrockError, failureRecord } from '../errors.js';
import type { Logger } from '../logging.js';
import { listenFailure } from '../net/listening.js';
import { isInstance, propertyOf } from '../plain.js';
import { compilers } from './compilers.js';
import { tellBrowsers } from './cors.js';
import { addDaemonRoutes, ALWAYS_SERVED, type DaemonRoutesOptions } from './daemon-routes.js';
import { createGuard, originsOf } from './guard.js';
import { invalidRequest } from './invalid-request.js';
import { takeJsonBodies } from './json-body.js';
import { describeRoutes } from './openapi.js';
import { Listener, type Listening } from './listener.js';
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

/** A method that Fastify does not know has no route that could say so (RFC 9110, 9.1). */
function unknownMethod({ method }: FastifyRequest, error: unknown): BedrockError | undefined {
  if (propertyOf(error, 'code') !== 'FST_ERR_NOT_FOUND') return undefined;
  return new BedrockError('NOT_SUPPORTED', `the method ${method} means nothing here`);
}

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isReady = false;
  #isStopping = false;
  #app: FastifyInstance | undefined;
  #listener: Listener | undefined;

  constructor(private readonly options: HttpServerOptions) {}

  /**
   * Begins to listen.
   * @returns the address, with the real port
   * @throws START_FAILED
   */
  async listen(): Promise<Listening> {
    const app = await this.#build();
    this.#app = app;
    const { address } = this.options;
    try {
      if (this.#listener === undefined) throw new BedrockError('INTERNAL', 'there is nothing to listen with');
      return await this.#listener.listen(address);
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
    const isDrained = (await this.#listener?.close(drainTimeoutMs)) ?? true;
    await app.close();
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
      // Fastify wants one server; ours are one for each address.
      serverFactory: (routes) => {
        this.#listener = new Listener(this.#requestsTo(routes, guard), settings.http, this.options.logger);
        return createServer();
      },
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
      const known = unknownMethod(request, error) ?? toBedrockError(error);
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

  /** What requests go through, from the outside to the routes. */
  #requestsTo(routes: RequestListener, guard: (request: IncomingMessage) => void): RequestListener {
    const { settings, providers } = this.options;
    const { allowed_origins: allowed, max_body_bytes: maxBodyBytes } = settings.http;
    const limits = { maxBodyBytes, progressTimeoutMs: settings.http.progress_timeout_ms };
    const isReady = (): boolean => this.isReady;
    const small = answerSmallRequests({ providers, limits, isReady, guard, otherwise: routes });
    const origins = originsOf(allowed);
    return origins.size === 0 ? small : tellBrowsers({ origins, guard, otherwise: small });
  }

  /** What the client is only told to be INTERNAL stands in the log. */
  #logInternal({ method, url }: FastifyRequest, error: BedrockError): void {
    if (error.code !== 'INTERNAL') return;
    const { message, stack } = failureRecord(error);
    this.options.logger.error(`${method} ${url} failed: ${message}`, { method, url, stack });
  }
}
