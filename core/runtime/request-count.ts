/**
 * The requests in flight at one provider, over all doors: from the moment when a door has found the
 * provider until the answer is sent. A provider that is removed stops only when there are none
 * left, or after a time-out.
 */
export class RequestCount {
  #inFlight = 0;
  #whenIdle: (() => void) | undefined;

  get inFlight(): number {
    return this.#inFlight;
  }

  enter(): void {
    this.#inFlight++;
  }

  /** Call it once for each `enter`. */
  leave(): void {
    if (--this.#inFlight === 0) this.#whenIdle?.();
  }

  async during<T>(request: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await request();
    } finally {
      this.leave();
    }
  }

  /** Resolves when there are none. Only one caller may wait. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#whenIdle = resolve));
  }
}
