/**
 * What the client of a connection may do: who it is, and which commands, targets and regions it may
 * use.
 *
 * - Without access control everything is allowed.
 * - `admit` looks at each command before it runs. For a client that may use the command everywhere,
 *   this takes two comparisons of integers. A client that may use it only for some providers or
 *   names is checked again for each target (`checkTarget`) and each region (`permit`) that the
 *   command is about.
 * - A change of the daemon's tokens applies to open connections from their next request on.
 * - If the client becomes another one, or may do less than before, the connection gives up the work
 *   that it has begun.
 */
import type { Socket } from 'node:net';
import type { RegionRef } from '../contract/names.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Access } from '../security/access.js';
import { type Authority, EVERYTHING } from '../security/identity.js';
import type { Limits } from '../security/limits.js';
import { RedisFault } from './redis-fault.js';

/** The parts of a command that decide who may use it. */
export interface CommandNeed {
  /** In lower case. */
  readonly name: string;
  /** The scope as a bit, of `NEED`. */
  readonly need: number;
  /** What the scope is for. `names`: the command itself tells which regions it is about (`permit`). */
  readonly of: 'keys' | 'names' | 'targets' | 'daemon';
}

/** The connection of the client. */
export interface WorkingClient {
  /**
   * Gives up what was begun: a transaction fails, names are no longer watched, uploads are
   * abandoned.
   */
  giveUpWork(): void;
  /** Drops a transaction. */
  discard(): void;
}

export class ClientRights {
  /** Who sends the requests; undefined if nobody is asked, or while nobody has said. */
  authority: Authority | undefined;
  /** What the client may do everywhere: bits of `NEED`. */
  #mask: number;
  /** The version of `access` that the mask is of. */
  #seen: number | undefined;
  /** The command at hand, if what the client may do depends on the regions that it is about. */
  #narrow: CommandNeed | undefined;
  #socket!: Socket;

  /**
   * @param access who may do what; undefined: everybody may do everything
   * @param rates limit of attempts to authenticate
   */
  constructor(
    private readonly client: WorkingClient,
    private readonly access: Access | undefined,
    private readonly rates: Limits | undefined,
  ) {
    this.#mask = access === undefined ? EVERYTHING : 0;
  }

  /** Sets the client's socket, which may show who it is. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.forget();
  }

  // ---- who the client is ----

  /** Whether the client has still to say who it is. */
  get mustAuthenticate(): boolean {
    return this.#mask === 0;
  }

  /**
   * The requests are from now on those of a token's owner.
   * @param id of the token; a token in one word needs none
   * @throws RedisFault without access control, or if the token is unknown; RATE_LIMITED
   */
  authenticate(id: string | undefined, secret: string): void {
    const { access, rates } = this;
    if (access === undefined)
      throw new RedisFault(
        'AUTH called without any password configured: this daemon has no tokens, and serves everybody who can reach it',
      );
    // Clients that have only a password send this name.
    const look = (): Authority | undefined =>
      id === undefined || id === 'default' ? access.ofToken(secret) : access.ofSecret(id, secret);
    const authority = rates === undefined ? look() : rates.attempt(this.#socket, look);
    if (authority === undefined)
      throw new RedisFault('invalid username-password pair or user is disabled.', 'WRONGPASS');
    this.#become(authority);
  }

  /** Forgets a token. The client is who it was when it connected. */
  forget(): void {
    if (this.access !== undefined) this.#become(this.access.ofSocket(this.#socket));
  }

  #become(authority: Authority | undefined): void {
    this.client.giveUpWork();
    this.#set(authority);
  }

  /** Somebody may do less or more than before. */
  #renew(access: Access): void {
    const before = this.authority;
    const after = before && access.renewed(before);
    if (before !== undefined && !(after?.isAsBefore(before) ?? false)) this.client.giveUpWork();
    // Otherwise the client could not even authenticate again.
    if (after === undefined) this.client.discard();
    this.#set(after);
  }

  #set(authority: Authority | undefined): void {
    this.authority = authority;
    this.#mask = authority?.everywhere ?? 0;
    this.#seen = this.access?.version;
  }

  // ---- what it may do ----

  /**
   * Checks the command at hand, before its arguments are looked at.
   * @returns whether the regions of the command must be checked, too
   * @throws RedisFault if the command is not allowed anywhere
   */
  admit(command: CommandNeed): boolean {
    const { access } = this;
    if (access !== undefined && this.#seen !== access.version) this.#renew(access);
    const isNarrow = (command.need & ~this.#mask) !== 0;
    if (isNarrow) this.#checkSomewhere(command);
    this.#narrow = isNarrow ? command : undefined;
    return isNarrow;
  }

  /** Admits a command only if it is allowed everywhere. @returns whether it is */
  admitsEverywhere(need: number): boolean {
    if (this.#seen !== this.access?.version || (need & ~this.#mask) !== 0) return false;
    this.#narrow = undefined;
    return true;
  }

  #checkSomewhere({ name, need, of }: CommandNeed): void {
    const { authority } = this;
    if (authority === undefined) throw noAuth();
    if ((need & ~authority.somewhere) === 0 && of !== 'daemon') return;
    const { name: id } = authority.identity;
    throw new RedisFault(`User ${id} has no permissions to run the '${name}' command`, 'NOPERM');
  }

  /**
   * Checks a target of the command at hand. A command about names may use the target if the client
   * may use some of its names.
   * @throws PERMISSION_DENIED
   */
  checkTarget({ provider }: ServedTarget): void {
    const narrow = this.#narrow;
    if (narrow === undefined) return;
    const { need, of } = narrow;
    const { authority } = this;
    if (of === 'targets') authority?.requireProvider(need, provider.name);
    else if (authority?.allowsSome(need, provider.name) === false)
      throw authority.denied(need, provider.name);
  }

  /**
   * Checks a region of the command at hand. An ID is allowed only to those who may use the whole
   * provider, and so is `undefined`, a region that has no name yet.
   * @throws PERMISSION_DENIED
   */
  permit({ provider }: ServedTarget, ref: RegionRef | undefined): void {
    const narrow = this.#narrow;
    if (narrow === undefined) return;
    this.authority?.requireName(narrow.need, provider.name, typeof ref === 'string' ? ref : undefined);
  }

  /** The prefix that a listing of names is confined to. @throws PERMISSION_DENIED */
  confine({ provider }: ServedTarget, prefix: string): string {
    const narrow = this.#narrow;
    if (narrow === undefined) return prefix;
    return this.authority?.confine(narrow.need, provider.name, prefix) ?? prefix;
  }
}

/** The text of Redis, which clients know. */
export function noAuth(): RedisFault {
  return new RedisFault('Authentication required.', 'NOAUTH');
}
