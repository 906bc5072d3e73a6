/** The connections to a daemon: how they are opened, which call goes over which, and how callers' bounds end calls. */
import { BedrockError } from '../../errors.js';
import { endedByCaller, signalOf, type CallOptions, type ConnectOptions } from '../call-options.js';
import { Lane } from './lane.js';
import {
  CommandCall,
  refusalOf,
  type CommandParts,
  type RegionCall,
  type TargetPlace,
} from './region-call.js';
import { jsonOf } from './region-replies.js';
import { ReplyError } from './reply.js';
import { RespConnection, type RespEndpoint } from './resp-connection.js';

/** What the daemon takes at most. */
export interface DaemonLimits {
  /** Bytes of one argument, and of the reply to a read. */
  readonly maxBulkBytes: number;
  /** Arguments of one command. */
  readonly maxArguments: number;
  /** Bytes of one command, large arguments aside. */
  readonly maxRequestBytes: number;
}

/** What sends calls: a lane, or a certain connection. */
interface Way {
  submit(call: RegionCall<unknown>): void;
  abandon(call: RegionCall<unknown>, error: BedrockError): void;
}

interface WireLimits {
  max_bulk_bytes: number;
  max_arguments: number;
  max_request_bytes: number;
}

const DEFAULT_PROGRESS_TIMEOUT_MS = 30_000;

export class Link {
  readonly #lanes: Lane[];
  #limits: DaemonLimits = { maxBulkBytes: 0, maxArguments: 0, maxRequestBytes: 0 };

  private constructor(
    /** Where the daemon is, as `connect` takes it. */
    readonly url: string,
    private readonly endpoint: RespEndpoint,
    private readonly progressTimeoutMs: number,
    connections: number,
  ) {
    this.#lanes = Array.from(
      { length: connections },
      () => new Lane(url, (onClose) => this.#openConnection(onClose)),
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
    const signal = signalOf(call);
    const opened = (link.#lanes[0] as Lane).open();
    if (signal === undefined) {
      await opened;
      return link;
    }
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        reject(endedByCaller(signal.reason, url));
        // What is opened after all is not used.
        void opened.then(() => link.close()).catch(() => undefined);
      };
      if (signal.aborted) end();
      signal.addEventListener('abort', end, { once: true });
      opened.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
    });
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

  async close(): Promise<void> {
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

  async #openConnection(onClose: (error: BedrockError) => void): Promise<RespConnection> {
    const { progressTimeoutMs } = this;
    const connection = await RespConnection.open(this.endpoint, { progressTimeoutMs, onClose });
    try {
      const [, limits] = await Promise.all([
        connection.send(['HELLO', 3]),
        connection.send(['BEDROCK.HELLO']),
      ]);
      const found = jsonOf(limits) as WireLimits;
      this.#limits = {
        maxBulkBytes: found.max_bulk_bytes,
        maxArguments: found.max_arguments,
        maxRequestBytes: found.max_request_bytes,
      };
      return connection;
    } catch (error) {
      const failure = handshakeFailure(error, this.url);
      connection.break(failure);
      throw failure;
    }
  }
}

function handshakeFailure(error: unknown, url: string): BedrockError {
  if (error instanceof BedrockError) return error;
  if (!(error instanceof ReplyError)) throw error;
  const refusal = refusalOf(error);
  if (refusal.code === 'NOT_READY') return refusal;
  return new BedrockError(
    'UNREACHABLE',
    `what answers at ${url} is no bedrock-node daemon: ${refusal.message}`,
    {
      cause: refusal,
    },
  );
}
