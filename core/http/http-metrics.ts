/**
 * Metrics of the HTTP door: connections, requests, memory. The door counts; this file only reads
 * the counters. docs/metrics.md lists them.
 */
import type { Registry } from 'prom-client';
import { register } from '../runtime/register-metric.js';
import type { HttpFigures } from './server.js';

type Figure = keyof HttpFigures;

const METRICS: readonly (readonly ['counter' | 'gauge', string, string, Figure])[] = [
  ['gauge', 'connections', 'Connections of HTTP that are open.', 'connections'],
  ['counter', 'connections_total', 'Connections that were accepted.', 'accepted'],
  ['counter', 'connections_refused_total', 'Connections beyond the limit, closed at once.', 'refused'],
  [
    'counter',
    'connections_evicted_total',
    'Slow connections, closed for the answers they had not taken.',
    'evicted',
  ],
  [
    'counter',
    'bodies_evicted_total',
    'Slow connections, closed for the JSON they were sending.',
    'evictedBodies',
  ],
  ['counter', 'requests_total', 'Requests that came.', 'requests'],
  ['gauge', 'in_flight', 'Requests that have no complete answer yet.', 'inFlight'],
  ['gauge', 'buffered_bytes', 'Large answers that clients have not taken.', 'bufferedBytes'],
];

/** The classes of statuses (RFC 9110, 15), by the first digit. */
const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** Registers the metrics. Their values are read when they are requested. */
export function registerHttpMetrics(
  metrics: Registry,
  { figures, answers }: { figures: () => HttpFigures; answers: () => readonly number[] },
): void {
  for (const [type, name, help, figure] of METRICS)
    register(metrics, type, `bedrock_http_${name}`, help, () => [{ labels: {}, value: figures()[figure] }]);
  register(metrics, 'counter', 'bedrock_http_answers_total', 'Answers, by the class of their status.', () => {
    const counts = answers();
    return CLASSES.flatMap((status, digit) =>
      // An interim answer is none.
      status === '1xx' ? [] : [{ labels: { status }, value: counts[digit] ?? 0 }],
    );
  });
}
