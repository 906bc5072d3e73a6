/** The state of a provider: how its life goes, and what asks for the state that it keeps. */
/**
 * `failed` is an optional provider that could not start; the daemon runs without it.
 */
export type ProviderState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';

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
