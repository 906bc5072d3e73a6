/** The connections to a daemon: how they are opened, which call goes over which, and how callers' bounds end calls. */
import { asBedrockError, BedrockError } from '../../base/errors.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import type { RespEndpoint } from '../../net/service-url.js';
import { type ConnectOptions, endedByCaller, signalOf, within } from '../remote/call-options.js';
import { Lane } from './lane.js';
import {
  CommandCall,
  type CommandParts,
  refusalOf,
  type RegionCall,
  type TargetPlace,
} from './region-call.js';
import { type DaemonLimits, limitsOf } from './region-replies.js';
import { ReplyError } from './reply.js';
import { RespConnection } from './resp-connection.js';

/** What sends calls: a lane, or a certain connection. */
interface Way {
  submit(call: RegionCall<unknown>): void;
  abandon(call: RegionCall<unknown>, error: BedrockError): void;
}

const DEFAULT_PROGRESS_TIMEOUT_MS = 30_000;

export class Link {
  readonly #lanes: Lane[];
  #limits: DaemonLimits = { maxBulkBytes: 0, maxArguments: 0, maxRequestBytes: 0, maxUploads: 0 };

  /** Work in hand that `close` waits for. */
  #works = 0;
  #isClosing = false;
  #whenIdle: (() => void)[] = [];
  #uploads = 0;
  readonly #uploadsWaiting: (() => void)[] = [];

  private constructor(
    /** Where the daemon is, as `connect` takes it. */
    readonly url: string,
    private readonly endpoint: RespEndpoint,
    private readonly progressTimeoutMs: number,
    connections: number,
  ) {
    this.#lanes = Array.from(
      { length: connections },
      () => new Lane(url, (onClose, signal) => this.#openConnection(onClose, signal)),
    );
  }

  /** Makes the first connection. @throws UNREACHABLE, TIMEOUT, NOT_READY, ABORTED */
  static async open(
    url: string,
    endpoint: RespEndpoint,
    {
      connections = 1,
      progressTimeoutMs = DEFAULT_PROGRESS_TIMEOUT_MS,
      ...call
    }: ConnectOptions & CallOptions,
  ): Promise<Link> {
    const link = new Link(url, endpoint, progressTimeoutMs, connections);
    await (link.#lanes[0] as Lane).open(signalOf(call));
    return link;
  }

  /** As the daemon said when it was connected to last. */
  get limits(): DaemonLimits {
    return this.#limits;
  }

  /** Sends a call over the lane that has least to do. @returns its promise */
  submit<T>(call: RegionCall<T>, options: CallOptions): Promise<T> {
    return this.bounded(call, options, this.#lane());
  }

  /** Sends a call in some way, and ends it when its caller's bounds say so. */
  bounded<T>(call: RegionCall<T>, options: CallOptions, way: Way): Promise<T> {
    if (options.signal === undefined && options.timeoutMs === undefined) {
      way.submit(call);
      return call.promise;
    }
    const signal = signalOf(options) as AbortSignal;
    const ended = (): BedrockError => endedByCaller(signal.reason, this.url);
    if (signal.aborted) {
      call.fail(ended());
      return call.promise;
    }
    const end = (): void => way.abandon(call, ended());
    const done = (): void => signal.removeEventListener('abort', end);
    signal.addEventListener('abort', end);
    way.submit(call);
    call.promise.then(done, done);
    return call.promise;
  }

  /** Sends any command. */
  command<T>(place: TargetPlace | undefined, parts: CommandParts<T>, options: CallOptions): Promise<T> {
    return this.submit(new CommandCall(place, parts), options);
  }

  /** Begins work of one or several calls, which `close` will wait for until `leave`. @throws UNREACHABLE after it */
  enter(): void {
    if (this.#isClosing) throw new BedrockError('UNREACHABLE', `the connection to ${this.url} was closed`);
    this.#works++;
  }

  leave(): void {
    if (--this.#works === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Runs an upload when there is room for one more. @throws what it throws, TIMEOUT, ABORTED */
  async uploading<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    while (this.#uploads >= this.#limits.maxUploads) await this.#uploadEnded(signal);
    this.#uploads++;
    try {
      return await work();
    } finally {
      this.#uploads--;
      this.#uploadsWaiting.shift()?.();
    }
  }

  async #uploadEnded(signal: AbortSignal | undefined): Promise<void> {
    let resolve!: () => void;
    const ended = new Promise<void>((resolveEnded) => (resolve = resolveEnded));
    this.#uploadsWaiting.push(resolve);
    try {
      await within(ended, signal, this.url);
    } catch (error) {
      const at = this.#uploadsWaiting.indexOf(resolve);
      // Its turn had come already, and goes to the next.
      if (at < 0) this.#uploadsWaiting.shift()?.();
      else this.#uploadsWaiting.splice(at, 1);
      throw error;
    }
  }

  /** Ends the connections, after the work in hand. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#works > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #lane(): Lane {
    const lanes = this.#lanes;
    let best = lanes[0] as Lane;
    for (let index = 1; index < lanes.length; index++) {
      const lane = lanes[index] as Lane;
      if (lane.load < best.load) best = lane;
    }
    return best;
  }

  async #openConnection(onClose: () => void, signal: AbortSignal | undefined): Promise<RespConnection> {
    const { progressTimeoutMs } = this;
    const connection = await RespConnection.open(this.endpoint, { progressTimeoutMs, signal, onClose });
    try {
      const greeted = Promise.all([connection.send(['HELLO', 3]), connection.send(['BEDROCK.HELLO'])]);
      const [, limits] = await within(greeted, signal, this.url);
      this.#limits = limitsOf(limits);
      return connection;
    } catch (error) {
      const failure = handshakeFailure(error, this.url);
      connection.break(failure);
      throw failure;
    }
  }
}

function handshakeFailure(error: unknown, url: string): BedrockError {
  const refusal = error instanceof ReplyError ? refusalOf(error) : asBedrockError(error);
  if (!(error instanceof ReplyError) && refusal.code !== 'INTERNAL') return refusal;
  // Such as a daemon says, and our own memory.
  if (refusal.code === 'NOT_READY' || refusal.code === 'OVERLOADED') return refusal;
  return new BedrockError(
    'UNREACHABLE',
    `what answers at ${url} is no bedrock-node daemon: ${refusal.message}`,
    {
      cause: refusal,
    },
  );
}
