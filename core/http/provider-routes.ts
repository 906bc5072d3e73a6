/**
 * What providers serve below `/v1/providers/{name}/`: routes of their own, and what can be asked of each (snapshot, restore,
 * migrate).
 *
 * Fastify takes no routes once it listens, and providers come up later, so one wildcard leads to all of theirs. What the daemon
 * itself serves goes before.
 */
import path from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BedrockError } from '../base/errors.js';
import type { MigrateRequest, SnapshotRequest } from '../contract/provider-state.js';
import {
  Answer,
  type ByteStream,
  isAnswer,
  RESERVED_STEPS,
  ROUTE_METHODS,
  type RouteMethod,
} from '../contract/route.js';
import { migrate, restore, snapshot } from '../runtime/administration.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { RouteMatch } from '../runtime/route-table.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import type { AnswerMemory } from './answer-memory.js';
import { announcedSize, type BodyLimits, hasBody, type JsonLimits, readBody, readText } from './body.js';
import { optionalNumber } from './query.js';
import { emptyResponse, parameters, part, PROBLEMS } from './schemas.js';
import { sendAnswer } from './send-answer.js';

export interface ProviderRoutesOptions {
  providers: ProviderManager;
  /** Of bodies of bytes. */
  limits: BodyLimits;
  /** Of bodies in JSON. */
  jsonLimits: JsonLimits;
  answers: AnswerMemory;
  /** Takes the failure of a response that may be under way already, and so can no longer tell the client. */
  logFailure: (request: FastifyRequest, error: unknown) => void;
}

interface WildcardParams {
  provider: string;
  '*': string;
}

const PROVIDER = '/v1/providers/:provider';

/** The routes of all providers. */
export function addProviderRoutes(app: FastifyInstance, options: ProviderRoutesOptions): void {
  // Bodies are read by what the provider's route says they are.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.route<{ Params: WildcardParams }>({
    method: [...ROUTE_METHODS, 'HEAD', 'OPTIONS'],
    url: `${PROVIDER}/*`,
    schema: { hide: true },
    handler: (request, reply) => dispatch(request, reply, options),
  });
}

async function dispatch(
  request: FastifyRequest<{ Params: WildcardParams }>,
  reply: FastifyReply,
  options: ProviderRoutesOptions,
): Promise<unknown> {
  const { provider: name, '*': rest } = request.params;
  // From the URL as it came: a %2f within a step is no slash between two.
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
  if (provider.state !== 'running')
    throw new BedrockError('NOT_READY', `provider "${provider.name}" is ${provider.state}`);
  const answer = await answerOf(request, provider, match as RouteMatch, options);
  const whole = isAnswer(answer) ? answer : new Answer(answer === undefined ? 204 : 200, answer);
  return sendAnswer(reply, whole, options.answers, (error) => options.logFailure(request, error));
}

/** The steps below the provider, each decoded by itself. Fastify has refused URLs that cannot be. */
function stepsOf(url: string, rest: string): string[] {
  const [, below] = /^(?:https?:\/\/[^/?#]*)?\/v1\/providers\/[^/?#]*\/([^?#]*)/i.exec(url) ?? [];
  return (below ?? rest).split('/').map((step) => decodeURIComponent(step));
}

async function answerOf(
  request: FastifyRequest,
  { pool }: RunningProvider,
  { route, params, checkBody }: RouteMatch,
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
    // Refuses if the pool is full; then each piece takes its turn, and a slow client holds no place in between.
    await pool.run(() => undefined);
    const body: ByteStream = Object.assign(pool.pace(readBody(request.raw, size, options.limits)), { size });
    return call(body);
  }
  const body = await jsonOf(request, route.body?.isOptional, options.jsonLimits);
  checkBody(body);
  return pool.run(() => call(body));
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
      throw new BedrockError('INVALID_ARGUMENT', `?${name}= means nothing here; ${allowed}`);
    }
    if (typeof value !== 'string')
      throw new BedrockError('INVALID_ARGUMENT', `?${name}= is given more than once`);
    if (name === 'size' && hasSize && !/^\d{1,16}$/.test(value))
      throw new BedrockError('INVALID_ARGUMENT', `?size=${value} is no number of bytes`);
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
    if (isThere) throw new BedrockError('INVALID_ARGUMENT', 'this route takes no body');
    return undefined;
  }
  // Announced as JSON, which no form of a foreign web page can do.
  if (isThere && !/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? ''))
    throw new BedrockError('UNSUPPORTED_MEDIA_TYPE', 'the body must be JSON: Content-Type: application/json');
  const text = isThere ? await readText(raw, limits) : '';
  if (text === '') {
    if (isOptional) return {};
    throw new BedrockError('INVALID_ARGUMENT', 'this route needs a body in JSON');
  }
  try {
    return JSON.parse(text, withoutPrototypes) as unknown;
  } catch (cause) {
    throw new BedrockError('INVALID_ARGUMENT', `the body is no JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Such a key is an attempt to change more than a value. */
function withoutPrototypes(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('it has a key __proto__');
  return value;
}

/** What can be asked of each provider. */
export function addAdministrationRoutes(
  app: FastifyInstance,
  { providers, directory }: { providers: ProviderManager; directory: string },
): void {
  const at = (folder: string): string => path.resolve(directory, folder);

  app.post<{ Params: { provider: string }; Body: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest> }>(
    `${PROVIDER}/snapshot`,
    schemaOf('Have a provider write its state to a folder', 'SnapshotBody', 'Written.'),
    async (request, reply) => {
      const { path: folder, options = {}, removeSource = false } = request.body;
      await snapshot(providers.get(request.params.provider), { path: at(folder), options, removeSource });
      return reply.code(204).send();
    },
  );

  app.post<{ Params: { provider: string }; Body: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest> }>(
    `${PROVIDER}/restore`,
    schemaOf('Have a provider read its state from a folder', 'RestoreBody', 'Restored.'),
    async (request, reply) => {
      const { path: folder, options = {} } = request.body;
      await restore(providers.get(request.params.provider), { path: at(folder), options });
      return reply.code(204).send();
    },
  );

  app.post<{
    Params: { provider: string };
    Body: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>;
  }>(
    `${PROVIDER}/migrate`,
    schemaOf('Have a provider send its state to another daemon', 'MigrateBody', 'Sent.'),
    async (request, reply) => {
      const body = { options: {}, removeSource: false, ...request.body };
      await migrate(providers.get(request.params.provider), body);
      return reply.code(204).send();
    },
  );
}

function schemaOf(summary: string, body: string, done: string): { schema: object } {
  return {
    schema: {
      tags: ['providers'],
      summary,
      params: parameters('ProviderParams'),
      querystring: parameters('NoQuery'),
      body: part(body),
      response: { 204: emptyResponse(done), ...PROBLEMS },
    },
  };
}
