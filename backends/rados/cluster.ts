/**
 * Connections to clusters, shared by the targets of this process that connect in the same way, and
 * operations on the objects of a pool.
 *
 * Every operation ends in bounded time: by its result, or by the time-out of librados, which is
 * OVERLOADED here. After a time-out a change may have been made, or may be made a little later; on
 * one object it never comes after a change that was sent later.
 */
import { getSystemErrorName } from 'node:util';
import { BedrockError, type ErrorCode, messageOf } from '../../core/index.js';
import type { RadosConfig } from '../../schemas/generated/rados.js';
import {
  type AddonCluster,
  type AddonIo,
  type ListPosition,
  loadRadosAddon,
  type ReadStep,
  type WriteStep,
} from './addon.js';
import { Limiter } from './limiter.js';
import { inWindows } from './windows.js';

/** The settings of a target; the daemon has filled in what has a default. */
export type RadosSettings = Required<Omit<RadosConfig, 'keyring'>> & Pick<RadosConfig, 'keyring'>;

/** The results of operations that callers judge themselves. */
export const [ABSENT, EXISTS, CONDITION] = [-2, -17, -125];
const [NOT_PERMITTED, NO_ACCESS, NO_SPACE, SHUT_DOWN, NOT_CONNECTED, TIMED_OUT, OVER_QUOTA] = [
  -1, -13, -28, -108, -107, -110, -122,
];

/** Objects in a page of their list. */
const PAGE_OBJECTS = 1000;
/** How much longer a call on a thread may take than one operation. */
const THREAD_MORE_MS = 5000;

/** Keys and values that a read step found. */
export interface Pairs {
  /** One after another. */
  readonly pairs: readonly Buffer[];
  readonly more: boolean;
}

/** The result of a read: a negative status, or what each step gave. */
export interface ReadResult {
  readonly status: number;
  readonly results: readonly unknown[];
}

type Settle = (status: number, results: readonly unknown[] | undefined) => void;

/** A connection, and the operations that were sent over it. */
class Cluster {
  readonly #ended = new Map<number, Settle>();
  #last = 0;
  users = 0;
  readonly ready: Promise<void>;
  readonly native: AddonCluster;

  constructor(config: RadosSettings) {
    const { Cluster: Native } = loadRadosAddon();
    this.native = new Native((ended) => {
      for (let at = 0; at < ended.length; at += 3) {
        const number = ended[at] as number;
        const settle = this.#ended.get(number);
        this.#ended.delete(number);
        settle?.(ended[at + 1] as number, ended[at + 2] as readonly unknown[] | undefined);
      }
    });
    this.ready = this.#connect(config);
    this.ready.catch(() => undefined);
  }

  begin(send: (number: number) => void, settle: Settle): void {
    const number = ++this.#last;
    this.#ended.set(number, settle);
    try {
      send(number);
    } catch (error) {
      this.#ended.delete(number);
      throw error;
    }
  }

  async #connect({ client, conf, keyring, op_timeout_ms }: RadosSettings): Promise<void> {
    const seconds = String(Math.ceil(op_timeout_ms / 1000));
    const options = [
      ...['client_mount_timeout', seconds, 'rados_mon_op_timeout', seconds, 'rados_osd_op_timeout', seconds],
      // Beyond these librados would block the event loop: `max_in_flight` is the limit.
      ...['objecter_inflight_ops', '1000000', 'objecter_inflight_op_bytes', '1000000000000'],
      ...(keyring === undefined ? [] : ['keyring', keyring]),
    ];
    try {
      await this.native.connect(client, conf, options);
    } catch (error) {
      throw new BedrockError('START_FAILED', connectFault(error, client, conf), { cause: error });
    }
  }
}

function connectFault(error: unknown, client: string, conf: string): string {
  const status = statusOf(error);
  const text = `no connection to the cluster of ${conf} as ${client}`;
  if (status === ABSENT)
    return `${text}: ${conf} or the keyring of the client is not there; set conf and keyring`;
  if (status === NO_ACCESS || status === NOT_PERMITTED)
    return `${text}: the cluster refuses its key; set client and keyring`;
  if (status === TIMED_OUT) return `${text}: no monitor has answered in time; are they running?`;
  return `${text}: ${messageOf(error)}`;
}

function statusOf(error: unknown): number | undefined {
  return (error as { errno?: number }).errno;
}

const clusters = new Map<string, Cluster>();

/** The objects of one pool and namespace. */
export class Objects {
  readonly limiter: Limiter;
  #isClosed = false;
  readonly #onThreads = new Set<Promise<void>>();

  private constructor(
    private readonly config: RadosSettings,
    private readonly key: string,
    private readonly cluster: Cluster,
    private readonly io: AddonIo,
  ) {
    this.limiter = new Limiter(config.max_in_flight, config.op_timeout_ms);
  }

  /** @throws NATIVE_UNAVAILABLE, START_FAILED */
  static async open(config: RadosSettings): Promise<Objects> {
    const { client, conf, keyring, op_timeout_ms, pool, namespace } = config;
    const key = JSON.stringify([client, conf, keyring, op_timeout_ms]);
    const cluster = clusters.get(key) ?? new Cluster(config);
    clusters.set(key, cluster);
    cluster.users++;
    try {
      await cluster.ready;
      const io = await cluster.native.open(pool, namespace);
      return new Objects(config, key, cluster, io);
    } catch (error) {
      await leave(key, cluster);
      if (error instanceof BedrockError) throw error;
      const why = statusOf(error) === ABSENT ? 'the cluster has no pool of that name' : messageOf(error);
      throw new BedrockError('START_FAILED', `pool "${pool}": ${why}`, { cause: error });
    }
  }

  /** No operation is in flight. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // librados must not be shut down under them.
    await Promise.all(this.#onThreads);
    this.io.close();
    await leave(this.key, this.cluster);
  }

  /** @returns 0, ABSENT, EXISTS or CONDITION @throws OVERLOADED and others */
  async write(object: string, steps: readonly WriteStep[]): Promise<number> {
    const { status } = await this.#run(object, (number) => this.io.write(number, object, steps));
    return status;
  }

  /** Like `write`. */
  read(object: string, steps: readonly ReadStep[]): Promise<ReadResult> {
    return this.#run(object, (number) => this.io.read(number, object, steps));
  }

  /** The names of all objects, in pages. @throws OVERLOADED */
  async *list(): AsyncGenerator<readonly string[]> {
    let from: ListPosition | undefined;
    do {
      try {
        const { names, next } = await this.#inTime(this.io.list(PAGE_OBJECTS, from), () =>
          this.#overloaded('the list of objects', 'nothing was changed'),
        );
        yield names;
        from = next;
      } catch (error) {
        if (error instanceof BedrockError) throw error;
        throw this.#failure(statusOf(error) ?? -5, 'the list of objects');
      }
    } while (from !== undefined);
  }

  /** Removes those objects that are chosen by their names. */
  async removeAll(isChosen: (name: string) => boolean): Promise<void> {
    for await (const names of this.list())
      await inWindows(names.filter(isChosen), async (name) => {
        await this.write(name, [['remove']]);
      });
  }

  /** The JSON that a command to the monitors answers with. @throws UNREACHABLE */
  async command(command: Record<string, unknown>): Promise<unknown> {
    try {
      const { status, output, text } = await this.#inTime(
        this.cluster.native.command(JSON.stringify({ ...command, format: 'json' })),
        () => new Error('no answer in time'),
      );
      if (status < 0) throw new Error(text === '' ? nameOf(status) : text);
      return JSON.parse(output) as unknown;
    } catch (error) {
      const text = `the monitors of the cluster did not answer "${String(command.prefix)}": ${messageOf(error)}`;
      throw new BedrockError('UNREACHABLE', text, { cause: error });
    }
  }

  /**
   * The result of a call on a thread. librados ends each of them by its time-outs; beyond that it
   * is not waited for, except by `close`.
   */
  async #inTime<T>(call: Promise<T>, late: () => Error): Promise<T> {
    const ended = call.then(
      () => undefined,
      () => undefined,
    );
    this.#onThreads.add(ended);
    void ended.then(() => this.#onThreads.delete(ended));
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(late()), this.config.op_timeout_ms + THREAD_MORE_MS);
    });
    try {
      return await Promise.race([call, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #run(object: string, send: (number: number) => void): Promise<ReadResult> {
    const entered = this.limiter.enter();
    if (entered !== undefined && !(await entered))
      throw this.#overloaded(object, 'it was not sent, as others waited');
    try {
      const result = await new Promise<ReadResult>((resolve) => {
        this.cluster.begin(send, (status, results = []) => resolve({ status, results }));
      });
      const { status } = result;
      if (status >= 0 || status === ABSENT || status === EXISTS || status === CONDITION) return result;
      throw this.#failure(status, object);
    } finally {
      this.limiter.leave();
    }
  }

  #failure(status: number, object: string): BedrockError {
    if (status === TIMED_OUT) return this.#overloaded(object, 'a change may have been made');
    const codes = new Map<number, ErrorCode>([
      [NO_SPACE, 'OUT_OF_SPACE'],
      [OVER_QUOTA, 'OUT_OF_SPACE'],
      [NOT_PERMITTED, 'READ_ONLY'],
      [NO_ACCESS, 'READ_ONLY'],
      [SHUT_DOWN, 'UNREACHABLE'],
      [NOT_CONNECTED, 'UNREACHABLE'],
    ]);
    const code = codes.get(status) ?? 'INTERNAL';
    return new BedrockError(code, `pool "${this.config.pool}" answers ${nameOf(status)} for ${object}`, {
      details: { pool: this.config.pool, errno: status },
    });
  }

  #overloaded(object: string, outcome: string): BedrockError {
    const { pool, op_timeout_ms: timeoutMs } = this.config;
    return new BedrockError(
      'OVERLOADED',
      `pool "${pool}" has not answered for ${object} within ${timeoutMs} ms, and ${outcome}: ` +
        'OSDs are down or slow, or fewer than min_size of them have a placement group; see `ceph -s`',
      { details: { pool, timeoutMs } },
    );
  }
}

async function leave(key: string, cluster: Cluster): Promise<void> {
  if (--cluster.users > 0) return;
  clusters.delete(key);
  await cluster.native.close();
}

function nameOf(status: number): string {
  try {
    return getSystemErrorName(status);
  } catch {
    return `error ${status}`;
  }
}
