/** A provider's own metrics in the daemon's registry of prom-client; see the contract. */
import { Counter, Gauge, Histogram, type Metric, type Registry } from 'prom-client';
import { BedrockError } from '../base/errors.js';
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
}

/** Per registry, what providers made there. */
const known = new WeakMap<Registry, Map<string, Known>>();

export class LabelledMetrics implements ProviderMetrics {
  constructor(
    private readonly registry: Registry,
    private readonly provider: string,
  ) {}

  counter<const L extends string = never>(description: MetricDescription<L>): ProviderCounter<L> {
    const metric = this.#metric('counter', description, (options) => new Counter<string>(options));
    return { inc: (by, ...labels) => metric.inc(this.#labels(labels), by) };
  }

  gauge<const L extends string = never>(description: MetricDescription<L>): ProviderGauge<L> {
    const metric = this.#metric('gauge', description, (options) => new Gauge<string>(options));
    return { set: (value, ...labels) => metric.set(this.#labels(labels), value) };
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
    return { observe: (value, ...labels) => metric.observe(this.#labels(labels), value) };
  }

  #labels([labels]: readonly (object | undefined)[]): Record<string, string | number> {
    return { ...labels, provider: this.provider };
  }

  /** @throws INVALID_ARGUMENT for a name that something else has */
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
      ours.set(name, { kind, labels: labelNames.join(), metric });
      return metric;
    }
    if (found.kind !== kind || found.labels !== labelNames.join())
      throw clash(name, `a ${found.kind} with the labels ${found.labels}`);
    return found.metric as M;
  }
}

function clash(name: string, what: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', `the metric ${name} exists already, as ${what}`);
}
