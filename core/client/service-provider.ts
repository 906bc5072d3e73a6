/** A provider of a daemon that a service is connected to. */
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../contract/provider-state.js';
import type {
  RemoteCall,
  RemoteProvider,
  RemoteProviderHandle,
  RemoteTarget,
} from '../contract/remote-provider.js';
import type { Transport } from './remote/transport.js';

export class ServiceProvider implements RemoteProviderHandle {
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

  get url(): string {
    return this.transport.url;
  }

  async request<T = unknown>(call: RemoteCall): Promise<T> {
    return (await this.transport.request(this.name, call)) as T;
  }

  async snapshot(request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>): Promise<void> {
    await this.request({ method: 'POST', path: '/snapshot', json: request });
  }

  async restore(request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>): Promise<void> {
    await this.request({ method: 'POST', path: '/restore', json: request });
  }

  async migrate(
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
  ): Promise<void> {
    await this.request({ method: 'POST', path: '/migrate', json: request });
  }
}
