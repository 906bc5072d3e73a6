/**
 * The providers of other daemons that one provider depends on: connected when it is created, closed after it has stopped.
 *
 * A daemon that cannot be reached is an error at once. One that is still starting is waited for, as daemons that belong together
 * are often launched together.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../client/connect.js';
import type { RemoteProviderHandle } from '../client/remote-provider.js';
import type { Service } from '../client/service.js';
import type { RemoteReference } from '../config/resolved-config.js';
import { BedrockError, messageOf } from '../errors.js';

/** Between two looks at a daemon that is starting. */
const RETRY_MS = 100;

export class RemoteDependencies {
  readonly #services: Service[] = [];
  readonly #closing = new AbortController();

  /**
   * @param timeoutMs how long a daemon may take to get ready
   * @throws DEPENDENCY_UNRESOLVED
   */
  async connect(reference: RemoteReference, timeoutMs: number): Promise<RemoteProviderHandle> {
    const { text, url, target, type } = reference;
    const unresolved = (why: string, cause?: unknown): BedrockError =>
      new BedrockError('DEPENDENCY_UNRESOLVED', `it depends on "${text}": ${why}`, {
        details: { reference: text },
        ...(cause !== undefined && { cause }),
      });
    const service = await connectWhenReady(url, timeoutMs, this.#closing.signal).catch((error: unknown) => {
      throw unresolved(messageOf(error), error);
    });
    this.#services.push(service);
    // A start that took too long has been given up meanwhile.
    if (this.#closing.signal.aborted) await this.close();
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
    return service.provider(found.name);
  }

  /** Ends the connections, after the calls in flight. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#services.splice(0).map((service) => service.close()));
  }
}

async function connectWhenReady(url: string, timeoutMs: number, signal: AbortSignal): Promise<Service> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const left = Math.max(1, Math.floor(end - performance.now()));
    try {
      return await connect(url, { timeoutMs: left, signal });
    } catch (error) {
      const isStarting = error instanceof BedrockError && error.code === 'NOT_READY';
      if (!isStarting || left <= RETRY_MS) throw error;
      await delay(RETRY_MS, undefined, { signal });
    }
  }
}
