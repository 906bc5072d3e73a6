/** Metrics of `bedrock.limits`. docs/metrics.md lists them. */
import type { Registry } from 'prom-client';
import { register } from '../runtime/register-metric.js';
import { type Limits, LIMITS } from '../security/limits.js';

/** Registers the metrics. Their values are read when they are requested. */
export function registerLimitMetrics(metrics: Registry, limits: Limits): void {
  const refused = 'Connections and requests that a limit has refused.';
  register(metrics, 'counter', 'bedrock_limits_refused_total', refused, () =>
    LIMITS.map((limit) => ({ labels: { limit }, value: limits.refused[limit] })),
  );
  const tracked = 'Tokens and addresses that are remembered for the limits.';
  register(metrics, 'gauge', 'bedrock_limits_tracked', tracked, () => [
    { labels: {}, value: limits.tracked },
  ]);
}
