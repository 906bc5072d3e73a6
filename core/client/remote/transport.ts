/** The ways to a daemon, HTTP and the Redis protocol, as a service sees them. */
import type { BedrockConfig } from '../../../schemas/generated/bedrock.js';
import type {
  CallOptions,
  RemoteCall,
  RemoteProvider,
  RemoteTarget,
} from '../../contract/remote-provider.js';
import type { RemoteTargetDescription, RemoteTargetPlace } from './base-remote-target.js';

/** A provider in the form of the wire. */
export interface WireProvider extends Omit<RemoteProvider, 'providerId'> {
  readonly provider_id: number;
}

/** Providers as the daemon describes them. */
export interface WireProviders {
  readonly providers: readonly WireProvider[];
}

export interface Transport {
  /** Where the daemon is, as `connect` takes it. */
  readonly url: string;
  /** The running configuration. */
  config(call: CallOptions): Promise<BedrockConfig>;
  providers(call: CallOptions): Promise<WireProviders>;
  shutdown(call: CallOptions): Promise<void>;
  target(place: RemoteTargetPlace, description: RemoteTargetDescription): RemoteTarget;
  /** Asks a route of a provider. @throws NOT_SUPPORTED where there are none */
  request(provider: string, call: RemoteCall): Promise<unknown>;
  /** Ends the connections, after the calls in flight. */
  close(): Promise<void>;
}
