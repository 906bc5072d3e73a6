/**
 * BEDROCK.REQUEST: a provider's own routes over the Redis protocol, with the same checks and errors
 * as over HTTP.
 *
 * The path may have a query (`/counters?limit=10`). The body is JSON for a route that takes JSON,
 * and bytes for one that takes bytes. The reply is an array: status, content type
 * (`application/json`, `application/octet-stream`, or nothing) and body.
 */
import { BedrockError, invalid } from '../base/errors.js';
import { Answer, isAnswer, RESERVED_STEPS, type RouteMethod, scopeOfRoute } from '../contract/route.js';
import type { RouteMatch } from '../runtime/route-table.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import { NEED, type Authority } from '../security/identity.js';
import { type Command, command, KNOWN_ONLY, type Run } from './command.js';
import type { Arguments } from './arguments.js';
import { parseJson } from './json-arguments.js';
import type { Reply } from './replies.js';
import type { Request } from './request.js';

/** Largest JSON body, bytes: parsing it blocks the event loop. */
const MAX_JSON_BYTES = 2 ** 20;
const MAX_ARGUMENTS = 5;

/** BEDROCK.REQUEST provider method path [body] */
const request: Run = (_request, session) => {
  if (!session.daemon.isReady())
    throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
  const { args, release } = session.memory.keepArguments();
  const { maxBulkBytes } = session.limits;
  const answer = async (): Promise<Uint8Array> => {
    try {
      return session.encode(
        await answerOf(args, session.daemon.providers, session.rights.authority, maxBulkBytes),
      );
    } finally {
      release();
    }
  };
  return session.calls.answerWith(answer());
};

/** Whether a BEDROCK.REQUEST is for a route that takes the scope admin. */
export function isAdministrativeRoute(request: Request, providers: readonly RunningProvider[]): boolean {
  try {
    const [path = ''] = request.text(3).split('?', 1);
    const { route } = routeOf(providerOf(request.text(1), providers), request.text(2).toUpperCase(), path);
    return scopeOfRoute(route) === 'admin';
  } catch {
    return false;
  }
}

async function answerOf(
  args: Arguments,
  providers: readonly RunningProvider[],
  authority: Authority | undefined,
  maxBulkBytes: number,
): Promise<Reply> {
  const provider = providerOf(args.text(1), providers);
  authority?.requireProvider(NEED.read, provider.name);
  const method = args.text(2).toUpperCase();
  const url = args.text(3);
  const [path = '', search = ''] = url.split(/\?(.*)/s, 2);
  const match = routeOf(provider, method, path);
  if (provider.state !== 'running')
    throw new BedrockError('NOT_READY', `provider "${provider.name}" is ${provider.state}`);
  const { route, params, validBody } = match;
  authority?.requireProvider(NEED[scopeOfRoute(route)], provider.name);
  const query = queryOf(search, route.query ?? []);
  const given = args.count > MAX_ARGUMENTS - 1 ? args.bytes(MAX_ARGUMENTS - 1) : undefined;
  const body = route.body === 'bytes' ? streamOf(given) : validBody(jsonOf(given, route.body?.isOptional));
  return provider.requests.during(async () => {
    const result: unknown = await provider.executionPool.run(() =>
      route.handle({
        method: (method === 'HEAD' ? 'GET' : method) as RouteMethod,
        path,
        params,
        query,
        headers: {},
        body,
      }),
    );
    const whole = isAnswer(result) ? result : new Answer(result === undefined ? 204 : 200, result);
    return await replyOf(whole, maxBulkBytes);
  });
}

/** @throws PROVIDER_NOT_FOUND */
export function providerOf(name: string, providers: readonly RunningProvider[]): RunningProvider {
  const found = providers.find((one) => one.name === name || String(one.providerId) === name);
  if (found !== undefined) return found;
  throw new BedrockError('PROVIDER_NOT_FOUND', `no provider ${JSON.stringify(name.slice(0, 64))}`);
}

function routeOf(provider: RunningProvider, method: string, path: string): RouteMatch {
  let steps: string[];
  try {
    steps = path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    throw invalid('the path is malformed: a % without two hexadecimal digits, or bytes that are not UTF-8');
  }
  const match = RESERVED_STEPS.has(steps[0] ?? '') ? undefined : provider.routes.find(method, steps);
  if (match instanceof Set)
    throw new BedrockError(
      'METHOD_NOT_ALLOWED',
      `${method} is not allowed for that path; allowed are ${[...match].join(', ')}`,
    );
  if (match !== undefined) return match as RouteMatch;
  throw new BedrockError('ROUTE_NOT_FOUND', `provider "${provider.name}" has no route with that path`);
}

function queryOf(search: string, known: readonly string[]): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    if (!known.includes(name))
      throw invalid(
        `?${name}= is not a parameter of this route; ${known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`}`,
      );
    if (Object.hasOwn(query, name)) throw invalid(`?${name}= is given more than once`);
    query[name] = value;
  }
  return query;
}

/** @param isOptional whether the body may be left out; undefined if the route takes none */
function jsonOf(given: Buffer | undefined, isOptional: boolean | undefined): unknown {
  if (isOptional === undefined) {
    if (given !== undefined) throw invalid('this route takes no body');
    return undefined;
  }
  if (given === undefined) {
    if (isOptional) return {};
    throw invalid('this route needs a body in JSON');
  }
  if (given.length > MAX_JSON_BYTES)
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `the JSON has ${given.length} bytes; at most ${MAX_JSON_BYTES} are allowed`,
    );
  return parseJson(given.toString(), 'the body');
}

function streamOf(bytes: Buffer = Buffer.alloc(0)): AsyncIterable<Uint8Array> & { readonly size: number } {
  return {
    size: bytes.length,
    // oxlint-disable-next-line typescript/require-await -- it stands for a stream
    async *[Symbol.asyncIterator]() {
      if (bytes.length > 0) yield bytes;
    },
  };
}

async function replyOf({ status, body, headers }: Answer, maxBulkBytes: number): Promise<Reply> {
  const { type, bytes } = await encoded(body, maxBulkBytes);
  const named = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  return [status, named ?? type, bytes];
}

async function encoded(body: unknown, maxBulkBytes: number): Promise<{ type: string; bytes: Uint8Array }> {
  if (body === undefined) return { type: '', bytes: Buffer.alloc(0) };
  if (body instanceof Uint8Array) return { type: 'application/octet-stream', bytes: body };
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body) {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of body as AsyncIterable<Uint8Array | string>) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      length += bytes.length;
      if (length > maxBulkBytes)
        throw new BedrockError(
          'BODY_TOO_LARGE',
          `the answer has more than ${maxBulkBytes} bytes, the limit of this protocol (bedrock.resp.max_bulk_bytes); use HTTP`,
        );
      pieces.push(Uint8Array.prototype.slice.call(bytes));
    }
    return { type: 'application/octet-stream', bytes: Buffer.concat(pieces) };
  }
  const text = JSON.stringify(body) as string | undefined;
  if (text === undefined)
    throw new BedrockError('INTERNAL', 'the provider gave an answer that JSON cannot express');
  return { type: 'application/json', bytes: Buffer.from(text) };
}

export const requestCommand: Command = command(
  'bedrock.request',
  [MAX_ARGUMENTS - 1, MAX_ARGUMENTS],
  request,
  "Calls a provider's own route; gives status, content type and body.",
  // What more it takes, the route says.
  { isWrite: true, ...KNOWN_ONLY },
);
