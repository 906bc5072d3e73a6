/** The daemon's source of time. It is injected, so that tests can stop it. */
export interface Clock {
  /** Milliseconds since the epoch, a whole number from 0 to MAX_TIME_MS. */
  now(): number;
}

/** The last millisecond that a Date can hold. */
export const MAX_TIME_MS = 8.64e15;

/**
 * A clock that keeps these bounds, around one that may not. A machine whose clock is before 1970
 * gives negative times, which the pool's format cannot represent; these become 0, as does anything
 * that is not a number.
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
