/**
 * How values are distributed over fixed buckets: a histogram for metrics, whose `record` costs a
 * few comparisons and no allocation.
 */
export class Distribution {
  /** How many values there were. */
  count = 0;
  /** Their sum. */
  sum = 0;
  /**
   * How many values are at most each bound and more than the previous one; the last element counts
   * those above all bounds.
   */
  readonly buckets: Float64Array;

  /** @param bounds upper bounds of the buckets, ascending */
  constructor(readonly bounds: readonly number[]) {
    this.buckets = new Float64Array(bounds.length + 1);
  }

  record(value: number): void {
    this.count++;
    this.sum += value;
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
    (this.buckets[bucket] as number)++;
  }
}
