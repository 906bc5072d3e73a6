/**
 * Metrics of a daemon: its targets, operations and execution pools. The metrics of the process are
 * in process-metrics.ts. docs/metrics.md lists them all.
 */
import type { Registry } from 'prom-client';
import type { Logger } from '../base/logging.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import { LATENCY_BUCKETS, type OperationFigures, OPERATIONS } from './operation-meter.js';
import { faultsOf, lookAt } from './provider-look.js';
import type { ProviderManager } from './provider-manager.js';
import { histogramOf, type Labelled, register, type Sample } from './register-metric.js';
import { registerTargets } from './target-metrics.js';

/** Registers the metrics. Each is computed when it is requested. */
export function registerDaemonMetrics(
  metrics: Registry,
  manager: ProviderManager,
  logger: Logger,
  version: string,
): void {
  const build = { version, node_version: process.version };
  register(metrics, 'gauge', 'bedrock_build_info', 'What runs, in its labels; always 1.', () => [
    { labels: build, value: 1 },
  ]);
  registerFaults(metrics, manager);
  registerReadOnly(metrics, manager);
  registerTargets(metrics, manager, logger);
  registerOperations(metrics, manager);
  registerExecutionPools(metrics, manager);
  registerBackgroundOperations(metrics, manager);
}

/** Nothing else reports these: a connection for which there is no descriptor causes no event. */
export function registerDescriptorShortages(metrics: Registry, shortages: () => number): void {
  const help = 'Times that hardly a file descriptor was left.';
  register(metrics, 'counter', 'bedrock_descriptor_shortages_total', help, () => [
    { labels: {}, value: shortages() },
  ]);
}

function registerFaults(metrics: Registry, manager: ProviderManager): void {
  const help =
    "Times that a provider's own code failed when its targets were looked at; it then has no figures.";
  register(metrics, 'counter', 'bedrock_provider_faults_total', help, () =>
    manager.all.map((provider) => {
      lookAt(provider);
      return { labels: { provider: provider.name }, value: faultsOf(provider) };
    }),
  );
}

/** Read from the targets themselves, since it must be reported even if their stats fail. */
function registerReadOnly(metrics: Registry, manager: ProviderManager): void {
  const help = 'Whether a target takes no changes any more, though its configuration lets it: 1 or 0.';
  register(metrics, 'gauge', 'bedrock_target_read_only', help, () =>
    manager.all.map(lookAt).flatMap(({ provider, targets }) =>
      targets.map(({ readOnly }, target) => ({
        labels: { provider: provider.name, target },
        value: readOnly === undefined ? 0 : 1,
      })),
    ),
  );
}

function registerOperations(metrics: Registry, manager: ProviderManager): void {
  const figures = (): Labelled<OperationFigures>[] =>
    manager.all.map(lookAt).flatMap(({ provider, targets }) =>
      targets.flatMap(({ meter }, target) => {
        if (meter === undefined) return [];
        return OPERATIONS.map((operation) => ({
          labels: { provider: provider.name, target, operation },
          value: meter[operation],
        }));
      }),
    );
  register(
    metrics,
    'counter',
    'bedrock_operations_total',
    'Operations that have ended, failed ones included.',
    () => figures().map(({ labels, value }) => ({ labels, value: value.count })),
  );
  register(metrics, 'counter', 'bedrock_operation_bytes_total', 'Bytes of regions read or written.', () =>
    figures().map(({ labels, value }) => ({ labels, value: value.bytes })),
  );
  register(
    metrics,
    'counter',
    'bedrock_operation_errors_total',
    'Operations that failed, by error code.',
    () =>
      figures().flatMap(({ labels, value }) =>
        [...value.errors].map(([code, count]) => ({ labels: { ...labels, code }, value: count })),
      ),
  );
  const latency = 'bedrock_operation_duration_seconds';
  register(
    metrics,
    'histogram',
    latency,
    'Time from the turn of a request on its connection to the end of its operation.',
    () =>
      figures().flatMap(({ labels, value: { buckets, count, milliseconds } }) =>
        histogramOf(latency, labels, { bounds: LATENCY_BUCKETS, buckets, count, sum: milliseconds / 1000 }),
      ),
  );
}

function registerExecutionPools(metrics: Registry, manager: ProviderManager): void {
  const perExecutionPool = (figure: (executionPool: ExecutionPool) => number) => (): Sample[] =>
    manager.executionPools.map((executionPool) => ({
      labels: { execution_pool: executionPool.name },
      value: figure(executionPool),
    }));
  const prefix = 'bedrock_execution_pool';
  register(
    metrics,
    'gauge',
    `${prefix}_in_flight`,
    'Target operations that run.',
    perExecutionPool((executionPool) => executionPool.inFlight),
  );
  register(
    metrics,
    'gauge',
    `${prefix}_queued`,
    'Target operations that wait their turn.',
    perExecutionPool((executionPool) => executionPool.queued),
  );
  register(
    metrics,
    'counter',
    `${prefix}_refused_total`,
    'Requests refused with OVERLOADED.',
    perExecutionPool((executionPool) => executionPool.refused),
  );
}

function registerBackgroundOperations(metrics: Registry, { operations }: ProviderManager): void {
  const prefix = 'bedrock_background_operations';
  register(metrics, 'gauge', `${prefix}_running`, 'Snapshots, restores and migrations that run.', () =>
    [...operations.counts].map(([type, { running }]) => ({ labels: { type }, value: running })),
  );
  register(metrics, 'counter', `${prefix}_total`, 'Those that have ended, by how they ended.', () =>
    [...operations.counts].flatMap(([type, counts]) =>
      ENDS.map((state) => ({ labels: { type, state }, value: counts[state] })),
    ),
  );
  const bytes = 'Bytes that they have brought to their destinations.';
  register(metrics, 'counter', 'bedrock_background_operation_bytes_total', bytes, () =>
    [...operations.counts].map(([type, { doneBytes }]) => ({ labels: { type }, value: doneBytes })),
  );
}

const ENDS = ['done', 'failed', 'cancelled'] as const;
