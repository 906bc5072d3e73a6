/** A configuration that passed every check: defaults filled in, names and ids given, references resolved. */
import type {
  BedrockConfig,
  BedrockSection,
  ExecutionPoolConfig,
  HttpConfig,
  LogConfig,
  RespConfig,
} from '../../schemas/generated/bedrock.js';
import type { ProviderDefinition } from '../contract/definitions.js';
import type { Reference } from '../contract/reference.js';
import type { Registered } from '../library/registry.js';
import type { ListenAddress, RespAddress } from '../net/address.js';

/** The sections that the daemon reads, complete. */
export interface DaemonSettings extends Required<Omit<BedrockSection, 'pool' | 'http' | 'resp' | 'log'>> {
  http: Required<HttpConfig>;
  /** Absent: the daemon does not speak the Redis protocol. */
  resp?: Required<Omit<RespConfig, 'address' | 'unix'>> & Pick<RespConfig, 'address' | 'unix'>;
  log: Required<LogConfig>;
}

/** A provider of another daemon. Whether it is there shows when it is needed. */
export interface RemoteReference {
  /** As the configuration has it, for messages. */
  readonly text: string;
  readonly url: string;
  readonly target: Reference['target'];
  /** Provider type that it must be of. */
  readonly type: string;
}

/**
 * What a dependency leads to: another provider, by its place in the list; one of another daemon; or an execution pool, by its
 * name. `isRequired` says whether the dependant cannot do without it.
 */
export type ResolvedReference =
  | { readonly provider: number; readonly isRequired: boolean }
  | { readonly remote: RemoteReference; readonly isRequired: boolean }
  | { readonly pool: string };

export interface ResolvedProvider {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly isOptional: boolean;
  /** Execution pool of its requests. */
  readonly pool: string;
  readonly config: Record<string, unknown>;
  readonly dependencies: Readonly<Record<string, ResolvedReference | readonly ResolvedReference[]>>;
  /** Not there if it is unavailable. */
  readonly registered: Registered<ProviderDefinition>;
  /** Why it cannot run: a library that may have brought its type, or its backend's, did not load. Only of optional ones. */
  readonly unavailable: string | undefined;
}

export interface ResolvedConfig {
  /** In Bedrock's own shape, as GET /v1/config shows it; can be used as a configuration again. */
  readonly json: BedrockConfig;
  readonly settings: DaemonSettings;
  readonly address: ListenAddress;
  /** Where it listens for the Redis protocol. */
  readonly respAddress: RespAddress | undefined;
  readonly pools: readonly Required<ExecutionPoolConfig>[];
  readonly providers: readonly ResolvedProvider[];
  /** Folder that relative paths count from. */
  readonly directory: string;
  /** Things worth a warning that are no faults. */
  readonly warnings: readonly string[];
}
