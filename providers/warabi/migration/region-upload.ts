/** A region that comes in several requests: one import, whose source waits for the next piece. */
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
  /** The pieces that are given, one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    target: Target,
    id: RegionId,
    readonly size: number,
    options: ImportOptions,
  ) {
    this.#done = target.importRegion(id, { size, source: this.#pieces() }, options);
    // Whoever gives the next piece hears of a failure.
    this.#done.catch(() => undefined);
  }

  /**
   * Gives the piece at an offset, and resolves when the target has taken it; after the last one,
   * when the region is there. A piece that was taken before is not taken again.
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

  /** Ends it without a region. */
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
      // The target asks for the next one: these bytes are the giver's again.
      this.received += piece.length;
      this.#taken();
    }
  }
}
