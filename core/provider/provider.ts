/**
 * What a provider is to the daemon: targets it may hold, routes of its own, and a life from start to stop.
 *
 * The optional methods are those of Bedrock's components. A provider that lacks one answers NOT_SUPPORTED to whoever asks for it.
 */
import type { Target } from '../target/index.js';
import type { Dependency } from './definitions.js';
import type { ProviderRoute } from './route.js';

/** Where a provider's state is to be kept, and how. */
export interface SnapshotRequest {
  /** Folder on the daemon's machine that gets the state, an absolute path. It need not exist. */
  readonly path: string;
  /** Whatever else the provider's type understands. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the provider is to be without state afterwards. */
  readonly removeSource: boolean;
}

/** Where a state is that `snapshot` left. */
export type RestoreRequest = Omit<SnapshotRequest, 'removeSource'>;

/** Where a provider's state is to go. */
export interface MigrateRequest {
  /** Address of the other daemon, as `connect` takes it. */
  readonly address: string;
  /** Name or id of the provider there, which is of the same type. */
  readonly provider: string | number;
  /** Whatever else the provider's type understands. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the provider here is to be without state afterwards. */
  readonly removeSource: boolean;
}

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

/**
 * `failed` is an optional provider that could not start; the daemon runs without it.
 */
export type ProviderState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
