/** A provider of another daemon: its targets, its own routes, and what can be asked of every provider. */
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../provider/provider.js';
import type { CallOptions, Connection, HttpRequest } from './connection.js';
import type { RemoteTarget } from './remote-target.js';
import type { RemoteProvider } from './service.js';

/** A request to a route of a provider. */
export interface RemoteCall extends CallOptions {
  method: HttpRequest['method'];
  /** Below the provider, such as `/counters/hits`. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as bytes. */
  body?: Uint8Array;
}

export class RemoteProviderHandle {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];

  constructor(
    private readonly connection: Connection,
    { name, type, providerId, tags }: RemoteProvider,
    readonly targets: readonly RemoteTarget[],
  ) {
    this.name = name;
    this.type = type;
    this.providerId = providerId;
    this.tags = tags;
  }

  /** Where its daemon is. */
  get url(): string {
    return this.connection.url.text;
  }

  /**
   * Asks one of the provider's own routes.
   * @returns what it answers: JSON as the value, anything else as bytes, no content as undefined
   * @throws what the provider answers, UNREACHABLE, TIMEOUT, ABORTED
   */
  async request<T = unknown>({ method, path, query, json, body, ...call }: RemoteCall): Promise<T> {
    const sent = json === undefined ? body : JSON.stringify(json);
    const request: HttpRequest = {
      method,
      path: `/v1/providers/${this.name}${path}`,
      ...(query !== undefined && { query }),
      ...(json !== undefined && { headers: { 'content-type': 'application/json' } }),
      ...(sent !== undefined && { body: sent }),
      ...call,
    };
    const response = await this.connection.request(request);
    try {
      if (/^application\/json\b/.test(String(response.headers['content-type'])))
        return (await response.body.json()) as T;
      const bytes = await response.body.bytes();
      return (response.statusCode === 204 ? undefined : bytes) as T;
    } catch (error) {
      throw this.connection.translate(error, call);
    }
  }

  /** Has it write its state to a folder of its machine. @throws NOT_SUPPORTED */
  async snapshot(request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>): Promise<void> {
    await this.request({ method: 'POST', path: '/snapshot', json: request });
  }

  /** Has it read its state from a folder of its machine. @throws NOT_SUPPORTED */
  async restore(request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>): Promise<void> {
    await this.request({ method: 'POST', path: '/restore', json: request });
  }

  /** Has it send its state to a provider of yet another daemon. @throws NOT_SUPPORTED */
  async migrate(
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
  ): Promise<void> {
    await this.request({ method: 'POST', path: '/migrate', json: request });
  }
}
