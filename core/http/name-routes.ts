/**
 * Routes for names, as resources with whole contents: PUT replaces them, GET returns them.
 * Conditional requests use the entity tag, which is the ID of the region that has the name.
 */
import type { FastifyInstance } from 'fastify';
import { BedrockError, type ErrorCode } from '../base/errors.js';
import { isInstance } from '../base/plain.js';
import type { Change, NamedRegion, PutOptions } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionSource, Target } from '../contract/target.js';
import { listNamesInPieces } from '../runtime/list-pieces.js';
import { NEED } from '../security/identity.js';
import { answerRead } from './answer-read.js';
import { announcedSize, type BodyLimits, refuseContentRange, takeBody } from './body.js';
import { JSON_TYPE } from './json-text.js';
import { type Exchange, operationsOf } from './operations.js';
import {
  checkPreconditions,
  isConditional,
  preconditionFailed,
  selectNamed,
  tagOf,
} from './preconditions.js';
import { listLimit, optionalNumber } from './query.js';
import { receiveContents } from './receive-region.js';
import { nameIn, pathOfName } from './region-ref.js';
import type { RegionRoutesOptions } from './region-routes.js';
import { bytesBody, bytesResponse, emptyResponse, parameters, part, PROBLEMS } from './schemas.js';
import { regionHeaders } from './send-region.js';
import { noteJson } from './work.js';

interface ProviderParams {
  provider: string;
}
export interface NameParams extends ProviderParams {
  '*': string;
}
interface TargetQuery {
  target?: string;
}
interface PutQuery extends TargetQuery {
  size?: string;
}
interface NamesQuery extends TargetQuery {
  prefix?: string;
  delimiter?: string;
  after?: string;
  limit?: string;
}

const NAMES = '/v1/providers/:provider/names';
export const NAME = `${NAMES}/*`;

/** Call it beside the routes of regions, which have the same rules for bodies and URLs. */
export function addNameRoutes(app: FastifyInstance, options: RegionRoutesOptions): void {
  const { providers, limits, answers } = options;
  const operation = operationsOf(providers);

  app.get<{ Params: ProviderParams; Querystring: NamesQuery }>(
    NAMES,
    {
      config: { access: { scope: 'read', of: 'some' } },
      schema: {
        tags: ['names'],
        summary: 'List names in the order of their bytes, page by page',
        params: parameters('ProviderParams'),
        querystring: parameters('NamesQuery'),
        response: { 200: { description: 'A page of names.', ...part('NamesPage') }, ...PROBLEMS },
      },
    },
    operation('names', async ({ request, reply, target, provider, executionPool }) => {
      const { prefix: wanted, delimiter, after, limit } = request.query;
      const prefix = request.authority?.confine(NEED.read, provider.name, wanted ?? '') ?? wanted;
      const asked = {
        ...(prefix !== undefined && { prefix }),
        ...(delimiter !== undefined && { delimiter }),
        ...(after !== undefined && { after }),
        limit: listLimit(limit),
      };
      const names: string[] = [];
      const prefixes: string[] = [];
      let length = 0;
      const note = (texts: string[], value: unknown): void => {
        const text = JSON.stringify(value);
        texts.push(text);
        length += text.length;
      };
      const next = await executionPool.run(() =>
        listNamesInPieces(target, asked, (page) => {
          for (const { name, id, size, createdAt } of page.names)
            note(names, { name, id: id.toString(), size, createdAt });
          for (const prefix of page.prefixes) note(prefixes, prefix);
          answers.hold(reply.raw, length);
        }),
      );
      noteJson(request.raw, length);
      const more = next === undefined ? '' : `,"next":${JSON.stringify(next)}`;
      return reply
        .type(JSON_TYPE)
        .send(`{"names":[${names.join()}],"prefixes":[${prefixes.join()}]${more}}\n`);
    }),
  );

  app.put<{ Params: NameParams; Querystring: PutQuery }>(
    NAME,
    {
      config: { access: { scope: 'write', of: 'name' } },
      schema: {
        tags: ['names'],
        summary: 'Give a name new contents, the body, and erase its former contents, in one step',
        params: parameters('NameParams'),
        querystring: parameters('PutQuery'),
        body: bytesBody(),
        response: {
          201: emptyResponse('Durable; no region had the name before. ETag has the ID.'),
          204: emptyResponse('Durable; it replaced the region that had the name. ETag has the ID.'),
          ...PROBLEMS,
        },
      },
    },
    operation('put', async (exchange) => {
      const { request, reply } = exchange;
      const name = nameIn(request);
      refuseContentRange(request.headers);
      const { id, isReplaced } = await put(exchange, name, limits);
      const location = pathOfName(request.params.provider, name, request.query.target);
      return reply
        .code(isReplaced ? 204 : 201)
        .headers({ location, etag: tagOf(id) })
        .send();
    }),
  );

  app.head<{ Params: NameParams; Querystring: TargetQuery }>(
    NAME,
    {
      config: { access: { scope: 'read', of: 'name' }, swagger: { exposeHeadRoute: true } },
      schema: {
        tags: ['names'],
        summary: 'The region of a name: its ID, size and time of creation',
        params: parameters('NameParams'),
        querystring: parameters('TargetQuery'),
        response: {
          200: emptyResponse('They are in ETag, Content-Length and Region-Created-At.'),
          304: emptyResponse('It is the region that If-None-Match names.'),
          ...PROBLEMS,
        },
      },
    },
    operation('find', async ({ request, reply, target, executionPool }) => {
      const name = nameIn(request);
      const region = await executionPool.run(() => target.find(name));
      const { isNotWanted, headers } = selectNamed(request.headers, region.id);
      if (isNotWanted) return reply.code(304).headers(headers).send();
      return reply.headers(regionHeaders(region)).headers(headers).send();
    }),
  );

  app.get<{ Params: NameParams; Querystring: TargetQuery }>(
    NAME,
    {
      exposeHeadRoute: false,
      config: { access: { scope: 'read', of: 'name' } },
      schema: {
        tags: ['names'],
        summary: 'Read the region that has a name or, with a Range header, a part of it',
        params: parameters('NameParams'),
        querystring: parameters('TargetQuery'),
        response: {
          200: bytesResponse('The whole region.'),
          304: emptyResponse('It is the region that If-None-Match names.'),
          206: bytesResponse("The part asked for, its end clamped to the region's."),
          ...PROBLEMS,
        },
      },
    },
    operation('read', (exchange) => answerRead(exchange, nameIn(exchange.request), selectNamed, options)),
  );

  app.delete<{ Params: NameParams; Querystring: TargetQuery }>(
    NAME,
    {
      config: { access: { scope: 'write', of: 'name' } },
      schema: {
        tags: ['names'],
        summary: 'Erase the region that has a name',
        params: parameters('NameParams'),
        querystring: parameters('TargetQuery'),
        response: { 204: emptyResponse('Erased, durably, and the name with it.'), ...PROBLEMS },
      },
    },
    operation('erase', async (exchange) => {
      const name = nameIn(exchange.request);
      await changeNamed(exchange, name, { type: 'erase', ref: name });
      return exchange.reply.code(204).send();
    }),
  );
}

/** Stores the body under a name. The target checks the conditions of the request until the put is done. */
async function put(
  exchange: Exchange<{ Params: NameParams; Querystring: PutQuery }>,
  name: string,
  limits: BodyLimits,
): Promise<{ id: RegionId; isReplaced: boolean }> {
  const { request, target, executionPool, space } = exchange;
  const { raw, headers } = request;
  const size = announcedSize(raw, optionalNumber('size', request.query.size), limits);
  exchange.bytes = size;
  let isReplaced = false;
  const look = async (): Promise<NamedRegion | undefined> => {
    const found = await regionNamed(target, name);
    isReplaced = found !== undefined;
    return found;
  };
  const options: PutOptions = {};
  // Refuses if the execution pool is full. After that each piece is admitted separately, so that a
  // slow client holds no admission in between.
  await executionPool.run(async () => {
    const current = await look();
    if (!isConditional(headers)) return;
    checkPreconditions(headers, current?.id);
    options.if = current?.id ?? 'absent';
  });
  const whole = takeBody(raw, size);
  const putPieces = (contents: RegionSource): Promise<RegionId> => {
    const lookAtEnd = async function* (): AsyncGenerator<Uint8Array> {
      yield* contents.source;
      // The information in the answer is right unless somebody else puts the same name at this moment.
      await executionPool.resume(look);
    };
    return target.put(name, { size, source: lookAtEnd() }, options);
  };
  try {
    const id =
      whole === undefined
        ? await receiveContents(exchange, size, limits, putPieces)
        : await space.make(size, () => executionPool.resume(() => target.put(name, whole, options)));
    return { id, isReplaced };
  } catch (error) {
    throw isConditional(headers) ? inWordsOfHttp(error, ['CONDITION_FAILED', 'NAME_TAKEN']) : error;
  }
}

async function regionNamed(target: Target, name: string): Promise<NamedRegion | undefined> {
  try {
    return await target.find(name);
  } catch (error) {
    if (isInstance(error, BedrockError) && error.code === 'REGION_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A change of the region that has a name, given by that name. */
export type ChangeOfNamed = Extract<Change, { type: 'erase' | 'rename' }>;

/**
 * Makes a change under the conditions of the request: either to the region that they were checked
 * for, or not at all.
 * @throws PRECONDITION_FAILED, REGION_NOT_FOUND, what the target throws
 */
export async function changeNamed(
  {
    request: { headers },
    target,
    executionPool,
  }: Pick<Exchange<{ Params: NameParams }>, 'request' | 'target' | 'executionPool'>,
  name: string,
  change: ChangeOfNamed,
): Promise<void> {
  if (!isConditional(headers)) {
    await executionPool.run(() => make(target, change));
    return;
  }
  const { id } = await executionPool.run(() => target.find(name));
  checkPreconditions(headers, id);
  try {
    await executionPool.resume(async () => {
      // Without transactions it is at least the same region, although its name may have changed since.
      if (!target.capabilities.transactional) return make(target, { ...change, ref: id });
      await target.transact([{ type: 'expect', name, id }, change]);
    });
  } catch (error) {
    throw inWordsOfHttp(error, ['CONDITION_FAILED']);
  }
}

function make(target: Target, change: ChangeOfNamed): Promise<void> {
  if (change.type === 'erase') return target.erase(change.ref);
  return target.rename(change.ref, change.to, { replace: change.replace === true });
}

/** Translates a target's error about a condition that came from the request. */
function inWordsOfHttp(error: unknown, codes: readonly ErrorCode[]): unknown {
  if (!isInstance(error, BedrockError) || !codes.includes(error.code)) return error;
  return preconditionFailed(
    'the name now belongs to another region than when the request came, or to none',
    error,
  );
}
