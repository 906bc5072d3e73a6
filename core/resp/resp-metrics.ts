/**
 * The metrics of the Redis door in `/metrics`. The door counts them; they are only read here.
 * docs/metrics.md lists them.
 */
import type { Registry } from 'prom-client';
import { register } from '../runtime/register-metric.js';

/** The counts of a door so far. */
export interface DoorFigures {
  /** Open connections. */
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  /** Connections that were closed as slow because of the memory that they held. */
  readonly evicted: number;
  /** Calls of targets, and other requests whose replies are not known yet. */
  readonly inFlight: number;
  readonly requests: number;
  /** Requests that got an error. */
  readonly failed: number;
  /** Bytes in use of the memory for long arguments. */
  readonly arrivingBytes: number;
  /** Bytes of replies that clients have not taken. */
  readonly bufferedBytes: number;
}

const METRICS: readonly (readonly ['counter' | 'gauge', string, string, keyof DoorFigures])[] = [
  ['gauge', 'connections', 'Connections of the Redis protocol that are open.', 'connections'],
  ['counter', 'connections_total', 'Connections that were accepted.', 'accepted'],
  ['counter', 'connections_refused_total', 'Connections beyond the limit, closed at once.', 'refused'],
  ['counter', 'connections_evicted_total', 'Slow connections, closed for their memory.', 'evicted'],
  ['gauge', 'in_flight', 'Requests that were begun and have no reply yet.', 'inFlight'],
  ['counter', 'requests_total', 'Requests that were carried out, failed ones included.', 'requests'],
  ['counter', 'errors_total', 'Errors that were answered.', 'failed'],
  ['gauge', 'arriving_bytes', 'Memory that large arguments and incomplete requests take.', 'arrivingBytes'],
  ['gauge', 'buffered_bytes', 'Replies that clients have not taken.', 'bufferedBytes'],
];

/** Registers the metrics. Each is computed when it is read. */
export function registerRespMetrics(metrics: Registry, figures: () => DoorFigures): void {
  for (const [type, name, help, figure] of METRICS)
    register(metrics, type, `bedrock_resp_${name}`, help, () => [{ labels: {}, value: figures()[figure] }]);
}
