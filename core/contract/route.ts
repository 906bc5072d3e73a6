/**
 * Routes that a provider serves below `/v1/providers/{name}/`.
 *
 * A route declares its input: names in its path, names in its query, a JSON body with a schema, or
 * a body of bytes. The door checks all of it before it calls the handler, and runs the handler
 * through the provider's execution pool. What the handler throws becomes the answer: a BedrockError
 * under its own code, anything else as INTERNAL.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BedrockError } from '../base/errors.js';
import type { SchemaSource } from './schema-source.js';

/** The HTTP methods that a route can have. */
export const ROUTE_METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'] as const;
/** One of `ROUTE_METHODS`. */
export type RouteMethod = (typeof ROUTE_METHODS)[number];

/** A JSON body, of a type that its schema describes. */
export interface JsonBody<T> {
  /** Schema of the body, which is checked before the handler is called. */
  readonly schema: SchemaSource;
  /** Whether a request may omit it; the schema then gets an empty object and fills in its defaults. */
  readonly isOptional: boolean;
  /** For the type checker only. */
  readonly type?: T;
}

/** A body of bytes. They arrive as they are consumed; nothing is read ahead. */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /** Total number of bytes. */
  readonly size: number;
}

/** The names after the colons of a path. */
export type PathNames<Path extends string> = Path extends `${string}/:${infer Name}/${infer Rest}`
  ? Name | PathNames<`/${Rest}`>
  : Path extends `${string}/:${infer Name}`
    ? Name
    : never;

/** A request as the handler of a route gets it: checked against the route's declaration. */
export interface RouteRequest<Path extends string = string, Query extends string = string, Body = unknown> {
  /** Method of the route. */
  readonly method: RouteMethod;
  /** Path below the provider, such as `/counters/hits`. */
  readonly path: string;
  /** Values for the `:name` steps of the route's path, decoded. */
  readonly params: Readonly<Record<PathNames<Path>, string>>;
  /** The query parameters of the request. */
  readonly query: Readonly<Partial<Record<Query, string>>>;
  /** As in Node.js: names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** As the route's `body` declares: the value of the JSON, a ByteStream, or undefined. */
  readonly body: Body;
}

/** The argument of `defineRoute`. */
export interface RouteDescription<Path extends string, Query extends string, Body> {
  /** Requests with another method do not match this route. */
  readonly method: RouteMethod;
  /** Begins with a slash and a word. A step that begins with a colon matches anything: `/counters/:name`. */
  readonly path: Path;
  /** Purpose of the route, one line; shown in the OpenAPI document. */
  readonly summary: string;
  /** Whether it is for other providers only, and is left out of the OpenAPI document. Default: false. */
  readonly isInternal?: boolean;
  /**
   * The scope that the sender of the request needs for the provider: `read`, `write` or `admin`.
   * Default: `read` for GET, else `write`.
   */
  readonly scope?: 'read' | 'write' | 'admin';
  /** Query parameters that it accepts. Any other is refused. */
  readonly query?: readonly Query[];
  /** The body that it accepts. Default: none. */
  readonly body?: JsonBody<Body> | 'bytes';
  /**
   * Answers a request.
   * @returns an Answer; or a value for status 200, bytes as bytes and anything else as JSON; or
   *   undefined, for status 204
   */
  handle(request: RouteRequest<Path, Query, Body>): unknown;
}

/** A route with any input. */
export type ProviderRoute = RouteDescription<string, string, unknown> & { readonly isRoute: true };

/** An answer with its own status or headers. */
export class Answer {
  /** Distinguishes it from a value to be sent as JSON. */
  readonly isAnswer = true;

  constructor(
    /** HTTP status code. */
    readonly status: number,
    /** Any value that a handler may return. */
    readonly body?: unknown,
    /** Headers of the answer, by name. */
    readonly headers: Readonly<Record<string, string>> = {},
  ) {}
}

/** Checks its shape, not its class: a library may have its own copy of this package. */
export function isAnswer(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null && 'isAnswer' in value && value.isAnswer === true;
}

/**
 * Defines a route. The types of its parameters and of its body are inferred from `path`, `query`
 * and `body`.
 */
export function defineRoute<const Path extends string, const Query extends string = never>(
  route: RouteDescription<Path, Query, undefined> & { readonly body?: never },
): ProviderRoute;
/** The same, for a route with a body of bytes. */
export function defineRoute<const Path extends string, const Query extends string = never>(
  // oxlint-disable-next-line typescript/unified-signatures -- as one, neither body would have a type of its own
  route: RouteDescription<Path, Query, ByteStream> & { readonly body: 'bytes' },
): ProviderRoute;
/** The same, for a route with a JSON body. */
export function defineRoute<Body, const Path extends string, const Query extends string = never>(
  route: RouteDescription<Path, Query, Body> & { readonly body: JsonBody<Body> },
): ProviderRoute;
export function defineRoute(route: object): ProviderRoute {
  // The door passes what the route declares; its path and schema have been checked by then.
  return { ...route, isRoute: true } as unknown as ProviderRoute;
}

/** A required JSON body. */
export function jsonBody<T>(schema: SchemaSource): JsonBody<T> {
  return { schema, isOptional: false };
}

/** An optional JSON body. */
export function optionalJsonBody<T>(schema: SchemaSource): JsonBody<T> {
  return { schema, isOptional: true };
}

/** First steps below a provider that belong to the daemon. */
export const RESERVED_STEPS: ReadonlySet<string> = new Set([
  'regions',
  'names',
  'transactions',
  'stats',
  'snapshot',
  'restore',
  'migrate',
]);

/** @throws START_FAILED */
export function checkRouteShape(route: unknown, maker: string): asserts route is ProviderRoute {
  const { method, path, handle, isRoute, scope } = (route ?? {}) as Partial<ProviderRoute>;
  const fault = (what: string): BedrockError => {
    const which = typeof path === 'string' ? `the route ${String(method)} ${path}` : 'a route';
    return new BedrockError('START_FAILED', `${maker} has ${which} ${what}`);
  };
  if (isRoute !== true || typeof handle !== 'function') throw fault('that is not what defineRoute gives');
  if (!ROUTE_METHODS.includes(method as RouteMethod))
    throw fault(`with another method than ${ROUTE_METHODS.join(', ')}`);
  if (scope !== undefined && !['read', 'write', 'admin'].includes(scope))
    throw fault('with another scope than read, write or admin');
  const [, first = '', ...rest] = path?.split('/') ?? [];
  if (path?.startsWith('/') !== true || !/^[\w.-]+$/.test(first) || !rest.every((step) => STEP.test(step)))
    throw fault('whose path is not a list of steps such as /counters/:name');
  if (RESERVED_STEPS.has(first)) throw fault(`whose path begins with "${first}", which is the daemon's own`);
  const names = rest.filter((step) => step.startsWith(':'));
  if (new Set(names).size < names.length) throw fault('that has two steps of one name');
}

const STEP = /^(:[A-Za-z]\w*|[\w.-]+)$/;

/** The scope that a request to a route takes. */
export function scopeOfRoute({ scope, method }: ProviderRoute): NonNullable<ProviderRoute['scope']> {
  return scope ?? (method === 'GET' ? 'read' : 'write');
}
