/**
 * What the HTTP door does with a request, wherever that comes from: Fastify with the limits, the guard against foreign web pages and the
 * error table in front of the routes, and before it the fast path for small requests.
 */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { types } from 'node:util';
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { encodeText } from '../base/allocation.js';
import { BedrockError, failureRecord } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { isInstance, propertyOf } from '../base/plain.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import type { ListenAddress } from '../net/address.js';
import { ByteBudget } from '../net/byte-budget.js';
import type { AnswerMemory } from './answer-memory.js';
import { compilers } from './compilers.js';
import { tellBrowsers } from './cors.js';
import { addDaemonRoutes, ALWAYS_SERVED, type DaemonRoutesOptions } from './daemon-routes.js';
import { createGuard, originsOf } from './guard.js';
import { invalidRequest } from './invalid-request.js';
import { takeJsonBodies } from './json-body.js';
import { describeRoutes } from './openapi.js';
import { isHandedOver } from './operations.js';
import { ClientGone, sendable, sendProblem, toBedrockError } from './problem.js';
import { addAdministrationRoutes, addProviderRoutes } from './provider-routes.js';
import { addPersistRoute, addRegionRoutes } from './region-routes.js';
import { addSchemas } from './schemas.js';
import { answerSmallRequests } from './small-requests.js';
import { answerUnknownRoutes } from './unknown-routes.js';

/** What bodies in JSON that are on their way may take together; more where a single one may be that large. */
const GATHERED_BYTES = 64 * 2 ** 20;

/** Shorter texts are sent as they are. */
const LONG_TEXT = 2 ** 12;

export interface HttpAppOptions extends Omit<DaemonRoutesOptions, 'isReady' | 'document'> {
  address: ListenAddress;
  settings: DaemonSettings;
  version: string;
  logger: Logger;
  /** For answers on their way. */
  answers: AnswerMemory;
  /** Folder that relative paths in requests count from. */
  directory: string;
}

/** Asked anew for each request. */
export interface HttpAppState {
  /** Whether requests are served; if not they get NOT_READY. */
  readonly isReady: boolean;
  readonly isStopping: boolean;
}

export interface HttpApp {
  readonly handle: RequestListener;
  close(): Promise<void>;
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

export async function buildHttpApp(options: HttpAppOptions, state: HttpAppState): Promise<HttpApp> {
  const { settings, address, providers, version, answers } = options;
  const progressTimeoutMs = settings.http.progress_timeout_ms;
  const guard = createGuard({
    address,
    allowedHosts: settings.http.allowed_hosts,
    allowedOrigins: settings.http.allowed_origins,
  });
  const limits = { maxBodyBytes: settings.http.max_body_bytes, progressTimeoutMs };
  let routes: RequestListener | undefined;
  const app = Fastify({
    // Fastify wants one server; ours are one for each address.
    serverFactory: (listener) => {
      routes = listener;
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
    if (state.isStopping) reply.header('connection', 'close');
    guard(request.raw);
    const path = request.routeOptions.url ?? '';
    if (!state.isReady && !ALWAYS_SERVED.has(path) && !isHandedOver(request.raw)) {
      const what = state.isStopping ? 'stopping' : 'starting';
      throw new BedrockError('NOT_READY', `the daemon is ${what}; try again later`);
    }
    done();
  });
  app.addHook('onSend', ({ routeOptions }, { raw, statusCode }, payload, done) => {
    // Not an error in place of an error, and nothing in place of what tells how the daemon does.
    const isRefusable = statusCode < 400 && !ALWAYS_SERVED.has(routeOptions.url ?? '');
    const hold = (bytes: number): void =>
      isRefusable ? answers.hold(raw, bytes) : answers.force(raw, bytes);
    if (payload instanceof Uint8Array) hold(payload.length);
    if (typeof payload !== 'string' || payload.length < LONG_TEXT) {
      done(null, payload);
      return;
    }
    hold(Buffer.byteLength(payload));
    // A text that is sent as one would be kept beside its bytes.
    done(null, encodeText(payload));
  });
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof ClientGone) {
      reply.hijack();
      request.raw.destroy();
      return;
    }
    const known = unknownMethod(request, error) ?? toBedrockError(error);
    logInternal(options.logger, request, known);
    return sendProblem(known, request, reply);
  });

  // Fastify looks into what a handler throws, which may throw in turn.
  app.addHook('onRoute', (route) => {
    route.handler = catching(route.handler);
  });
  const document = describeRoutes(app, version);
  addSchemas(app);
  // A body that no route asked for is not read.
  app.removeAllContentTypeParsers();
  answerUnknownRoutes(app);
  const logFailure = (request: FastifyRequest, error: unknown): void => {
    if (!isInstance(error, ClientGone)) logInternal(options.logger, request, toBedrockError(error));
  };
  const daemonRoutes = { ...options, isReady: () => state.isReady, document };
  const jsonLimits = {
    maxBodyBytes: settings.http.max_json_body_bytes,
    progressTimeoutMs,
    gathering: new ByteBudget(Math.max(GATHERED_BYTES, 4 * settings.http.max_json_body_bytes)),
  };
  await addScope(app, 'daemon routes', (scope) => {
    takeJsonBodies(scope, jsonLimits);
    addDaemonRoutes(scope, daemonRoutes);
    addPersistRoute(scope, { providers });
    addAdministrationRoutes(scope, { providers, directory: options.directory });
  });
  await addScope(app, 'provider routes', (scope) =>
    addProviderRoutes(scope, { providers, limits, jsonLimits, answers, logFailure }),
  );
  await addScope(app, 'region routes', (scope) =>
    addRegionRoutes(scope, { providers, limits, answers, logFailure }),
  );
  await app.ready();
  if (routes === undefined) throw new BedrockError('INTERNAL', 'there is nothing to listen with');
  return { handle: requestsTo(routes, options, state, guard), close: () => app.close() };
}

/** Routes with hooks of their own. Without a name Fastify looks for one twice, in every module that the process has loaded. */
async function addScope(
  app: FastifyInstance,
  name: string,
  add: (scope: FastifyInstance) => void,
): Promise<void> {
  const plugin = (scope: FastifyInstance, _options: unknown, done: () => void): void => {
    add(scope);
    done();
  };
  await app.register(Object.assign(plugin, { [Symbol.for('fastify.display-name')]: name }));
}

/** What requests go through, from the outside to the routes. */
function requestsTo(
  routes: RequestListener,
  { settings, providers, answers }: HttpAppOptions,
  state: HttpAppState,
  guard: (request: IncomingMessage) => void,
): RequestListener {
  const { allowed_origins: allowed, max_body_bytes: maxBodyBytes } = settings.http;
  const limits = { maxBodyBytes, progressTimeoutMs: settings.http.progress_timeout_ms };
  const isReady = (): boolean => state.isReady;
  const small = answerSmallRequests({ providers, limits, answers, isReady, guard, otherwise: routes });
  const origins = originsOf(allowed);
  return origins.size === 0 ? small : tellBrowsers({ origins, guard, otherwise: small });
}

/** What the client is only told to be INTERNAL stands in the log. */
function logInternal(logger: Logger, { method, url }: FastifyRequest, error: BedrockError): void {
  if (error.code !== 'INTERNAL') return;
  const { message, stack } = failureRecord(error);
  logger.error(`${method} ${url} failed: ${message}`, { method, url, stack });
}
