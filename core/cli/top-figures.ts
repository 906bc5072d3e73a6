/**
 * The figures of `bedrock top`: what a daemon did between two moments, from the totals of its
 * status. The arithmetic is that of the page of a daemon (`dashboard/rates.js`), so that both show
 * the same.
 */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../../native/load.js';
import type { DaemonStatus, TargetStatus } from '../contract/daemon-status.js';
import type { OperationStatus } from '../contract/operation.js';

/** Of one second, as `dashboard/rates.js` has it. */
interface PageFigures {
  readonly operations: number;
  readonly reads: number;
  readonly writes: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly errors: number;
}

interface PageHistory {
  readonly bounds: readonly number[];
  /** Empty until there are two moments of the same process. */
  readonly moments: readonly unknown[];
  readonly rates: ReadonlyMap<string, PageFigures>;
  readonly total: PageFigures;
  readonly cpu: number | undefined;
  readonly busy: number | undefined;
  take(status: DaemonStatus): void;
  quantileOf(key: string, part: number): number | undefined;
  quantileOfAll(part: number): number | undefined;
}

/** Each second; the form of `--json`. */
export interface Rates {
  operationsPerSecond: number;
  readsPerSecond: number;
  writesPerSecond: number;
  readBytesPerSecond: number;
  writtenBytesPerSecond: number;
  errorsPerSecond: number;
  /** Upper bound of the bucket; the last bound also for what took longer. null: nothing was done. */
  p50Ms: number | null;
  p99Ms: number | null;
}

export interface TargetFigures extends Rates {
  provider: string;
  target: number;
  type: string;
  state: string;
  /** Why it takes no changes, or has no figures. */
  trouble: string | null;
  regions: number | null;
  usedBytes: number | null;
  /** null: unlimited, or not known. */
  capacityBytes: number | null;
  freeBytes: number | null;
  fragmentation: number | null;
}

/** The form of `bedrock top --json`. */
export interface TopFigures {
  time: number;
  address: string;
  version: string;
  process: {
    pid: number;
    uptimeMs: number;
    /** Processors in use. */
    cpu: number;
    /** Part of the time in which the event loop worked. */
    eventLoop: number;
    rssBytes: number;
  };
  total: Rates;
  targets: TargetFigures[];
  executionPools: DaemonStatus['executionPools'];
  doors: DaemonStatus['doors'];
  /** Snapshots, restores and migrations that run. */
  operations: OperationStatus[];
}

export class FigureHistory {
  private constructor(private readonly page: PageHistory) {}

  static async load(): Promise<FigureHistory> {
    const file = path.join(packageRoot(), 'dashboard/rates.js');
    const { History } = (await import(pathToFileURL(file).href)) as { History: new () => PageHistory };
    return new FigureHistory(new History());
  }

  /** Whether there are two moments, so that rates are known. */
  get isKnown(): boolean {
    return this.page.moments.length > 0;
  }

  /** @param status the newest @returns what happened since the one before */
  take(status: DaemonStatus, address: string): TopFigures {
    const { page } = this;
    page.take(status);
    const { pid, uptimeMs, rssBytes } = status.process;
    return {
      time: status.time,
      address,
      version: status.version,
      process: { pid, uptimeMs, cpu: page.cpu ?? 0, eventLoop: page.busy ?? 0, rssBytes },
      total: this.#ratesOf(page.total, page.quantileOfAll(0.5), page.quantileOfAll(0.99)),
      targets: status.providers.flatMap(({ name, targets, error }) =>
        targets.map((target, index) => this.#target(name, index, target, error)),
      ),
      executionPools: status.executionPools,
      doors: status.doors,
      operations: status.operations.filter(({ state }) => state === 'running'),
    };
  }

  #target(provider: string, target: number, status: TargetStatus, fault: string | undefined): TargetFigures {
    const key = `${provider}/${target}`;
    const { type, state, stats, readOnly, error } = status;
    const rates = this.#ratesOf(
      this.page.rates.get(key),
      this.page.quantileOf(key, 0.5),
      this.page.quantileOf(key, 0.99),
    );
    return {
      provider,
      target,
      type,
      state,
      trouble: fault ?? error ?? (readOnly === undefined ? null : `read-only: ${readOnly}`),
      regions: stats?.regions ?? null,
      usedBytes: stats?.usedBytes ?? null,
      capacityBytes: stats?.capacityBytes ?? null,
      freeBytes: stats?.freeBytes ?? null,
      fragmentation: stats?.fragmentation ?? null,
      ...rates,
    };
  }

  #ratesOf(figures: PageFigures | undefined, p50: number | undefined, p99: number | undefined): Rates {
    const last = this.page.bounds.at(-1) ?? 0;
    const latency = (ms: number | undefined): number | null => (ms === undefined ? null : Math.min(ms, last));
    return {
      operationsPerSecond: figures?.operations ?? 0,
      readsPerSecond: figures?.reads ?? 0,
      writesPerSecond: figures?.writes ?? 0,
      readBytesPerSecond: figures?.bytesRead ?? 0,
      writtenBytesPerSecond: figures?.bytesWritten ?? 0,
      errorsPerSecond: figures?.errors ?? 0,
      p50Ms: latency(p50),
      p99Ms: latency(p99),
    };
  }
}
