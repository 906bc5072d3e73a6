/** Runs work that must not overlap: one piece after another, in the order of the requests. */
export class Sequence {
  #last: Promise<unknown> = Promise.resolve();
  #unfinished = 0;

  /**
   * Whether work is in progress or waits. If not, the next work that is requested is the next to
   * begin.
   */
  get isBusy(): boolean {
    return this.#unfinished > 0;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#unfinished++;
    const done = this.#last.then(work).finally(() => this.#unfinished--);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Resolves when everything requested so far is done. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
