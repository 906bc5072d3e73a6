/**
 * Runs parts of a work, some at once. After the first failure no further part begins, and the
 * failure is thrown when all parts have ended.
 */
export class Flights {
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(private readonly limit: number) {}

  /** Begins a part when there is room for it. @throws what an earlier part threw */
  async begin(part: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.limit && this.#failure === undefined) await Promise.race(this.#running);
    this.#check();
    const running = part()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for all parts. @throws what one of them threw */
  async ended(): Promise<void> {
    await Promise.all(this.#running);
    this.#check();
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
