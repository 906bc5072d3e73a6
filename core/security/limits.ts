/**
 * Limits how much one client may request of the daemon: connections of an address, requests and
 * bytes a second of a token or an address, and failed authentications. `bedrock.limits` sets the
 * limits; what is not set is not limited, and costs nothing.
 *
 * - A known client, by a token, a certificate or as a user, is counted by its identity, wherever it
 *   comes from; all others are counted by their address. The addresses of one IPv6 network of 64
 *   bits count as one, since a single machine has all of them. A unix socket has no address: only
 *   known clients are counted there.
 * - Requests and bytes are counted with token buckets that hold one second's worth. The bytes of a
 *   request are known when it has ended, so a large transfer is allowed, and further requests are
 *   refused until it is paid for.
 * - The memory for all this is bounded (`RateTable`). Times come from a clock that corrections of
 *   the system's time do not change.
 */
import { BedrockError } from '../base/errors.js';
import type { LimitsConfig } from '../../schemas/generated/bedrock.js';
import { Rate, RateTable } from './rate-table.js';

/** The kind of a limit, as a label of its metric. */
export const LIMITS = ['connections', 'requests', 'bytes', 'auth'] as const;
export type Limit = (typeof LIMITS)[number];

/** The part of a connection that limits look at. */
export interface Peer {
  readonly remoteAddress?: string | undefined;
}

export class Limits {
  /** How often each limit has refused something. */
  readonly refused: Record<Limit, number> = { connections: 0, requests: 0, bytes: 0, auth: 0 };
  /** Called when a limit refuses something for the first time. */
  onFirst: (message: string) => void = () => undefined;
  readonly #connections = new Map<string, number>();
  readonly #requests: RateTable | undefined;
  readonly #bytes: RateTable | undefined;
  readonly #failures: RateTable | undefined;
  readonly #mostConnections: number;

  /** @param now milliseconds, by a clock that never goes back */
  constructor(settings: Required<LimitsConfig>, now: () => number = () => performance.now()) {
    const { requests_per_second: requests, bytes_per_second: bytes } = settings;
    const { failed_auth_per_minute: failures } = settings;
    this.#mostConnections = settings.connections_per_address;
    if (requests > 0) this.#requests = new RateTable(new Rate(requests, requests), now);
    if (bytes > 0) this.#bytes = new RateTable(new Rate(bytes, bytes), now);
    if (failures > 0) this.#failures = new RateTable(new Rate(failures / 60, failures), now);
  }

  /** Clients that are remembered. */
  get tracked(): number {
    const sizes = [this.#connections, this.#requests, this.#bytes, this.#failures].map(
      (each) => each?.size ?? 0,
    );
    return sizes.reduce((sum, size) => sum + size);
  }

  /** Whether requests must be counted. */
  get countsRequests(): boolean {
    return this.#requests !== undefined || this.#bytes !== undefined;
  }

  // ---- connections ----

  /**
   * Counts a connection.
   * @returns what ends it, to be called once; or the error if the address has too many
   */
  connect(peer: Peer): (() => void) | BedrockError {
    const most = this.#mostConnections;
    const address = addressOf(peer);
    if (most === 0 || address === undefined) return () => undefined;
    const count = this.#connections.get(address) ?? 0;
    if (count >= most)
      return this.#refuse(
        'connections',
        `${address} has ${count} connections, and bedrock.limits.connections_per_address allows no more`,
        1000,
      );
    this.#connections.set(address, count + 1);
    return () => {
      const left = (this.#connections.get(address) ?? 1) - 1;
      if (left > 0) this.#connections.set(address, left);
      else this.#connections.delete(address);
    };
  }

  // ---- requests and bytes ----

  /**
   * Counts a request.
   * @param client of `clientOf`; undefined is not limited
   * @returns the error if it exceeds the limit
   */
  admit(client: string | undefined): BedrockError | undefined {
    if (client === undefined) return undefined;
    const paid = this.#bytes?.waitFor(client, 0) ?? 0;
    if (paid > 0)
      return this.#refuse(
        'bytes',
        `${client} has moved more than bedrock.limits.bytes_per_second allows`,
        paid,
      );
    const wait = this.#requests?.take(client) ?? 0;
    if (wait > 0)
      return this.#refuse(
        'requests',
        `${client} sends more than bedrock.limits.requests_per_second allows`,
        wait,
      );
    return undefined;
  }

  /** Counts bytes that were moved for a client. */
  charge(client: string | undefined, bytes: number): void {
    if (client !== undefined && bytes > 0) this.#bytes?.spend(client, bytes);
  }

  // ---- failed attempts to say who one is ----

  /**
   * Looks up an identity, and counts the attempt if it fails.
   * @param look returns the identity, or undefined
   * @throws RATE_LIMITED if so many attempts from the address have failed that this one is not
   *   looked at
   */
  attempt<T>(peer: Peer, look: () => T | undefined): T | undefined {
    const failures = this.#failures;
    const address = failures && addressOf(peer);
    if (address === undefined) return look();
    const wait = failures?.waitFor(address, 1) ?? 0;
    if (wait > 0)
      throw this.#refuse(
        'auth',
        `more attempts from ${address} have failed than bedrock.limits.failed_auth_per_minute allows; none is looked at for now`,
        wait,
      );
    const found = look();
    if (found === undefined) failures?.spend(address, 1);
    return found;
  }

  #refuse(limit: Limit, message: string, waitMs: number): BedrockError {
    if (this.refused[limit]++ === 0) this.onFirst(`${message}; others are counted in the metrics`);
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    return new BedrockError('RATE_LIMITED', `${message}; try again in ${retryAfterSeconds} s`, {
      details: { limit, retryAfterSeconds },
    });
  }
}

/**
 * The key by which a client is counted: its identity if that is known, or else its address;
 * undefined for a unix socket.
 */
export function clientOf(who: string | undefined, peer: Peer): string | undefined {
  return who ?? addressOf(peer);
}

/** An address as it is counted: IPv4, or the network of 64 bits of an IPv6 address. */
export function addressOf({ remoteAddress: address }: Peer): string | undefined {
  if (address === undefined || address === '') return undefined;
  if (!address.includes(':')) return address;
  const [plain = ''] = address.split('%', 1);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  const [before = '', after] = plain.split('::', 2);
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  // An IPv4 address at the end replaces two groups.
  const groups = head.length + tail.length + (plain.includes('.') ? 1 : 0);
  const zeros = after === undefined ? 0 : Math.max(0, 8 - groups);
  const whole = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  const network = whole.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
