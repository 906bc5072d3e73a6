/** Time as the daemon sees it; injected, so that tests can hold it still. */
export interface Clock {
  /** Milliseconds since the epoch, a whole number from 0 to MAX_TIME_MS. */
  now(): number;
}

/** The last millisecond that a Date can hold. */
export const MAX_TIME_MS = 8.64e15;

/**
 * A clock that keeps to that, over one that may not: a machine whose clock stands before 1970 counts below zero, and no region may be made
 * with a time that its pool's format has no form for. What is no number at all becomes 0.
 */
export function soundClock(clock: Clock): Clock {
  return {
    now: () => {
      const now = Math.floor(clock.now());
      return now > 0 ? Math.min(now, MAX_TIME_MS) : 0;
    },
  };
}

export const systemClock: Clock = soundClock({ now: () => Date.now() });
