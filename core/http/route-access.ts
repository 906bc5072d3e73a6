/**
 * Allows or refuses a request: finds out by its token who sends it, and compares that identity's
 * rights with what the route requires. Each route declares this in its `config`. A route that
 * declares nothing requires the scope admin for the whole daemon.
 *
 * A token is accepted in the Authorization header only. A token in a URL would end up in the logs
 * of proxies and in the history of browsers, so it is never read from there.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { BedrockError } from '../base/errors.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import type { Access } from '../security/access.js';
import type { Limits } from '../security/limits.js';
import { type Authority, NEED, type Scope } from '../security/identity.js';

/**
 * What a route requires: nothing (`public`), any valid token (`known`), or a scope for
 *
 * - `daemon`: the daemon as a whole
 * - `provider`: all of the provider in the path
 * - `region`: the region in the path, by its ID or its name
 * - `name`: the name at the end of the path
 * - `some`: something of the provider in the path; the handler checks the rest
 */
export type RouteAccess =
  | 'public'
  | 'known'
  | { readonly scope: Scope; readonly of: 'daemon' | 'provider' | 'region' | 'name' | 'some' };

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess;
    /** Whether the route administers the daemon, although its `access` does not show that. */
    isAdministrative?: boolean;
  }
  interface FastifyRequest {
    /** Who sends it; undefined if access is open to everybody, or the sender is unknown. */
    authority: Authority | undefined;
  }
}

/** For routes that declare nothing: a new route is closed until its access is decided. */
const UNDECLARED: RouteAccess = { scope: 'admin', of: 'daemon' };

/** Whether a request is for a route that administers the daemon. */
export function isAdministrative({ is404, routeOptions: { config } }: FastifyRequest): boolean {
  if (is404) return false;
  const { access = UNDECLARED, isAdministrative: isDeclared = false } = config;
  return isDeclared || (typeof access === 'object' && access.scope === 'admin');
}

const BEARER = /^bearer +(\S+)$/i;

const IDS = /^[0-9a-fA-F]{32}$/;

interface Parameters {
  provider?: string;
  id?: string;
  '*'?: string;
}

/** The token that a connection has sent, and its owner. */
interface Known {
  readonly header: string;
  /** The version of `Access` when the owner was looked up. */
  readonly version: number;
  readonly authority: Authority;
}

export class RequestAccess {
  /**
   * A client sends the same token with each request, and its hash would take longer than the rest
   * of a small request.
   */
  readonly #known = new WeakMap<Socket, Known>();
  /** Requests with a token that is not valid, with the error if it was not even looked at. */
  readonly #failed = new WeakMap<IncomingMessage, BedrockError | undefined>();

  constructor(
    private readonly access: Access,
    private readonly providers: Pick<ProviderManager, 'find'>,
    private readonly limits?: Limits,
  ) {}

  /** Who sends a request, as text; undefined if the sender is unknown. */
  whoSends(request: IncomingMessage): string | undefined {
    return this.#authorityOf(request)?.who;
  }

  /** Whether a request on a region by its ID is allowed. If not, its route tells the reason. */
  allows(request: IncomingMessage, need: number, provider: string): boolean {
    return this.#authorityOf(request)?.allows(need, provider) === true;
  }

  /**
   * Whether the sender of a request may now read what concerns the whole daemon. For answers that
   * take long.
   */
  maySeeDaemon(request: IncomingMessage): boolean {
    const authority = this.#authorityOf(request);
    return authority !== undefined && (NEED.read & ~authority.everywhere) === 0;
  }

  /** @throws UNAUTHENTICATED, PERMISSION_DENIED, RATE_LIMITED */
  admit(request: FastifyRequest): void {
    const authority = this.#authorityOf(request.raw);
    request.authority = authority;
    const refusal = this.#failed.get(request.raw);
    if (refusal instanceof BedrockError) throw refusal;
    const access = request.is404 ? 'known' : (request.routeOptions.config.access ?? UNDECLARED);
    if (access === 'public') return;
    if (authority === undefined) throw unauthenticated(request.headers.authorization !== undefined);
    if (access === 'known') return;
    this.#check(authority, access, request.params as Parameters);
  }

  #check(
    authority: Authority,
    { scope, of }: Exclude<RouteAccess, string>,
    { provider = '', id = '', '*': name = '' }: Parameters,
  ): void {
    const need = NEED[scope];
    if ((need & ~authority.everywhere) === 0) return;
    if (of === 'daemon') throw authority.denied(need);
    // Clients with rights on some providers only do not learn whether another provider exists.
    const found = this.providers.find(provider)?.name ?? provider;
    if (of === 'provider') authority.requireProvider(need, found);
    else if (of === 'name') authority.requireName(need, found, name);
    else if (of === 'region') authority.requireName(need, found, IDS.test(id) ? undefined : id);
    else if (!authority.allowsSome(need, found)) throw authority.denied(need, found);
  }

  #authorityOf(request: IncomingMessage): Authority | undefined {
    const { headers, socket } = request;
    const header = headers.authorization;
    if (header === undefined) return this.access.ofSocket(socket);
    const known = this.#known.get(socket);
    if (known !== undefined && known.version === this.access.version && isSameSecret(known.header, header))
      return this.access.isValid(known.authority) ? known.authority : undefined;
    if (this.#failed.has(request)) return undefined;
    const { version } = this.access;
    const authority = this.#lookUp(header, request);
    if (authority !== undefined) this.#known.set(socket, { header, version, authority });
    return authority;
  }

  /**
   * Who a token belongs to that the connection has not sent before. A failure is remembered, as a
   * request is one attempt.
   */
  #lookUp(header: string, request: IncomingMessage): Authority | undefined {
    const look = (): Authority | undefined => {
      const token = BEARER.exec(header)?.[1];
      return token === undefined ? undefined : this.access.ofToken(token);
    };
    try {
      const found = this.limits === undefined ? look() : this.limits.attempt(request.socket, look);
      if (found === undefined) this.#failed.set(request, undefined);
      return found;
    } catch (error) {
      this.#failed.set(request, error as BedrockError);
      return undefined;
    }
  }
}

/**
 * Whether both are equal, in a time that does not tell where they differ: a proxy may send requests
 * of many clients over one connection. The length is not secret.
 */
function isSameSecret(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return difference === 0;
}

function unauthenticated(hasTried: boolean): BedrockError {
  return new BedrockError(
    'UNAUTHENTICATED',
    hasTried
      ? 'the Authorization header has no valid token: it is unknown, was revoked or has expired'
      : 'this daemon requires a token: Authorization: Bearer bedrock_ID_SECRET',
    { details: { hasTried } },
  );
}
