/**
 * Metrics of the memory of the HTTP door. The door counts; this file only reads the counters.
 * docs/metrics.md lists them.
 */
import type { Registry } from 'prom-client';
import { register } from '../runtime/daemon-metrics.js';
import type { HttpFigures } from './server.js';

/** Registers the metrics. Their values are read when they are requested. */
export function registerHttpMetrics(metrics: Registry, figures: () => HttpFigures): void {
  const open = 'Connections of HTTP that are open.';
  register(metrics, 'gauge', 'bedrock_http_connections', open, () => [
    { labels: {}, value: figures().connections },
  ]);
  const refused = 'Connections beyond the limit, closed at once.';
  register(metrics, 'counter', 'bedrock_http_connections_refused_total', refused, () => [
    { labels: {}, value: figures().refused },
  ]);
  const evicted = 'Slow connections, closed for the answers they had not taken.';
  register(metrics, 'counter', 'bedrock_http_connections_evicted_total', evicted, () => [
    { labels: {}, value: figures().evicted },
  ]);
  const bodies = 'Slow connections, closed for the JSON they were sending.';
  register(metrics, 'counter', 'bedrock_http_bodies_evicted_total', bodies, () => [
    { labels: {}, value: figures().evictedBodies },
  ]);
  const buffered = 'Large answers that clients have not taken.';
  register(metrics, 'gauge', 'bedrock_http_buffered_bytes', buffered, () => [
    { labels: {}, value: figures().bufferedBytes },
  ]);
}
