/**
 * Regions that a connection is making out of parts. Each runs as one `createAndWrite` of its target, whose source gives the parts
 * as they come: the region appears when the last is there, and a failure or the end of the connection gives its space back. So does
 * a long time without a part, whatever else the connection asks for meanwhile.
 */
import { asBedrockError, BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { Place } from './operation-call.js';

/** What is waited for: the next part, or that one was taken. */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Upload {
  /** Settles when the target asks for the first part, or has refused. @throws what the target throws */
  readonly begun: Promise<void>;
  /** Settles when the region is there, or will never be. */
  readonly #made: Promise<RegionId>;
  #part: Uint8Array | undefined;
  #taken: Waiting<void> | undefined;
  #next: Waiting<void> | undefined;
  #isComplete = false;
  #isClaimed = false;
  /** When a step of it was last taken; while the target has not begun it, never. */
  #steppedAt = Infinity;
  #failure: { readonly error: BedrockError } | undefined;

  constructor(
    /** Where the region will be. */
    readonly place: Place,
    size: number,
    persist: boolean,
    private readonly now: () => number,
  ) {
    let isAskedFor!: () => void;
    const asked = new Promise<void>((resolve) => (isAskedFor = resolve));
    const source = this.#parts(isAskedFor);
    this.#made = place.target.createAndWrite({ size, source }, { persist });
    this.#made.catch((error: unknown) => this.#fail(asBedrockError(error)));
    this.begun = Promise.race([asked, this.#made.then(() => undefined)]);
    this.begun.then(
      () => (this.#steppedAt = this.now()),
      () => undefined,
    );
  }

  /** Whether a request on it is under way, be it that it waits for its admission; the next one comes after it. */
  get isClaimed(): boolean {
    return this.#isClaimed;
  }

  claim(): void {
    this.#isClaimed = true;
  }

  readonly unclaim = (): void => {
    this.#isClaimed = false;
    this.#steppedAt = this.now();
  };

  /** Whether the next part has not come since then. */
  isIdleSince(time: number): boolean {
    return !this.#isClaimed && this.#steppedAt <= time;
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

  async *#parts(isAskedFor: () => void): AsyncGenerator<Uint8Array> {
    isAskedFor();
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
        // Safe: what has come of it, or that it was given up, is looked at anew.
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

/** Those of a connection. */
export class Uploads {
  readonly #uploads = new Map<number, Upload>();
  #last = 0;
  #isOver = false;

  /**
   * @param now milliseconds
   * @param watch told whenever their number changes
   */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly watch?: UploadWatch,
  ) {}

  get count(): number {
    return this.#uploads.size;
  }

  /** @throws ABORTED if the connection is gone, and with it whoever could end or cancel the upload */
  begin(place: Place, size: number, persist: boolean): { readonly number: number; readonly upload: Upload } {
    if (this.#isOver) throw new BedrockError('ABORTED', 'the connection is gone');
    const upload = new Upload(place, size, persist, this.now);
    const number = ++this.#last;
    this.#uploads.set(number, upload);
    this.watch?.changed(this);
    return { number, upload };
  }

  /** @throws INVALID_ARGUMENT */
  get(number: number): Upload {
    const upload = this.#uploads.get(number);
    if (upload !== undefined) return upload;
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `this connection has no upload ${number}; one that gets no part for long is given up`,
    );
  }

  /** Forgets one; what becomes of it is somebody else's. */
  remove(number: number): void {
    this.#uploads.delete(number);
    this.watch?.changed(this);
  }

  /** Gives those up that have had no part for so long. */
  expire(timeoutMs: number): void {
    const latest = this.now() - timeoutMs;
    for (const [number, upload] of this.#uploads) {
      if (!upload.isIdleSince(latest)) continue;
      this.remove(number);
      void upload.abandon();
    }
  }

  /** Gives all of them up. */
  abandon(): void {
    for (const upload of this.#uploads.values()) void upload.abandon();
    this.#uploads.clear();
    this.watch?.changed(this);
  }

  /** The connection is gone: what waits for its admission is not begun any more. */
  close(): void {
    this.#isOver = true;
    this.abandon();
  }
}

/** Gives uploads of all connections up that have had no part for long. It has a timer only while there are uploads. */
export class UploadWatch {
  /** Those of connections that have any. */
  readonly #watched = new Set<Uploads>();
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly timeoutMs: number) {}

  changed(uploads: Uploads): void {
    if (uploads.count > 0) this.#watched.add(uploads);
    else this.#watched.delete(uploads);
    if (this.#watched.size > 0) {
      this.#timer ??= setInterval(this.#look, Math.max(10, this.timeoutMs / 8));
    } else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  readonly #look = (): void => {
    for (const uploads of this.#watched) uploads.expire(this.timeoutMs);
  };
}
