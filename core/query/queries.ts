/**
 * The queries of a daemon: JSONata expressions on its running configuration, one at a time, in a
 * thread of their own.
 *
 * The thread starts with the first query, since most daemons never get one. It is kept for further
 * queries. It ends when there has been none for a while, when an expression has exceeded a limit,
 * or when it does not answer: the interpreter checks the time between steps, and a single step may
 * be long. The event loop only passes texts.
 */
import { Worker } from 'node:worker_threads';
import type { QueryConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError, invalid } from '../base/errors.js';
import type { Evaluation, Mistake, Outcome } from './evaluator.js';
import type { Report } from './worker.js';

export type QuerySettings = Required<QueryConfig>;

/** A thread needs a compiled program, even if this file runs as TypeScript, as in tests. */
const PROGRAM = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/core/query/worker.js' : './worker.js',
  import.meta.url,
);

/** How long the thread may take to load, milliseconds. Only a machine under extreme load needs this long. */
const LOAD_MS = 60_000;

/**
 * How long after `max_time_ms` an answer may still come, if the thread had to wait for a processor;
 * milliseconds.
 */
const GRACE_MS = 2000;

/** How long the thread is kept without a query, milliseconds. */
const IDLE_MS = 60_000;

interface Query {
  readonly expression: string;
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

/** The query that the thread evaluates. */
interface Running extends Query {
  timer: NodeJS.Timeout;
}

export class Queries {
  readonly #waiting: Query[] = [];
  #running: Running | undefined;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;
  #answered = 0;
  #failed = 0;

  /** @param document returns the document that expressions see */
  constructor(
    private readonly settings: QuerySettings,
    private readonly document: () => unknown,
  ) {}

  /**
   * Evaluates an expression when its turn comes, on the document as it is then.
   * @returns the answer, JSON; null if the expression gives nothing
   * @throws INVALID_ARGUMENT (details.position, line, column), QUERY_TOO_COSTLY (details.setting),
   *   OVERLOADED, NOT_READY
   */
  async run(expression: string): Promise<string> {
    this.checkLength(Buffer.byteLength(expression));
    const { max_queued: maxQueued } = this.settings;
    if (this.#isClosed) throw closed();
    if (this.#running !== undefined && this.#waiting.length >= maxQueued)
      throw new BedrockError(
        'OVERLOADED',
        `one query runs and ${maxQueued} wait (bedrock.query.max_queued); try again later`,
      );
    // Safe: nothing was awaited since the checks.
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ expression, resolve, reject });
      this.#next();
    });
  }

  /** Counts since the start, and the queries that run or wait. */
  get figures(): { readonly answered: number; readonly failed: number; readonly waiting: number } {
    const waiting = this.#waiting.length + (this.#running === undefined ? 0 : 1);
    return { answered: this.#answered, failed: this.#failed, waiting };
  }

  /** @param bytes of an expression @throws QUERY_TOO_COSTLY */
  checkLength(bytes: number): void {
    const { max_expression_bytes: limit } = this.settings;
    if (bytes > limit) throw tooCostly('max_expression_bytes', limit);
  }

  /** Ends the thread. Queries that have no answer yet get NOT_READY. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const query of this.#waiting.splice(0)) query.reject(closed());
    this.#end(closed());
    await this.#dismiss();
  }

  #next(): void {
    if (this.#running !== undefined) return;
    const query = this.#waiting.shift();
    if (query === undefined) {
      this.#idle = setTimeout(() => void this.#dismiss(), IDLE_MS);
      this.#idle.unref();
      return;
    }
    clearTimeout(this.#idle);
    try {
      const evaluation: Evaluation = {
        expression: query.expression,
        document: JSON.stringify(this.document()),
        limits: this.settings,
      };
      const worker = (this.#worker ??= this.#start());
      this.#running = { ...query, timer: this.#endAfter(LOAD_MS) };
      // Keeps a program alive that only waits for this answer.
      worker.ref();
      worker.postMessage(evaluation);
    } catch (error) {
      this.#running = undefined;
      query.reject(error as Error);
      this.#next();
    }
  }

  #start(): Worker {
    const worker = new Worker(PROGRAM, {
      argv: [],
      execArgv: [],
      env: {},
      // What the interpreter prints when it gives up does not belong in the log.
      stdout: true,
      stderr: true,
    });
    worker.stdout.resume();
    worker.stderr.resume();
    worker.on('message', (report: Report) => {
      if (this.#worker === worker) this.#take(report);
    });
    const fail = (cause: unknown): void => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#end(new BedrockError('INTERNAL', 'the thread that evaluates queries has failed', { cause }));
      void worker.terminate();
    };
    worker.on('error', fail);
    worker.on('exit', fail);
    return worker;
  }

  #take(report: Report): void {
    const running = this.#running;
    if (running === undefined) return;
    if (report === 'begins') {
      clearTimeout(running.timer);
      running.timer = this.#endAfter(this.settings.max_time_ms + GRACE_MS);
      return;
    }
    const { outcome, isSpent } = report;
    if (isSpent) void this.#dismiss();
    this.#end(outcome);
  }

  /** Ends the thread that does not answer. */
  #endAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => {
      void this.#dismiss();
      this.#end({ exceeded: 'max_time_ms' });
    }, ms);
  }

  /** Ends the query in the thread, and begins the next one. */
  #end(outcome: Outcome | Error): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    clearTimeout(running.timer);
    this.#worker?.unref();
    if (!(outcome instanceof Error) && 'answer' in outcome) this.#answered++;
    else this.#failed++;
    if (outcome instanceof Error) running.reject(outcome);
    else if ('answer' in outcome) running.resolve(outcome.answer);
    else if ('mistake' in outcome) running.reject(refusalOf(running.expression, outcome.mistake));
    else running.reject(tooCostly(outcome.exceeded, this.settings[outcome.exceeded]));
    if (!this.#isClosed) this.#next();
  }

  async #dismiss(): Promise<void> {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }
}

function closed(): BedrockError {
  return new BedrockError('NOT_READY', 'the daemon is stopping');
}

/** The beginning of the message about each limit. */
const EXCEEDED: Readonly<Record<keyof QuerySettings, string>> = {
  max_time_ms: 'the query took longer than',
  max_memory_bytes: 'the query needs more memory than',
  max_depth: 'the query is nested or calls itself more deeply than',
  max_answer_bytes: 'the answer of the query is longer than',
  max_expression_bytes: 'the expression is longer than',
  max_queued: 'there are more queries than',
};

function tooCostly(name: keyof QuerySettings, limit: number): BedrockError {
  const setting = `bedrock.query.${name}`;
  return new BedrockError('QUERY_TOO_COSTLY', `${EXCEEDED[name]} ${setting} allows: ${limit}`, {
    details: { setting, limit },
  });
}

function refusalOf(expression: string, { message, position }: Mistake): BedrockError {
  if (position === undefined) return invalid(`the expression is wrong: ${message}`);
  const before = expression.slice(0, position).split('\n');
  const [line, column] = [before.length, before.at(-1)?.length ?? 0];
  return invalid(`the expression is wrong at line ${line}, column ${column}: ${message}`, {
    details: { position, line, column },
  });
}
