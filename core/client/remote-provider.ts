/** A provider of another daemon: its targets, its own routes, and what can be asked of every provider. */
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../provider/provider.js';
import type { RemoteTarget } from './remote-target.js';
import type { RemoteProvider } from './service.js';
import type { RemoteCall, Transport } from './transport.js';

export class RemoteProviderHandle {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];

  constructor(
    private readonly transport: Transport,
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
    return this.transport.url;
  }

  /**
   * Asks one of the provider's own routes.
   * @returns what it answers: JSON as the value, anything else as bytes, no content as undefined
   * @throws what the provider answers, UNREACHABLE, TIMEOUT, ABORTED, NOT_SUPPORTED (over the Redis protocol)
   */
  async request<T = unknown>(call: RemoteCall): Promise<T> {
    return (await this.transport.request(this.name, call)) as T;
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
