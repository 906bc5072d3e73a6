/** A region that arrives in several requests: one import, whose source waits for the next piece. */
import { BedrockError, type ImportOptions, type RegionId, type Target } from '../../../core/index.js';

export class RegionUpload {
  /** Bytes that the target has taken. */
  received = 0;
  readonly #done: Promise<void>;
  #piece: Uint8Array | undefined;
  #failure: BedrockError | undefined;
  /** Called when there is a piece, or a failure. */
  #wake: () => void = () => undefined;
  /** Called when the piece has been taken. */
  #taken: () => void = () => undefined;
  /** Handles the pieces one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    target: Target,
    id: RegionId,
    readonly size: number,
    options: ImportOptions,
  ) {
    this.#done = target.importRegion(id, { size, source: this.#pieces() }, options);
    // The next `give` reports a failure.
    this.#done.catch(() => undefined);
  }

  /**
   * Gives the piece at an offset. Resolves when the target has taken it, and for the last piece
   * when the region exists. A piece that was already taken is ignored.
   * @throws CONFLICT (a piece before it is missing), what the import throws
   */
  give(offset: number, bytes: Uint8Array): Promise<void> {
    const given = this.#last.then(() => this.#give(offset, bytes));
    this.#last = given.catch(() => undefined);
    return given;
  }

  async #give(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (offset > this.received)
      throw new BedrockError(
        'CONFLICT',
        `the bytes from ${this.received} to ${offset} of the region are missing`,
        {
          details: { received: this.received },
        },
      );
    const rest = bytes.subarray(this.received - offset);
    if (rest.length > 0) {
      const taken = new Promise<void>((resolve) => (this.#taken = resolve));
      this.#piece = rest;
      this.#wake();
      await Promise.race([taken, this.#done]);
    }
    if (this.received === this.size) await this.#done;
  }

  /** Ends the import. No region is created. */
  async fail(error: BedrockError): Promise<void> {
    this.#failure = error;
    this.#wake();
    await this.#done.catch(() => undefined);
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    while (this.received < this.size) {
      while (this.#piece === undefined) {
        if (this.#failure !== undefined) throw this.#failure;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
      const piece = this.#piece;
      this.#piece = undefined;
      yield piece;
      // The target asks for the next piece, so these bytes belong to the caller of `give` again.
      this.received += piece.length;
      this.#taken();
    }
  }
}
