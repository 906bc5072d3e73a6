/** What a protocol, HTTP or Redis, must be able to do for a service. */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import type { DaemonStatus } from '../../contract/daemon-status.js';
import type { OperationStatus } from '../../contract/operation.js';
import type {
  CallOptions,
  RemoteCall,
  RemoteProvider,
  RemoteTarget,
} from '../../contract/remote-provider.js';
import type { RemoteTargetDescription, RemoteTargetKey } from './remote-calls.js';

/** A provider as the daemon sends it. */
export interface WireProvider extends Omit<RemoteProvider, 'providerId'> {
  readonly provider_id: number;
}

/** Providers as the daemon sends them. */
export interface WireProviders {
  readonly providers: readonly WireProvider[];
}

/** A request about the daemon itself, in the words of both protocols. */
export interface DaemonRequest {
  readonly http: {
    readonly method: 'POST' | 'PATCH' | 'DELETE';
    readonly path: string;
    readonly query?: Readonly<Record<string, string>>;
    readonly json?: unknown;
  };
  readonly resp: readonly [name: string, ...args: string[]];
}

export interface Transport {
  /** URL of the daemon, in the form that `connect` takes. */
  readonly url: string;
  config(call: CallOptions): Promise<BedrockConfig>;
  query(expression: string, call: CallOptions): Promise<unknown>;
  providers(call: CallOptions): Promise<WireProviders>;
  status(call: CallOptions): Promise<DaemonStatus>;
  /** The reasons why the daemon is not ready, as its health check tells them; none if it is. */
  whyNotReady(call: CallOptions): Promise<readonly string[]>;
  shutdown(call: CallOptions): Promise<void>;
  /** The operations of the daemon, the newest first. */
  operations(call: CallOptions): Promise<{ readonly operations: readonly OperationStatus[] }>;
  /** @throws NOT_FOUND */
  operation(id: string, call: CallOptions): Promise<OperationStatus>;
  /** @throws NOT_FOUND */
  cancel(id: string, call: CallOptions): Promise<void>;
  /** Begins an operation of a provider. @throws NOT_SUPPORTED if the protocol has no routes */
  begin(provider: string, type: string, request: object, call: CallOptions): Promise<OperationStatus>;
  /** @returns the JSON of the answer; undefined if there is none */
  control(request: DaemonRequest, call: CallOptions): Promise<unknown>;
  target(key: RemoteTargetKey, description: RemoteTargetDescription): RemoteTarget;
  /** Calls a route of a provider. @throws NOT_SUPPORTED if the protocol has no routes */
  request(provider: string, call: RemoteCall): Promise<unknown>;
  /** Closes the connections, after the calls in flight. */
  close(): Promise<void>;
}
