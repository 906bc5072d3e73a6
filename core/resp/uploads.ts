/**
 * Regions that a connection makes from parts. Each upload is one `createAndWrite` or `put` of its
 * target, whose source gives the parts as they arrive. The region appears when the last part is
 * there. A failure or the end of the connection gives its space back. So does a long time without a
 * part, or with almost no bytes, whatever else the connection sends meanwhile. If the target has no
 * space for others, `HeldSpace` ends slow uploads long before that.
 */
import { asBedrockError, BedrockError, invalid } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionSource } from '../contract/target.js';
import { onceInputIsRead } from '../net/standstill.js';
import type { ServedTarget } from '../runtime/served-target.js';

/**
 * The least bytes a second for an upload or a request, averaged over at least the time after which
 * one that gets nothing is given up.
 */
export const MIN_RATE = 100;

/** The most uploads of a connection for which the reason of giving up is kept. */
const MOST_GIVEN_UP = 256;

/** A promise for what is awaited: the next part, or that a part was taken. */
interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes a region from the parts. */
export type MakeRegion = (contents: RegionSource) => Promise<RegionId>;

export class Upload {
  /** Settles when the target asks for the first part, or has refused. @throws what the target throws */
  readonly begun: Promise<void>;
  /** Settles when the region exists, or never will. */
  readonly #made: Promise<RegionId>;
  #part: Uint8Array | undefined;
  #taken: Waiting<void> | undefined;
  #next: Waiting<void> | undefined;
  #isComplete = false;
  #isClaimed = false;
  /** Since when its next step is awaited; never until the target has begun it. */
  #waitsSince = Infinity;
  /** How long earlier steps were awaited, milliseconds, and the bytes that they brought. */
  #waited = 0;
  #received = 0;
  #receivedInAll = 0;
  #failure: { readonly error: BedrockError } | undefined;

  constructor(
    /** Where the region will be. */
    readonly served: ServedTarget,
    size: number,
    make: MakeRegion,
    private readonly now: () => number,
    /** Called when it was given up because others needed its space. */
    gaveWay: (error: BedrockError) => void,
  ) {
    let isAskedFor!: () => void;
    const asked = new Promise<void>((resolve) => (isAskedFor = resolve));
    const source = this.#parts(isAskedFor);
    const isAwaited = (): boolean => !this.#isClaimed && this.#waitsSince < Infinity;
    const movedBytes = (): number => this.#receivedInAll;
    this.#made = served.space.receive({ size, source }, make, {
      get isAwaited() {
        return isAwaited();
      },
      get movedBytes() {
        return movedBytes();
      },
      end: (error) => {
        gaveWay(error);
        this.#end(error);
      },
    });
    const { requests } = served;
    requests.enter();
    this.#made.finally(() => requests.leave()).catch((error: unknown) => this.#fail(asBedrockError(error)));
    this.begun = Promise.race([asked, this.#made.then(() => undefined)]);
    this.begun.then(
      () => (this.#waitsSince = this.now()),
      () => undefined,
    );
  }

  /**
   * Whether a request on it is in progress, even if that waits for admission. The next request
   * comes after it.
   */
  get isClaimed(): boolean {
    return this.#isClaimed;
  }

  claim(): void {
    if (this.#isClaimed) return;
    this.#isClaimed = true;
    this.#waited += Math.max(0, this.now() - this.#waitsSince);
  }

  readonly unclaim = (): void => {
    this.#isClaimed = false;
    this.#waitsSince = this.now();
  };

  /** Whether almost nothing has arrived for this long. */
  isSlow(timeoutMs: number): boolean {
    if (this.#isClaimed) return false;
    const waiting = Math.max(0, this.now() - this.#waitsSince);
    const waited = this.#waited + waiting;
    if (waiting >= timeoutMs) return true;
    if (waited < timeoutMs) return false;
    if (this.#received * 1000 < MIN_RATE * waited) return true;
    // The rate starts again from here; the wait for this step goes on.
    this.#waited = -waiting;
    this.#received = 0;
    return false;
  }

  /** Does not count this time against it. */
  forgive(milliseconds: number): void {
    if (!this.#isClaimed) this.#waitsSince += milliseconds;
  }

  /**
   * Gives a part to the target. The part must not change until it has been taken.
   * @throws what the target throws
   */
  give(part: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure.error);
        return;
      }
      this.#received += part.length;
      this.#receivedInAll += part.length;
      this.#part = part;
      this.#taken = { resolve, reject };
      this.#next?.resolve();
    });
  }

  /** Ends the parts. @throws what the target throws */
  complete(): Promise<RegionId> {
    this.#isComplete = true;
    this.#next?.resolve();
    return this.#made;
  }

  /** Gives up the upload. @returns when the space has been given back */
  async abandon(): Promise<void> {
    this.#end(new BedrockError('ABORTED', 'the upload was given up'));
    await this.#made.catch(() => undefined);
  }

  async *#parts(isAskedFor: () => void): AsyncGenerator<Uint8Array> {
    isAskedFor();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const part = this.#part;
      if (part !== undefined) {
        yield part;
        // The target asks for the next part, so it has finished with this one.
        this.#part = undefined;
        const taken = this.#taken;
        this.#taken = undefined;
        taken?.resolve();
      } else if (this.#isComplete) {
        return;
      } else {
        await new Promise<void>((resolve, reject) => (this.#next = { resolve, reject }));
        // Safe: afterwards it checks again what has arrived, and whether it was given up.
        this.#next = undefined;
      }
    }
  }

  /** Takes no more parts. */
  #end(error: BedrockError): void {
    this.#failure ??= { error };
    this.#next?.reject(error);
  }

  #fail(error: BedrockError): void {
    this.#failure ??= { error };
    this.#taken?.reject(error);
    this.#taken = undefined;
  }
}

/** The uploads of a connection. */
export class Uploads {
  readonly #uploads = new Map<number, Upload>();
  /** Why uploads were given up, by number. */
  readonly #givenUp = new Map<number, BedrockError>();
  #last = 0;
  #isOver = false;

  /**
   * @param now milliseconds
   * @param watch called whenever their number changes
   */
  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly watch?: UploadWatch,
  ) {}

  get count(): number {
    return this.#uploads.size;
  }

  /** @throws ABORTED if the connection is gone, since then nobody can end or cancel the upload */
  begin(
    served: ServedTarget,
    size: number,
    make: MakeRegion,
  ): { readonly number: number; readonly upload: Upload } {
    if (this.#isOver) throw new BedrockError('ABORTED', 'the connection is gone');
    const number = ++this.#last;
    const upload = new Upload(served, size, make, this.now, (error) => this.#giveUp(number, error));
    this.#uploads.set(number, upload);
    this.watch?.changed(this);
    return { number, upload };
  }

  /** @throws INVALID_ARGUMENT; REQUEST_TIMEOUT if it was too slow */
  get(number: number): Upload {
    const upload = this.#uploads.get(number);
    if (upload !== undefined) return upload;
    throw this.#givenUp.get(number) ?? invalid(`this connection has no upload ${number}`);
  }

  /** Forgets an upload that was too slow, except for the reason. */
  #giveUp(number: number, why: BedrockError): void {
    this.remove(number);
    this.#givenUp.set(number, why);
    for (const oldest of this.#givenUp.keys()) {
      if (this.#givenUp.size <= MOST_GIVEN_UP) break;
      this.#givenUp.delete(oldest);
    }
  }

  /** Forgets an upload. The caller takes care of it. */
  remove(number: number): void {
    this.#uploads.delete(number);
    this.watch?.changed(this);
  }

  /** Does not count this time, in which the daemon itself did not run, against them. */
  forgive(milliseconds: number): void {
    for (const upload of this.#uploads.values()) upload.forgive(milliseconds);
  }

  /** Gives up uploads of which almost nothing has arrived for this long. */
  expire(timeoutMs: number): void {
    for (const [number, upload] of this.#uploads) {
      if (!upload.isSlow(timeoutMs)) continue;
      const text = `the upload got no part, or fewer than ${MIN_RATE} bytes a second, for ${timeoutMs} ms (bedrock.resp.upload_timeout_ms), and was given up`;
      this.#giveUp(number, new BedrockError('REQUEST_TIMEOUT', text));
      void upload.abandon();
    }
  }

  /** Gives all of them up. */
  abandon(): void {
    for (const upload of this.#uploads.values()) void upload.abandon();
    this.#uploads.clear();
    this.#givenUp.clear();
    this.watch?.changed(this);
  }

  /** The connection is gone. Uploads that wait for admission do not begin any more. */
  close(): void {
    this.#isOver = true;
    this.abandon();
  }
}

/** Gives up slow uploads of all connections. It has a timer only while there are uploads. */
export class UploadWatch {
  /** The uploads of connections that have any. */
  readonly #watched = new Set<Uploads>();
  #timer: NodeJS.Timeout | undefined;
  readonly #periodMs: number;
  #lookedAt = 0;

  constructor(private readonly timeoutMs: number) {
    this.#periodMs = Math.max(10, timeoutMs / 8);
  }

  changed(uploads: Uploads): void {
    if (uploads.count > 0) this.#watched.add(uploads);
    else this.#watched.delete(uploads);
    if (this.#watched.size > 0) {
      if (this.#timer !== undefined) return;
      this.#lookedAt = performance.now();
      this.#timer = setInterval(this.#look, this.#periodMs);
    } else {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  readonly #look = (): void => {
    const now = performance.now();
    const missed = now - this.#lookedAt - this.#periodMs;
    this.#lookedAt = now;
    // The daemon did not run, and clients may have waited for it.
    if (missed > this.#periodMs) for (const uploads of this.#watched) uploads.forgive(missed);
    onceInputIsRead(() => {
      for (const uploads of this.#watched) uploads.expire(this.timeoutMs);
    });
  };
}
