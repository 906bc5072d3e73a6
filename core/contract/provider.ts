/**
 * What a provider is to the daemon: targets it may hold, routes of its own, and a life from start to stop.
 *
 * The optional methods are those of Bedrock's components. A provider that lacks one answers NOT_SUPPORTED to whoever asks for it.
 */
import type { ExecutionPool } from './execution-pool.js';
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from './provider-state.js';
import type { RemoteProviderHandle } from './remote-provider.js';
import type { ProviderRoute } from './route.js';
import type { Target } from './target.js';

/**
 * A provider that another one depends on: what `create` of its type gave, or a handle (which has a `url`) if it is one of another
 * daemon. Both have `targets`.
 */
export type ProviderDependency = Provider | RemoteProviderHandle;

/** What a dependency resolves to: a provider, or for the type `pool` an execution pool. */
export type Dependency = ProviderDependency | ExecutionPool;

export interface Provider {
  /** Targets that the region routes serve; empty for a provider that is no blob store. */
  readonly targets: readonly Target[];

  /** Served below `/v1/providers/{name}/`; read once, when the provider was created. */
  readonly routes?: readonly ProviderRoute[];

  /**
   * Makes it ready to serve, recovery included. `stop` is called if it throws, and while it runs if it takes too long or the daemon is
   * told to stop.
   */
  start(): Promise<void>;

  /** Ends durable and gives everything back. Called once, after the requests in flight have ended. */
  stop(): Promise<void>;

  /** Its settings as they are now; those it was created with, unless it says. Usable as a configuration again. */
  getConfig?(): Readonly<Record<string, unknown>>;

  /**
   * Uses another dependency from now on. Only for those that its type calls `updatable`.
   * @param name its key in the configuration
   * @param dependency as `create` would have got it. The old one is closed, if it is remote, when this resolves
   */
  changeDependency?(name: string, dependency: Dependency | readonly Dependency[]): Promise<void>;

  /** Writes its state to a folder. Called while it serves; never at the same time as one of the three others here. */
  snapshot?(request: SnapshotRequest): Promise<void>;

  /** Replaces its state by what a snapshot holds. If it throws, the state is what it was. */
  restore?(request: RestoreRequest): Promise<void>;

  /** Sends its state to a provider of another daemon. */
  migrate?(request: MigrateRequest): Promise<void>;
}
