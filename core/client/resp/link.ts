/**
 * The connections to a daemon: how they are opened, which command uses which, and how callers'
 * time-outs and signals end commands.
 */
import { asBedrockError, BedrockError } from '../../base/errors.js';
import type { CallOptions, TlsOptions } from '../../contract/remote-provider.js';
import type { RespEndpoint } from '../../net/service-url.js';
import { type ConnectOptions, endedByCaller, signalOf, whenEnded, within } from '../remote/call-options.js';
import { WorkInHand } from '../remote/work-in-hand.js';
import { Lane } from './lane.js';
import {
  OtherCommand,
  type CommandParts,
  refusalOf,
  type DaemonCommand,
  type TargetName,
} from './daemon-command.js';
import { type DaemonLimits, limitsOf } from './region-replies.js';
import { ReplyError } from '../../redis-wire/reply.js';
import { RespConnection } from './resp-connection.js';

/** What sends commands: a lane, or one specific connection. */
interface Way {
  submit(command: DaemonCommand<unknown>): void;
  abandon(command: DaemonCommand<unknown>, error: BedrockError): void;
}

const DEFAULT_PROGRESS_TIMEOUT_MS = 30_000;

export class Link {
  readonly #lanes: Lane[];
  #limits: DaemonLimits = { maxBulkBytes: 0, maxArguments: 0, maxRequestBytes: 0, maxUploads: 0 };

  readonly work: WorkInHand;
  #closing: Promise<void> | undefined;
  /** The open connections, with the token that each has presented; only if there is a token. */
  readonly #authenticated = new Map<RespConnection, string>();
  /** The token that every open connection has presented. */
  #presented: string | undefined;
  #uploads = 0;
  readonly #uploadsWaiting: (() => void)[] = [];

  private constructor(
    /** URL of the daemon, in the form that `connect` takes. */
    readonly url: string,
    private readonly endpoint: RespEndpoint,
    private readonly progressTimeoutMs: number,
    connections: number,
    private readonly tls: TlsOptions | undefined,
    private readonly token: (() => string) | undefined,
  ) {
    this.work = new WorkInHand(url);
    this.#lanes = Array.from(
      { length: connections },
      () => new Lane(url, (onClose, signal) => this.#openConnection(onClose, signal)),
    );
  }

  /** Opens the first connection. @throws UNREACHABLE, TIMEOUT, NOT_READY, ABORTED */
  static async open(
    url: string,
    endpoint: RespEndpoint,
    {
      connections = 1,
      progressTimeoutMs = DEFAULT_PROGRESS_TIMEOUT_MS,
      tls,
      token,
      ...call
    }: ConnectOptions & CallOptions,
  ): Promise<Link> {
    const link = new Link(
      url,
      endpoint,
      progressTimeoutMs,
      connections,
      tls,
      typeof token === 'string' ? () => token : token,
    );
    await (link.#lanes[0] as Lane).open(signalOf(call));
    return link;
  }

  /** The limits that the daemon gave when it was last connected to. */
  get limits(): DaemonLimits {
    return this.#limits;
  }

  /** Sends a command over the lane with the least load. @returns its promise */
  submit<T>(command: DaemonCommand<T>, options: CallOptions): Promise<T> {
    return this.bounded(command, options, this.#lane());
  }

  /** Sends a command by the given way, and ends it when its caller's time-out or signal says so. */
  bounded<T>(command: DaemonCommand<T>, options: CallOptions, way: Way): Promise<T> {
    if (this.token !== undefined) this.#presentAgain(this.token());
    if (options.signal === undefined && options.timeoutMs === undefined) {
      way.submit(command);
      return command.promise;
    }
    const signal = signalOf(options) as AbortSignal;
    if (signal.aborted) {
      command.fail(endedByCaller(signal.reason, this.url));
      return command.promise;
    }
    const done = whenEnded(signal, this.url, (error) => way.abandon(command, error));
    way.submit(command);
    command.promise.then(done, done);
    return command.promise;
  }

  /** Sends any command. */
  command<T>(target: TargetName | undefined, parts: CommandParts<T>, options: CallOptions): Promise<T> {
    return this.submit(new OtherCommand(target, parts), options);
  }

  /**
   * Runs an upload as soon as fewer than the maximum are running.
   * @throws what it throws, TIMEOUT, ABORTED
   */
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
      // It had its turn already, and passes it to the next one.
      if (at < 0) this.#uploadsWaiting.shift()?.();
      else this.#uploadsWaiting.splice(at, 1);
      throw error;
    }
  }

  /** Closes the connections, after the work in progress. */
  close(): Promise<void> {
    this.#closing ??= this.work.end().then(() => this.#closeLanes());
    return this.#closing;
  }

  async #closeLanes(): Promise<void> {
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

  /**
   * Open connections get a token that was renewed before the next command. A refusal shows in the
   * answer to that one.
   */
  #presentAgain(token: string): void {
    if (token === this.#presented) return;
    this.#presented = token;
    for (const [connection, presented] of this.#authenticated) {
      if (presented === token) continue;
      this.#authenticated.set(connection, token);
      authenticate(connection, token).catch(() => undefined);
    }
  }

  async #openConnection(onClose: () => void, signal: AbortSignal | undefined): Promise<RespConnection> {
    const { progressTimeoutMs, tls } = this;
    // `onClose` is also called for a connection that never opens.
    const own: { connection?: RespConnection } = {};
    const connection = await RespConnection.open(this.endpoint, {
      progressTimeoutMs,
      signal,
      onClose: () => {
        if (own.connection !== undefined) this.#authenticated.delete(own.connection);
        onClose();
      },
      ...(tls !== undefined && { tls }),
    });
    own.connection = connection;
    const token = this.token?.();
    try {
      const greeted = Promise.all([
        token === undefined ? undefined : authenticate(connection, token),
        connection.send(['HELLO', 3]),
        connection.send(['BEDROCK.HELLO']),
      ]);
      const [, , limits] = await within(greeted, signal, this.url);
      this.#limits = limitsOf(limits);
      // Safe: a connection that broke meanwhile has failed the greeting.
      if (token !== undefined) {
        this.#authenticated.set(connection, token);
        // It may have been renewed since it was presented.
        this.#presented = undefined;
      }
      return connection;
    } catch (error) {
      const failure = handshakeFailure(error, this.url);
      connection.break(failure);
      throw failure;
    }
  }
}

/** A daemon without access control accepts any token, as over HTTP. */
async function authenticate(connection: RespConnection, token: string): Promise<void> {
  try {
    await connection.send(['AUTH', token]);
  } catch (error) {
    if (!(error instanceof ReplyError && error.text.startsWith('AUTH called without'))) throw error;
  }
}

function handshakeFailure(error: unknown, url: string): BedrockError {
  const refusal = error instanceof ReplyError ? refusalOf(error) : asBedrockError(error);
  if (!(error instanceof ReplyError) && refusal.code !== 'INTERNAL') return refusal;
  // Errors of the daemon, and of memory in this process.
  if (refusal.code === 'UNREACHABLE')
    return new BedrockError('UNREACHABLE', `${url}: ${refusal.message}`, { cause: refusal });
  if (
    ['NOT_READY', 'OVERLOADED', 'RATE_LIMITED', 'UNAUTHENTICATED', 'PERMISSION_DENIED'].includes(refusal.code)
  )
    return refusal;
  return new BedrockError(
    'UNREACHABLE',
    `the server at ${url} is not a bedrock-node daemon: ${refusal.message}`,
    {
      cause: refusal,
    },
  );
}
