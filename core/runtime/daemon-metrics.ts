/**
 * Metrics of a daemon: its targets, operations and execution pools. The metrics of the process are
 * in process-metrics.ts. docs/metrics.md lists them all.
 */
import type { Counter, Registry } from 'prom-client';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { TargetStats } from '../contract/target.js';
import { checkedTarget } from '../targets/checked-target.js';
import { LATENCY_BUCKETS, type OperationFigures, OPERATIONS } from './operation-meter.js';
import { faultsOf, lookAt } from './provider-look.js';
import type { ProviderManager } from './provider-manager.js';

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

function registerTargets(metrics: Registry, manager: ProviderManager, logger: Logger): void {
  let collecting: Promise<Labelled<TargetStats>[]> | undefined;
  // Collected once for all metrics of an answer, which are requested together.
  const collect = (): Promise<Labelled<TargetStats>[]> =>
    (collecting ??= statsOfTargets(manager, logger).finally(() => (collecting = undefined)));
  const gauge = (name: string, help: string, figure: (stats: TargetStats) => number | null): void =>
    register(metrics, 'gauge', name, help, async () =>
      (await collect()).flatMap(({ labels, value }) => {
        const found = figure(value);
        return found === null ? [] : { labels, value: found };
      }),
    );
  gauge('bedrock_regions', 'Live regions.', ({ regions }) => regions);
  gauge('bedrock_used_bytes', 'Bytes that regions take.', ({ usedBytes }) => usedBytes);
  gauge(
    'bedrock_capacity_bytes',
    'Bytes that a target can hold; absent if unlimited.',
    ({ capacityBytes }) => capacityBytes,
  );
  gauge('bedrock_free_bytes', 'Bytes that are free; absent if not known.', (stats) => stats.freeBytes);
  gauge(
    'bedrock_quarantined_regions',
    'Damaged regions that were set aside when the target was opened.',
    ({ recovery }) => recovery.quarantined,
  );
  gauge(
    'bedrock_pending_bytes',
    'Bytes of erased regions and of tables that could not be given back yet.',
    ({ pendingBytes }) => pendingBytes,
  );
  gauge(
    'bedrock_failed_give_backs',
    'Regions whose space could not be given back at once since the target was opened.',
    ({ failedGiveBacks }) => failedGiveBacks,
  );
}

/** Figures of open targets only: those of a closed target are out of date. */
async function statsOfTargets(manager: ProviderManager, logger: Logger): Promise<Labelled<TargetStats>[]> {
  const all = manager.all.map(lookAt).flatMap(({ provider: { name }, targets }) =>
    targets.map(async ({ target, state }, number): Promise<Labelled<TargetStats>[]> => {
      if (state !== 'open') return [];
      try {
        return [{ labels: { provider: name, target: number }, value: await checkedTarget(target).stats() }];
      } catch (error) {
        // The figures of the other targets are still available.
        logger.warning(`target ${number} of "${name}" gave no stats: ${messageOf(error)}`);
        return [];
      }
    }),
  );
  return (await Promise.all(all)).flat();
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
    () => figures().flatMap(({ labels, value }) => histogramOf(latency, labels, value)),
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

type Labels = Record<string, string | number>;
interface Labelled<T> {
  labels: Labels;
  value: T;
}
type Sample = Labelled<number> & { metricName?: string };

function histogramOf(
  name: string,
  labels: Labels,
  { buckets, count, milliseconds }: OperationFigures,
): Sample[] {
  let within = 0;
  const samples: Sample[] = LATENCY_BUCKETS.map((le, index) => {
    within += buckets[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: within };
  });
  samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
  samples.push({ metricName: `${name}_sum`, labels, value: milliseconds / 1000 });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}

/** Registers a metric whose value is kept elsewhere. The registry only calls `get`. */
export function register(
  metrics: Registry,
  type: 'counter' | 'gauge' | 'histogram',
  name: string,
  help: string,
  values: () => Sample[] | Promise<Sample[]>,
): void {
  const get = async () => ({ name, help, type, aggregator: 'sum', values: await values() });
  metrics.registerMetric({ name, help, type, get } as unknown as Counter);
}
