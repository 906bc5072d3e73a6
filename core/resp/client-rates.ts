/**
 * Counts the requests and bytes of one connection for `bedrock.limits`. A connection without such
 * limits has none of this.
 *
 * Each request is counted once, however often it is tried. The bytes that were moved before a
 * request count before it, so a large transfer is let through and the requests after it wait.
 */
import type { Limits } from '../security/limits.js';
import type { AwaitedClient } from './client-progress.js';
import type { ClientRights } from './client-rights.js';

export class ClientRates {
  /** The last request that was counted, by number. */
  #counted = -1;
  /** Bytes that were counted. */
  #chargedBytes = 0;
  /** Bytes that had arrived when the last request was counted. */
  #seenBytes = 0;

  /** @param address whom requests count for before the client has said who it is */
  constructor(
    private readonly limits: Limits,
    private readonly client: Pick<AwaitedClient, 'receivedBytes' | 'takenBytes'>,
    private readonly rights: Pick<ClientRights, 'authority'>,
    private readonly address: string | undefined,
  ) {}

  /** Counts a request. @param request its number @throws RATE_LIMITED */
  count(request: number): void {
    if (this.#counted === request) return;
    this.#counted = request;
    const { receivedBytes, takenBytes } = this.client;
    this.#charge(takenBytes + this.#seenBytes);
    const refusal = this.limits.admit(this.#who);
    // What has come of this request, or after it, counts for the next ones.
    this.#seenBytes = receivedBytes;
    this.#charge(receivedBytes + takenBytes);
    if (refusal !== undefined) throw refusal;
  }

  /** Counts the bytes of a connection that ends. */
  end(): void {
    this.#charge(this.client.receivedBytes + this.client.takenBytes);
  }

  /** @param moved all bytes so far */
  #charge(moved: number): void {
    this.limits.charge(this.#who, moved - this.#chargedBytes);
    this.#chargedBytes = moved;
  }

  get #who(): string | undefined {
    return this.rights.authority?.who ?? this.address;
  }
}
