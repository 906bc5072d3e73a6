/** Metrics of one provider's own. They bear its name as the label `provider`, so that several providers of a type share a metric. */
type Labels<L extends string> = Readonly<Record<L, string | number>>;
/** Labels are given where there are any. */
export type LabelArguments<L extends string> = [L] extends [never] ? [] : [labels: Labels<L>];

export interface MetricDescription<L extends string = never> {
  /** Such as `counter_increments_total`; a good one begins with the type of the provider. */
  readonly name: string;
  /** One line, for the reader of /metrics. */
  readonly help: string;
  /** Labels beside `provider`. Values should be few: each makes a series that is kept for ever. */
  readonly labels?: readonly L[];
}

export interface ProviderCounter<L extends string = never> {
  inc(by: number, ...labels: LabelArguments<L>): void;
}

export interface ProviderGauge<L extends string = never> {
  set(value: number, ...labels: LabelArguments<L>): void;
}

export interface ProviderHistogram<L extends string = never> {
  observe(value: number, ...labels: LabelArguments<L>): void;
}

/**
 * Makes them. A metric that exists is taken as it is, if it is of the same kind and has the same labels.
 * @throws INVALID_ARGUMENT for a name that something else has
 */
export interface ProviderMetrics {
  counter<const L extends string = never>(description: MetricDescription<L>): ProviderCounter<L>;
  gauge<const L extends string = never>(description: MetricDescription<L>): ProviderGauge<L>;
  /** @param description `buckets` are upper bounds, ascending */
  histogram<const L extends string = never>(
    description: MetricDescription<L> & { readonly buckets: readonly number[] },
  ): ProviderHistogram<L>;
}
