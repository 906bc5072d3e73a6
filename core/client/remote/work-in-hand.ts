/**
 * Counts the work in progress on a connection, so that closing can wait for it. One piece of work
 * is one or more calls.
 */
import { BedrockError } from '../../base/errors.js';

export class WorkInHand {
  #count = 0;
  #ended: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;

  /** @param where the daemon, for errors */
  constructor(private readonly where: string) {}

  /** Begins a piece of work, which lasts until `leave`. @throws UNREACHABLE after `end` */
  enter(): void {
    if (this.#ended !== undefined)
      throw new BedrockError('UNREACHABLE', `the connection to ${this.where} was closed`);
    this.#count++;
  }

  leave(): void {
    if (--this.#count === 0) this.#whenIdle?.();
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** Refuses further work. @returns when the work in progress has ended */
  end(): Promise<void> {
    this.#ended ??=
      this.#count === 0 ? Promise.resolve() : new Promise((resolve) => (this.#whenIdle = resolve));
    return this.#ended;
  }
}
