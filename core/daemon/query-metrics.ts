/** Metrics of queries about the configuration. docs/metrics.md lists them. */
import type { Registry } from 'prom-client';
import type { Queries } from '../query/queries.js';
import { register } from '../runtime/register-metric.js';

/** Registers the metrics. Their values are read when they are requested. */
export function registerQueryMetrics(metrics: Registry, queries: Pick<Queries, 'figures'>): void {
  const ended = 'Queries that have ended.';
  register(metrics, 'counter', 'bedrock_queries_total', ended, () => {
    const { answered, failed } = queries.figures;
    return [
      { labels: { result: 'answered' }, value: answered },
      { labels: { result: 'failed' }, value: failed },
    ];
  });
  register(metrics, 'gauge', 'bedrock_queries_in_flight', 'Queries that run or wait.', () => [
    { labels: {}, value: queries.figures.waiting },
  ]);
}
