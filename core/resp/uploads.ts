/**
 * Regions that a connection is making out of parts. Each runs as one `createAndWrite` of its target, whose source gives the parts
 * as they come: the region appears when the last is there, and a failure or the end of the connection gives its space back.
 */
import { BedrockError, asBedrockError } from '../errors.js';
import type { RegionId } from '../target/index.js';
import type { Place } from './command.js';

/** What is waited for: the next part, or that one was taken. */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Upload {
  /** Settles when the region is there, or will never be. */
  readonly #made: Promise<RegionId>;
  #part: Uint8Array | undefined;
  #taken: Waiting<void> | undefined;
  #next: Waiting<void> | undefined;
  #isComplete = false;
  #failure: { readonly error: BedrockError } | undefined;

  constructor(
    /** Where the region will be. */
    readonly place: Place,
    size: number,
    persist: boolean,
  ) {
    this.#made = place.target.createAndWrite({ size, source: this.#parts() }, { persist });
    this.#made.catch((error: unknown) => this.#fail(asBedrockError(error)));
  }

  /** Whether a part is being taken; the next one comes after it. */
  get isBusy(): boolean {
    return this.#taken !== undefined;
  }

  /** Gives the target a part, which must not change until it has been taken. @throws what the target throws */
  give(part: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure.error);
        return;
      }
      this.#part = part;
      this.#taken = { resolve, reject };
      this.#next?.resolve();
    });
  }

  /** No more parts come. @throws what the target throws */
  complete(): Promise<RegionId> {
    this.#isComplete = true;
    this.#next?.resolve();
    return this.#made;
  }

  /** Gives up. @returns when the space has been given back */
  async abandon(): Promise<void> {
    const error = new BedrockError('ABORTED', 'the upload was given up');
    this.#failure ??= { error };
    this.#next?.reject(error);
    await this.#made.catch(() => undefined);
  }

  async *#parts(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const part = this.#part;
      if (part !== undefined) {
        yield part;
        // The target asks for the next one, so it is done with this one.
        this.#part = undefined;
        const taken = this.#taken;
        this.#taken = undefined;
        taken?.resolve();
      } else if (this.#isComplete) {
        return;
      } else {
        await new Promise<void>((resolve, reject) => (this.#next = { resolve, reject }));
        this.#next = undefined;
      }
    }
  }

  #fail(error: BedrockError): void {
    this.#failure ??= { error };
    this.#taken?.reject(error);
    this.#taken = undefined;
  }
}

export class Uploads {
  readonly #uploads = new Map<number, Upload>();
  #last = 0;

  get count(): number {
    return this.#uploads.size;
  }

  add(upload: Upload): number {
    this.#uploads.set(++this.#last, upload);
    return this.#last;
  }

  /** @throws INVALID_ARGUMENT */
  get(number: number): Upload {
    const upload = this.#uploads.get(number);
    if (upload !== undefined) return upload;
    throw new BedrockError('INVALID_ARGUMENT', `this connection has no upload ${number}`);
  }

  /** Forgets one; what becomes of it is somebody else's. */
  remove(number: number): void {
    this.#uploads.delete(number);
  }

  /** The connection is gone. */
  abandon(): void {
    for (const upload of this.#uploads.values()) void upload.abandon();
    this.#uploads.clear();
  }
}
