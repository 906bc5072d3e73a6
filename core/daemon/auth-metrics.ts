/** Metrics of `bedrock.auth`. docs/metrics.md lists them. */
import type { Registry } from 'prom-client';
import { register } from '../runtime/register-metric.js';
import type { Access } from '../security/access.js';

/** Registers the metrics. Their values are read when they are requested. */
export function registerAuthMetrics(metrics: Registry, access: Access): void {
  const presented = 'Tokens that were presented: once for each connection, as long as it sends the same one.';
  register(metrics, 'counter', 'bedrock_auth_attempts_total', presented, () =>
    Object.entries(access.attempts).map(([result, value]) => ({ labels: { result }, value })),
  );
  register(metrics, 'gauge', 'bedrock_auth_tokens', 'Tokens that there are.', () =>
    Object.entries(access.tokens).map(([state, value]) => ({ labels: { state }, value })),
  );
}
