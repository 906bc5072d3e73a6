/** A provider of another daemon, as programs that connect to it see it, and providers that depend on it. */
import type { MigrateRequest, ProviderState, RestoreRequest, SnapshotRequest } from './provider-state.js';
import type { RegionId } from './region-id.js';
import type { RouteMethod } from './route.js';
import type {
  Capabilities,
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

/** Bounds of a single call. */
export interface CallOptions {
  /** Ends the call with ABORTED. */
  signal?: AbortSignal;
  /** Most that the whole call may take, milliseconds; then TIMEOUT. Unlimited unless told. */
  timeoutMs?: number;
}

/** A request to a route of a provider. */
export interface RemoteCall extends CallOptions {
  method: RouteMethod | 'HEAD';
  /** Below the provider, such as `/counters/hits`. */
  path: string;
  query?: Record<string, string | number | boolean | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as bytes. */
  body?: Uint8Array;
}

/** A provider as its daemon describes it. */
export interface RemoteProvider {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly state: ProviderState;
  readonly targets: readonly {
    readonly type: string;
    readonly state: TargetState;
    readonly capabilities: Capabilities;
    /** Why it takes no changes any more; absent as long as it does, or if its configuration says so. */
    readonly readOnly?: string;
  }[];
}

/**
 * A target of another daemon, with the contract of a local one. Arguments are checked here as they are there, and errors come back
 * under their own codes.
 *
 * `open` and `close` are local: they say whether this object may be used. `destroy`, `map` and the calls of import are
 * NOT_SUPPORTED. Every other call takes CallOptions as a last argument. Contents go in pieces, whatever their size.
 */
export interface RemoteTarget extends Target {
  create(size: number, call?: CallOptions): Promise<RegionId>;
  createAndWrite(
    contents: Uint8Array | RegionSource,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<RegionId>;
  write(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  /**
   * Overwrites part of a region with contents that are not in memory. If the source or the connection fails half way, the bytes
   * that went out before are written.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY, INVALID_ARGUMENT (the source gave more or fewer bytes than `size`),
   *   whatever the source throws
   */
  writeFrom(
    id: RegionId,
    offset: number,
    contents: RegionSource,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
    call?: CallOptions,
  ): Promise<void>;
  read(id: RegionId, offset: number, size: number, call?: CallOptions): Promise<Uint8Array>;
  readInto(id: RegionId, offset: number, buffer: Uint8Array, call?: CallOptions): Promise<void>;
  /**
   * Reads part of a region of any length: pieces as they arrive, no faster than they are taken. A caller who stops early ends
   * the request.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, both before the first piece
   */
  readStream(id: RegionId, offset: number, size: number, call?: CallOptions): AsyncGenerator<Uint8Array>;
  readv(id: RegionId, ranges: readonly RegionRange[], call?: CallOptions): Promise<Uint8Array>;
  persist(id: RegionId, ranges?: readonly RegionRange[], call?: CallOptions): Promise<void>;
  erase(id: RegionId, call?: CallOptions): Promise<void>;
  stat(id: RegionId, call?: CallOptions): Promise<RegionStat>;
  list(options?: ListOptions, call?: CallOptions): Promise<RegionPage>;
  stats(call?: CallOptions): Promise<TargetStats>;
}

/** Its targets, its own routes, and what can be asked of every provider. */
export interface RemoteProviderHandle {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly targets: readonly RemoteTarget[];
  /** Where its daemon is. */
  readonly url: string;
  /**
   * Asks one of the provider's own routes.
   * @returns what it answers: JSON as the value, anything else as bytes, no content as undefined
   * @throws what the provider answers, UNREACHABLE, TIMEOUT, ABORTED, NOT_SUPPORTED (over the Redis protocol)
   */
  request<T = unknown>(call: RemoteCall): Promise<T>;
  /** Has it write its state to a folder of its machine. @throws NOT_SUPPORTED */
  snapshot(request: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>): Promise<void>;
  /** Has it read its state from a folder of its machine. @throws NOT_SUPPORTED */
  restore(request: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>): Promise<void>;
  /** Has it send its state to a provider of yet another daemon. @throws NOT_SUPPORTED */
  migrate(request: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>): Promise<void>;
}
