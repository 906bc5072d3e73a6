/**
 * The fast path: plain GETs and PUTs of small regions, or small parts of regions, answered without Fastify's machinery, which
 * would take two thirds of the daemon's own time for them.
 *
 * It takes only what is ordinary, and answers as the routes would. Everything else goes on to the routes as if it had come to them
 * first; so do errors, for the route to count, log and send them.
 */
import type { IncomingHttpHeaders, IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import { checkedTarget } from '../targets/checked-target.js';
import type { AnswerMemory } from './answer-memory.js';
import type { BodyLimits } from './body.js';
import { handOver } from './operations.js';
import { receiveWhole } from './receive-region.js';
import { askedPart, PIECE_BYTES } from './send-region.js';

export interface SmallRequestsOptions {
  providers: ProviderManager;
  limits: BodyLimits;
  answers: AnswerMemory;
  /** Whether requests are served. */
  isReady: () => boolean;
  /** Throws for a request that may not be served. */
  guard: (request: IncomingMessage) => void;
  /** The routes. */
  otherwise: RequestListener;
}

/** Of a region of the provider's first target; fewer digits than 2^53 has, so that every offset is exact. */
const REGION =
  /^\/v1\/providers\/(\w+)\/regions\/([0-9a-fA-F]{32})(?:\?offset=(\d{1,15})(?:&persist=(true|false))?)?$/;

/** A larger body has not come whole with its head. */
const MAX_BODY_BYTES = 64 * 1024;

/** Whether a request has none of the headers whose meaning only the routes know. */
function isPlain(headers: IncomingHttpHeaders): boolean {
  return (
    headers['if-range'] === undefined &&
    headers['if-match'] === undefined &&
    headers['if-none-match'] === undefined &&
    headers['content-range'] === undefined &&
    headers['content-encoding'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined
  );
}

/** @returns a listener that answers small requests and passes the others on */
export function answerSmallRequests(options: SmallRequestsOptions): RequestListener {
  const { providers, limits, answers, isReady, guard, otherwise } = options;

  const largestBody = Math.min(MAX_BODY_BYTES, limits.maxBodyBytes);

  const find = (request: IncomingMessage): SmallRequest | undefined => {
    const { method } = request;
    if ((method !== 'GET' && method !== 'PUT') || !isReady()) return undefined;
    const [, name, id, offset, persist] = REGION.exec(request.url ?? '') ?? [];
    if (name === undefined || id === undefined) return undefined;
    const provider = providers.find(name);
    const target = provider?.targets[0];
    if (provider === undefined || target === undefined) return undefined;
    const { headers } = request;
    if (!isPlain(headers)) return undefined;
    const length = headers['content-length'];
    if (method === 'GET' ? length !== undefined || offset !== undefined : !(Number(length) <= largestBody))
      return undefined;
    try {
      guard(request);
    } catch {
      return undefined;
    }
    return {
      provider,
      target: checkedTarget(target),
      id: RegionId.parse(id),
      offset: Number(offset ?? 0),
      size: Number(length ?? 0),
      persist: persist === 'true',
    };
  };

  return (request, response) => {
    const begun = performance.now();
    const found = find(request);
    // Without a place in the pool it has to wait, and that is not ordinary.
    if (found === undefined || !found.provider.pool.tryEnter()) otherwise(request, response);
    else void answer(request, response, found, begun);
  };

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    found: SmallRequest,
    begun: number,
  ): Promise<void> {
    const { pool } = found.provider;
    let isAnswered = false;
    let failure: { error: unknown } | undefined;
    try {
      isAnswered =
        request.method === 'GET'
          ? await answerGet(request, response, found, answers, begun)
          : await answerPut(request, response, found, begun);
    } catch (error) {
      failure = { error };
    } finally {
      pool.leave();
    }
    if (isAnswered) return;
    handOver(request, begun, failure);
    otherwise(request, response);
  }
}

/** What a small request is about. */
interface SmallRequest {
  provider: RunningProvider;
  target: Target;
  id: RegionId;
  offset: number;
  /** Of the body. */
  size: number;
  persist: boolean;
}

async function answerGet(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { provider, target, id }: SmallRequest,
  answers: AnswerMemory,
  begun: number,
): Promise<boolean> {
  const part = askedPart(await target.stat(id), headers.range);
  const { start, end } = part.range;
  if (end - start > PIECE_BYTES) return false;
  answers.hold(response, end - start);
  const bytes = await target.read(id, start, end - start);
  response.writeHead(part.status, part.headers).end(bytes);
  provider.meters[0]?.read.record(bytes.length, performance.now() - begun);
  return true;
}

async function answerPut(
  request: IncomingMessage,
  response: ServerResponse,
  { provider, target, id, offset, size, persist }: SmallRequest,
  begun: number,
): Promise<boolean> {
  if (!(await receiveWhole(request, { target, id, range: { offset, size } }, { persist }))) return false;
  response.writeHead(204).end();
  provider.meters[0]?.write.record(size, performance.now() - begun);
  return true;
}
