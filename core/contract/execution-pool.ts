/** An execution pool, as providers that depend on one use it: the admission queue of those who share it. */
export interface ExecutionPoolLimits {
  maxInFlight: number;
  maxQueued: number;
}

/**
 * At most `maxInFlight` operations run at once; up to `maxQueued` wait, in order of arrival; a further one is refused with
 * OVERLOADED. The front doors go through it one target operation at a time, so a slow client never holds a place while it
 * sends or receives. In-process calls do not pass here.
 */
export interface ExecutionPool {
  readonly name: string;
  readonly limits: Readonly<ExecutionPoolLimits>;
  readonly inFlight: number;
  readonly queued: number;
  /** How many requests were refused so far. */
  readonly refused: number;
  /**
   * Runs the first operation of a request when its turn comes.
   * @throws OVERLOADED, whatever the operation throws
   */
  run<T>(operation: () => T | Promise<T>): Promise<T>;
  /** Runs a further operation of a request that was admitted: it waits its turn, but is not refused. */
  resume<T>(operation: () => T | Promise<T>): Promise<T>;
  /** Gives on each item when its turn comes, and holds the place until the consumer asks for the next. */
  pace<T>(items: AsyncIterable<T>): AsyncGenerator<T>;
  /** Takes a place if one is free, for callers who would rather do without than wait; `leave` gives it back. */
  tryEnter(): boolean;
  /** Gives a place that `tryEnter` took to the next in the queue. */
  leave(): void;
}
