/**
 * Time-outs after the process itself has stood still: it was stopped, or the event loop was blocked.
 *
 * Timers run before the event loop reads sockets. After a standstill longer than a time-out, the
 * timer fires although the peer has sent, or read, its bytes in time. So code that is about to give
 * up on a peer uses this to check once more after the input has been read, or measures time by a
 * clock that a standstill does not move.
 */
export function onceInputIsRead(look: () => void): void {
  // Immediates run after the sockets have been read.
  setImmediate(look);
}

/**
 * How often the clock is read, and the most that the time between two reads counts: twice that,
 * since a loaded machine is late.
 */
const TICK_MS = 100;
const MOST_MS = 2 * TICK_MS;

/**
 * Milliseconds in which the process could answer its peers. It runs only while it is needed: two
 * times of it can be compared if it was needed all the time between them.
 */
export class AttendedClock {
  #attendedMs = 0;
  #lookedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param isNeeded whether an earlier time of it will still be compared with a later one
   * @param time     milliseconds
   */
  constructor(
    private readonly isNeeded: () => boolean,
    private readonly time: () => number = () => performance.now(),
  ) {}

  /** Starts it, if it is not running. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#lookedAt = this.time();
    this.#timer = setInterval(() => {
      this.#look();
      if (this.isNeeded()) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, TICK_MS).unref();
  }

  readonly now = (): number => {
    if (this.#timer !== undefined) this.#look();
    return this.#attendedMs;
  };

  #look(): void {
    const now = this.time();
    this.#attendedMs += Math.max(0, Math.min(now - this.#lookedAt, MOST_MS));
    this.#lookedAt = now;
  }
}
