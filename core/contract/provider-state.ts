/** The state of a provider in its lifecycle, and the requests about the data that it keeps. */
/** `failed`: an optional provider that could not start; the daemon runs without it. */
export type ProviderState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';

/** Where and how a provider saves its data. */
export interface SnapshotRequest {
  /** Folder on the daemon's machine for the data, an absolute path. It need not exist. */
  readonly path: string;
  /** Other options that the provider's type accepts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the provider drops its data afterwards. */
  readonly removeSource: boolean;
}

/** Where to find the data that `snapshot` saved. */
export type RestoreRequest = Omit<SnapshotRequest, 'removeSource'>;

/** Where to send a provider's data. */
export interface MigrateRequest {
  /** Address of the other daemon, in the form that `connect` accepts. */
  readonly address: string;
  /** Name or id of the provider there. It must be of the same type. */
  readonly provider: string | number;
  /** Other options that the provider's type accepts. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the provider here drops its data afterwards. */
  readonly removeSource: boolean;
}
