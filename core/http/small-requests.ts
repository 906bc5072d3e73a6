/**
 * The fast path: plain GETs and PUTs of small regions, or of small parts of regions, answered
 * without Fastify, which would take two thirds of the daemon's own time for them.
 *
 * It handles only ordinary requests, and answers as the routes would. All other requests are passed
 * on to the routes as if they had come there first. So are errors, so that the route counts, logs
 * and sends them.
 */
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestListener,
  ServerResponse,
} from 'node:http';
import { RegionId } from '../contract/region-id.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { AnswerMemory } from './answer-memory.js';
import type { BodyLimits } from './body.js';
import { NEED } from '../security/identity.js';
import { handOver } from './operations.js';
import { receiveWhole } from './receive-region.js';
import type { RequestAccess } from './route-access.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { askedPart, ANSWER_PIECE_BYTES } from './send-region.js';

export interface SmallRequestsOptions {
  providers: ProviderManager;
  limits: BodyLimits;
  answers: AnswerMemory;
  /** Whether requests are served. */
  isReady: () => boolean;
  /** Throws for a request that must not be served. */
  guard: (request: IncomingMessage) => void;
  /** The rights of clients; undefined: everybody may do everything. */
  access: RequestAccess | undefined;
  /** The routes. */
  otherwise: RequestListener;
}

/** A region of the provider's first target. Fewer digits than 2^53 has, so that every offset is exact. */
const REGION =
  /^\/v1\/providers\/(\w+)\/regions\/([0-9a-fA-F]{32})(?:\?offset=(\d{1,15})(?:&persist=(true|false))?)?$/;

/** A larger body does not come together with its head. */
const MAX_BODY_BYTES = 64 * 1024;

/** Whether a request has none of the headers that only the routes understand. */
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
  const { providers, limits, answers, isReady, guard, access, otherwise } = options;

  const largestBody = Math.min(MAX_BODY_BYTES, limits.maxBodyBytes);

  const find = (request: IncomingMessage): SmallRequest | undefined => {
    const { method } = request;
    if ((method !== 'GET' && method !== 'PUT') || !isReady()) return undefined;
    const [, name, id, offset, persist] = REGION.exec(request.url ?? '') ?? [];
    if (name === undefined || id === undefined) return undefined;
    const { headers } = request;
    if (!isPlain(headers)) return undefined;
    const length = headers['content-length'];
    if (method === 'GET' ? length !== undefined || offset !== undefined : !(Number(length) <= largestBody))
      return undefined;
    let served: ServedTarget | undefined;
    try {
      guard(request);
      // An error that a provider throws here is left to the route: nobody would catch it here.
      served = providers.find(name)?.served(0);
      const need = method === 'GET' ? NEED.read : NEED.write;
      if (served !== undefined && access?.allows(request, need, served.provider.name) === false)
        return undefined;
    } catch {
      return undefined;
    }
    return (
      served && {
        served,
        id: RegionId.parse(id),
        offset: Number(offset ?? 0),
        size: Number(length ?? 0),
        persist: persist === 'true',
      }
    );
  };

  return (request, response) => {
    const begun = performance.now();
    const found = find(request);
    // Without admission it would have to wait, and only the routes do that.
    if (found === undefined || !found.served.executionPool.tryEnter()) otherwise(request, response);
    else void answer(request, response, found, begun);
  };

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    found: SmallRequest,
    begun: number,
  ): Promise<void> {
    const { executionPool, requests } = found.served;
    requests.enter();
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
      executionPool.leave();
      requests.leave();
    }
    if (isAnswered) return;
    handOver(request, begun, failure);
    otherwise(request, response);
  }
}

/** A small request, parsed. */
interface SmallRequest {
  served: ServedTarget;
  id: RegionId;
  offset: number;
  /** Size of the body, in bytes. */
  size: number;
  persist: boolean;
}

async function answerGet(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { served, id }: SmallRequest,
  answers: AnswerMemory,
  begun: number,
): Promise<boolean> {
  const { target } = served;
  const part = askedPart(await target.stat(id), headers.range);
  const { start, end } = part.range;
  if (end - start > ANSWER_PIECE_BYTES) return false;
  answers.hold(response, end - start);
  const bytes = await target.read(id, start, end - start);
  response.writeHead(part.status, { ...part.headers, ...SECURITY_HEADERS }).end(bytes);
  served.record('read', bytes.length, begun);
  return true;
}

async function answerPut(
  request: IncomingMessage,
  response: ServerResponse,
  { served, id, offset, size, persist }: SmallRequest,
  begun: number,
): Promise<boolean> {
  const { target } = served;
  const range = { offset, size };
  if ((await receiveWhole(request, { target, ref: id, range }, { persist })) !== undefined) return false;
  response.writeHead(204, SECURITY_HEADERS as OutgoingHttpHeaders).end();
  served.record('write', size, begun);
  return true;
}
