/**
 * A provider as the daemon sees it: targets that it may hold, its own routes, and its lifecycle
 * from start to stop.
 *
 * The optional methods are those of Bedrock's components. A provider without one of them answers
 * requests for it with NOT_SUPPORTED.
 */
import type { ExecutionPool } from './execution-pool.js';
import type { OperationContext } from './operation.js';
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from './provider-state.js';
import type { RemoteProviderHandle } from './remote-provider.js';
import type { ProviderRoute } from './route.js';
import type { Target } from './target.js';

/**
 * A provider that another one depends on: the result of its type's `create`, or a handle (with a
 * `url`) if it belongs to another daemon. Both have `targets`.
 */
export type ProviderDependency = Provider | RemoteProviderHandle;

/** A resolved dependency: a provider, or an execution pool for the type `pool`. */
export type Dependency = ProviderDependency | ExecutionPool;

/**
 * The result of a provider type's `create`: the daemon starts it, serves its targets and routes,
 * and stops it.
 */
export interface Provider {
  /**
   * Targets that the doors serve; empty for a provider that is not a blob store. Read again for
   * each request, so they may change.
   */
  readonly targets: readonly Target[];

  /** Routes below `/v1/providers/{name}/`; read once, after the provider was created. */
  readonly routes?: readonly ProviderRoute[];

  /**
   * Makes it ready to serve, including recovery. `stop` is called if it throws, and while it runs
   * if it takes too long or the daemon is told to stop.
   */
  start(): Promise<void>;

  /**
   * Makes everything durable and releases all resources. Called once, after the requests in flight
   * have ended.
   */
  stop(): Promise<void>;

  /**
   * Its present settings; default: those that it was created with. They can be used as a
   * configuration again.
   */
  getConfig?(): Readonly<Record<string, unknown>>;

  /**
   * Uses another dependency from now on. Only for dependencies that its type declares `updatable`.
   * It has `bedrock.start_timeout_ms` for that; then the change is given up.
   * @param name its key in the configuration
   * @param dependency as for `create`. The old one is closed, if it is remote, when this resolves
   */
  changeDependency?(name: string, dependency: Dependency | readonly Dependency[]): Promise<void>;

  /**
   * Saves its data to a folder. Called while it serves; never concurrently with `changeDependency`,
   * `restore` or `migrate`.
   * @param operation what the daemon shows of it, and what cancels it
   * @returns an object, shown as the result of the operation; or nothing
   */
  snapshot?(request: SnapshotRequest, operation: OperationContext): Promise<unknown>;

  /**
   * Replaces its data with that of a snapshot. If it throws, the data is unchanged.
   * @returns as `snapshot`
   */
  restore?(request: RestoreRequest, operation: OperationContext): Promise<unknown>;

  /** Sends its data to a provider of another daemon. @returns as `snapshot` */
  migrate?(request: MigrateRequest, operation: OperationContext): Promise<unknown>;
}
