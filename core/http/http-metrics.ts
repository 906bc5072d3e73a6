/** What `/metrics` says of the memory of the HTTP door: counted by the door itself, and only read here. docs/metrics.md lists it. */
import type { Registry } from 'prom-client';
import { register } from '../runtime/daemon-metrics.js';
import type { AnswerFigures } from './answer-memory.js';

/** Registers them; each is made when it is asked for. */
export function registerHttpMetrics(metrics: Registry, figures: () => AnswerFigures): void {
  const evicted = 'Slow connections, closed for the answers they had not taken.';
  register(metrics, 'counter', 'bedrock_http_connections_evicted_total', evicted, () => [
    { labels: {}, value: figures().evicted },
  ]);
  const buffered = 'Large answers that clients have not taken.';
  register(metrics, 'gauge', 'bedrock_http_buffered_bytes', buffered, () => [
    { labels: {}, value: figures().bufferedBytes },
  ]);
}
