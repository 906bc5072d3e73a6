/**
 * The status of a daemon at one moment, in one value: its process, providers, targets, execution
 * pools, doors and operations. Counts are totals since the start. So two of these values give the
 * rates between them, and several readers do not disturb each other.
 */
import { messageOf } from '../base/errors.js';
import type { Clock } from '../base/clock.js';
import type {
  DaemonStatus,
  OperationFigures,
  ProviderStatus,
  TargetStatus,
} from '../contract/daemon-status.js';
import { checkedTarget } from '../targets/checked-target.js';
import { LATENCY_BUCKETS, type OperationMeter, OPERATIONS } from './operation-meter.js';
import { lookAt, type SeenProvider, type SeenTarget } from './provider-look.js';
import type { ProviderManager } from './provider-manager.js';

export interface StatusSources {
  readonly providers: ProviderManager;
  readonly version: string;
  readonly clock: Clock;
  /** For the name of each door that listens: its figures. */
  readonly doors: () => DaemonStatus['doors'];
  readonly streams: () => DaemonStatus['executionStreams'];
}

/**
 * Never fails. If figures of a target or provider are not available, they are absent, and `error`
 * says why.
 */
export async function daemonStatus({
  providers,
  version,
  clock,
  doors,
  streams,
}: StatusSources): Promise<DaemonStatus> {
  const seen = providers.all.map(lookAt);
  const shown = await Promise.all(seen.map(statusOfProvider));
  const { user, system } = process.cpuUsage();
  const { active, idle } = performance.eventLoopUtilization();
  return {
    time: clock.now(),
    version,
    process: {
      pid: process.pid,
      nodeVersion: process.version,
      uptimeMs: Math.round(process.uptime() * 1000),
      cpuMs: Math.round((user + system) / 1000),
      rssBytes: process.memoryUsage.rss(),
      eventLoop: { activeMs: Math.round(active), idleMs: Math.round(idle) },
    },
    providers: shown,
    executionPools: providers.executionPools.map(({ name, inFlight, queued, refused, limits }) => ({
      name,
      inFlight,
      maxInFlight: limits.maxInFlight,
      queued,
      maxQueued: limits.maxQueued,
      refused,
    })),
    executionStreams: streams(),
    doors: doors(),
    operations: providers.operations.list(),
    latencyBoundsMs: BOUNDS_MS,
  };
}

const BOUNDS_MS = LATENCY_BUCKETS.map((seconds) => seconds * 1000);

async function statusOfProvider({ provider, targets, fault }: SeenProvider): Promise<ProviderStatus> {
  return {
    name: provider.name,
    type: provider.type,
    provider_id: provider.providerId,
    tags: provider.tags,
    state: provider.state,
    targets: await Promise.all(targets.map(statusOfTarget)),
    ...(fault !== undefined && { error: fault }),
  };
}

async function statusOfTarget({
  target,
  type,
  state,
  capabilities,
  readOnly,
  meter,
}: SeenTarget): Promise<TargetStatus> {
  const shown = {
    type,
    state,
    capabilities,
    hasSpaceMap: typeof target.spaceMap === 'function',
    ...(readOnly !== undefined && { readOnly }),
    ...(meter !== undefined && { operations: figuresOf(meter) }),
  };
  // Figures of a closed target are out of date.
  if (state !== 'open') return shown;
  try {
    return { ...shown, stats: await checkedTarget(target).stats() };
  } catch (error) {
    return { ...shown, error: messageOf(error) };
  }
}

/** The figures of operations that were called at least once. */
function figuresOf(meter: OperationMeter): Record<string, OperationFigures> {
  const used = OPERATIONS.filter((operation) => meter[operation].count > 0);
  return Object.fromEntries(
    used.map((operation) => {
      const { count, bytes, milliseconds, buckets, errors } = meter[operation];
      const failed = [...errors].filter(([, times]) => times > 0);
      const durations = [...buckets];
      return [operation, { count, bytes, milliseconds, durations, errors: Object.fromEntries(failed) }];
    }),
  );
}
