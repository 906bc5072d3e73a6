/**
 * Long-running work over HTTP: the requests of a provider that begin it (snapshot, restore,
 * migrate), and the operations that run.
 *
 * A request is answered when its operation is done. With `Prefer: respond-async` (RFC 7240) or
 * `?wait=false` it is answered at once, with the path of the operation. The operation continues if
 * the client goes away; only DELETE cancels it.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BedrockError } from '../base/errors.js';
import { beginOperation, type GivenRequests, wholeRequest } from '../runtime/administration.js';
import type { Operation } from '../runtime/operations.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { NEED } from '../security/identity.js';
import type { RouteAccess } from './route-access.js';
import { emptyResponse, parameters, part, PROBLEMS } from './schemas.js';

export interface OperationRoutesOptions {
  providers: ProviderManager;
}

interface Administration {
  Params: { provider: string };
  Querystring: { wait?: string };
}

const OPERATION = '/v1/operations/:id';

/** Routes of the operations themselves. */
export function addOperationRoutes(app: FastifyInstance, { providers }: OperationRoutesOptions): void {
  const { operations } = providers;
  const schemaOf = (
    summary: string,
    response: object,
  ): { schema: object; config: { access: RouteAccess } } => ({
    // The handlers check the access to the operation's provider.
    config: { access: 'known' },
    schema: { tags: ['operations'], summary, querystring: parameters('NoQuery'), response },
  });
  const one = { params: parameters('OperationParams') };

  app.get(
    '/v1/operations',
    schemaOf('The operations that run, and the last ones that ended', {
      200: { description: 'The newest first.', ...part('OperationList') },
      ...PROBLEMS,
    }),
    ({ authority }) => ({
      operations: operations
        .list()
        .filter(({ provider }) => authority?.allows(NEED.admin, provider) !== false),
    }),
  );

  const shown = schemaOf('The progress of an operation, or how it ended', {
    200: { description: 'The operation.', ...part('Operation') },
    ...PROBLEMS,
  });
  app.get<{ Params: { id: string } }>(
    OPERATION,
    { ...shown, schema: { ...shown.schema, ...one } },
    ({ params, authority }) => {
      const { status } = operations.get(params.id);
      authority?.requireProvider(NEED.admin, status.provider);
      return status;
    },
  );

  const cancelled = schemaOf('Cancel an operation', {
    202: { description: 'It was told to stop. Its state tells when it has stopped.', ...part('Operation') },
    204: emptyResponse('It had already ended.'),
    ...PROBLEMS,
  });
  app.delete<{ Params: { id: string } }>(
    OPERATION,
    {
      config: { ...cancelled.config, isAdministrative: true },
      schema: { ...cancelled.schema, ...one },
    },
    ({ params, authority }, reply) => {
      const operation = operations.get(params.id);
      authority?.requireProvider(NEED.admin, operation.status.provider);
      if (!operation.isRunning) return reply.code(204).send();
      operation.cancel(new BedrockError('ABORTED', 'it was cancelled'));
      return reply.code(202).send(operation.status);
    },
  );
}

/** Administration of each provider: snapshot, restore, migrate. */
export function addAdministrationRoutes(app: FastifyInstance, { providers }: OperationRoutesOptions): void {
  const add = (type: keyof GivenRequests, texts: { summary: string; body: string; done: string }): void => {
    app.post<Administration>(`/v1/providers/:provider/${type}`, schemaOf(texts), async (request, reply) => {
      const provider = providers.get(request.params.provider);
      const asked = wholeRequest(type, request.body as GivenRequests[typeof type], providers.directory);
      return answer(request, reply, beginOperation(providers.operations, provider, type, asked));
    });
  };
  add('snapshot', {
    summary: 'Have a provider write its state to a folder',
    body: 'SnapshotBody',
    done: 'Written.',
  });
  add('restore', {
    summary: 'Have a provider read its state from a folder',
    body: 'RestoreBody',
    done: 'Restored.',
  });
  add('migrate', {
    summary: 'Have a provider send its state to another daemon',
    body: 'MigrateBody',
    done: 'Sent.',
  });
}

async function answer(
  { query, headers }: FastifyRequest<Administration>,
  reply: FastifyReply,
  operation: Operation,
): Promise<unknown> {
  const isPreferred = prefersAsync(headers.prefer);
  if (isPreferred) reply.header('preference-applied', 'respond-async');
  if (isPreferred || query.wait === 'false')
    return reply.code(202).header('location', `/v1/operations/${operation.id}`).send(operation.status);
  await operation.waitAndReport();
  return reply.code(204).send();
}

/** Whether `respond-async` is among the preferences (RFC 7240, 2 and 4.1). */
function prefersAsync(header: string | string[] | undefined): boolean {
  const preferences = [header ?? ''].flat().join(',').split(',');
  return preferences.some((preference) => /^\s*respond-async\s*(;|$)/i.test(preference));
}

function schemaOf({ summary, body, done }: { summary: string; body: string; done: string }): {
  schema: object;
  config: { access: RouteAccess };
} {
  return {
    config: { access: { scope: 'admin', of: 'provider' } },
    schema: {
      tags: ['providers'],
      summary,
      params: parameters('ProviderParams'),
      querystring: parameters('OperationQuery'),
      body: part(body),
      response: {
        202: { description: 'Begun. Location is the path of the operation.', ...part('Operation') },
        204: emptyResponse(done),
        ...PROBLEMS,
      },
    },
  };
}
