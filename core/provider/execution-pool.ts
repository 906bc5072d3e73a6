/**
 * An execution pool: the admission queue for the requests of the providers that use it.
 *
 * At most `maxInFlight` operations run at once; up to `maxQueued` wait, in order of arrival; a further one is refused with
 * OVERLOADED. The front doors go through it one target operation at a time, so a slow client never holds a place while it
 * sends or receives. In-process calls do not pass here.
 */
import { BedrockError } from '../errors.js';

export interface ExecutionPoolLimits {
  maxInFlight: number;
  maxQueued: number;
}

export class ExecutionPool {
  #inFlight = 0;
  /** Those that wait; `#head` is the next one's place, as shifting a long array is slow. */
  #queue: (() => void)[] = [];
  #head = 0;
  #refused = 0;

  constructor(
    readonly name: string,
    readonly limits: Readonly<ExecutionPoolLimits>,
  ) {}

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#queue.length - this.#head;
  }

  /** How many requests were refused so far. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Runs the first operation of a request when its turn comes.
   * @throws OVERLOADED, whatever the operation throws
   */
  async run<T>(operation: () => T | Promise<T>): Promise<T> {
    this.#checkAdmission();
    return this.resume(operation);
  }

  /** Runs a further operation of a request that was admitted: it waits its turn, but is not refused. */
  async resume<T>(operation: () => T | Promise<T>): Promise<T> {
    if (!this.tryEnter()) await this.#turn();
    try {
      return await operation();
    } finally {
      this.leave();
    }
  }

  /** Gives on each item when its turn comes, and holds the place until the consumer asks for the next. */
  async *pace<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of items) {
      if (!this.tryEnter()) await this.#turn();
      try {
        yield item;
      } finally {
        this.leave();
      }
    }
  }

  #checkAdmission(): void {
    const { maxInFlight, maxQueued } = this.limits;
    if (this.#inFlight < maxInFlight || this.queued < maxQueued) return;
    this.#refused++;
    throw new BedrockError(
      'OVERLOADED',
      `execution pool ${this.name} has ${maxInFlight} operations running and ${maxQueued} waiting; try again later`,
      { details: { pool: this.name, maxInFlight, maxQueued } },
    );
  }

  /** Takes a place if one is free, for callers who would rather do without than wait; `leave` gives it back. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.limits.maxInFlight) return false;
    this.#inFlight++;
    return true;
  }

  /** Resolves when another operation has handed its place over; #inFlight stays as it is. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#queue.push(resolve));
  }

  /** Gives a place that `tryEnter` took to the next in the queue. */
  leave(): void {
    const next = this.#queue[this.#head];
    if (next === undefined) {
      this.#inFlight--;
      return;
    }
    if (++this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    next();
  }
}
