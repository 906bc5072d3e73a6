/**
 * Routes for changes in JSON: renames and transactions.
 *
 * A rename is a PATCH as in RFC 7396: the document of a region has one member that can be changed,
 * `name`, and null removes it. HTTP has no method for renaming. WebDAV's MOVE gives the new place
 * in a header, as a complete URL, which clients and proxies seldom support.
 */
import type { FastifyInstance } from 'fastify';
import type { Change, RegionRef } from '../contract/names.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { checkNewName, movedBytes } from '../targets/name-arguments.js';
import { changeNamed, NAME, type NameParams } from './name-routes.js';
import { type Exchange, operationsOf } from './operations.js';
import { checkPreconditions, isConditional } from './preconditions.js';
import { nameIn, pathOfName, refOf } from './region-ref.js';
import { REGION, type RegionParams } from './region-routes.js';
import { emptyResponse, parameters, part, PROBLEMS } from './schemas.js';
import { NEED } from '../security/identity.js';
import { changesOf, type WireChange } from './wire-changes.js';

interface RenameQuery {
  target?: string;
  replace?: 'true' | 'false';
}
interface RenameBody {
  name: string | null;
}
interface TransactionParams {
  provider: string;
}

export interface ChangeRoutesOptions {
  providers: ProviderManager;
}

/** Call it where JSON bodies are accepted. */
export function addRenameRoutes(app: FastifyInstance, { providers }: ChangeRoutesOptions): void {
  const operation = operationsOf(providers);
  const answers = {
    204: emptyResponse('Renamed, durably. Location is its path with the new name.'),
    ...PROBLEMS,
  };

  app.patch<{ Params: NameParams; Querystring: RenameQuery; Body: RenameBody }>(
    NAME,
    {
      config: { access: { scope: 'write', of: 'name' } },
      schema: {
        tags: ['names'],
        summary: 'Give the region that has a name another name, or none',
        params: parameters('NameParams'),
        querystring: parameters('RenameQuery'),
        body: part('RenameBody'),
        response: answers,
      },
    },
    operation('rename', async (exchange) => {
      const name = nameIn(exchange.request);
      const rename = renameOf(exchange, name);
      await changeNamed(exchange, name, rename);
      return placed(exchange, rename.to).code(204).send();
    }),
  );

  app.patch<{ Params: RegionParams; Querystring: RenameQuery; Body: RenameBody }>(
    REGION,
    {
      config: { access: { scope: 'write', of: 'region' } },
      schema: {
        tags: ['regions'],
        summary: 'Give a region a name, another one, or none',
        params: parameters('RegionParams'),
        querystring: parameters('RenameQuery'),
        body: part('RenameBody'),
        response: answers,
      },
    },
    operation('rename', async (exchange) => {
      const { request, target, executionPool } = exchange;
      let ref = refOf(request.params.id, target);
      const { to, replace } = renameOf(exchange, ref);
      if (isConditional(request.headers)) {
        const { id } = await executionPool.run(() => target.stat(ref));
        checkPreconditions(request.headers, id);
        ref = id;
      }
      await executionPool.run(() => target.rename(ref, to, { replace }));
      return placed(exchange, to).code(204).send();
    }),
  );
}

type Rename = Exchange<{
  Params: { provider: string };
  Querystring: RenameQuery;
  Body: RenameBody;
}>;

function renameOf({ request, provider }: Pick<Rename, 'request' | 'provider'>, ref: RegionRef) {
  const { name } = request.body;
  checkNewName(name);
  if (name !== null) request.authority?.requireName(NEED.write, provider.name, name);
  return { type: 'rename', ref, to: name, replace: request.query.replace === 'true' } as const;
}

/** The answer, with the location of the region under its new name. */
function placed<R extends Rename>({ request, reply }: R, name: string | null): R['reply'] {
  if (name === null) return reply;
  return reply.header('location', pathOfName(request.params.provider, name, request.query.target));
}

/** Call it where JSON bodies are accepted that can hold a whole transaction. */
export function addTransactionRoute(app: FastifyInstance, { providers }: ChangeRoutesOptions): void {
  app.post<{
    Params: TransactionParams;
    Querystring: { target?: string };
    Body: { changes: WireChange[] };
  }>(
    '/v1/providers/:provider/transactions',
    {
      config: { access: { scope: 'write', of: 'some' } },
      schema: {
        tags: ['names'],
        summary: 'Make several changes of regions and names, all or none',
        params: parameters('ProviderParams'),
        querystring: parameters('TargetQuery'),
        body: part('TransactionBody'),
        response: {
          200: { description: 'All changes are made, durably.', ...part('TransactionResult') },
          ...PROBLEMS,
        },
      },
    },
    operationsOf(providers)('transact', async (exchange) => {
      const { request, target, provider, executionPool, space } = exchange;
      const changes = changesOf(request.body.changes);
      for (const change of changes)
        for (const name of namesIn(change)) request.authority?.requireName(NEED.write, provider.name, name);
      exchange.bytes = movedBytes(changes);
      const transact = () => executionPool.run(() => target.transact(changes));
      const { ids } = await space.make(exchange.bytes, transact);
      return { ids: ids.map((id) => id?.toString() ?? null) };
    }),
  );
}

/** The names of the regions that a change concerns; `undefined` for a region given by its ID. */
function namesIn(change: Change): (string | undefined)[] {
  if ('name' in change) return [change.name];
  const name = typeof change.ref === 'string' ? change.ref : undefined;
  return change.type === 'rename' && change.to !== null ? [name, change.to] : [name];
}
