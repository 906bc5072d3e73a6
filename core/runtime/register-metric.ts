/**
 * Registers metrics whose values are kept elsewhere: the registry reads them when they are
 * requested, so that counting costs no look-up of labels. The labels are few and known: names of
 * the configuration, and words of the daemon.
 */
import type { Counter, Registry } from 'prom-client';
import type { Distribution } from '../base/distribution.js';

export type Labels = Record<string, string | number>;
export interface Labelled<T> {
  labels: Labels;
  value: T;
}
export type Sample = Labelled<number> & { metricName?: string };

/** The samples of a histogram. */
export function histogramOf(
  name: string,
  labels: Labels,
  { bounds, buckets, count, sum }: Pick<Distribution, 'bounds' | 'buckets' | 'count' | 'sum'>,
): Sample[] {
  let within = 0;
  const samples: Sample[] = bounds.map((le, index) => {
    within += buckets[index] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: within };
  });
  samples.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
  samples.push({ metricName: `${name}_sum`, labels, value: sum });
  samples.push({ metricName: `${name}_count`, labels, value: count });
  return samples;
}

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
