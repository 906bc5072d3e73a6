/**
 * The fast path: plain GETs and PUTs of small regions, or of small parts of regions, by ID, and of
 * small values by name, answered without Fastify, which would take two thirds of the daemon's own
 * time for them.
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
import { BedrockError } from '../base/errors.js';
import { isInstance } from '../base/plain.js';
import type { RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { AnswerMemory } from './answer-memory.js';
import { checkName } from '../targets/arguments.js';
import { type BodyLimits, takeBody } from './body.js';
import { NEED } from '../security/identity.js';
import { handOver } from './operations.js';
import { tagOf } from './preconditions.js';
import { receiveWhole } from './receive-region.js';
import { pathOfName } from './region-ref.js';
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

/** A name of the provider's first target, of characters that stand for themselves. */
const NAME = /^\/v1\/providers\/(\w+)\/names\/([\w.~/-]{1,1024})$/;

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
    const { url = '' } = request;
    const [, name, text, offset, persist] = REGION.exec(url) ?? NAME.exec(url) ?? [];
    if (name === undefined || text === undefined) return undefined;
    const { headers } = request;
    if (!isPlain(headers)) return undefined;
    const length = headers['content-length'];
    if (method === 'GET' ? length !== undefined || offset !== undefined : !(Number(length) <= largestBody))
      return undefined;
    let served: ServedTarget | undefined;
    let ref: RegionRef;
    try {
      guard(request);
      // An error that a provider throws here is left to the route: nobody would catch it here.
      served = providers.find(name)?.served(0);
      const need = method === 'GET' ? NEED.read : NEED.write;
      if (served !== undefined && access?.allows(request, need, served.provider.name) === false)
        return undefined;
      const isName = url.includes('/names/');
      if (isName) checkName(text);
      // What it has no names for is refused by the route.
      if (isName && served?.target.capabilities.named === false) return undefined;
      ref = isName ? text : RegionId.parse(text);
    } catch {
      return undefined;
    }
    return (
      served && {
        served,
        ref,
        offset: Number(offset ?? 0),
        size: Number(length ?? 0),
        persist: persist === 'true',
        isAdmitted: true,
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
          : typeof found.ref === 'string'
            ? await answerNewValue(request, response, found, found.ref, begun)
            : await answerPut(request, response, found, begun);
    } catch (error) {
      failure = { error };
    } finally {
      if (found.isAdmitted) executionPool.leave();
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
  /** A name means the whole value. */
  ref: RegionRef;
  offset: number;
  /** Size of the body, in bytes. */
  size: number;
  persist: boolean;
  /** Whether it is still admitted by the execution pool. */
  isAdmitted: boolean;
}

async function answerGet(
  { headers }: IncomingMessage,
  response: ServerResponse,
  { served, ref }: SmallRequest,
  answers: AnswerMemory,
  begun: number,
): Promise<boolean> {
  const { target } = served;
  const region = await target.stat(ref);
  const { id } = region;
  const part = askedPart(region, headers.range);
  const { start, end } = part.range;
  if (end - start > ANSWER_PIECE_BYTES) return false;
  answers.hold(response, end - start);
  // By its ID: the name may belong to another region by now. If this one is gone, the route looks again.
  const bytes = await target.read(id, start, end - start);
  const tag = typeof ref === 'string' ? { etag: tagOf(id) } : undefined;
  response.writeHead(part.status, { ...part.headers, ...tag, ...SECURITY_HEADERS }).end(bytes);
  served.record('read', bytes.length, begun);
  return true;
}

async function answerPut(
  request: IncomingMessage,
  response: ServerResponse,
  { served, ref, offset, size, persist }: SmallRequest,
  begun: number,
): Promise<boolean> {
  const { target } = served;
  const range = { offset, size };
  if ((await receiveWhole(request, { target, ref, range }, { persist })) !== undefined) return false;
  response.writeHead(204, SECURITY_HEADERS as OutgoingHttpHeaders).end();
  served.record('write', size, begun);
  return true;
}

/** PUT of a value under a name. */
async function answerNewValue(
  request: IncomingMessage,
  response: ServerResponse,
  found: SmallRequest,
  name: string,
  begun: number,
): Promise<boolean> {
  const { served, size } = found;
  const { target, executionPool, space, provider } = served;
  // The information in the answer is right unless somebody else puts the same name at this moment.
  // The body comes after the head, while this is waited for.
  let isReplaced = await isThere(target, name);
  const whole = takeBody(request, size);
  if (whole === undefined) return false;
  let id: RegionId;
  try {
    id = await target.put(name, whole);
  } catch (error) {
    if (!isInstance(error, BedrockError) || error.code !== 'OUT_OF_SPACE') throw error;
    // Slow clients may have to give way, and it is not admitted while it waits for that.
    found.isAdmitted = false;
    executionPool.leave();
    id = await space.make(size, () =>
      executionPool.resume(async () => {
        isReplaced = await isThere(target, name);
        return target.put(name, whole);
      }),
    );
  }
  const headers = {
    location: pathOfName(provider.name, name, undefined),
    etag: tagOf(id),
    ...(!isReplaced && { 'content-length': 0 }),
    ...SECURITY_HEADERS,
  };
  response.writeHead(isReplaced ? 204 : 201, headers as OutgoingHttpHeaders).end();
  served.record('put', size, begun);
  return true;
}

async function isThere(target: Target, name: string): Promise<boolean> {
  try {
    await target.find(name);
    return true;
  } catch (error) {
    if (isInstance(error, BedrockError) && error.code === 'REGION_NOT_FOUND') return false;
    throw error;
  }
}
