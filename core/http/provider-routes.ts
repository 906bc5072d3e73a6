/**
 * What providers serve below `/v1/providers/{name}/`: their own routes. Fastify accepts no routes
 * once it listens, and providers start later, so one wildcard leads to all their routes. The
 * daemon's own routes take precedence.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BedrockError, invalid } from '../base/errors.js';
import {
  Answer,
  type ByteStream,
  isAnswer,
  RESERVED_STEPS,
  ROUTE_METHODS,
  type RouteMethod,
  scopeOfRoute,
} from '../contract/route.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { RouteMatch } from '../runtime/route-table.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import { NEED } from '../security/identity.js';
import type { AnswerMemory } from './answer-memory.js';
import type { HttpAudit } from './http-audit.js';
import { announcedSize, type BodyLimits, hasBody, type JsonLimits, readBody, readText } from './body.js';
import { ClientGone } from './problem.js';
import { optionalNumber } from './query.js';
import { sendAnswer } from './send-answer.js';

export interface ProviderRoutesOptions {
  providers: ProviderManager;
  /** For bodies of bytes. */
  limits: BodyLimits;
  /** For JSON bodies. */
  jsonLimits: JsonLimits;
  answers: AnswerMemory;
  /** Logs the failure of a response that may have already begun, so that the client can no longer be told. */
  logFailure: (request: FastifyRequest, error: unknown) => void;
  audit: HttpAudit | undefined;
}

interface WildcardParams {
  provider: string;
  '*': string;
}

const PROVIDER = '/v1/providers/:provider';

/** The routes of all providers. */
export function addProviderRoutes(app: FastifyInstance, options: ProviderRoutesOptions): void {
  // How a body is read depends on the provider's route.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.route<{ Params: WildcardParams }>({
    method: [...ROUTE_METHODS, 'HEAD', 'OPTIONS'],
    url: `${PROVIDER}/*`,
    schema: { hide: true },
    config: { access: { scope: 'read', of: 'some' } },
    handler: (request, reply) => dispatch(request, reply, options),
  });
}

async function dispatch(
  request: FastifyRequest<{ Params: WildcardParams }>,
  reply: FastifyReply,
  options: ProviderRoutesOptions,
): Promise<unknown> {
  const { provider: name, '*': rest } = request.params;
  // From the undecoded URL: a %2f within a step does not separate steps.
  const steps = stepsOf(request.raw.url ?? '', rest);
  if (RESERVED_STEPS.has(steps[0] ?? '') || rest === '') return reply.callNotFound();
  const provider = options.providers.get(name);
  const match = provider.routes.find(request.method, steps);
  if (match === undefined) return reply.callNotFound();
  if (match instanceof Set) {
    const allowed = [...(match as ReadonlySet<string>), 'OPTIONS'].join(', ');
    reply.header('allow', allowed);
    if (request.method === 'OPTIONS') return reply.code(204).send();
    throw new BedrockError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not allowed here; allowed are ${allowed}`,
    );
  }
  const { route } = match as RouteMatch;
  const scope = scopeOfRoute(route);
  if (scope === 'admin') options.audit?.watch(request, reply);
  request.authority?.requireProvider(NEED[scope], provider.name);
  if (provider.state !== 'running')
    throw new BedrockError('NOT_READY', `provider "${provider.name}" is ${provider.state}`);
  return provider.requests.during(async () => {
    const answer = await answerOf(request, reply.raw, provider, match as RouteMatch, options);
    const whole = isAnswer(answer) ? answer : new Answer(answer === undefined ? 204 : 200, answer);
    return sendAnswer(reply, whole, options.answers, (error) => options.logFailure(request, error));
  });
}

/** The steps below the provider, each decoded separately. Fastify has already refused malformed URLs. */
function stepsOf(url: string, rest: string): string[] {
  const [, below] = /^(?:https?:\/\/[^/?#]*)?\/v1\/providers\/[^/?#]*\/([^?#]*)/i.exec(url) ?? [];
  return (below ?? rest).split('/').map((step) => decodeURIComponent(step));
}

async function answerOf(
  request: FastifyRequest,
  response: ServerResponse,
  { executionPool }: RunningProvider,
  { route, params, validBody }: RouteMatch,
  options: ProviderRoutesOptions,
): Promise<unknown> {
  const query = queryOf(request, route.query ?? [], route.body === 'bytes');
  const call = (body: unknown): unknown =>
    route.handle({
      method: (request.method === 'HEAD' ? 'GET' : request.method) as RouteMethod,
      path: `/${(request.params as WildcardParams)['*']}`,
      params,
      query,
      headers: request.headers,
      body,
    });
  if (route.body === 'bytes') {
    const size = announcedSize(request.raw, optionalNumber('size', query.size), options.limits);
    // Refuses if the execution pool is full. After that each piece is admitted separately, so that
    // a slow client holds no admission in between.
    await executionPool.run(() => undefined);
    const pieces = executionPool.pace(readBody(request.raw, size, options.limits));
    return call(untilAnswered(pieces, size, response));
  }
  const body = validBody(await jsonOf(request, route.body?.isOptional, options.jsonLimits));
  return executionPool.run(() => call(body));
}

/**
 * Provides a body until its request is answered: a provider that never returns from a piece must
 * not keep its admission.
 */
function untilAnswered(
  pieces: AsyncGenerator<Uint8Array>,
  size: number,
  response: ServerResponse,
): ByteStream {
  let isOver = false;
  response.once('close', () => {
    isOver = true;
    // Not awaited: a piece that was requested comes, or fails, by itself.
    pieces.return(undefined).catch(() => undefined);
  });
  const iterator = {
    // Ending here would look like the end of the body.
    next: () => (isOver ? Promise.reject(new ClientGone('the request is over')) : pieces.next()),
    return: () => pieces.return(undefined),
  };
  return { size, [Symbol.asyncIterator]: () => iterator };
}

function queryOf(
  request: FastifyRequest,
  known: readonly string[],
  hasSize: boolean,
): Record<string, string> {
  const given = request.query as Record<string, string | string[]>;
  const names = hasSize ? [...known, 'size'] : known;
  for (const [name, value] of Object.entries(given)) {
    if (!names.includes(name)) {
      const allowed = names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`;
      throw invalid(`?${name}= means nothing here; ${allowed}`);
    }
    if (typeof value !== 'string') throw invalid(`?${name}= is given more than once`);
    if (name === 'size' && hasSize && !/^\d{1,16}$/.test(value))
      throw invalid(`?size=${value} is not a number of bytes`);
  }
  return given as Record<string, string>;
}

/** @param isOptional whether the body may be left out; undefined if the route takes none */
async function jsonOf(
  { raw, headers }: FastifyRequest,
  isOptional: boolean | undefined,
  limits: JsonLimits,
): Promise<unknown> {
  const isThere = hasBody(raw) && headers['content-length'] !== '0';
  if (isOptional === undefined) {
    if (isThere) throw invalid('this route takes no body');
    return undefined;
  }
  // Must be announced as JSON, which a form of a foreign web page cannot do.
  if (isThere && !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new BedrockError('UNSUPPORTED_MEDIA_TYPE', 'the body must be JSON: Content-Type: application/json');
  const text = isThere ? await readText(raw, limits) : '';
  if (text === '') {
    if (isOptional) return {};
    throw invalid('this route needs a body in JSON');
  }
  try {
    return JSON.parse(text, withoutPrototypes) as unknown;
  } catch (cause) {
    throw invalid(`the body is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Such a key is an attempt to change more than a value. */
function withoutPrototypes(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('it has a key __proto__');
  return value;
}
