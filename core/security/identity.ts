/**
 * Who sends a request, and what this sender may do. The doors identify the sender by a token, a
 * client's certificate or the user behind a unix socket, and ask its `Authority` before they do
 * anything.
 */
import { BedrockError } from '../base/errors.js';

/**
 * What a grant allows. Each scope includes those before it: nearly every change also reveals
 * something of what was there, and a client that may take a snapshot or move a target away might as
 * well read and erase it.
 *
 * - `read`: contents, names and figures
 * - `write`: creating, overwriting, renaming and erasing
 * - `admin`: changes of the configuration, snapshots, migration, queries, and the end of the daemon
 */
export const SCOPES = ['read', 'write', 'admin'] as const;
/** One of `SCOPES`. */
export type Scope = (typeof SCOPES)[number];

/** The scope that a request needs, as a bit, so that a check is one comparison of integers. */
export const NEED = { read: 1, write: 2, admin: 4 } as const satisfies Record<Scope, number>;

/** The need of a request that every known client may make. */
export const KNOWN = 8;

/** The rights of callers if the daemon is open to everybody. */
export const EVERYTHING = 15;

const INCLUDED: Record<Scope, number> = { read: 1, write: 3, admin: 7 };

/** A scope, and where it holds. */
export interface Grant {
  readonly scope: Scope;
  /** Name of a provider; `*`, or nothing, means all of them and the daemon itself. */
  readonly provider?: string;
  /** If present, the grant holds only for regions by their names, and for names that begin with this. */
  readonly prefix?: string;
}

/** How an identity was proved. */
export type IdentityKind = 'token' | 'certificate' | 'uid' | 'anonymous';

export interface Identity {
  readonly kind: IdentityKind;
  /** Id of a token, subject of a certificate, number of a user; never a secret. Empty for `anonymous`. */
  readonly name: string;
  readonly grants: readonly Grant[];
  /** When it ends, milliseconds since the epoch. */
  readonly expiresAt?: number;
}

/** An identity with its grants in the form that requests are checked against. */
export class Authority {
  /** Bits of the scopes that hold for everything. */
  readonly everywhere: number;
  /** Bits of the scopes that hold somewhere. */
  readonly somewhere: number;

  constructor(readonly identity: Identity) {
    let everywhere = KNOWN;
    let somewhere = KNOWN;
    for (const { scope, provider = '*', prefix } of identity.grants) {
      somewhere |= INCLUDED[scope];
      if (provider === '*' && prefix === undefined) everywhere |= INCLUDED[scope];
    }
    this.everywhere = everywhere;
    this.somewhere = somewhere;
  }

  /** Whether it has the same rights as another one. */
  isAsBefore({ identity }: Authority): boolean {
    return JSON.stringify(this.identity.grants) === JSON.stringify(identity.grants);
  }

  /** The identity as text for logs: `token app`. */
  get who(): string {
    const { kind, name } = this.identity;
    return name === '' ? kind : `${kind} ${name}`;
  }

  /** Whether it may do this with all of a provider. */
  allows(need: number, provider: string): boolean {
    if ((need & ~this.everywhere) === 0) return true;
    return this.#grantsAt(need, provider).some(({ prefix }) => prefix === undefined);
  }

  /** Whether it may do this with regions of a provider, all or some. */
  allowsSome(need: number, provider: string): boolean {
    return (need & ~this.everywhere) === 0 || this.#grantsAt(need, provider).length > 0;
  }

  /** Whether it may do this with the region of a provider that has a name. */
  allowsName(need: number, provider: string, name: string): boolean {
    if ((need & ~this.everywhere) === 0) return true;
    return this.#grantsAt(need, provider).some(
      ({ prefix }) => prefix === undefined || name.startsWith(prefix),
    );
  }

  /**
   * The prefix that a listing of names is confined to: the one asked for if it lies within a grant,
   * or else the one grant that lies within what was asked for.
   * @throws PERMISSION_DENIED if there is none, or several
   */
  confine(need: number, provider: string, asked: string): string {
    if (this.allowsName(need, provider, asked)) return asked;
    const within = this.#grantsAt(need, provider).filter(({ prefix }) => prefix?.startsWith(asked) === true);
    const prefixes = new Set(within.map(({ prefix }) => prefix ?? ''));
    const [only] = prefixes;
    if (prefixes.size === 1 && only !== undefined) return only;
    throw this.denied(need, provider, prefixes.size === 0 ? undefined : [...prefixes]);
  }

  /** @throws PERMISSION_DENIED unless it may do this with the daemon as a whole */
  requireDaemon(need: number): void {
    if ((need & ~this.everywhere) !== 0) throw this.denied(need);
  }

  /** @throws PERMISSION_DENIED unless it may do this with all of a provider */
  requireProvider(need: number, provider: string): void {
    if (!this.allows(need, provider)) throw this.denied(need, provider);
  }

  /**
   * @throws PERMISSION_DENIED unless it may do this with the region that has the name; `undefined`
   *   is a region by its ID
   */
  requireName(need: number, provider: string, name: string | undefined): void {
    if (name === undefined ? !this.allows(need, provider) : !this.allowsName(need, provider, name))
      throw this.denied(need, provider, this.#prefixesOf(need, provider));
  }

  /** The error for a request that is not allowed. @param prefixes the prefixes that are allowed instead */
  denied(need: number, provider?: string, prefixes: readonly string[] = []): BedrockError {
    const scope = scopeOf(need);
    const where = provider === undefined ? 'the whole daemon' : `provider ${JSON.stringify(provider)}`;
    const cure =
      prefixes.length === 0
        ? `it needs the scope ${scope} for ${where}`
        : `for ${where} it has the scope ${scope} by name only, below ${prefixes.map((each) => JSON.stringify(each)).join(', ')}`;
    return new BedrockError('PERMISSION_DENIED', `${this.who} may not do this: ${cure}`, {
      details: { scope, ...(provider !== undefined && { provider }) },
    });
  }

  #prefixesOf(need: number, provider: string): string[] {
    return this.#grantsAt(need, provider).flatMap(({ prefix }) => prefix ?? []);
  }

  #grantsAt(need: number, provider: string): Grant[] {
    return this.identity.grants.filter(
      (grant) =>
        (need & ~INCLUDED[grant.scope]) === 0 &&
        (grant.provider === undefined || grant.provider === '*' || grant.provider === provider),
    );
  }
}

/** The least scope that has a need. */
function scopeOf(need: number): Scope {
  return SCOPES.find((scope) => (need & ~INCLUDED[scope]) === 0) ?? 'admin';
}
