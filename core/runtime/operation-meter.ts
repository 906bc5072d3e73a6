/**
 * What the front doors did to one target: operations, bytes, errors by code, and how long they took.
 *
 * Counted in plain arrays and handed to prom-client only when somebody asks for the metrics: its own counters look their labels up
 * at every call, which would cost a small request many times as much (docs/metrics.md has the figures).
 */
import type { ErrorCode } from '../base/errors.js';

/** What a client can ask a target for; one request is one operation, however many calls of the target it takes. */
export const OPERATIONS = ['create', 'read', 'write', 'persist', 'erase', 'stat', 'list'] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Upper bounds of the latency buckets, seconds: from a small read of memory to a large transfer. */
export const LATENCY_BUCKETS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
  0.5, 1, 2.5, 5, 10, 30,
] as const;

const WATCHED = ['OUT_OF_SPACE', 'READ_ONLY', 'INTERNAL', 'OVERLOADED'] as const;

const BOUNDS_MS = Float64Array.from(LATENCY_BUCKETS, (seconds) => seconds * 1000);

export class OperationFigures {
  /** Operations that have ended, those that failed included. */
  count = 0;
  /** Bytes of regions that were read or written by those that did not fail. */
  bytes = 0;
  /** Time of all operations together. */
  milliseconds = 0;
  /** How many operations took at most each bound and more than the one before; the last counts those beyond all. */
  readonly buckets = new Float64Array(BOUNDS_MS.length + 1);
  /** Those that operators watch are there from the start: what rises from nothing is no increase to Prometheus. */
  readonly errors = new Map<ErrorCode, number>(WATCHED.map((code) => [code, 0]));

  record(bytes: number, milliseconds: number): void {
    this.count++;
    this.bytes += bytes;
    this.milliseconds += milliseconds;
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && milliseconds > (BOUNDS_MS[bucket] as number)) bucket++;
    (this.buckets[bucket] as number)++;
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
