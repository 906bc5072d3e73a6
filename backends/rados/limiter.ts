/** Lets so many operations run at once. Others wait in order, for a bounded time. */

interface Waiting {
  readonly begin: () => void;
  readonly timer: NodeJS.Timeout;
}

/** A limit of what runs at once, with a queue. */
export class Limiter {
  #running = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(
    private readonly most: number,
    private readonly patienceMs: number,
  ) {}

  /** How many run. */
  get running(): number {
    return this.#running;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a place: at once, or when one is free.
   * @returns nothing if there was a place; else a promise, false if none came free in time
   */
  enter(): Promise<boolean> | undefined {
    if (this.#running < this.most) {
      this.#running++;
      return undefined;
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(entry);
        resolve(false);
      }, this.patienceMs);
      const entry: Waiting = { begin: () => resolve(true), timer };
      this.#waiting.add(entry);
    });
  }

  /** Gives a place back: to the first who waits. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#running--;
      return;
    }
    this.#waiting.delete(next);
    clearTimeout(next.timer);
    next.begin();
  }
}
