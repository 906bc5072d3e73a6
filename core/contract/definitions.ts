/**
 * The definitions that a library brings: of backends and of provider types.
 *
 * The default export of a library is `defineBackend({…})`, `defineProvider({…})`, an inversify
 * ContainerModule that binds such definitions to TOKENS.BackendDefinition or
 * TOKENS.ProviderDefinition, or an array of these.
 */
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import type { Diagnosis, DiagnosisContext } from './diagnosis.js';
import type { ExecutionPool } from './execution-pool.js';
import type { ProviderMetrics } from './provider-metrics.js';
import type { Dependency, Provider, ProviderDependency } from './provider.js';
import type { RemoteOptions } from './remote-provider.js';
import type { SchemaSource } from './schema-source.js';
import type { Capabilities, Target } from './target.js';

/** Version of the interfaces in this file. A library for another version is refused. */
export const API_VERSION = 1;

/** A dependency that a provider or backend asks for. */
export interface DependencySpec {
  /** Key under `dependencies` in the configuration. */
  name: string;
  /** Provider type that fits; `pool` for an execution pool. */
  type: string;
  /** Whether the configuration must name it. Default: true. */
  required?: boolean;
  /** Whether it is a list of references instead of one. Default: false. */
  many?: boolean;
  /** Whether `changeDependency` can change it while the provider runs. Default: false. */
  updatable?: boolean;
}

/** The resolved dependencies, by name: one, an array for `many`, undefined for an absent optional one. */
export type Dependencies = Readonly<Record<string, Dependency | readonly Dependency[] | undefined>>;

/** The type of a resolved dependency, from the provider type that is asked for. */
export type DependencyOfType<Type extends string> = string extends Type
  ? Dependency
  : Type extends 'pool'
    ? ExecutionPool
    : ProviderDependency;

/** The type of one resolved specification: an array for `many`, possibly undefined if it is not required. */
export type ResolvedDependency<S extends DependencySpec> =
  | (S extends { many: true } ? readonly DependencyOfType<S['type']>[] : DependencyOfType<S['type']>)
  | (S extends { required: false } ? undefined : never);

/** The resolved dependencies of a list of specifications. Each has its own type if the list is a literal. */
export type DependenciesOf<Specs extends readonly DependencySpec[]> = number extends Specs['length']
  ? Dependencies
  : { readonly [S in Specs[number] as S['name']]: ResolvedDependency<S> };

/** What backends and provider types get to create things with. */
export interface CreateContext<Resolved = Dependencies> {
  /** Name of the provider in the configuration. */
  readonly providerName: string;
  /** Its `provider_id`. */
  readonly providerId: number;
  /** Free labels of the configuration. */
  readonly tags: readonly string[];
  /** Logger whose lines carry the provider's type and id. */
  readonly logger: Logger;
  /** Source of time; tests use another one. */
  readonly clock: Clock;
  /** Creates metrics with the provider's name as label, served under /metrics. */
  readonly metrics: ProviderMetrics;
  /** The resolved `dependencies`, by name. */
  readonly dependencies: Resolved;
  /** Base folder of relative paths in the configuration. */
  readonly baseDirectory: string;
}

/** What a backend gets to create a target with. */
export interface BackendContext<Resolved = Dependencies> extends CreateContext<Resolved> {
  /**
   * Pool id for a new target, 8 bytes: it will import regions of another target, whose IDs end in
   * these bytes. Only importable backends get one. Without it they choose a new unique one.
   */
  readonly poolId?: Uint8Array;
}

/** What a provider type gets to create a provider with. */
export interface ProviderContext<Resolved = Dependencies> extends CreateContext<Resolved> {
  /**
   * Creates a target of a backend, not yet open. The backend gets this provider's logger and dependencies.
   * @param config as validated by the backend's schema
   * @param more what else the backend gets: a pool ID, for a new target that imports the regions of
   *   another one
   */
  createTarget(
    backendType: string,
    config: Record<string, unknown>,
    more?: Pick<BackendContext, 'poolId'>,
  ): Promise<Target>;
  /**
   * What to give `connect` for another daemon, so that it is reached as this one's dependencies
   * are. Its token is there only if the configuration lends it to migrations (`migrate` of
   * `bedrock.remote_tokens`): who asks for one may have fewer rights there than the daemon.
   * @param address the one that `connect` is called with
   * @throws UNREACHABLE if a file of bedrock.remote_tls or of the token cannot be used
   */
  readonly remoteOptions: (address: string) => Promise<RemoteOptions>;
}

/** What `validate` of a provider type gets to check with. */
export interface ConfigCheck {
  /** Reports a fault. `path` is relative to the provider's `config`, such as `['target', 'type']`. */
  report(path: readonly (string | number)[], found: unknown, allowed: string): void;
  /**
   * Adds a warning about settings that are valid, and do not do all that they say. `path` as for
   * `report`.
   */
  warn(path: readonly (string | number)[], message: string): void;
  /** Validates the settings of a backend at `path`, and fills in their defaults. */
  backend(
    path: readonly (string | number)[],
    target: { type: string; config: Record<string, unknown> },
  ): void;
}

/** Reports a fault in a backend's settings. `path` is relative to its `config`, such as `['max_size']`. */
export type SettingsReport = (path: readonly (string | number)[], found: unknown, allowed: string) => void;

/** Finds the definition of a backend by its type or an alias. */
export type BackendLookup = (type: string) => BackendDefinition | undefined;

/** The result of `defineBackend`: a type of target that a configuration can use to store regions. */
export interface BackendDefinition<
  Config = Record<string, unknown>,
  Specs extends readonly DependencySpec[] = readonly DependencySpec[],
> {
  /** Distinguishes the definition of a backend from that of a provider type. Set by `defineBackend`. */
  readonly kind: 'backend';
  /** `API_VERSION` of the package that it was written for. */
  readonly apiVersion: number;
  /** The `type` in configurations. */
  readonly type: string;
  /** Further names for it. */
  readonly aliases?: readonly string[];
  /** Schema of its `config`. */
  readonly schema: SchemaSource;
  /** Capabilities of its targets; the same for all of them. */
  readonly capabilities: Capabilities;
  /** Dependencies that it needs from the provider that holds its target. */
  readonly dependencies?: Specs;
  /** Rules that the schema cannot express. Called with settings that the schema accepted. */
  validate?(config: Config, report: SettingsReport): void;
  /**
   * Checks for `bedrock doctor` what targets with these settings need: servers, files, rights,
   * space. Called with valid settings, while a daemon may use them. It changes nothing. An error is
   * shown as a problem.
   */
  diagnose?(config: Config, context: DiagnosisContext): Promise<readonly Diagnosis[]>;
  /** Creates a target, not yet open. If it throws, the start of the provider fails. */
  create(config: Config, context: BackendContext<DependenciesOf<Specs>>): Target | Promise<Target>;
}

/** The result of `defineProvider`: a type of provider. */
export interface ProviderDefinition<
  Config = Record<string, unknown>,
  Specs extends readonly DependencySpec[] = readonly DependencySpec[],
> {
  /** Distinguishes the definition of a provider type from that of a backend. Set by `defineProvider`. */
  readonly kind: 'provider';
  /** `API_VERSION` of the package that it was written for. */
  readonly apiVersion: number;
  /** The `type` in configurations. */
  readonly type: string;
  /** Schema of its `config`. */
  readonly schema: SchemaSource;
  /** Dependencies that it needs; a function if they depend on its settings. */
  readonly dependencies?: Specs | ((config: Config, backendOf: BackendLookup) => readonly DependencySpec[]);
  /** Rules that the schema cannot express. Called with settings that the schema accepted. */
  validate?(config: Config, check: ConfigCheck): void;
  /** Creates a provider, not yet started. If it throws, the start of the provider fails. */
  create(config: Config, context: ProviderContext<DependenciesOf<Specs>>): Provider | Promise<Provider>;
}

/**
 * Defines a backend.
 *
 * `Config` is the type of its settings, as its schema describes them. If it is given by the
 * parameter of `create`, the types of the dependencies are inferred from their list:
 * `create(config: Config, { dependencies })`.
 */
export function defineBackend<
  Config = Record<string, unknown>,
  const Specs extends readonly DependencySpec[] = readonly DependencySpec[],
>(description: Omit<BackendDefinition<Config, Specs>, 'kind'>): BackendDefinition {
  // The schema guarantees that the settings are a Config: it validates them before `create` sees them.
  return { ...description, kind: 'backend' } as unknown as BackendDefinition;
}

/** Defines a provider type. `Config` is as for defineBackend. */
export function defineProvider<
  Config = Record<string, unknown>,
  const Specs extends readonly DependencySpec[] = readonly DependencySpec[],
>(description: Omit<ProviderDefinition<Config, Specs>, 'kind'>): ProviderDefinition {
  return { ...description, kind: 'provider' } as unknown as ProviderDefinition;
}
