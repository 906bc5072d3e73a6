/** Routes for the daemon as a whole: health, metrics, configuration, providers, shutdown. */
import type { FastifyInstance } from 'fastify';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BedrockError } from '../base/errors.js';
import type { Changes } from '../runtime/changes.js';
import type { Queries } from '../query/queries.js';
import { describeProviders } from '../runtime/description.js';
import { type Health, type HealthQuery, reasonsOf } from '../runtime/health.js';
import { type ProviderManager, servedTarget } from '../runtime/provider-manager.js';
import { NEED } from '../security/identity.js';
import { DASHBOARD_PATHS } from './dashboard-files.js';
import { withProviderRoutes } from './openapi.js';
import { JSON_TYPE } from './json-text.js';
import { naturalNumber } from './query.js';
import { parameters, part, PROBLEMS } from './schemas.js';

export interface DaemonRoutesOptions {
  providers: ProviderManager;
  metrics: MetricsRegistry;
  isReady: () => boolean;
  /** Whether the daemon serves only clients that it knows. */
  asksWho: boolean;
  /** The running configuration. */
  config: () => unknown;
  changes: Changes;
  /** Queries about the running configuration. */
  queries: Pick<Queries, 'run'>;
  /** The OpenAPI document of the daemon's own routes. */
  document: () => Promise<object>;
  /** Begins to stop the daemon; does not wait for it. */
  shutdown: () => void;
}

/** Paths that are served while the daemon starts or stops. */
export const ALWAYS_SERVED: ReadonlySet<string> = new Set([
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  ...DASHBOARD_PATHS,
]);

export function addDaemonRoutes(app: FastifyInstance, options: DaemonRoutesOptions): void {
  const { providers, metrics, isReady, document, asksWho } = options;
  const status = { description: 'It is.', ...part('Status') };

  app.get(
    '/healthz',
    {
      config: { access: 'public' },
      schema: {
        tags: ['daemon'],
        summary: 'Whether the process lives',
        querystring: parameters('NoQuery'),
        response: { 200: status, ...PROBLEMS },
      },
    },
    () => ({ status: 'ok' }),
  );

  app.get<{ Querystring: HealthQuery }>(
    '/readyz',
    {
      config: { access: 'public' },
      schema: {
        tags: ['daemon'],
        summary: 'Whether all providers are up and well, and no target has turned read-only',
        querystring: parameters('ReadyQuery'),
        response: { 200: status, ...PROBLEMS },
      },
    },
    async ({ query, authority }) => {
      const checkReady = (): void => {
        if (!isReady()) throw new BedrockError('NOT_READY', 'the daemon is starting or stopping');
      };
      checkReady();
      const health = await providers.health.check(query);
      // It may have begun to stop meanwhile.
      checkReady();
      refuseIfUnwell(health, asksWho && authority === undefined);
      return { status: 'ready' };
    },
  );

  app.get(
    '/metrics',
    {
      config: { access: { scope: 'read', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: "Metrics in Prometheus' text format",
        response: {
          200: { description: 'Metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
          ...PROBLEMS,
        },
      },
    },
    async (_request, reply) =>
      reply.header('content-type', metrics.contentType).send(await metrics.metrics()),
  );

  app.get(
    '/openapi.json',
    {
      config: { access: 'known' },
      schema: {
        tags: ['daemon'],
        summary: 'This interface as an OpenAPI document',
        querystring: parameters('NoQuery'),
        response: {
          200: { description: 'The document.', type: 'object', additionalProperties: true },
          ...PROBLEMS,
        },
      },
    },
    async () => withProviderRoutes(await document(), providers),
  );

  app.get(
    '/v1/config',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'The running configuration',
        querystring: parameters('NoQuery'),
        response: {
          200: { description: 'Bedrock JSON.', type: 'object', additionalProperties: true },
          ...PROBLEMS,
        },
      },
    },
    () => options.config(),
  );

  app.post<{ Body: { expression: string } }>(
    '/v1/query',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'Evaluate a JSONata expression on the running configuration',
        querystring: parameters('NoQuery'),
        body: part('QueryBody'),
        response: {
          200: {
            description: 'The result of the expression; null if there is none.',
            content: { 'application/json': { schema: {} } },
          },
          ...PROBLEMS,
        },
      },
    },
    // Sent unchanged: it was made outside the event loop.
    async ({ body }, reply) =>
      reply.header('content-type', JSON_TYPE).send(`${await options.queries.run(body.expression)}\n`),
  );

  app.post(
    '/v1/shutdown',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'Stop the daemon',
        querystring: parameters('NoQuery'),
        response: { 202: { description: 'It is stopping.', ...part('Status') }, ...PROBLEMS },
      },
    },
    (_request, reply) => {
      // After the answer was sent, so that the client gets it.
      reply.raw.once('close', options.shutdown);
      return reply.code(202).header('connection', 'close').send({ status: 'stopping' });
    },
  );

  app.get(
    '/v1/providers',
    {
      config: { access: 'known' },
      schema: {
        tags: ['providers'],
        summary: 'The providers',
        querystring: parameters('NoQuery'),
        response: {
          200: { description: 'In the order of the configuration.', ...part('ProviderList') },
          ...PROBLEMS,
        },
      },
    },
    ({ authority }) =>
      describeProviders(providers.all.filter(({ name }) => authority?.allowsSome(NEED.read, name) !== false)),
  );

  app.get<{ Params: { provider: string }; Querystring: { target?: string } }>(
    '/v1/providers/:provider/stats',
    {
      config: { access: { scope: 'read', of: 'provider' } },
      schema: {
        tags: ['providers'],
        summary: 'How full a target is',
        params: parameters('ProviderParams'),
        querystring: parameters('TargetQuery'),
        response: { 200: { description: 'Its figures.', ...part('TargetStats') }, ...PROBLEMS },
      },
    },
    async (request) => {
      const provider = providers.get(request.params.provider);
      const { executionPool, target } = servedTarget(
        provider,
        naturalNumber('target', request.query.target ?? '0'),
      );
      return provider.requests.during(() => executionPool.run(() => target.stats()));
    },
  );
}

/** @throws NOT_READY, with all reasons, which only a known client gets */
function refuseIfUnwell(health: Health, isStranger: boolean): void {
  const reasons = reasonsOf(health);
  if (reasons.length === 0) return;
  if (isStranger)
    throw new BedrockError('NOT_READY', 'a provider is not well; with a token, the answer says which');
  const lists = Object.entries(health).filter(([, list]) => (list as readonly unknown[]).length > 0);
  throw new BedrockError('NOT_READY', `${reasons.join('; ')}${adviceOn(health)}`, {
    details: Object.fromEntries(lists),
  });
}

function adviceOn({ failed, absent }: Health): string {
  const isReadOnlyAlone = failed.length === 0 && absent.length === 0;
  return isReadOnlyAlone ? '; request /readyz?exclude=read_only to ignore this' : '';
}
