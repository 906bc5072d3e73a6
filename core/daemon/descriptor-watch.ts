/**
 * Warns when the process has almost no file descriptors left.
 *
 * Node.js does not report a connection for which there is no descriptor: libuv keeps one in
 * reserve, accepts with it and closes the connection at once, without an event. Clients see a
 * daemon that hangs up, so the log has to say why. The descriptors are counted from time to time,
 * in the thread pool, if the system has /proc; otherwise nothing is watched.
 */
import { readdir, readFile } from 'node:fs/promises';
import { systemCodeOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';

/** Descriptors of the process. */
export interface DescriptorCount {
  open: number;
  /** The value of `ulimit -n`. */
  limit: number;
}

export interface DescriptorWatchParts {
  logger: Logger;
  /** Counts the descriptors; undefined if that is not possible. */
  count?: () => Promise<DescriptorCount | undefined>;
}

const INTERVAL_MS = 5000;
/** Number of checks between two warnings about one shortage: a minute. */
const LOOKS_BETWEEN_WARNINGS = 12;
/** A shortage begins when less than a sixteenth of the limit is left, and ends when twice as much is left. */
const SHORT_PART = 16;

const TABLE_IS_FULL = ['EMFILE', 'ENFILE'];

export class DescriptorWatch {
  readonly #logger: Logger;
  readonly #count: () => Promise<DescriptorCount | undefined>;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  /** Checks since the last warning about a shortage; undefined if there is none. */
  #quietLooks: number | undefined;
  /** Number of shortages since the start. */
  shortages = 0;

  constructor({ logger, count = countOfProcess() }: DescriptorWatchParts) {
    this.#logger = logger;
    this.#count = count;
  }

  /** Checks every few seconds from now on; does not keep the process alive. */
  start(): void {
    // Also checks once immediately: without a descriptor, not even the limit could be read later.
    void this.look();
    this.#timer = setInterval(() => void this.look(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Checks once, and logs changes. Does nothing if a check is in progress. Never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const found = await this.#count();
      if (found !== undefined) this.#judge(found);
    } catch {
      // If counting fails, the next check tries again.
    } finally {
      this.#isLooking = false;
    }
  }

  #judge({ open, limit }: DescriptorCount): void {
    const left = limit - open;
    if (left * SHORT_PART < limit) this.#warn(open, limit);
    else if (this.#quietLooks !== undefined && left * SHORT_PART >= 2 * limit) {
      this.#quietLooks = undefined;
      this.#logger.info(`file descriptors are available again: ${open} of ${limit} are open`);
    }
  }

  #warn(open: number, limit: number): void {
    if (this.#quietLooks === undefined) this.shortages += 1;
    else if (++this.#quietLooks < LOOKS_BETWEEN_WARNINGS) return;
    this.#quietLooks = 0;
    this.#logger.warning(
      `${open} of ${limit} file descriptors are open; without one, connections are closed unanswered and files cannot be opened. ` +
        'Raise the limit (ulimit -n, or LimitNOFILE of systemd) or lower max_connections',
    );
  }
}

/** Counts the descriptors of this process from /proc. */
function countOfProcess(): () => Promise<DescriptorCount | undefined> {
  let limit: number | undefined;
  return async () => {
    try {
      limit = softLimit(await readFile('/proc/self/limits', 'utf8'));
      if (limit === undefined) return undefined;
      // The folder itself is open while it is read.
      return { open: (await readdir('/proc/self/fd')).length - 1, limit };
    } catch (error) {
      // No descriptor is left to count with.
      const isFull = TABLE_IS_FULL.includes(systemCodeOf(error) ?? '');
      return isFull && limit !== undefined ? { open: limit, limit } : undefined;
    }
  };
}

/** @returns undefined if there is no limit */
function softLimit(limits: string): number | undefined {
  const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
