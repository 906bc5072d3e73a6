/**
 * Routes that a provider serves below `/v1/providers/{name}/`.
 *
 * A route says what it takes: names in its path, names in its query, a JSON body with a schema, or a body of bytes. The front door
 * checks all that before the handler sees it, and takes the handler through the provider's execution pool. What the handler throws
 * becomes the answer: a BedrockError under its own code, anything else as INTERNAL.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BedrockError } from '../base/errors.js';
import type { SchemaSource } from './schema-source.js';

export const ROUTE_METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'] as const;
export type RouteMethod = (typeof ROUTE_METHODS)[number];

/** A body in JSON, of a type that its schema describes. */
export interface JsonBody<T> {
  readonly schema: SchemaSource;
  /** Whether a request may come without it; then the schema sees an empty object, whose defaults it fills in. */
  readonly isOptional: boolean;
  /** Exists for the type checker only. */
  readonly type?: T;
}

/** A body of bytes. They come as they are taken; nothing is read ahead. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** How many there will be. */
  readonly size: number;
}

/** The names behind the colons of a path. */
type NamesIn<Path extends string> = Path extends `${string}/:${infer Name}/${infer Rest}`
  ? Name | NamesIn<`/${Rest}`>
  : Path extends `${string}/:${infer Name}`
    ? Name
    : never;

export interface RouteRequest<Path extends string = string, Query extends string = string, Body = unknown> {
  readonly method: RouteMethod;
  /** Below the provider, such as `/counters/hits`. */
  readonly path: string;
  /** What stands where the route's path has `:name`, decoded. */
  readonly params: Readonly<Record<NamesIn<Path>, string>>;
  /** The parameters that were given. */
  readonly query: Readonly<Partial<Record<Query, string>>>;
  readonly headers: IncomingHttpHeaders;
  readonly body: Body;
}

export interface RouteDescription<Path extends string, Query extends string, Body> {
  readonly method: RouteMethod;
  /** Begins with a slash and a word; a step that begins with a colon takes anything: `/counters/:name`. */
  readonly path: Path;
  /** What it is for, one line; stands in the OpenAPI document. */
  readonly summary: string;
  /** Query parameters that it knows. Any other is refused. */
  readonly query?: readonly Query[];
  /** What it takes as a body; nothing unless told. */
  readonly body?: JsonBody<Body> | 'bytes';
  /**
   * Answers a request.
   * @returns an Answer; or what is sent with status 200, bytes as bytes and anything else as JSON; or nothing, for status 204
   */
  handle(request: RouteRequest<Path, Query, Body>): unknown;
}

/** A route, whatever it takes. */
export type ProviderRoute = RouteDescription<string, string, unknown> & { readonly isRoute: true };

/** An answer with a status or headers of its own. */
export class Answer {
  readonly isAnswer = true;

  /** @param body as a handler may return it */
  constructor(
    readonly status: number,
    readonly body?: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** By its shape, not its class: a library may have a copy of this package of its own. */
export function isAnswer(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && 'isAnswer' in value && value.isAnswer === true;
}

/** Describes a route. The types of its parameters and of its body follow from `path`, `query` and `body`. */
export function defineRoute<const Path extends string, const Query extends string = never>(
  route: RouteDescription<Path, Query, undefined> & { readonly body?: never },
): ProviderRoute;
export function defineRoute<const Path extends string, const Query extends string = never>(
  // oxlint-disable-next-line typescript/unified-signatures -- as one, neither body would have a type of its own
  route: RouteDescription<Path, Query, ByteStream> & { readonly body: 'bytes' },
): ProviderRoute;
export function defineRoute<Body, const Path extends string, const Query extends string = never>(
  route: RouteDescription<Path, Query, Body> & { readonly body: JsonBody<Body> },
): ProviderRoute;
export function defineRoute(route: object): ProviderRoute {
  // The front door hands out what the route asks for; its path and schema have been checked by then.
  return { ...route, isRoute: true } as unknown as ProviderRoute;
}

/** A JSON body that must be there. */
export function jsonBody<T>(schema: SchemaSource): JsonBody<T> {
  return { schema, isOptional: false };
}

/** A JSON body that may be left out. */
export function optionalJsonBody<T>(schema: SchemaSource): JsonBody<T> {
  return { schema, isOptional: true };
}

/** First steps below a provider that are the daemon's own. */
export const RESERVED_STEPS: ReadonlySet<string> = new Set([
  'regions',
  'stats',
  'snapshot',
  'restore',
  'migrate',
]);

/** @throws START_FAILED */
export function checkRouteShape(route: unknown, maker: string): asserts route is ProviderRoute {
  const { method, path, handle, isRoute } = (route ?? {}) as Partial<ProviderRoute>;
  const fault = (what: string): BedrockError => {
    const which = typeof path === 'string' ? `the route ${String(method)} ${path}` : 'a route';
    return new BedrockError('START_FAILED', `${maker} has ${which} ${what}`);
  };
  if (isRoute !== true || typeof handle !== 'function') throw fault('that is not what defineRoute gives');
  if (!ROUTE_METHODS.includes(method as RouteMethod))
    throw fault(`with another method than ${ROUTE_METHODS.join(', ')}`);
  const [, first = '', ...rest] = path?.split('/') ?? [];
  if (path?.startsWith('/') !== true || !/^[\w.-]+$/.test(first) || !rest.every((step) => STEP.test(step)))
    throw fault('whose path is no row of steps such as /counters/:name');
  if (RESERVED_STEPS.has(first)) throw fault(`whose path begins with "${first}", which is the daemon's own`);
  const names = rest.filter((step) => step.startsWith(':'));
  if (new Set(names).size < names.length) throw fault('that has two steps of one name');
}

const STEP = /^(:[A-Za-z]\w*|[\w.-]+)$/;
