/**
 * A provider of a connected daemon: its own routes, and the operations that work on its state. It
 * describes the provider as it was when the list of providers was last fetched.
 */
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../contract/provider-state.js';
import type { OperationStatus } from '../contract/operation.js';
import type {
  CallOptions,
  OperationOptions,
  RemoteCall,
  RemoteOperation,
  RemoteProvider,
  RemoteProviderHandle,
  RemoteTarget,
} from '../contract/remote-provider.js';
import { doneOrCancelled, ServiceOperation } from './operation.js';
import { ofTheWhole, within } from './remote/call-options.js';
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

  snapshot(
    request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>,
    options: OperationOptions = {},
  ): Promise<OperationStatus> {
    return this.#operate('snapshot', request, options);
  }

  restore(
    request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>,
    options: OperationOptions = {},
  ): Promise<OperationStatus> {
    return this.#operate('restore', request, options);
  }

  migrate(
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
    options: OperationOptions = {},
  ): Promise<OperationStatus> {
    return this.#operate('migrate', request, options);
  }

  async begin(type: string, request: object, call: CallOptions = {}): Promise<RemoteOperation> {
    const { id } = await this.transport.begin(this.name, type, request, call);
    return new ServiceOperation(this.transport, id);
  }

  async #operate(
    type: string,
    request: object,
    { onProgress, ...call }: OperationOptions,
  ): Promise<OperationStatus> {
    const whole = ofTheWhole(call);
    // Without the call's limits: they might end the request after it has begun the operation, which
    // would then not be cancelled.
    const beginning = this.begin(type, request);
    let operation: RemoteOperation;
    try {
      operation = await within(beginning, whole.signal, this.url);
    } catch (error) {
      beginning.then((begun) => begun.cancel()).catch(() => undefined);
      throw error;
    }
    return doneOrCancelled(operation, { ...whole, ...(onProgress !== undefined && { onProgress }) });
  }
}
