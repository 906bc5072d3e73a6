/**
 * What a library brings: descriptions of backends and of provider types.
 *
 * A library's default export is `defineBackend({…})`, `defineProvider({…})`, an inversify ContainerModule that binds such
 * descriptions to TOKENS.BackendDefinition or TOKENS.ProviderDefinition, or an array of these.
 */
import type { Clock } from '../base/clock.js';
import type { Logger } from '../base/logging.js';
import type { ExecutionPool } from './execution-pool.js';
import type { ProviderMetrics } from './provider-metrics.js';
import type { Dependency, Provider, ProviderDependency } from './provider.js';
import type { SchemaSource } from './schema-source.js';
import type { Capabilities, Target } from './target.js';

/** Version of the interfaces in this file. A library for another one is refused. */
export const API_VERSION = 1;

/** A dependency that a provider or backend asks for. */
export interface DependencySpec {
  /** Key under `dependencies` in the configuration. */
  name: string;
  /** Provider type that fits; `pool` for an execution pool. */
  type: string;
  /** Whether the configuration must name it; true unless said otherwise. */
  required?: boolean;
  /** Whether it is a list of references instead of one; false unless said otherwise. */
  many?: boolean;
  /** Whether it can be changed while the provider runs, by `changeDependency`; false unless said otherwise. */
  updatable?: boolean;
}

/** The resolved dependencies, by name: one, an array for `many`, nothing for an absent optional one. */
export type Dependencies = Readonly<Record<string, Dependency | readonly Dependency[] | undefined>>;

type ResolvedOne<S extends DependencySpec> = string extends S['type']
  ? Dependency
  : S['type'] extends 'pool'
    ? ExecutionPool
    : ProviderDependency;

type Resolved<S extends DependencySpec> =
  | (S extends { many: true } ? readonly ResolvedOne<S>[] : ResolvedOne<S>)
  | (S extends { required: false } ? undefined : never);

/** The resolved dependencies of a list of specifications, each with its own type where the list is written out. */
export type DependenciesOf<Specs extends readonly DependencySpec[]> = number extends Specs['length']
  ? Dependencies
  : { readonly [S in Specs[number] as S['name']]: Resolved<S> };

interface Context<Resolved> {
  /** Name of the provider in the configuration. */
  readonly providerName: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  /** Its lines bear the provider's type and id. */
  readonly logger: Logger;
  readonly clock: Clock;
  /** Makes metrics that bear the provider's name, served under /metrics. */
  readonly metrics: ProviderMetrics;
  readonly dependencies: Resolved;
  /** Folder that relative paths in the configuration count from. */
  readonly baseDirectory: string;
}

/** What a backend gets to make a target with. */
export interface BackendContext<Resolved = Dependencies> extends Context<Resolved> {
  /**
   * Pool id of a target that has to be made, 8 bytes: it is to take in regions of another one, whose IDs end in these. Only
   * importable backends are given one; without it they choose one that nobody else has.
   */
  readonly poolId?: Uint8Array;
}

/** What a provider type gets to make a provider with. */
export interface ProviderContext<Resolved = Dependencies> extends Context<Resolved> {
  /**
   * Makes a target of a backend, not yet open. The backend gets this provider's logger and dependencies.
   * @param config as validated by the backend's schema
   */
  createTarget(backendType: string, config: Record<string, unknown>): Promise<Target>;
}

/** What `validate` of a provider type checks with. */
export interface ConfigCheck {
  /** Reports a fault. `path` counts from the provider's `config`, such as `['target', 'type']`. */
  report(path: readonly (string | number)[], found: unknown, allowed: string): void;
  /** Validates the settings of a backend at `path`, and fills in their defaults. */
  backend(
    path: readonly (string | number)[],
    target: { type: string; config: Record<string, unknown> },
  ): void;
}

/** Reports a fault in a backend's settings. `path` counts from its `config`, such as `['max_size']`. */
export type SettingsReport = (path: readonly (string | number)[], found: unknown, allowed: string) => void;

/** Finds the description of a backend by its type or an alias. */
export type BackendLookup = (type: string) => BackendDefinition | undefined;

export interface BackendDefinition<
  Config = Record<string, unknown>,
  Specs extends readonly DependencySpec[] = readonly DependencySpec[],
> {
  readonly kind: 'backend';
  readonly apiVersion: number;
  /** The `type` that configurations name it by. */
  readonly type: string;
  /** Further names for it. */
  readonly aliases?: readonly string[];
  /** Schema of its `config`. */
  readonly schema: SchemaSource;
  readonly capabilities: Capabilities;
  /** Dependencies it needs of the provider that holds its target. */
  readonly dependencies?: Specs;
  /** Rules that the schema cannot state. Called with settings that the schema accepted. */
  validate?(config: Config, report: SettingsReport): void;
  create(config: Config, context: BackendContext<DependenciesOf<Specs>>): Target | Promise<Target>;
}

export interface ProviderDefinition<
  Config = Record<string, unknown>,
  Specs extends readonly DependencySpec[] = readonly DependencySpec[],
> {
  readonly kind: 'provider';
  readonly apiVersion: number;
  /** The `type` that configurations name it by. */
  readonly type: string;
  /** Schema of its `config`. */
  readonly schema: SchemaSource;
  /** Dependencies it needs; a function where they depend on its settings. */
  readonly dependencies?: Specs | ((config: Config, backendOf: BackendLookup) => readonly DependencySpec[]);
  /** Rules that the schema cannot state. Called with settings that the schema accepted. */
  validate?(config: Config, check: ConfigCheck): void;
  create(config: Config, context: ProviderContext<DependenciesOf<Specs>>): Provider | Promise<Provider>;
}

/**
 * Describes a backend.
 *
 * `Config` is the type of its settings, as its schema has them. Given by the parameter of `create` it leaves the types of the
 * dependencies to be told by their list: `create(config: Config, { dependencies })`.
 */
export function defineBackend<
  Config = Record<string, unknown>,
  const Specs extends readonly DependencySpec[] = readonly DependencySpec[],
>(description: Omit<BackendDefinition<Config, Specs>, 'kind'>): BackendDefinition {
  // The schema is what makes the settings a Config: they are validated by it before `create` sees them.
  return { ...description, kind: 'backend' } as unknown as BackendDefinition;
}

/** Describes a provider type. `Config` is as with defineBackend. */
export function defineProvider<
  Config = Record<string, unknown>,
  const Specs extends readonly DependencySpec[] = readonly DependencySpec[],
>(description: Omit<ProviderDefinition<Config, Specs>, 'kind'>): ProviderDefinition {
  return { ...description, kind: 'provider' } as unknown as ProviderDefinition;
}
