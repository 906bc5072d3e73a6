/**
 * The long-running operations of a daemon: which run, their progress, and how the last ones ended.
 * They can be cancelled.
 *
 * A provider runs one operation at a time. A second one is refused with CONFLICT, and so is any
 * other change of that provider, since it might have to wait for hours. The last operations that
 * ended are kept.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.js';
import { asBedrockError, BedrockError, explain } from '../base/errors.js';
import { isRecord, plainOf } from '../base/plain.js';
import type {
  OperationContext,
  OperationProgress,
  OperationState,
  OperationStatus,
} from '../contract/operation.js';
import type { Logger } from '../base/logging.js';

/** How many ended operations are kept. */
const MAX_ENDED = 100;

const ID_BYTES = 8;

/**
 * Limits of what an operation may report as its result, since a hundred results are kept.
 */
const RESULT_LIMITS = { values: 256, characters: 2 ** 12 };

/** The provider that carries out an operation. */
export interface Operator {
  readonly name: string;
  readonly logger: Logger;
}

/** One operation. */
export class Operation {
  readonly id = randomBytes(ID_BYTES).toString('hex');
  readonly startedAt: number;
  /** Settles when it ends; rejects if it failed or was cancelled. */
  readonly done: Promise<void>;
  #state: OperationState = 'running';
  #progress: OperationProgress = { doneBytes: 0, doneRegions: 0 };
  #ending: Pick<OperationStatus, 'endedAt' | 'error' | 'result'> = {};
  readonly #controller = new AbortController();
  /**
   * Whether a caller waits for the end. Then an error is the answer to that caller, which logs an
   * unexpected one.
   */
  #isAwaited = false;

  constructor(
    readonly type: string,
    readonly operator: Operator,
    private readonly clock: Clock,
    work: (context: OperationContext) => Promise<unknown>,
    private readonly whenEnded: (operation: Operation, state: Exclude<OperationState, 'running'>) => void,
  ) {
    this.startedAt = clock.now();
    this.done = this.#run(work);
    // The caller that began it need not wait for it.
    this.done.catch(() => undefined);
  }

  /** Like `done`, for callers that report how it ends: an unexpected error is then not logged here. */
  waitAndReport(): Promise<void> {
    this.#isAwaited = true;
    return this.done;
  }

  get isRunning(): boolean {
    return this.#state === 'running';
  }

  get status(): OperationStatus {
    const { id, type, startedAt } = this;
    return {
      id,
      type,
      provider: this.operator.name,
      state: this.#state,
      startedAt,
      ...this.#progress,
      ...this.#ending,
    };
  }

  /** Tells the provider to stop. The operation may still be completed. Does nothing after the end. */
  cancel(reason: BedrockError): void {
    if (this.isRunning) this.#controller.abort(reason);
  }

  async #run(work: (context: OperationContext) => Promise<unknown>): Promise<void> {
    const { id, type, operator } = this;
    const { signal } = this.#controller;
    const who = `${type} ${id}`;
    operator.logger.info(`${who} has begun`);
    try {
      const result = await work({ id, signal, report: (progress) => this.#report(progress) });
      const plain = plainOf(result, RESULT_LIMITS);
      this.#end('done', isRecord(plain) ? { result: plain } : {});
      operator.logger.info(`${who} is done`, { ...this.#progress });
    } catch (thrown) {
      // Safe: the provider has ended its work. A cancelled one may have thrown another error
      // because of that.
      const { aborted, reason } = signal as { aborted: boolean; reason: unknown };
      const { code, message, details } = asBedrockError(aborted ? reason : thrown);
      const error = { code, message, ...(Object.keys(details).length > 0 && { details }) };
      this.#end(aborted ? 'cancelled' : 'failed', { error });
      if (aborted) operator.logger.warning(`${who} was cancelled: ${message}`);
      else if (!this.#isAwaited) operator.logger.error(`${who} failed: ${explain(thrown)}`);
      else if (code !== 'INTERNAL') operator.logger.info(`${who} failed: ${explain(thrown)}`);
      throw aborted ? reason : thrown;
    }
  }

  /** A library is not trusted: what is not a count is left out. */
  #report(progress: Partial<OperationProgress>): void {
    const sound = Object.entries(progress).filter(
      ([name, value]) => COUNTS.has(name) && Number.isSafeInteger(value) && value >= 0,
    );
    if (this.isRunning) this.#progress = { ...this.#progress, ...Object.fromEntries(sound) };
  }

  #end(state: Exclude<OperationState, 'running'>, ending: Pick<OperationStatus, 'error' | 'result'>): void {
    this.#state = state;
    this.whenEnded(this, state);
    this.#ending = { endedAt: this.clock.now(), ...ending };
  }
}

const COUNTS: ReadonlySet<string> = new Set(['doneBytes', 'totalBytes', 'doneRegions', 'totalRegions']);

/** What the operations of a type did, since the start. */
export interface OperationCounts {
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Bytes that they brought to their destinations, those that run included. */
  readonly doneBytes: number;
}
type MutableCounts = { -readonly [K in keyof OperationCounts]: number };

const TYPES = ['snapshot', 'restore', 'migrate'];

function noCounts(): MutableCounts {
  return { running: 0, done: 0, failed: 0, cancelled: 0, doneBytes: 0 };
}

/** All operations of a daemon. */
export class Operations {
  /** In the order in which they began. */
  readonly #all = new Map<string, Operation>();
  readonly #counts = new Map(TYPES.map((type) => [type, noCounts()]));

  constructor(private readonly clock: Clock) {}

  /**
   * Begins an operation. The work begins at once.
   * @throws CONFLICT if another one runs on the provider
   */
  begin(type: string, operator: Operator, work: (context: OperationContext) => Promise<unknown>): Operation {
    this.refuseWhileBusy(operator.name);
    const operation = new Operation(type, operator, this.clock, work, this.#count);
    this.#all.set(operation.id, operation);
    this.#forgetOldest();
    return operation;
  }

  /**
   * Refuses a change of a provider while an operation runs on it.
   * @throws CONFLICT (details: operation, its ID)
   */
  refuseWhileBusy(provider: string): void {
    for (const operation of this.#runningOn(provider)) {
      const { id, type } = operation;
      throw new BedrockError(
        'CONFLICT',
        `provider "${provider}" is busy with the ${type} ${id}; wait until it has ended, or cancel it: bedrock operations cancel ${id}, or DELETE /v1/operations/${id}`,
        { details: { operation: id, type } },
      );
    }
  }

  readonly #count = (operation: Operation, state: Exclude<OperationState, 'running'>): void => {
    const counts = this.#countsOf(operation.type);
    counts[state]++;
    counts.doneBytes += operation.status.doneBytes;
  };

  #countsOf(type: string): MutableCounts {
    let counts = this.#counts.get(type);
    if (counts === undefined) this.#counts.set(type, (counts = noCounts()));
    return counts;
  }

  /** Counts since the start, by type: the daemon's own are always there. */
  get counts(): ReadonlyMap<string, OperationCounts> {
    const all = new Map<string, MutableCounts>();
    for (const [type, counts] of this.#counts) all.set(type, { ...counts });
    for (const operation of this.#runningOn(undefined)) {
      const counts = all.get(operation.type) ?? noCounts();
      counts.running++;
      counts.doneBytes += operation.status.doneBytes;
      all.set(operation.type, counts);
    }
    return all;
  }

  /** All that run, and the last that ended; the newest first. */
  list(): OperationStatus[] {
    return [...this.#all.values()].toReversed().map(({ status }) => status);
  }

  /** @throws NOT_FOUND */
  get(id: string): Operation {
    const operation = this.#all.get(id);
    if (operation !== undefined) return operation;
    throw new BedrockError(
      'NOT_FOUND',
      `there is no operation ${JSON.stringify(id)}; only the last ${MAX_ENDED} that ended are kept`,
    );
  }

  /** Cancels all operations, or those of one provider, and waits until they have ended. */
  async cancelAll(reason: BedrockError, provider?: string): Promise<void> {
    const running = [...this.#runningOn(provider)];
    for (const operation of running) operation.cancel(reason);
    await Promise.allSettled(running.map(({ done }) => done));
  }

  *#runningOn(provider: string | undefined): Generator<Operation> {
    for (const operation of this.#all.values())
      if (operation.isRunning && (provider === undefined || operation.operator.name === provider))
        yield operation;
  }

  #forgetOldest(): void {
    let ended = 0;
    for (const operation of [...this.#all.values()].toReversed())
      if (!operation.isRunning && ++ended > MAX_ENDED) this.#all.delete(operation.id);
  }
}
