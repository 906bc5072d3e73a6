/**
 * Long-running work that a daemon does for a client: a snapshot, a restore, a migration. Each has
 * an ID, reports its progress, and can be cancelled.
 */
import type { ErrorCode } from '../base/errors.js';

/** `cancelled`: it was cancelled, or the daemon stopped, before it was done. */
export type OperationState = 'running' | 'done' | 'failed' | 'cancelled';

/** The progress of an operation. A total is absent as long as it is not known. */
export interface OperationProgress {
  /** Bytes that are done. */
  readonly doneBytes: number;
  /** The total of bytes to do. It may change, since regions are created and erased meanwhile. */
  readonly totalBytes?: number;
  /** Regions that are done. */
  readonly doneRegions: number;
  /** The total of regions to do. */
  readonly totalRegions?: number;
}

/** An operation at one moment. */
export interface OperationStatus extends OperationProgress {
  /** Opaque text, unique forever. */
  readonly id: string;
  /** What it does: `snapshot`, `restore`, `migrate`. */
  readonly type: string;
  /** Name of the provider that does it. */
  readonly provider: string;
  /** Whether it runs, and how it ended. */
  readonly state: OperationState;
  /** When it began, in milliseconds since the epoch. */
  readonly startedAt: number;
  /** When it ended, in milliseconds since the epoch. Absent while it runs. */
  readonly endedAt?: number;
  /** Why it was not done. Present if the state is `failed` or `cancelled`. */
  readonly error?: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  /** Its result, an object. Present if the state is `done` and the provider returned one. */
  readonly result?: unknown;
}

/** What a provider gets for an operation. It may ignore all of it; then the operation shows no progress. */
export interface OperationContext {
  /** ID of the operation. */
  readonly id: string;
  /**
   * Aborted when the operation is cancelled, or the daemon stops. The provider then leaves
   * everything as it was, and throws.
   */
  readonly signal: AbortSignal;
  /** Reports progress. Members that are left out stay as they are. */
  readonly report: (progress: Partial<OperationProgress>) => void;
}
