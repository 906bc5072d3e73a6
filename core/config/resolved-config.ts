/** A configuration that passed every check: defaults filled in, names and ids given, references resolved. */
import type { Registered } from '../provider/registry.js';
import type { ProviderDefinition } from '../provider/definitions.js';
import type {
  BedrockConfig,
  BedrockSection,
  ExecutionPoolConfig,
  HttpConfig,
  LogConfig,
  RespConfig,
} from '../../schemas/generated/bedrock.js';
import type { ListenAddress, RespAddress } from './address.js';

/** The sections that the daemon reads, complete. */
export interface DaemonSettings extends Required<Omit<BedrockSection, 'pool' | 'http' | 'resp' | 'log'>> {
  http: Required<HttpConfig>;
  /** Absent: the daemon does not speak the Redis protocol. */
  resp?: Required<Omit<RespConfig, 'address' | 'unix'>> & Pick<RespConfig, 'address' | 'unix'>;
  log: Required<LogConfig>;
}

/** A dependency that was found: another provider, by its place in the list, or an execution pool, by its name. */
export type ResolvedReference =
  | { readonly provider: number; /** Whether it must be running. */ readonly isRequired: boolean }
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
  readonly registered: Registered<ProviderDefinition>;
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
