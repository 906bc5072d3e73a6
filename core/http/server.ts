/**
 * The HTTP front door: Fastify, with the limits, the guard against foreign web pages and the error table in front of the routes.
 *
 * It listens before the providers are up and answers NOT_READY until they are. When it stops it takes no new requests, lets
 * those in flight end, and after the drain time-out closes their connections.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, type AddressInfo, type Socket } from 'node:net';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { formatAddress, type ListenAddress } from '../config/address.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import type { Logger } from '../logging.js';
import { askForBody, deferContinue } from './continue.js';
import { addDaemonRoutes, ALWAYS_SERVED, type DaemonRoutesOptions } from './daemon-routes.js';
import { createGuard } from './guard.js';
import { answerClientError, ClientGone, sendProblem, toBedrockError } from './problem.js';
import { addPersistRoute, addRegionRoutes } from './region-routes.js';
import { addSchemas } from './schemas.js';

export interface HttpServerOptions extends Omit<DaemonRoutesOptions, 'isReady'> {
  address: ListenAddress;
  settings: DaemonSettings;
  version: string;
  logger: Logger;
}

/** How often the server looks for connections that fell idle while it stops. */
const IDLE_CHECK_MS = 50;

export class HttpServer {
  /** Whether requests are served; until then they get NOT_READY. */
  isReady = false;
  #isStopping = false;
  #app: FastifyInstance | undefined;
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
      throw listenFailure(address, cause);
    }
  }

  /** Takes no new requests, waits for those in flight, at most `drainTimeoutMs`. @returns whether all of them ended */
  async close(drainTimeoutMs: number): Promise<boolean> {
    const app = this.#app;
    if (app === undefined) return true;
    this.isReady = false;
    this.#isStopping = true;
    let isDrained = true;
    const idle = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS);
    const late = setTimeout(() => {
      isDrained = false;
      app.server.closeAllConnections();
    }, drainTimeoutMs);
    try {
      await app.close();
    } finally {
      clearInterval(idle);
      clearTimeout(late);
    }
    return isDrained;
  }

  async #build(): Promise<FastifyInstance> {
    const { settings, address, providers, version } = this.options;
    const limits = {
      maxBodyBytes: settings.http.max_body_bytes,
      progressTimeoutMs: settings.http.progress_timeout_ms,
    };
    const app = Fastify({
      serverFactory: (handler) => this.#createServer(handler),
      clientErrorHandler: answerClientError,
      bodyLimit: settings.http.max_json_body_bytes,
      return503OnClosing: false,
      forceCloseConnections: 'idle',
      exposeHeadRoutes: true,
      routerOptions: { maxParamLength: 1024 },
      ajv: {
        customOptions: {
          coerceTypes: false,
          removeAdditional: false,
          useDefaults: false,
          allErrors: true,
          allowUnionTypes: true,
        },
      },
      frameworkErrors: (error, request, reply) => void sendProblem(toBedrockError(error), request, reply),
    });
    const guard = createGuard({
      address,
      allowedHosts: settings.http.allowed_hosts,
      allowedOrigins: settings.http.allowed_origins,
    });
    app.addHook('onRequest', (request, reply, done) => {
      if (this.#isStopping) reply.header('connection', 'close');
      guard(request.raw);
      const path = request.routeOptions.url ?? '';
      if (!this.isReady && !ALWAYS_SERVED.has(path)) {
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
      if (known.code === 'INTERNAL') this.#logInternal(request.method, request.url, known);
      return sendProblem(known, request, reply);
    });

    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'bedrock-node',
          version,
          description: 'Regions of bytes, kept by the providers of a Bedrock daemon.',
        },
      },
      refResolver: {
        buildLocalReference: (json, _base, _fragment, index) =>
          typeof json.$id === 'string' ? json.$id : `schema-${index}`,
      },
    });
    addSchemas(app);
    answerUnknownRoutes(app);
    const daemonRoutes = { ...this.options, isReady: () => this.isReady };
    await app.register((scope, _options, done) => {
      scope.addHook('preParsing', (request, _reply, payload, next) => {
        askForBody(request.raw);
        next(null, payload);
      });
      addDaemonRoutes(scope, daemonRoutes);
      addPersistRoute(scope, { providers });
      done();
    });
    await app.register((scope, _options, done) => {
      addRegionRoutes(scope, { providers, limits });
      done();
    });
    await app.ready();
    return app;
  }

  #createServer(handler: RequestListener): Server {
    const { settings, logger } = this.options;
    const { http } = settings;
    const server = createServer(
      {
        maxHeaderSize: http.max_header_bytes,
        headersTimeout: http.progress_timeout_ms,
        // Time-outs count lack of progress; a long transfer is none. Bodies are watched by their reader.
        requestTimeout: 0,
        keepAliveTimeout: http.keep_alive_timeout_ms,
        connectionsCheckingInterval: Math.min(5000, Math.ceil(http.progress_timeout_ms / 4)),
      },
      handler,
    );
    server.maxConnections = http.max_connections;
    server.on('drop', () => {
      if (this.#refused++ > 0) return;
      logger.warning(
        `more than bedrock.http.max_connections, ${http.max_connections}: further connections are closed`,
      );
    });
    // A client that does not take its response. While the daemon itself is the one who is slow, nothing waits to be sent.
    server.setTimeout(http.progress_timeout_ms, (socket: Socket) => {
      if (socket.writableLength > 0) socket.destroy();
    });
    deferContinue(server);
    return server;
  }

  #logInternal(method: string, url: string, error: BedrockError): void {
    const { cause } = error;
    const stack = cause instanceof Error ? cause.stack : undefined;
    this.options.logger.error(`${method} ${url} failed: ${messageOf(cause)}`, { method, url, stack });
  }
}

/** Answers unknown paths with 404, and other methods of known paths with 405 and those that are allowed. */
function answerUnknownRoutes(app: FastifyInstance): void {
  const known = new Map<string, { matcher: RegExp; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const matcher = new RegExp(`^${url.replace(/:[^/]+/g, '[^/]+')}$`);
    const route = known.get(url) ?? { matcher, methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    known.set(url, route);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.replace(/[?#].*$/, '');
    const route = [...known.values()].find(({ matcher }) => matcher.test(path));
    if (route === undefined) {
      const text = `nothing is served under ${request.method} ${path}; see /openapi.json`;
      return sendProblem(new BedrockError('ROUTE_NOT_FOUND', text), request, reply);
    }
    const allowed = [...route.methods].join(', ');
    reply.header('allow', allowed);
    const text = `${request.method} is not allowed here; allowed are ${allowed}`;
    return sendProblem(new BedrockError('METHOD_NOT_ALLOWED', text), request, reply);
  });
}

/** Removes the socket that a daemon left which was killed. One that still answers stays. @throws START_FAILED */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new BedrockError('START_FAILED', `${path} exists and is no socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isAlive) throw new BedrockError('START_FAILED', `another process listens at unix:${path}`);
  await unlink(path);
}

function listenFailure(address: ListenAddress, cause: unknown): BedrockError {
  if (cause instanceof BedrockError) return cause;
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the address is in use; stop the other process or take another port (0 takes a free one)',
    EACCES: 'the system does not allow it; ports below 1024 and foreign folders need rights',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'the host name is not known',
    ENOENT: 'the folder of the socket does not exist',
  };
  const why = reasons[systemCodeOf(cause) ?? ''] ?? messageOf(cause);
  return new BedrockError('START_FAILED', `cannot listen at ${formatAddress(address)}: ${why}`, { cause });
}
