/** An execution pool, as seen by providers that depend on one: the admission queue of those who share it. */

/** Limits of an execution pool. */
export interface ExecutionPoolLimits {
  /** Operations that may run at once; `max_in_flight` of the configuration, default 256. */
  maxInFlight: number;
  /** Operations that may wait for admission; `max_queued` of the configuration, default 4096. */
  maxQueued: number;
}

/**
 * At most `maxInFlight` operations run at once. Up to `maxQueued` more wait, in order of arrival. A
 * further one is refused with OVERLOADED. The doors enter it for one target operation at a time, so
 * a slow client never holds an admission while it sends or receives. In-process calls do not use
 * it.
 */
export interface ExecutionPool {
  /** Name in the configuration. */
  readonly name: string;
  /** Limits for running and waiting operations. */
  readonly limits: Readonly<ExecutionPoolLimits>;
  /** Operations that run now. */
  readonly inFlight: number;
  /** Operations that wait for admission now. */
  readonly queued: number;
  /** Requests refused so far. */
  readonly refused: number;
  /**
   * Runs the first operation of a request when its turn comes.
   * @throws OVERLOADED, any error of the operation
   */
  run<T>(operation: () => T | Promise<T>): Promise<T>;
  /** Runs a further operation of an admitted request: it waits its turn, but is not refused. */
  resume<T>(operation: () => T | Promise<T>): Promise<T>;
  /** Yields each item when it is admitted, and holds the admission until the consumer asks for the next. */
  pace<T>(items: AsyncIterable<T>): AsyncGenerator<T>;
  /** Admits an operation if none must wait, for callers that prefer not to wait. `leave` ends it. */
  tryEnter(): boolean;
  /** Passes an admission of `tryEnter` on to the next operation in the queue. */
  leave(): void;
}
