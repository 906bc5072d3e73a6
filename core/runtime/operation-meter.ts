/**
 * What the doors did to one target: operations, bytes, errors by code, and durations.
 *
 * Counted in plain arrays, and passed to prom-client only when the metrics are requested: its own
 * counters look up their labels at every call, which would cost a small request many times as much
 * (docs/metrics.md says how to measure it).
 */
import type { ErrorCode } from '../base/errors.js';

/**
 * The operations of clients on a target. One request is one operation, however many calls of the
 * target it takes.
 */
export const OPERATIONS = [
  'create',
  'read',
  'write',
  'persist',
  'erase',
  'stat',
  'list',
  'put',
  'find',
  'names',
  'rename',
  'transact',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Upper bounds of the latency buckets, seconds: from a small read of memory to a large transfer. */
export const LATENCY_BUCKETS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
  0.5, 1, 2.5, 5, 10, 30,
] as const;

const WATCHED = ['OUT_OF_SPACE', 'READ_ONLY', 'INTERNAL', 'OVERLOADED'] as const;

const BOUNDS_MS = Float64Array.from(LATENCY_BUCKETS, (seconds) => seconds * 1000);

export class OperationFigures {
  /** Completed operations, including failed ones. */
  count = 0;
  /** Bytes of regions read or written by successful operations. */
  bytes = 0;
  /** Total time of all operations. */
  milliseconds = 0;
  /**
   * How many operations took at most each bound and more than the previous one; the last element
   * counts those above all bounds.
   */
  readonly buckets = new Float64Array(BOUNDS_MS.length + 1);
  /**
   * The codes that operators watch are present from the start: to Prometheus the appearance of a
   * series is not an increase.
   */
  readonly errors = new Map<ErrorCode, number>(WATCHED.map((code) => [code, 0]));

  /** @param count operations that took this long each; `bytes` are those of all of them */
  record(bytes: number, milliseconds: number, count = 1): void {
    this.count += count;
    this.bytes += bytes;
    this.milliseconds += milliseconds * count;
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && milliseconds > (BOUNDS_MS[bucket] as number)) bucket++;
    (this.buckets[bucket] as number) += count;
  }

  recordFailure(code: ErrorCode, milliseconds: number): void {
    this.record(0, milliseconds);
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
  }
}

/** The figures of one target. */
export type OperationMeter = Readonly<Record<Operation, OperationFigures>>;

export function createOperationMeter(): OperationMeter {
  return Object.fromEntries(
    OPERATIONS.map((operation) => [operation, new OperationFigures()]),
  ) as unknown as OperationMeter;
}
