/** Regions over HTTP. Each handler finds the target, and translates the request to its calls. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { BedrockError } from '../base/errors.js';
import { RegionId } from '../contract/region-id.js';
import type { RegionRange, WriteOptions } from '../contract/target.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { checkRange } from '../targets/arguments.js';
import type { AnswerMemory } from './answer-memory.js';
import { announcedSize, type BodyLimits, hasBody, readBody } from './body.js';
import { type Exchange, operationsOf } from './operations.js';
import { checkPreconditions, isConditional, isNotWanted } from './preconditions.js';
import { optionalNumber } from './query.js';
import { receiveRegion } from './receive-region.js';
import { bytesBody, bytesResponse, emptyResponse, parameters, part, PROBLEMS } from './schemas.js';
import { askedPart, PIECE_BYTES, regionHeaders, sendRegion } from './send-region.js';

export interface RegionRoutesOptions {
  providers: ProviderManager;
  limits: BodyLimits;
  answers: AnswerMemory;
  /** Takes the failure of a response that is under way already, and so can no longer tell the client. */
  logFailure: (request: FastifyRequest, error: unknown) => void;
}

interface ProviderParams {
  provider: string;
}
interface RegionParams extends ProviderParams {
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
}
interface WriteQuery extends CreateQuery {
  offset?: string;
}

const MAX_LIST_LIMIT = 10_000;
/** What a region takes in a list, about. */
const LISTED_BYTES = 96;
const REGIONS = '/v1/providers/:provider/regions';
const REGION = `${REGIONS}/:id`;

/** The routes whose bodies are bytes. They take any content type and read the body themselves. */
export function addRegionRoutes(app: FastifyInstance, options: RegionRoutesOptions): void {
  const { providers, limits, answers } = options;
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  // Fastify refuses those that are malformed, and here none means anything.
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw;
    if (headers['content-type'] !== undefined) delete headers['content-type'];
    done();
  });
  const operation = operationsOf(providers);

  app.get<{ Params: ProviderParams; Querystring: ListQuery }>(
    REGIONS,
    {
      schema: {
        tags: ['regions'],
        summary: 'List regions, page by page',
        params: parameters('ProviderParams'),
        querystring: parameters('ListQuery'),
        response: { 200: { description: 'A page of regions.', ...part('RegionPage') }, ...PROBLEMS },
      },
    },
    operation('list', async ({ request, reply, target, pool }) => {
      const { after, limit } = request.query;
      const most = optionalNumber('limit', limit);
      if (most !== undefined && (most < 1 || most > MAX_LIST_LIMIT)) {
        throw new BedrockError('INVALID_ARGUMENT', `?limit=${most} must be from 1 to ${MAX_LIST_LIMIT}`);
      }
      const options = {
        ...(after !== undefined && { after: RegionId.parse(after) }),
        ...(most !== undefined && { limit: most }),
      };
      const { regions, next } = await pool.run(() => target.list(options));
      answers.hold(reply.raw, regions.length * LISTED_BYTES);
      return {
        regions: regions.map(({ id, size, createdAt }) => ({ id: id.toString(), size, createdAt })),
        ...(next !== undefined && { next: next.toString() }),
      };
    }),
  );

  app.post<{ Params: ProviderParams; Querystring: CreateQuery }>(
    REGIONS,
    {
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
      const place = `/v1/providers/${encodeURIComponent(request.params.provider)}/regions/${id.toString()}`;
      const number = request.query.target;
      reply.code(201).header('location', number === undefined ? place : `${place}?target=${number}`);
      return { id: id.toString(), size };
    }),
  );

  app.head<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      config: { swagger: { exposeHeadRoute: true } },
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
    operation('stat', async ({ request, reply, target, pool }) => {
      const id = RegionId.parse(request.params.id);
      const { size, createdAt } = await pool.run(() => target.stat(id));
      if (isNotWanted(request.headers, id)) return reply.code(304).send();
      return reply.headers(regionHeaders(size, createdAt)).send();
    }),
  );

  app.get<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      exposeHeadRoute: false,
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
    operation('read', async (exchange) => {
      const { request, reply, target, pool } = exchange;
      const id = RegionId.parse(request.params.id);
      // Without validators, If-Range never matches, which means the whole region (RFC 9110, 13.1.5).
      const header = request.headers['if-range'] === undefined ? request.headers.range : undefined;
      // The look and a short read in one turn.
      const found = await pool.run(async () => {
        const stat = await target.stat(id);
        if (isNotWanted(request.headers, id)) return undefined;
        const part = askedPart(stat, header);
        const { start, end } = part.range;
        if (end - start > PIECE_BYTES) return { part, bytes: undefined };
        answers.hold(reply.raw, end - start);
        return { part, bytes: await target.read(id, start, end - start) };
      });
      if (found === undefined) return reply.code(304).send();
      const { part, bytes } = found;
      const { start, end } = part.range;
      reply.code(part.status).headers(part.headers);
      exchange.bytes = end - start;
      if (bytes !== undefined) return reply.send(bytes);
      exchange.failure = await sendRegion(reply, { target, pool, id, start, end }, answers);
      if (exchange.failure !== undefined) options.logFailure(request, exchange.failure);
      return reply;
    }),
  );

  app.put<{ Params: RegionParams; Querystring: WriteQuery }>(
    REGION,
    {
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
      const { request, reply } = exchange;
      const id = RegionId.parse(request.params.id);
      // RFC 9110, 14.5. Ignoring it would write to where nobody asked.
      if (request.headers['content-range'] !== undefined) {
        throw new BedrockError(
          'INVALID_ARGUMENT',
          'say where to write with ?offset=, not with Content-Range',
        );
      }
      const offset = optionalNumber('offset', request.query.offset) ?? 0;
      const size = announcedSize(request.raw, optionalNumber('size', request.query.size), limits);
      exchange.bytes = size;
      const { target, pool } = exchange;
      if (isConditional(request.headers)) {
        // What cannot be done without the condition is said first (RFC 9110, 13.2.1).
        const region = await pool.run(() => target.stat(id));
        checkRange('write', offset, size, region.size);
        checkPreconditions(request.headers, id);
      }
      const destination = { target, pool, id, range: { offset, size } };
      await receiveRegion(request.raw, destination, persistOption(request.query), limits);
      return reply.code(204).send();
    }),
  );

  app.delete<{ Params: RegionParams; Querystring: TargetQuery }>(
    REGION,
    {
      schema: {
        tags: ['regions'],
        summary: 'Erase a region',
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        response: { 204: emptyResponse('Erased, durably.'), ...PROBLEMS },
      },
    },
    operation('erase', async ({ request, reply, target, pool }) => {
      const id = RegionId.parse(request.params.id);
      if (isConditional(request.headers)) {
        await pool.run(() => target.stat(id));
        checkPreconditions(request.headers, id);
      }
      await pool.run(() => target.erase(id));
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
      schema: {
        tags: ['regions'],
        summary: 'Make a region, or parts of it, durable',
        params: parameters('RegionParams'),
        querystring: parameters('TargetQuery'),
        body: part('PersistBody'),
        response: { 204: emptyResponse('Durable.'), ...PROBLEMS },
      },
    },
    operationsOf(providers)('persist', async ({ request, reply, target, pool }) => {
      const id = RegionId.parse(request.params.id);
      const ranges = request.body?.ranges;
      await pool.run(() => target.persist(id, ranges));
      return reply.code(204).send();
    }),
  );
}

async function create(
  exchange: Exchange<{ Params: ProviderParams; Querystring: CreateQuery }>,
  limits: BodyLimits,
): Promise<{ id: RegionId; size: number }> {
  const { request, target, pool } = exchange;
  const asked = optionalNumber('size', request.query.size);
  const isEmptyBody = request.headers['content-length'] === '0' && asked !== undefined;
  if (!hasBody(request.raw) || isEmptyBody) {
    if (asked === undefined)
      throw new BedrockError(
        'LENGTH_REQUIRED',
        'say the size of the region with ?size=, or send its contents',
      );
    return { id: await pool.run(() => target.create(asked)), size: asked };
  }
  const size = announcedSize(request.raw, asked, limits);
  exchange.bytes = size;
  // Refuses if the pool is full; then each piece takes its turn, and a slow client holds no place in between.
  await pool.run(() => undefined);
  const source = pool.pace(readBody(request.raw, size, limits));
  return { id: await target.createAndWrite({ size, source }, persistOption(request.query)), size };
}

function persistOption({ persist }: CreateQuery): WriteOptions {
  return { persist: persist === 'true' };
}
