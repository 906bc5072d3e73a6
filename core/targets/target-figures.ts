/**
 * Figures of the inside of a target, for metrics, in addition to its `stats`. Its parts count all
 * the time; a caller gets their counters, and nothing is computed for that. What a target does not
 * have is absent.
 */
import type { FlushMeter } from '../base/flush-meter.js';

export interface TargetFigures {
  /** Pieces of free space that do not touch. */
  readonly freeExtents?: number;
  /** Flushes that several callers share. */
  readonly flushes?: FlushMeter | undefined;
  readonly journal?: JournalFigures;
}

export interface JournalFigures {
  /** Changes that were completed. */
  readonly records: number;
  /** Bytes of their records. */
  readonly bytes: number;
}
