/**
 * The providers of other daemons that one provider depends on. They are connected when it is
 * created, and closed after it has stopped.
 *
 * A daemon that cannot be reached is an error at once. A daemon that is still starting is waited
 * for, as daemons that belong together are often launched together.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, messageOf } from '../base/errors.js';
import { connect } from '../client/connect.js';
import type { Service } from '../client/service.js';
import type { RemoteReference } from '../config/resolved-config.js';
import type { RemoteOptions, RemoteProviderHandle } from '../contract/remote-provider.js';

/** Interval between two requests to a daemon that is starting. */
const RETRY_MS = 100;

const GIVEN_UP = 'the caller has given up';

/** A provider of another daemon that is needed and not there. */
export interface MissingDependency {
  /** The reference in the configuration. */
  readonly dependency: string;
  readonly reason: string;
}

export class RemoteDependencies {
  readonly #services: Service[] = [];
  /** What was found, and where. */
  readonly #found: {
    readonly reference: RemoteReference;
    readonly name: string;
    readonly service: Service;
  }[] = [];
  readonly #closing = new AbortController();

  /**
   * Whether it was closed. Then new requests are refused, and a connection that is being made is
   * closed as soon as it is open.
   */
  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /**
   * @param how how long a daemon may take to become ready, and how this one presents itself
   * @throws DEPENDENCY_UNRESOLVED
   */
  async connect(
    reference: RemoteReference,
    how: {
      timeoutMs(): number;
      remoteOptions(address: string, purpose: 'dependency'): Promise<RemoteOptions>;
    },
  ): Promise<RemoteProviderHandle> {
    const { text, url, target, type } = reference;
    const unresolved = (why: string, cause?: unknown): BedrockError =>
      new BedrockError('DEPENDENCY_UNRESOLVED', `it depends on "${text}": ${why}`, {
        details: { reference: text },
        ...(cause !== undefined && { cause }),
      });
    if (this.isClosed) throw unresolved(GIVEN_UP);
    // Safe: the signal ends the attempt if the set is closed meanwhile.
    const service = await how
      .remoteOptions(url, 'dependency')
      .then((options) => connectWhenReady(url, options, how.timeoutMs(), this.#closing.signal))
      .catch((error: unknown) => {
        throw unresolved(messageOf(error), error);
      });
    this.#services.push(service);
    if (this.#closing.signal.aborted) {
      await this.close();
      throw unresolved(GIVEN_UP);
    }
    const found = service.providers.find((one) =>
      'name' in target
        ? one.name === target.name
        : one.type === target.type && one.providerId === target.providerId,
    );
    if (found === undefined) {
      const known = service.providers.map(({ name, type, providerId }) => `${name} (${type}:${providerId})`);
      throw unresolved(`the daemon there has ${known.length === 0 ? 'no providers' : known.join(', ')}`);
    }
    if (found.type !== type)
      throw unresolved(`it is of type ${found.type}, and one of type ${type} is needed`);
    if (found.state !== 'running') throw unresolved(`it is ${found.state}`);
    this.#found.push({ reference, name: found.name, service });
    return service.provider(found.name);
  }

  /** Asks the other daemons. @returns the references to providers that are not there any more, and why */
  async missing(timeoutMs: number): Promise<MissingDependency[]> {
    const looks = this.#found.map(async ({ reference: { text }, name, service }) => {
      const reason = await service.whyGone(name, { timeoutMs }).catch(messageOf);
      return reason === undefined ? [] : [{ dependency: text, reason }];
    });
    return (await Promise.all(looks)).flat();
  }

  /** Ends the connections, after the calls in flight. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#found.length = 0;
    await Promise.all(this.#services.splice(0).map((service) => service.close()));
  }
}

/**
 * The connections of one provider, by the keys of its configuration. After `close`, none stays
 * open, including those that are still being made.
 */
export class RemotesOfProvider {
  readonly #inUse = new Map<string, RemoteDependencies>();
  readonly #open = new Set<RemoteDependencies>();
  #isClosed = false;

  /** A new set to connect with; `close` will close it too. @throws NOT_READY after `close` */
  begin(): RemoteDependencies {
    this.#checkOpen();
    const remotes = new RemoteDependencies();
    this.#open.add(remotes);
    return remotes;
  }

  /** Replaces the set of a key. @returns the former set, to be dropped. @throws NOT_READY after `close` */
  use(name: string, remotes: RemoteDependencies): RemoteDependencies | undefined {
    this.#checkOpen();
    const before = this.#inUse.get(name);
    this.#inUse.set(name, remotes);
    return before;
  }

  /** Asks the other daemons about those in use. @returns as `RemoteDependencies.missing` */
  async missing(timeoutMs: number): Promise<MissingDependency[]> {
    const found = await Promise.all([...this.#inUse.values()].map((remotes) => remotes.missing(timeoutMs)));
    // Safe: a connection that is being closed has no more to say, and one that was dropped
    // meanwhile is not in use.
    return this.#isClosed ? [] : found.flat();
  }

  /** Closes a set that is no longer needed. */
  async drop(remotes: RemoteDependencies | undefined): Promise<void> {
    if (remotes === undefined) return;
    await remotes.close();
    this.#open.delete(remotes);
  }

  /** Ends all connections, after the calls in flight, and allows no new ones. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#open].map((remotes) => this.drop(remotes)));
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new BedrockError('NOT_READY', 'the provider was stopped');
  }
}

async function connectWhenReady(
  url: string,
  options: RemoteOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Service> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(1, Math.floor(end - performance.now()));
    try {
      return await connect(url, { ...options, timeoutMs: left, signal });
    } catch (error) {
      const isStarting = error instanceof BedrockError && error.code === 'NOT_READY';
      if (!isStarting || left <= RETRY_MS) throw error;
      await delay(RETRY_MS, undefined, { signal });
    }
  }
}
