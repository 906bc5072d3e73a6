/** Time as the daemon sees it; injected, so that tests can hold it still. */
export interface Clock {
  /** Milliseconds since the epoch, an integer. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
