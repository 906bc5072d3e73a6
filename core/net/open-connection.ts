/** A connection of a door, as administrators of the daemon see it. */
export interface OpenConnection {
  /** Address and port, or `unix`. */
  readonly from: string;
  /** When it was accepted, in milliseconds since the epoch. */
  readonly since: number;
  /** Requests that are not answered yet. */
  readonly inFlight: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** The name that its client gave it. */
  readonly name?: string;
}

/** The first `limit` of them. */
export function firstOf<T>(
  all: Iterable<T>,
  limit: number,
  describe: (one: T) => OpenConnection,
): OpenConnection[] {
  const first: OpenConnection[] = [];
  for (const one of all) {
    if (first.length >= limit) break;
    first.push(describe(one));
  }
  return first;
}

/** Converts a time of the monotonic clock to the time of day. @param at by performance.now() */
export function epochOf(at: number): number {
  return Math.round(Date.now() - performance.now() + at);
}
