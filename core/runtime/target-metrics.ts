/**
 * Metrics of targets: their space, and what goes on inside of them (free extents, group commit,
 * journal). docs/metrics.md lists them.
 */
import type { Registry } from 'prom-client';
import type { Distribution } from '../base/distribution.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { TargetStats } from '../contract/target.js';
import { BaseTarget } from '../targets/base-target.js';
import { checkedTarget } from '../targets/checked-target.js';
import type { TargetFigures } from '../targets/target-figures.js';
import { lookAt } from './provider-look.js';
import type { ProviderManager } from './provider-manager.js';
import { histogramOf, type Labelled, register, type Sample } from './register-metric.js';

export function registerTargets(metrics: Registry, manager: ProviderManager, logger: Logger): void {
  let collecting: Promise<Labelled<TargetStats>[]> | undefined;
  // Once for all the metrics of an answer, which are requested together.
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
    'bedrock_largest_free_bytes',
    'Largest region that could be made now; absent if not known.',
    ({ largestFreeBytes }) => largestFreeBytes,
  );
  gauge(
    'bedrock_fragmentation_ratio',
    'Part of the free space that is outside its largest piece, from 0 to 1.',
    ({ fragmentation }) => fragmentation,
  );
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
  registerInside(metrics, manager);
}

/** The figures of the open targets that have some. */
function figuresOf(manager: ProviderManager): Labelled<TargetFigures>[] {
  return manager.all
    .map(lookAt)
    .flatMap(({ provider: { name }, targets }) =>
      targets.flatMap(({ target, state }, number) =>
        state === 'open' && target instanceof BaseTarget
          ? [{ labels: { provider: name, target: number }, value: target.figures }]
          : [],
      ),
    );
}

function registerInside(metrics: Registry, manager: ProviderManager): void {
  const each = (figure: (figures: TargetFigures) => number | undefined) => (): Sample[] =>
    figuresOf(manager).flatMap(({ labels, value }) => {
      const found = figure(value);
      return found === undefined ? [] : [{ labels, value: found }];
    });
  const histogram = (
    name: string,
    help: string,
    of: (flushes: NonNullable<TargetFigures['flushes']>) => Distribution,
  ): void =>
    register(metrics, 'histogram', name, help, () =>
      figuresOf(manager).flatMap(({ labels, value: { flushes } }) =>
        flushes === undefined ? [] : histogramOf(name, labels, of(flushes)),
      ),
    );
  const extents = 'Pieces of free space that do not touch.';
  register(
    metrics,
    'gauge',
    'bedrock_free_extents',
    extents,
    each(({ freeExtents }) => freeExtents),
  );
  const callers = 'Calls that shared a flush (group commit).';
  histogram('bedrock_flush_callers', callers, (flushes) => flushes.callers);
  const time = 'Time of a flush: an fdatasync or msync, with the check of the file.';
  histogram('bedrock_flush_duration_seconds', time, (flushes) => flushes.seconds);
  const failures = 'Flushes that failed.';
  register(
    metrics,
    'counter',
    'bedrock_flush_failures_total',
    failures,
    each((one) => one.flushes?.failures),
  );
  const records = 'Changes that the journal of a pool has made whole.';
  register(
    metrics,
    'counter',
    'bedrock_journal_records_total',
    records,
    each((one) => one.journal?.records),
  );
  const bytes = 'Bytes of their records.';
  register(
    metrics,
    'counter',
    'bedrock_journal_bytes_total',
    bytes,
    each((one) => one.journal?.bytes),
  );
}

/** Only of open targets: the figures of a closed target are out of date. */
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
