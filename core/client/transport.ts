/** The ways to a daemon, HTTP and the Redis protocol, as a service sees them. */
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import type { HttpMethod } from './http/http-connection.js';
import type { CallOptions } from './call-options.js';
import type { WireProvider } from './service.js';
import type { RemoteTarget, RemoteTargetDescription, RemoteTargetPlace } from './remote-target.js';

/** A request to a route of a provider. */
export interface RemoteCall extends CallOptions {
  method: HttpMethod;
  /** Below the provider, such as `/counters/hits`. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as bytes. */
  body?: Uint8Array;
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
