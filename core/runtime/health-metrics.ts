/** What health checks tell, as metrics. docs/metrics.md lists them. */
import type { Registry } from 'prom-client';
import { reasonsOf } from './health.js';
import type { ProviderManager } from './provider-manager.js';
import { register } from './register-metric.js';

/** Registers the metrics. @param isReady whether the daemon has started, and is not stopping */
export function registerHealthMetrics(
  metrics: Registry,
  manager: ProviderManager,
  isReady: () => boolean,
): void {
  const ready = 'Whether /readyz is 200: 1 or 0.';
  register(metrics, 'gauge', 'bedrock_ready', ready, async () => [
    { labels: {}, value: reasonsOf(await manager.health.check()).length === 0 && isReady() ? 1 : 0 },
  ]);
  const up = 'Whether a provider runs, and does its work apart from changes: 1 or 0.';
  register(metrics, 'gauge', 'bedrock_provider_up', up, async () => {
    const { failed } = await manager.health.check();
    const unwell = new Set(failed.map(({ provider }) => provider));
    return manager.all.map(({ name, state }) => ({
      labels: { provider: name },
      value: state === 'running' && !unwell.has(name) ? 1 : 0,
    }));
  });
}
