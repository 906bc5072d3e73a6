/** What a daemon does at a moment, as `GET /v1/status` and `BEDROCK.STATUS` give it. Counts are totals since its start. */
import type { OperationStatus } from './operation.js';
import type { TargetStats } from './target.js';

/** How often an operation was carried out, and how long that took. */
export interface OperationFigures {
  readonly count: number;
  readonly bytes: number;
  /** Time of all together. */
  readonly milliseconds: number;
  /** By `latencyBoundsMs`; the last number is of those above all bounds. */
  readonly durations: readonly number[];
  /** Failures, by their codes. */
  readonly errors: Readonly<Record<string, number>>;
}

export interface TargetStatus {
  readonly type: string;
  readonly state: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
  /** Why it takes no changes any more. */
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
  /** What its code did instead of telling of its targets. */
  readonly error?: string;
}

export interface DaemonStatus {
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** Of bedrock-node. */
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
  /** By name: `http`, `resp`. */
  readonly doors: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly operations: readonly OperationStatus[];
  /** Bounds of the buckets of `durations`. */
  readonly latencyBoundsMs: readonly number[];
}
