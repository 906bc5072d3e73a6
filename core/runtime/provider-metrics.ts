/**
 * A provider's own metrics in the daemon's registry of prom-client. The contract
 * (core/contract/provider-metrics.ts) describes them.
 */
import { Counter, Gauge, Histogram, type Metric, type Registry } from 'prom-client';
import { type BedrockError, invalid } from '../base/errors.js';
import type {
  MetricDescription,
  ProviderCounter,
  ProviderGauge,
  ProviderHistogram,
  ProviderMetrics,
} from '../contract/provider-metrics.js';

interface Known {
  readonly kind: string;
  readonly labels: string;
  readonly metric: Metric;
  /** The provider that it belongs to. */
  readonly users: Set<LabelledMetrics>;
}

/** The metrics that providers created, per registry. */
const known = new WeakMap<Registry, Map<string, Known>>();

export class LabelledMetrics implements ProviderMetrics {
  #isForgotten = false;

  constructor(
    private readonly registry: Registry,
    private readonly provider: string,
  ) {}

  counter<const L extends string = never>(description: MetricDescription<L>): ProviderCounter<L> {
    const metric = this.#metric('counter', description, (options) => new Counter<string>(options));
    return { inc: (by, ...labels) => this.#unlessForgotten(() => metric.inc(this.#labels(labels), by)) };
  }

  gauge<const L extends string = never>(description: MetricDescription<L>): ProviderGauge<L> {
    const metric = this.#metric('gauge', description, (options) => new Gauge<string>(options));
    return {
      set: (value, ...labels) => this.#unlessForgotten(() => metric.set(this.#labels(labels), value)),
    };
  }

  histogram<const L extends string = never>(
    description: MetricDescription<L> & { readonly buckets: readonly number[] },
  ): ProviderHistogram<L> {
    const buckets = [...description.buckets];
    const metric = this.#metric(
      'histogram',
      description,
      (options) => new Histogram<string>({ ...options, buckets }),
    );
    return {
      observe: (value, ...labels) => this.#unlessForgotten(() => metric.observe(this.#labels(labels), value)),
    };
  }

  /**
   * Removes the series of a provider that was removed, and metrics that no other provider has. What
   * its code still reports is ignored.
   */
  async forget(): Promise<void> {
    this.#isForgotten = true;
    for (const [name, { metric, users }] of known.get(this.registry) ?? []) {
      if (!users.delete(this)) continue;
      if (users.size === 0) {
        known.get(this.registry)?.delete(name);
        this.registry.removeSingleMetric(name);
        continue;
      }
      // Safe: meanwhile, other providers only add series of their own.
      const { values } = await metric.get();
      for (const { labels } of values) {
        const series: Record<string, unknown> = { ...labels };
        // The bucket of a histogram is not a label of its series.
        delete series.le;
        if (series.provider === this.provider) metric.remove(series as Record<string, string>);
      }
    }
  }

  #unlessForgotten(report: () => void): void {
    if (!this.#isForgotten) report();
  }

  #labels([labels]: readonly (object | undefined)[]): Record<string, string | number> {
    return { ...labels, provider: this.provider };
  }

  /** @throws INVALID_ARGUMENT if the name is used for something else */
  #metric<M extends Metric>(
    kind: string,
    { name, help, labels = [] }: MetricDescription<string>,
    make: (options: { name: string; help: string; labelNames: string[]; registers: Registry[] }) => M,
  ): M {
    const ours = known.get(this.registry) ?? new Map<string, Known>();
    known.set(this.registry, ours);
    const labelNames = ['provider', ...labels];
    const found = ours.get(name);
    if (found === undefined) {
      if (this.registry.getSingleMetric(name) !== undefined) throw clash(name, "one of the daemon's own");
      const metric = make({ name, help, labelNames, registers: [this.registry] });
      ours.set(name, { kind, labels: labelNames.join(), metric, users: new Set([this]) });
      return metric;
    }
    if (found.kind !== kind || found.labels !== labelNames.join())
      throw clash(name, `a ${found.kind} with the labels ${found.labels}`);
    found.users.add(this);
    return found.metric as M;
  }
}

function clash(name: string, what: string): BedrockError {
  return invalid(`the metric ${name} exists already, as ${what}`);
}
