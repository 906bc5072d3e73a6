/**
 * Builds the request handler of the HTTP door: Fastify with the routes, the limits, the guard
 * against foreign web pages and the error table, and in front of it the fast path for small
 * requests.
 */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { types } from 'node:util';
import Fastify, { type FastifyInstance, type FastifyRequest, type RouteHandlerMethod } from 'fastify';
import { encodeText } from '../base/allocation.js';
import { BedrockError, failureRecord } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { isInstance, propertyOf } from '../base/plain.js';
import { tracing } from '../base/tracing.js';
import type { DaemonSettings } from '../config/resolved-config.js';
import { DEFAULT_MAX_TRANSACTION_BYTES } from '../contract/names.js';
import type { ListenAddress } from '../net/address.js';
import { ByteBudget } from '../net/byte-budget.js';
import type { Access } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import type { Limits } from '../security/limits.js';
import type { AnswerMemory } from './answer-memory.js';
import type { BodyLimits } from './body.js';
import { addRenameRoutes, addTransactionRoute } from './change-routes.js';
import { compilers } from './compilers.js';
import { addConfigurationRoutes } from './configuration-routes.js';
import { tellBrowsers } from './cors.js';
import { addDaemonRoutes, ALWAYS_SERVED, type DaemonRoutesOptions } from './daemon-routes.js';
import { addDashboard } from './dashboard-files.js';
import { createGuard, originsOf } from './guard.js';
import { HttpAudit } from './http-audit.js';
import { invalidRequest } from './invalid-request.js';
import { takeJsonBodies } from './json-body.js';
import { addNameRoutes } from './name-routes.js';
import { describeRoutes } from './openapi.js';
import { LiveStatus } from './live-status.js';
import { isHandedOver } from './operations.js';
import { ClientGone, sendable, sendProblem, toBedrockError } from './problem.js';
import { addAdministrationRoutes, addOperationRoutes } from './operation-routes.js';
import { addProviderRoutes } from './provider-routes.js';
import { refuseOtherText } from './region-ref.js';
import { isAdministrative, RequestAccess } from './route-access.js';
import { addPersistRoute, addRegionRoutes } from './region-routes.js';
import { RequestLimits } from './request-limits.js';
import { addSchemas } from './schemas.js';
import { withSecurityHeaders } from './security-headers.js';
import { answerSmallRequests } from './small-requests.js';
import { addSpaceRoute } from './space-route.js';
import { addStatusRoutes } from './status-routes.js';
import { answerUnknownRoutes } from './unknown-routes.js';

/** Maximum memory of all JSON bodies that are being received; more if a single one may be larger. */
const GATHERED_BYTES = 64 * 2 ** 20;

/** Enough for a transaction of a target without its own limit, with its names and in base64. */
const TRANSACTION_JSON_BYTES = 2 * DEFAULT_MAX_TRANSACTION_BYTES;

/** Shorter texts are sent unchanged. */
const LONG_TEXT = 2 ** 12;

export interface HttpAppOptions extends Omit<DaemonRoutesOptions, 'isReady' | 'document' | 'asksWho'> {
  address: ListenAddress;
  settings: DaemonSettings;
  version: string;
  logger: Logger;
  /** Memory for answers that are being sent. */
  answers: AnswerMemory;
  /** The present status of the daemon. */
  status: () => Promise<object>;
  /** Open connections of all doors, at most `limit` of them, and how many there are. */
  connections: (limit: number) => object;
  /** Who may use the daemon; undefined: everybody. */
  access: Access | undefined;
  /** Where administrative calls and refusals are recorded. */
  audit?: AuditLog | undefined;
  /** How much a client may request. */
  limits?: Limits | undefined;
  /** Sockets that listen already, in place of the address. */
  inherited?: readonly number[] | undefined;
}

/** State that is read again for each request. */
export interface HttpAppState {
  /** Whether requests are served; otherwise they get NOT_READY. */
  readonly isServing: boolean;
  readonly isStopping: boolean;
}

export interface HttpApp {
  readonly handle: RequestListener;
  /** Number of connections that were closed because they sent JSON too slowly. */
  readonly evictedBodies: () => number;
  /** Ends the answers that would never end by themselves. */
  endStreams(): void;
  close(): Promise<void>;
}

/** Wraps a handler so that it throws only errors that can be sent. */
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

/** A method that Fastify does not know has no route that could answer this (RFC 9110, 9.1). */
function unknownMethod({ method }: FastifyRequest, error: unknown): BedrockError | undefined {
  if (propertyOf(error, 'code') !== 'FST_ERR_NOT_FOUND') return undefined;
  return new BedrockError('NOT_SUPPORTED', `the method ${method} is not known here`);
}

export async function buildHttpApp(options: HttpAppOptions, state: HttpAppState): Promise<HttpApp> {
  const { settings, address, providers, version, answers } = options;
  const guard = createGuard({
    address,
    allowedHosts: settings.http.allowed_hosts,
    allowedOrigins: settings.http.allowed_origins,
  });
  const limits = bodyLimits(settings);
  const access = options.access && new RequestAccess(options.access, providers, options.limits);
  const counted =
    options.limits?.countsRequests === true ? new RequestLimits(options.limits, access) : undefined;
  const audit = options.audit && new HttpAudit(options.audit, (request) => access?.whoSends(request));
  let routes: RequestListener | undefined;
  const app = Fastify({
    // Fastify expects one server; this door has one for each address.
    serverFactory: (listener) => {
      routes = listener;
      return createServer();
    },
    return503OnClosing: false,
    forceCloseConnections: false,
    exposeHeadRoutes: true,
    // Only the limit of all headers together applies.
    routerOptions: { maxParamLength: settings.http.max_header_bytes },
    schemaController: { compilersFactory: compilers },
    schemaErrorFormatter: invalidRequest,
    frameworkErrors: (error, request, reply) => void sendProblem(toBedrockError(error), request, reply),
  });
  app.decorateRequest('authority', undefined);
  app.addHook('onRequest', (request, reply, done) => {
    if (state.isStopping) reply.header('connection', 'close');
    counted?.check(request.raw);
    guard(request.raw);
    access?.admit(request);
    if (isAdministrative(request)) audit?.watch(request, reply);
    const path = request.routeOptions.url ?? '';
    if (!state.isServing && !ALWAYS_SERVED.has(path) && !isHandedOver(request.raw)) {
      const what = state.isStopping ? 'stopping' : 'starting';
      throw new BedrockError('NOT_READY', `the daemon is ${what}; try again later`);
    }
    done();
  });
  app.addHook('onSend', ({ routeOptions }, { raw, statusCode }, payload, done) => {
    // Never replaces an error with another error, and never refuses answers that report the state
    // of the daemon.
    const isRefusable = statusCode < 400 && !ALWAYS_SERVED.has(routeOptions.url ?? '');
    const hold = (bytes: number): void =>
      isRefusable ? answers.hold(raw, bytes) : answers.force(raw, bytes);
    if (payload instanceof Uint8Array) hold(payload.length);
    if (typeof payload !== 'string' || payload.length < LONG_TEXT) {
      done(null, payload);
      return;
    }
    hold(Buffer.byteLength(payload));
    // If the text were sent as a string, it would be kept in memory beside its bytes.
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
    audit?.noteError(request, known);
    return sendProblem(known, request, reply);
  });

  // Fastify inspects what a handler throws, and that may throw too.
  app.addHook('onRoute', (route) => {
    route.handler = catching(route.handler);
  });
  const document = describeRoutes(app, version, access !== undefined);
  addSchemas(app);
  // A body that no route asks for is not read.
  app.removeAllContentTypeParsers();
  answerUnknownRoutes(app);
  const logFailure = (request: FastifyRequest, error: unknown): void => {
    if (!isInstance(error, ClientGone)) logInternal(options.logger, request, toBedrockError(error));
  };
  const asksWho = access !== undefined;
  const daemonRoutes = { ...options, asksWho, isReady: () => state.isServing, document };
  const gathering = new ByteBudget(Math.max(GATHERED_BYTES, 4 * settings.http.max_json_body_bytes));
  const jsonLimits = {
    ...limits,
    maxBodyBytes: settings.http.max_json_body_bytes,
    gathering,
  };
  const live = new LiveStatus(options.status, answers, options.logger);
  await addScope(app, 'daemon routes', (scope) => {
    takeJsonBodies(scope, jsonLimits);
    addDaemonRoutes(scope, daemonRoutes);
    addConfigurationRoutes(scope, options);
    addPersistRoute(scope, { providers });
    addAdministrationRoutes(scope, { providers });
    addOperationRoutes(scope, { providers });
    addStatusRoutes(scope, { status: options.status, connections: options.connections, live, access });
    addSpaceRoute(scope, { providers });
    if (settings.http.dashboard) addDashboard(scope);
  });
  await addScope(app, 'provider routes', (scope) =>
    addProviderRoutes(scope, { providers, limits, jsonLimits, answers, logFailure, audit }),
  );
  await addScope(app, 'region routes', (scope) => {
    scope.addHook('onRequest', refuseOtherText);
    addRegionRoutes(scope, { providers, limits, answers, logFailure });
    addNameRoutes(scope, { providers, limits, answers, logFailure });
  });
  await addScope(app, 'change routes', (scope) => {
    scope.addHook('onRequest', refuseOtherText);
    const maxBodyBytes = Math.max(jsonLimits.maxBodyBytes, TRANSACTION_JSON_BYTES);
    takeJsonBodies(scope, { ...jsonLimits, maxBodyBytes });
    addRenameRoutes(scope, { providers });
    addTransactionRoute(scope, { providers });
  });
  await app.ready();
  if (routes === undefined) throw new BedrockError('INTERNAL', 'there is nothing to listen with');
  return {
    handle: traced(requestsTo(routes, options, state, { guard, access, counted })),
    evictedBodies: () => gathering.evicted,
    endStreams: () => live.close(),
    close: () => app.close(),
  };
}

/** With a span for each request, if there are spans. */
function traced(handle: RequestListener): RequestListener {
  const spans = tracing;
  if (spans === undefined) return handle;
  return (request, response) => spans.during('http', request.headers, () => handle(request, response));
}

/**
 * Adds routes with hooks of their own. Without a name, Fastify searches for one twice, in all
 * modules that the process has loaded.
 */
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

function bodyLimits({ http }: DaemonSettings): BodyLimits {
  return {
    maxBodyBytes: http.max_body_bytes,
    progressTimeoutMs: http.progress_timeout_ms,
    minRate: http.min_body_rate,
  };
}

/** Chains the steps that a request passes, from the outside to the routes. */
function requestsTo(
  routes: RequestListener,
  { settings, providers, answers }: HttpAppOptions,
  state: HttpAppState,
  {
    guard,
    access,
    counted,
  }: {
    guard: (request: IncomingMessage) => void;
    access: RequestAccess | undefined;
    counted: RequestLimits | undefined;
  },
): RequestListener {
  const { allowed_origins: allowed } = settings.http;
  const limits = bodyLimits(settings);
  const isReady = (): boolean => state.isServing;
  const otherwise = withSecurityHeaders(routes);
  const admitted = counted === undefined ? guard : counted.before(guard);
  const small = answerSmallRequests({
    providers,
    limits,
    answers,
    isReady,
    guard: admitted,
    access,
    otherwise,
  });
  const origins = originsOf(allowed);
  const handle = origins.size === 0 ? small : tellBrowsers({ origins, guard, otherwise: small });
  return counted === undefined ? handle : counted.counting(handle);
}

/** Logs an error of which the client learns only that it is INTERNAL. */
function logInternal(logger: Logger, { method, url }: FastifyRequest, error: BedrockError): void {
  if (error.code !== 'INTERNAL') return;
  const { message, stack } = failureRecord(error);
  logger.error(`${method} ${url} failed: ${message}`, { method, url, stack });
}
