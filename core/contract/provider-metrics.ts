/**
 * Metrics of a provider. They have its name as the label `provider`, so that several providers of a
 * type share a metric.
 */
/** Labels are required if the metric has any. */
export type LabelArguments<L extends string> = [L] extends [never]
  ? []
  : [labels: Readonly<Record<L, string | number>>];

/** Name, help and labels of a metric. */
export interface MetricDescription<L extends string = never> {
  /** Such as `counter_increments_total`; it should begin with the type of the provider. */
  readonly name: string;
  /** One line, for readers of /metrics. */
  readonly help: string;
  /**
   * Labels in addition to `provider`. Their values should be few: each combination makes a series
   * that is kept forever.
   */
  readonly labels?: readonly L[];
}

/** A number that only increases. */
export interface ProviderCounter<L extends string = never> {
  /**
   * Adds to the number.
   * @param by the increase; not negative
   */
  inc(by: number, ...labels: LabelArguments<L>): void;
}

/** A number that can increase and decrease. */
export interface ProviderGauge<L extends string = never> {
  /**
   * Sets the number.
   * @param value the new value
   */
  set(value: number, ...labels: LabelArguments<L>): void;
}

/** A distribution of values: how many were at most the bound of each bucket. */
export interface ProviderHistogram<L extends string = never> {
  /**
   * Counts one value.
   * @param value in the unit of the buckets' bounds; Prometheus recommends seconds
   */
  observe(value: number, ...labels: LabelArguments<L>): void;
}

/**
 * Creates metrics. An existing metric of the same kind and labels is reused.
 * @throws INVALID_ARGUMENT if the name is used for something else
 */
export interface ProviderMetrics {
  /** A number that only increases; its name ends in `_total`. */
  counter<const L extends string = never>(description: MetricDescription<L>): ProviderCounter<L>;
  /** A number that can increase and decrease. */
  gauge<const L extends string = never>(description: MetricDescription<L>): ProviderGauge<L>;
  /**
   * A distribution of values.
   * @param description `buckets` are upper bounds, ascending
   */
  histogram<const L extends string = never>(
    description: MetricDescription<L> & { readonly buckets: readonly number[] },
  ): ProviderHistogram<L>;
}
