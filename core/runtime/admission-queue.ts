/**
 * An execution pool of a running daemon: the queue that admits operations. The contract
 * (core/contract/execution-pool.ts) describes it.
 */
import { BedrockError } from '../base/errors.js';
import type { ExecutionPool, ExecutionPoolLimits } from '../contract/execution-pool.js';

export class AdmissionQueue implements ExecutionPool {
  #inFlight = 0;
  /** Waiting operations; `#head` is the index of the next one, as shifting a long array is slow. */
  #queue: (() => void)[] = [];
  #head = 0;
  #refused = 0;

  constructor(
    readonly name: string,
    public limits: Readonly<ExecutionPoolLimits>,
  ) {}

  /** Changes the limits. Waiting operations begin if they can be admitted now. */
  change(limits: Readonly<ExecutionPoolLimits>): void {
    this.limits = limits;
    while (this.queued > 0 && this.tryEnter()) this.#passOn();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get queued(): number {
    return this.#queue.length - this.#head;
  }

  get refused(): number {
    return this.#refused;
  }

  async run<T>(operation: () => T | Promise<T>): Promise<T> {
    this.#checkAdmission();
    return this.resume(operation);
  }

  async resume<T>(operation: () => T | Promise<T>): Promise<T> {
    if (!this.tryEnter()) await this.#turn();
    try {
      return await operation();
    } finally {
      this.leave();
    }
  }

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

  tryEnter(): boolean {
    if (this.#inFlight >= this.limits.maxInFlight) return false;
    this.#inFlight++;
    return true;
  }

  /** Resolves when another operation has passed on its admission; #inFlight does not change. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#queue.push(resolve));
  }

  leave(): void {
    // If the limit was lowered meanwhile, more are in flight than it allows.
    if (this.queued === 0 || this.#inFlight > this.limits.maxInFlight) this.#inFlight--;
    else this.#passOn();
  }

  /** Passes an admission, which is already counted, on to the next waiting operation. */
  #passOn(): void {
    const next = this.#queue[this.#head];
    if (++this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    next?.();
  }
}
