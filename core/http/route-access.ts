/**
 * Lets a request in, or refuses it: finds out by its token who sends it, and compares that with
 * what its route takes. Each route declares that in its `config`; one that does not takes the scope
 * admin for the whole daemon.
 *
 * A token comes in the Authorization header only. One in a URL would stand in the logs of proxies
 * and in the history of browsers, so nothing here ever reads it there.
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
 * What a route takes: nothing (`public`), any valid token (`known`), or a scope for
 *
 * - `daemon`: the daemon as a whole
 * - `provider`: all of the provider in the path
 * - `region`: the region in the path, by its ID or its name
 * - `name`: the name at the end of the path
 * - `some`: something of the provider in the path; the handler looks at the rest
 */
export type RouteAccess =
  | 'public'
  | 'known'
  | { readonly scope: Scope; readonly of: 'daemon' | 'provider' | 'region' | 'name' | 'some' };

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess;
    /** Whether it administers the daemon, although its `access` does not say so. */
    isAdministrative?: boolean;
  }
  interface FastifyRequest {
    /** Who sends it; undefined if nobody is asked, or nobody known sends it. */
    authority: Authority | undefined;
  }
}

/** For routes that say nothing: a new one is closed until somebody has thought about it. */
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

/** Whose token a connection has sent. */
interface Known {
  readonly header: string;
  /** That of `Access` when it was found. */
  readonly version: number;
  readonly authority: Authority;
}

export class RequestAccess {
  /**
   * A client sends one token again and again, and its hash would take longer than the rest of a
   * small request.
   */
  readonly #known = new WeakMap<Socket, Known>();

  constructor(
    private readonly access: Access,
    private readonly providers: Pick<ProviderManager, 'find'>,
    private readonly limits?: Limits,
  ) {}

  /** Who sends a request, as text; undefined if that is nobody who is known. */
  whoSends({ headers, socket }: IncomingMessage): string | undefined {
    return this.#authorityOf(headers.authorization, socket)?.who;
  }

  /** Whether a request on a region by its ID is allowed. Otherwise its route says why not. */
  allows({ headers, socket }: IncomingMessage, need: number, provider: string): boolean {
    const authority = this.#authorityOf(headers.authorization, socket);
    return authority?.allows(need, provider) === true;
  }

  /**
   * Whether whoever sent a request may read what concerns the daemon as a whole, as of now. For
   * answers that go on for long.
   */
  maySeeDaemon({ headers, socket }: IncomingMessage): boolean {
    const authority = this.#authorityOf(headers.authorization, socket);
    return authority !== undefined && (NEED.read & ~authority.everywhere) === 0;
  }

  /** @throws UNAUTHENTICATED, PERMISSION_DENIED */
  admit(request: FastifyRequest): void {
    const { authorization } = request.headers;
    const authority = this.#authorityOf(authorization, request.raw.socket);
    request.authority = authority;
    const access = request.is404 ? 'known' : (request.routeOptions.config.access ?? UNDECLARED);
    if (authority === undefined && authorization !== undefined) {
      const refusal = this.limits?.refusesAuth(request.raw.socket);
      if (refusal !== undefined) throw refusal;
      this.limits?.authFailed(request.raw.socket);
    }
    if (access === 'public') return;
    if (authority === undefined) throw unauthenticated(authorization !== undefined);
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
    // One that does not exist is no concern of those who may do something with others only.
    const found = this.providers.find(provider)?.name ?? provider;
    if (of === 'provider') authority.requireProvider(need, found);
    else if (of === 'name') authority.requireName(need, found, name);
    else if (of === 'region') authority.requireName(need, found, IDS.test(id) ? undefined : id);
    else if (!authority.allowsSome(need, found)) throw authority.denied(need, found);
  }

  #authorityOf(header: string | undefined, socket: Socket): Authority | undefined {
    if (header === undefined) return this.access.ofSocket(socket);
    const known = this.#known.get(socket);
    if (known !== undefined && known.version === this.access.version && isSameSecret(known.header, header))
      return this.access.isValid(known.authority) ? known.authority : undefined;
    const token = BEARER.exec(header)?.[1];
    const { version } = this.access;
    if (token === undefined || this.limits?.isAuthRefused(socket) === true) return undefined;
    const authority = this.access.ofToken(token);
    if (authority !== undefined) this.#known.set(socket, { header, version, authority });
    return authority;
  }
}

/**
 * Whether both are the same, in a time that does not tell where they differ: a proxy may send what
 * many clients ask over one connection. The length is not secret.
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
      : 'this daemon asks for a token: Authorization: Bearer bedrock_ID_SECRET',
    { details: { hasTried } },
  );
}
