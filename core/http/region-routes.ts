/** Routes for regions. Each handler finds the target and translates the request to calls of the target. */
import type { FastifyInstance } from 'fastify';
import { BedrockError } from '../base/errors.js';
import type { CreateOptions } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionRange, RegionSource, WriteOptions } from '../contract/target.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { listInPieces } from '../runtime/list-pieces.js';
import { checkName, checkRange } from '../targets/arguments.js';
import { NEED } from '../security/identity.js';
import { answerRead, type ReadOptions } from './answer-read.js';
import { announcedSize, type BodyLimits, hasBody, refuseContentRange } from './body.js';
import { type Exchange, operationsOf } from './operations.js';
import { checkPreconditions, isConditional, selectRegion } from './preconditions.js';
import { listLimit, optionalNumber } from './query.js';
import { JSON_TYPE } from './json-text.js';
import { receiveContents, receiveRegion } from './receive-region.js';
import { refOf } from './region-ref.js';
import { bytesBody, bytesResponse, emptyResponse, parameters, part, PROBLEMS } from './schemas.js';
import { regionHeaders } from './send-region.js';
import { noteJson } from './work.js';

export interface RegionRoutesOptions extends ReadOptions {
  providers: ProviderManager;
  limits: BodyLimits;
}

interface ProviderParams {
  provider: string;
}
export interface RegionParams extends ProviderParams {
  id: string;
}
interface TargetQuery {
  target?: string;
}
interface ListQuery extends TargetQuery {
  after?: string;
  limit?: string;
}
interface CreateQuery extends TargetQuery {
  size?: string;
  persist?: 'true' | 'false';
  name?: string;
}
interface WriteQuery extends TargetQuery {
  size?: string;
  persist?: 'true' | 'false';
  offset?: string;
}

/** Approximate size of a region in a list, without its name. */
const LISTED_BYTES = 96;
const REGIONS = '/v1/providers/:provider/regions';
export const REGION = `${REGIONS}/:id`;

/** The routes whose bodies are bytes. They accept any content type and read the body themselves. */
export function addRegionRoutes(app: FastifyInstance, options: RegionRoutesOptions): void {
  const { providers, limits, answers } = options;
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  // Fastify refuses malformed content types, but here they are ignored.
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw;
    if (headers['content-type'] !== undefined) delete headers['content-type'];
    done();
  });
  const operation = operationsOf(providers);

  app.get<{ Params: ProviderParams; Querystring: ListQuery }>(
    REGIONS,
    {
      config: { access: { scope: 'read', of: 'provider' } },
      schema: {
        tags: ['regions'],
        summary: 'List regions, page by page',
        params: parameters('ProviderParams'),
        querystring: parameters('ListQuery'),
        response: { 200: { description: 'A page of regions.', ...part('RegionPage') }, ...PROBLEMS },
      },
    },
    operation('list', async ({ request, reply, target, executionPool }) => {
      const { after, limit } = request.query;
      const options = {
        after: after === undefined ? undefined : RegionId.parse(after),
        limit: listLimit(limit),
      };
      let listed = '';
      const next = await executionPool.run(() =>
        listInPieces(target, options, (regions) => {
          answers.hold(reply.raw, listed.length + regions.length * LISTED_BYTES);
          for (const { id, size, createdAt, name } of regions) {
            // Without a name, the member is left out.
            const text = JSON.stringify({ id: id.toString(), size, createdAt, name });
            listed += listed === '' ? text : `,${text}`;
          }
        }),
      );
      noteJson(request.raw, listed.length);
      const more = next === undefined ? '' : `,"next":"${next.toString()}"`;
      return reply.type(JSON_TYPE).send(`{"regions":[${listed}]${more}}\n`);
    }),
  );

  app.post<{ Params: ProviderParams; Querystring: CreateQuery }>(
    REGIONS,
    {
      config: { access: { scope: 'write', of: 'some' } },
      schema: {
        tags: ['regions'],
        summary: 'Create a region, all zero or with the body as its contents',
        params: parameters('ProviderParams'),
        querystring: parameters('CreateQuery'),
        body: bytesBody(),
        response: {
          201: { description: 'The region, also named by Location.', ...part('CreatedRegion') },
          ...PROBLEMS,
        },
      },
    },
    operation('create', async (exchange) => {
      const { request, reply } = exchange;
      const { id, size } = await create(exchange, limits);
      const url = `/v1/providers/${encodeURIComponent(request.params.provider)}/regions/${id.toString()}`;
      const number = request.query.target;
      reply.code(201).header('location', number === undefined ? url : `${url}?target=${number}`);
      return { id: id.toString(), size };
    }),
  );

  app.head<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      config: { access: { scope: 'read', of: 'region' }, swagger: { exposeHeadRoute: true } },
      schema: {
        tags: ['regions'],
        summary: "A region's size and time of creation",
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        response: {
          200: emptyResponse('Content-Length and Region-Created-At say them.'),
          304: emptyResponse('It is there, and If-None-Match: * wants none.'),
          ...PROBLEMS,
        },
      },
    },
    operation('stat', async ({ request, reply, target, executionPool }) => {
      const ref = refOf(request.params.id, target);
      const region = await executionPool.run(() => target.stat(ref));
      if (selectRegion(request.headers, region.id).isNotWanted) return reply.code(304).send();
      return reply.headers(regionHeaders(region)).send();
    }),
  );

  app.get<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      exposeHeadRoute: false,
      config: { access: { scope: 'read', of: 'region' } },
      schema: {
        tags: ['regions'],
        summary: 'Read a region or, with a Range header, a part of it',
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        response: {
          200: bytesResponse('The whole region.'),
          304: emptyResponse('It is there, and If-None-Match: * wants none.'),
          206: bytesResponse("The part asked for, its end clamped to the region's."),
          ...PROBLEMS,
        },
      },
    },
    operation('read', (exchange) => {
      const { request, target } = exchange;
      return answerRead(exchange, refOf(request.params.id, target), selectRegion, options);
    }),
  );

  app.put<{ Params: RegionParams; Querystring: WriteQuery }>(
    REGION,
    {
      config: { access: { scope: 'write', of: 'region' } },
      schema: {
        tags: ['regions'],
        summary: 'Overwrite a part of a region with the body',
        params: parameters('RegionParams'),
        querystring: parameters('WriteQuery'),
        body: bytesBody(),
        response: { 204: emptyResponse('Written.'), ...PROBLEMS },
      },
    },
    operation('write', async (exchange) => {
      const { request, reply, target, executionPool } = exchange;
      let ref = refOf(request.params.id, target);
      refuseContentRange(request.headers);
      const offset = optionalNumber('offset', request.query.offset) ?? 0;
      const size = announcedSize(request.raw, optionalNumber('size', request.query.size), limits);
      exchange.bytes = size;
      if (isConditional(request.headers)) {
        // An error that does not depend on the condition is reported first (RFC 9110, 13.2.1).
        const region = await executionPool.run(() => target.stat(ref));
        checkRange('write', offset, size, region.size);
        checkPreconditions(request.headers, region.id);
        ref = region.id;
      }
      const destination = { target, executionPool, ref, range: { offset, size } };
      await receiveRegion(request.raw, destination, persistOption(request.query), limits);
      return reply.code(204).send();
    }),
  );

  app.delete<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      config: { access: { scope: 'write', of: 'region' } },
      schema: {
        tags: ['regions'],
        summary: 'Erase a region',
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        response: { 204: emptyResponse('Erased, durably.'), ...PROBLEMS },
      },
    },
    operation('erase', async ({ request, reply, target, executionPool }) => {
      let ref = refOf(request.params.id, target);
      if (isConditional(request.headers)) {
        const { id } = await executionPool.run(() => target.stat(ref));
        checkPreconditions(request.headers, id);
        ref = id;
      }
      await executionPool.run(() => target.erase(ref));
      return reply.code(204).send();
    }),
  );
}

/** The route whose body is JSON. */
export function addPersistRoute(
  app: FastifyInstance,
  { providers }: Pick<RegionRoutesOptions, 'providers'>,
): void {
  app.post<{
    Params: RegionParams;
    Querystring: TargetQuery;
    Body: { ranges?: RegionRange[] } | null | undefined;
  }>(
    `${REGION}/persist`,
    {
      config: { access: { scope: 'write', of: 'region' } },
      schema: {
        tags: ['regions'],
        summary: 'Make a region, or parts of it, durable',
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        body: part('PersistBody'),
        response: { 204: emptyResponse('Durable.'), ...PROBLEMS },
      },
    },
    operationsOf(providers)('persist', async ({ request, reply, target, executionPool }) => {
      const ref = refOf(request.params.id, target);
      const ranges = request.body?.ranges;
      await executionPool.run(() => target.persist(ref, ranges));
      return reply.code(204).send();
    }),
  );
}

async function create(
  exchange: Exchange<{ Params: ProviderParams; Querystring: CreateQuery }>,
  limits: BodyLimits,
): Promise<{ id: RegionId; size: number }> {
  const { request, target, provider, executionPool, space } = exchange;
  request.authority?.requireName(NEED.write, provider.name, request.query.name);
  const asked = optionalNumber('size', request.query.size);
  const naming = namingOf(request.query);
  const isEmptyBody = request.headers['content-length'] === '0' && asked !== undefined;
  if (!hasBody(request.raw) || isEmptyBody) {
    if (asked === undefined)
      throw new BedrockError(
        'LENGTH_REQUIRED',
        'give the size of the region with ?size=, or send its contents',
      );
    // Holds no admission while others free their space, because they may need one for that.
    const id = await space.make(asked, () => executionPool.run(() => target.create(asked, naming)));
    return { id, size: asked };
  }
  const size = announcedSize(request.raw, asked, limits);
  exchange.bytes = size;
  // Refuses if the execution pool is full. After that each piece is admitted separately, so that a
  // slow client holds no admission in between.
  await executionPool.run(() => undefined);
  const options = { ...persistOption(request.query), ...naming };
  const create = (contents: RegionSource): Promise<RegionId> => target.createAndWrite(contents, options);
  return { id: await receiveContents(exchange, size, limits, create), size };
}

function namingOf({ name }: CreateQuery): CreateOptions {
  if (name === undefined) return {};
  checkName(name);
  return { name };
}

function persistOption({ persist }: Pick<CreateQuery, 'persist'>): WriteOptions {
  return { persist: persist === 'true' };
}
