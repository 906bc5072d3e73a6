/**
 * Ends requests that make no progress for too long while the daemon is to act: it neither takes
 * what is sent nor answers. A slow source, or a caller that does not read an answer, does not
 * count.
 *
 * Time is measured by periodic checks, each of which runs after pending input is read. If this
 * process stands still, that counts as one check, and input that arrived meanwhile is seen first.
 * undici's own time-outs would fire before that.
 */
import { type Dispatcher, Pool } from 'undici';
import { BedrockError } from '../../base/errors.js';
import { onceInputIsRead } from '../../net/standstill.js';

/** Checks for progress per time-out. */
const CHECKS = 4;

export class ProgressWatch {
  /** Requests in flight. Each knows its index: a Set would add a fifth to the cost of a small call. */
  readonly #requests: WatchedRequest[] = [];
  /** Runs while there are requests. */
  #timer: NodeJS.Timeout | undefined;

  /** @param where the daemon, for errors */
  constructor(
    readonly timeoutMs: number,
    private readonly where: string,
  ) {}

  /** @returns the options and the handler to dispatch a request with, so that it is watched */
  over(options: Options, handler: Listener): [Options, Listener] {
    const request = new WatchedRequest(handler, this.#requests, this.#start);
    const { body } = options;
    if (typeof body !== 'object' || body === null || ArrayBuffer.isView(body)) return [options, request];
    return [{ ...options, body: request.pulled(body as Pieces) as unknown as typeof body }, request];
  }

  readonly #start = (): void => {
    this.#timer ??= setInterval(() => onceInputIsRead(this.#look), this.timeoutMs / CHECKS).unref();
  };

  readonly #look = (): void => {
    for (const request of this.#requests.slice())
      if (request.idleLooks() > CHECKS)
        request.end(new BedrockError('TIMEOUT', `no answer from ${this.where} in time`));
    if (this.#requests.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  };
}

/** A pool of connections whose requests are watched. */
export class WatchedPool extends Pool {
  constructor(
    origin: string,
    options: Pool.Options,
    private readonly watch: ProgressWatch,
  ) {
    super(origin, { ...options, headersTimeout: 0, bodyTimeout: 0 });
  }

  override dispatch(options: Options, handler: Dispatcher.DispatchHandler): boolean {
    if ('onConnect' in handler) {
      const [watched, listener] = this.watch.over(options, handler as unknown as Listener);
      return super.dispatch(watched, listener as Dispatcher.DispatchHandler);
    }
    // A handler of a newer form, perhaps from another version of undici: undici's own time-outs are
    // used for it.
    const { timeoutMs } = this.watch;
    return super.dispatch({ ...options, headersTimeout: timeoutMs, bodyTimeout: timeoutMs }, handler);
  }
}

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
type Options = Dispatcher.DispatchOptions;

/**
 * The handler that undici's `request` passes. Its newer form would add a third to the cost of a
 * small call.
 */
interface Listener {
  onConnect(abort: (error?: Error) => void, context?: unknown): void;
  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean | undefined;
  onData(piece: Buffer): boolean;
  onComplete(trailers: string[] | null): void;
  onError(error: Error): void;
}

class WatchedRequest implements Listener {
  #abort: ((error: Error) => void) | undefined;
  /** Index in `running`. */
  #place = 0;
  #isAnswered = false;
  /** Whether the caller must read some of the answer before more can come. */
  #isFull = false;
  /** Whether the request waits for its source to give the next piece. */
  #asksSource = false;
  /**
   * Number of times that something moved; that number at the last check; consecutive checks that
   * saw no progress.
   */
  #moves = 0;
  #seenMoves = 0;
  #looks = 0;

  constructor(
    private readonly listener: Listener,
    private readonly running: WatchedRequest[],
    private readonly started: () => void,
  ) {}

  /** The pieces of a body, observed as the connection takes them. */
  async *pulled(body: Pieces): AsyncGenerator<Uint8Array> {
    this.#asksSource = true;
    for await (const piece of body) {
      this.#asksSource = false;
      this.#moves++;
      yield piece;
      this.#asksSource = true;
    }
    this.#asksSource = false;
    this.#moves++;
  }

  /**
   * @returns how many consecutive checks, including this one, saw no progress although the daemon
   * was to act
   */
  idleLooks(): number {
    const isOurTurn = this.#isAnswered ? this.#isFull : this.#asksSource;
    this.#looks = isOurTurn || this.#moves !== this.#seenMoves ? 0 : this.#looks + 1;
    this.#seenMoves = this.#moves;
    return this.#looks;
  }

  end(error: BedrockError): void {
    this.#leave();
    this.#abort?.(error);
  }

  #leave(): void {
    const { running } = this;
    if (running[this.#place] !== this) return;
    const last = running.pop() as WatchedRequest;
    if (last === this) return;
    running[this.#place] = last;
    last.#place = this.#place;
  }

  onConnect(abort: (error?: Error) => void, context?: unknown): void {
    this.#abort = abort;
    if (this.running[this.#place] !== this) this.#place = this.running.push(this) - 1;
    this.started();
    this.listener.onConnect(abort, context);
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void, text: string): boolean | undefined {
    this.#isAnswered ||= status >= 200;
    this.#moves++;
    const goOn = (): void => {
      this.#isFull = false;
      this.#moves++;
      resume();
    };
    return this.#takes(this.listener.onHeaders(status, headers, goOn, text));
  }

  onData(piece: Buffer): boolean {
    this.#moves++;
    return this.#takes(this.listener.onData(piece));
  }

  #takes<M>(more: M): M {
    this.#isFull = more === false;
    return more;
  }

  onComplete(trailers: string[] | null): void {
    this.#leave();
    this.listener.onComplete(trailers);
  }

  onError(error: Error): void {
    this.#leave();
    this.listener.onError(error);
  }
}
