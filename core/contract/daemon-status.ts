/**
 * The status of a daemon at one moment, as `GET /v1/status` and `BEDROCK.STATUS` return it. Counts
 * are totals since its start.
 */
import type { OperationStatus } from './operation.js';
import type { TargetStats } from './target.js';

/** How often an operation was carried out, and how long that took. */
export interface OperationFigures {
  readonly count: number;
  readonly bytes: number;
  /** Total time of all of them. */
  readonly milliseconds: number;
  /** For each of `latencyBoundsMs`; the last number counts those above all bounds. */
  readonly durations: readonly number[];
  /** For each code: the number of failures. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface TargetStatus {
  readonly type: string;
  readonly state: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
  /** Whether `GET /v1/providers/{p}/stats/space` has a map of its space. */
  readonly hasSpaceMap: boolean;
  /** Why it no longer accepts changes. */
  readonly readOnly?: string;
  /** Why it has no figures. */
  readonly error?: string;
  readonly operations?: Readonly<Record<string, OperationFigures>>;
  readonly stats?: TargetStats;
}

export interface ProviderStatus {
  readonly name: string;
  readonly type: string;
  readonly provider_id: number;
  readonly tags: readonly string[];
  readonly state: string;
  readonly targets: readonly TargetStatus[];
  /** What its code did instead of giving its targets. */
  readonly error?: string;
}

export interface DaemonStatus {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Version of bedrock-node. */
  readonly version: string;
  readonly process: {
    readonly pid: number;
    readonly nodeVersion: string;
    readonly uptimeMs: number;
    /** CPU time of all threads. */
    readonly cpuMs: number;
    readonly rssBytes: number;
    readonly eventLoop: { readonly activeMs: number; readonly idleMs: number };
  };
  readonly providers: readonly ProviderStatus[];
  readonly executionPools: readonly {
    readonly name: string;
    readonly inFlight: number;
    readonly maxInFlight: number;
    readonly queued: number;
    readonly maxQueued: number;
    readonly refused: number;
  }[];
  /** Each with the execution pools that it serves, the first one first. */
  readonly executionStreams: readonly { readonly name: string; readonly pools: readonly string[] }[];
  /** By name: `http`, `resp`. */
  readonly doors: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly operations: readonly OperationStatus[];
  /** Bounds of the buckets of `durations`. */
  readonly latencyBoundsMs: readonly number[];
}
