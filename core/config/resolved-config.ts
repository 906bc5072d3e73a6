/**
 * A configuration that has passed every check: defaults filled in, names and ids assigned,
 * references resolved.
 */
import type {
  AuditConfig,
  AuthConfig,
  BedrockConfig,
  BedrockSection,
  ExecutionPoolConfig,
  HttpConfig,
  LimitsConfig,
  LogConfig,
  ProviderConfig,
  QueryConfig,
  RemoteTlsConfig,
  RemoteTokenConfig,
  RespConfig,
  TlsConfig,
  UnixConfig,
} from '../../schemas/generated/bedrock.js';
import type { BackendDefinition, ProviderDefinition } from '../contract/definitions.js';
import type { Reference } from '../contract/reference.js';
import type { Registered } from '../library/registry.js';
import type { ListenAddress, RespAddress } from '../net/address.js';

/** The sections that the daemon reads, complete. */
export interface DaemonSettings extends Required<
  Omit<
    BedrockSection,
    | 'pool'
    | 'http'
    | 'query'
    | 'auth'
    | 'audit'
    | 'limits'
    | 'group_file'
    | 'resp'
    | 'unix'
    | 'tls'
    | 'remote_tls'
    | 'remote_tokens'
    | 'log'
  >
> {
  /** Absolute. */
  group_file?: string;
  http: Required<HttpConfig>;
  query: Required<QueryConfig>;
  unix: Required<Pick<UnixConfig, 'mode'>> & Omit<UnixConfig, 'mode'>;
  /** Absent: anyone who reaches the daemon may do everything. Its path is absolute. */
  auth?: Required<Pick<AuthConfig, 'tokens'>> & Omit<AuthConfig, 'tokens'>;
  /** Absent: nothing is recorded. Its path is absolute. */
  audit?: AuditConfig;
  /** Absent: nothing is limited. */
  limits?: Required<LimitsConfig>;
  /** Absent: there is no Redis door. */
  resp?: Required<Omit<RespConfig, 'address' | 'unix'>> & Pick<RespConfig, 'address' | 'unix'>;
  /** Its paths are absolute. */
  tls?: Required<Omit<TlsConfig, 'client_ca'>> & Pick<TlsConfig, 'client_ca'>;
  /** Its paths are absolute. */
  remote_tls?: RemoteTlsConfig;
  /** The paths are absolute. */
  remote_tokens?: Required<RemoteTokenConfig>[];
  log: Required<Omit<LogConfig, 'file'>> & Pick<LogConfig, 'file'>;
}

/** A provider of another daemon. Its existence is checked when it is needed. */
export interface RemoteReference {
  /** As in the configuration, for messages. */
  readonly text: string;
  readonly url: string;
  readonly target: Reference['target'];
  /** Required provider type. */
  readonly type: string;
}

/**
 * A resolved dependency: another provider, by its name; one of another daemon; or an execution
 * pool, by its name. `isRequired` says whether the dependent provider needs it.
 */
export type ResolvedReference =
  | { readonly provider: string; readonly isRequired: boolean }
  | { readonly remote: RemoteReference; readonly isRequired: boolean }
  | { readonly pool: string };

/** A target that a provider will make. */
export interface ResolvedTarget {
  readonly definition: BackendDefinition;
  /** With all defaults. */
  readonly config: Record<string, unknown>;
}

export interface ResolvedProvider {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly isOptional: boolean;
  /** Execution pool of its requests. */
  readonly pool: string;
  readonly config: Record<string, unknown>;
  /** Targets in its settings, in their order. */
  readonly targets: readonly ResolvedTarget[];
  /** As in the running configuration. */
  readonly entry: ProviderConfig;
  readonly dependencies: Readonly<Record<string, ResolvedReference | readonly ResolvedReference[]>>;
  /** Absent if it is unavailable. */
  readonly registered: Registered<ProviderDefinition>;
  /**
   * Why it cannot run: the library that may have its type, or its backend's type, did not load.
   * Only for optional providers.
   */
  readonly unavailable: string | undefined;
}

export interface ResolvedConfig {
  /** In Bedrock's form, as GET /v1/config shows it; can be used as a configuration again. */
  readonly json: BedrockConfig;
  readonly settings: DaemonSettings;
  readonly address: ListenAddress;
  /** Address of the Redis door. */
  readonly respAddress: RespAddress | undefined;
  readonly pools: readonly Required<ExecutionPoolConfig>[];
  readonly providers: readonly ResolvedProvider[];
  /** Base folder of relative paths. */
  readonly directory: string;
  /** Warnings that are not faults. */
  readonly warnings: readonly string[];
}
