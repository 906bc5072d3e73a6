/**
 * A provider of another daemon, as seen by programs that connect to it and by providers that depend
 * on it.
 */
import type {
  Change,
  CreateOptions,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionRef,
  RenameOptions,
  TransactionResult,
} from './names.js';
import type { OperationStatus } from './operation.js';
import type { MigrateRequest, ProviderState, RestoreRequest, SnapshotRequest } from './provider-state.js';
import type { RegionId } from './region-id.js';
import type { RouteMethod } from './route.js';
import type {
  Capabilities,
  CreateAndWriteOptions,
  ListOptions,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetState,
  TargetStats,
  WriteOptions,
} from './target.js';

/**
 * The certificates that a client shows and trusts on `https://` and `resps://`; all in PEM form.
 * Other addresses do not use them.
 */
export interface TlsOptions {
  /** Certificates of the authorities that sign daemons' certificates; default: those of Node.js. */
  ca?: string | Uint8Array;
  /** Certificate that the client shows; the daemon asks for one if it has `bedrock.tls.client_ca`. */
  cert?: string | Uint8Array;
  /** Private key of that certificate. */
  key?: string | Uint8Array;
}

/** How a daemon presents itself to other daemons; for `connect`. */
export interface RemoteOptions {
  /** The certificates of `bedrock.remote_tls`. */
  tls?: TlsOptions;
  /** The token of `bedrock.remote_tokens` for that daemon; it changes when its file does. */
  token?: () => string;
}

/** Limits of a single call. */
export interface CallOptions {
  /** Ends the call with ABORTED. */
  signal?: AbortSignal;
  /** Maximum time of the whole call, milliseconds; then TIMEOUT. Default: unlimited. */
  timeoutMs?: number;
}

/** Limits of a call that waits for an operation, and the function that gets its progress. */
export interface OperationOptions extends CallOptions {
  /**
   * Called with its progress, every time that the daemon was asked: at most twice a second once it
   * has run for a second.
   */
  onProgress?: (status: OperationStatus) => void;
}

/** An operation of a daemon: a snapshot, a restore, a migration. */
export interface RemoteOperation {
  /** ID of the operation. */
  readonly id: string;
  /** Its progress, or how it ended. @throws NOT_FOUND */
  status(call?: CallOptions): Promise<OperationStatus>;
  /**
   * Tells the daemon to stop it; its state tells when it has stopped. Does nothing if it has ended.
   * @throws NOT_FOUND
   */
  cancel(call?: CallOptions): Promise<void>;
  /**
   * Waits until it has ended, in any state. The call's limits end the wait, not the operation.
   * @throws NOT_FOUND
   */
  ended(options?: OperationOptions): Promise<OperationStatus>;
  /** Like `ended`. @throws also what it failed with, and ABORTED if it was cancelled */
  done(options?: OperationOptions): Promise<OperationStatus>;
}

/** A request to a route of a provider. */
export interface RemoteCall extends CallOptions {
  /** HTTP method of the request; HEAD asks a GET route for its headers only. */
  method: RouteMethod | 'HEAD';
  /** Path below the provider, such as `/counters/hits`. */
  path: string;
  /** Query parameters, by name; undefined ones are omitted. */
  query?: Record<string, string | number | boolean | undefined>;
  /** Body, sent as JSON. */
  json?: unknown;
  /** Body, sent as bytes. */
  body?: Uint8Array;
}

/** A provider, as its daemon describes it. */
export interface RemoteProvider {
  /** Name in the configuration of its daemon. */
  readonly name: string;
  /** Provider type, such as `warabi`. */
  readonly type: string;
  /** Number of the provider, unique in its daemon. */
  readonly providerId: number;
  /** Free labels of the configuration. */
  readonly tags: readonly string[];
  /** State at the time of the request. */
  readonly state: ProviderState;
  /** Its targets, in the order of their numbers: backend type, state at that time, capabilities. */
  readonly targets: readonly {
    readonly type: string;
    readonly state: TargetState;
    readonly capabilities: Capabilities;
    /** Why it refuses changes. Absent if it accepts them, or if it refuses them by its configuration. */
    readonly readOnly?: string;
  }[];
}

/**
 * A target of another daemon, with the contract of a local one. Arguments are checked here as they
 * are there, and errors come back under their own codes.
 *
 * `open` and `close` are local: they say whether this object may be used. `destroy`, `map`,
 * `mapNames` and the calls of import are NOT_SUPPORTED. Every other call takes CallOptions as a
 * last argument. Contents of any size are sent in pieces.
 *
 * Beside what a local target throws, each of these calls may throw UNREACHABLE, TIMEOUT, ABORTED,
 * and what the daemon refuses for itself (NOT_READY, OVERLOADED, PROVIDER_NOT_FOUND). A change over
 * the Redis protocol may also throw OUTCOME_UNKNOWN.
 */
export interface RemoteTarget extends Target {
  /** `Target.create` on the daemon. */
  create(size: number, options?: CreateOptions, call?: CallOptions): Promise<RegionId>;
  /**
   * `Target.createAndWrite` on the daemon. Contents go in pieces: a source is read as fast as the
   * daemon takes them.
   */
  createAndWrite(
    contents: Uint8Array | RegionSource,
    options?: CreateAndWriteOptions,
    call?: CallOptions,
  ): Promise<RegionId>;
  /** `Target.write` on the daemon. */
  write(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  /**
   * Overwrites part of a region with contents that are not in memory. If the source or the
   * connection fails half-way, the bytes that were already sent are written.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY, INVALID_ARGUMENT (the source gave more or
   *   fewer bytes than `size`), whatever the source throws
   */
  writeFrom(
    ref: RegionRef,
    offset: number,
    contents: RegionSource,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  /** `Target.writev` on the daemon. */
  writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  /** `Target.read` on the daemon. */
  read(ref: RegionRef, offset: number, size: number, call?: CallOptions): Promise<Uint8Array>;
  /** `Target.readInto` on the daemon. */
  readInto(ref: RegionRef, offset: number, buffer: Uint8Array, call?: CallOptions): Promise<void>;
  /**
   * Reads a part of a region, of any length: gives pieces as they arrive, no faster than they are
   * consumed. A caller that stops early ends the request.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, both before the first piece
   */
  readStream(ref: RegionRef, offset: number, size: number, call?: CallOptions): AsyncGenerator<Uint8Array>;
  /** `Target.readv` on the daemon. */
  readv(ref: RegionRef, ranges: readonly RegionRange[], call?: CallOptions): Promise<Uint8Array>;
  /** `Target.persist` on the daemon. */
  persist(ref: RegionRef, ranges?: readonly RegionRange[], call?: CallOptions): Promise<void>;
  /** `Target.erase` on the daemon. */
  erase(ref: RegionRef, call?: CallOptions): Promise<void>;
  /** `Target.stat` on the daemon. */
  stat(ref: RegionRef, call?: CallOptions): Promise<RegionStat>;
  /** `Target.list` on the daemon. */
  list(options?: ListOptions, call?: CallOptions): Promise<RegionPage>;
  /** `Target.put` on the daemon. Contents go in pieces, as those of `createAndWrite`. */
  put(
    name: string,
    contents: Uint8Array | RegionSource,
    options?: PutOptions,
    call?: CallOptions,
  ): Promise<RegionId>;
  /** `Target.find` on the daemon. */
  find(name: string, call?: CallOptions): Promise<NamedRegion>;
  /** `Target.rename` on the daemon. */
  rename(ref: RegionRef, name: string | null, options?: RenameOptions, call?: CallOptions): Promise<void>;
  /** `Target.names` on the daemon. */
  names(options?: NamesOptions, call?: CallOptions): Promise<NamesPage>;
  /** `Target.transact` on the daemon. */
  transact(changes: readonly Change[], call?: CallOptions): Promise<TransactionResult>;
  /** `Target.stats` on the daemon. */
  stats(call?: CallOptions): Promise<TargetStats>;
}

/**
 * A provider of another daemon: its targets, its own routes, and the requests that every provider
 * supports.
 */
export interface RemoteProviderHandle {
  /** Name in the configuration of its daemon. */
  readonly name: string;
  /** Provider type, such as `warabi`. */
  readonly type: string;
  /** Number of the provider, unique in its daemon. */
  readonly providerId: number;
  /** Free labels of the configuration. */
  readonly tags: readonly string[];
  /** Its targets, in the order of their numbers; empty for a provider that is not a blob store. */
  readonly targets: readonly RemoteTarget[];
  /** Address of its daemon. */
  readonly url: string;
  /**
   * Sends a request to one of the provider's own routes.
   * @returns its answer: JSON as the value, anything else as bytes, no content as undefined
   * @throws what the provider answers, UNREACHABLE, TIMEOUT, ABORTED, NOT_SUPPORTED (over the Redis protocol)
   */
  request<T = unknown>(call: RemoteCall): Promise<T>;
  /**
   * Makes it save its data to a folder of its machine. If the call's limits end it, the operation
   * is cancelled.
   * @returns the operation, when it is done
   * @throws NOT_SUPPORTED, CONFLICT (another operation runs on the provider), ABORTED, TIMEOUT, any
   *   error of the provider
   */
  snapshot(
    request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>,
    options?: OperationOptions,
  ): Promise<OperationStatus>;
  /** Makes it read its data from a folder of its machine. @returns, @throws as `snapshot` */
  restore(
    request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>,
    options?: OperationOptions,
  ): Promise<OperationStatus>;
  /** Makes it send its data to a provider of a third daemon. @returns, @throws as `snapshot` */
  migrate(
    request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>,
    options?: OperationOptions,
  ): Promise<OperationStatus>;
  /**
   * Begins a snapshot, a restore or a migration, and does not wait for it.
   * @param type `snapshot`, `restore` or `migrate`
   * @param request as for the method of that name
   * @throws NOT_SUPPORTED, CONFLICT
   */
  begin(type: string, request: object, call?: CallOptions): Promise<RemoteOperation>;
}
