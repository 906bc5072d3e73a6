/**
 * Warns while the process has hardly a file descriptor left.
 *
 * Node.js tells nothing of a connection for which there is none: libuv keeps one in reserve, accepts with it and closes the
 * connection at once, without an event. Clients see a daemon that hangs up, so the log has to say why. The descriptors are counted
 * from time to time, in the thread pool, where the system has /proc; elsewhere nothing is watched.
 */
import { readdir, readFile } from 'node:fs/promises';
import { systemCodeOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';

/** Descriptors of the process. */
export interface DescriptorCount {
  open: number;
  /** What `ulimit -n` says. */
  limit: number;
}

export interface DescriptorWatchParts {
  logger: Logger;
  /** Counts them; undefined where that cannot be done. */
  count?: () => Promise<DescriptorCount | undefined>;
}

const INTERVAL_MS = 5000;
/** Looks between two warnings of one shortage: a minute. */
const LOOKS_BETWEEN_WARNINGS = 12;
/** A shortage begins when less than a sixteenth of the limit is left, and ends when twice as much is. */
const SHORT_PART = 16;

const TABLE_IS_FULL = ['EMFILE', 'ENFILE'];

export class DescriptorWatch {
  readonly #logger: Logger;
  readonly #count: () => Promise<DescriptorCount | undefined>;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  /** Looks since a shortage was last warned of; undefined if there is none. */
  #quietLooks: number | undefined;
  /** Shortages that have begun since the start. */
  shortages = 0;

  constructor({ logger, count = countOfProcess() }: DescriptorWatchParts) {
    this.#logger = logger;
    this.#count = count;
  }

  /** Looks every few seconds from now on; keeps no process alive. */
  start(): void {
    // At once, too: without a descriptor not even the limit can be read.
    void this.look();
    this.#timer = setInterval(() => void this.look(), INTERVAL_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Counts once, and logs what is new. It does nothing while a look is under way, and it never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const found = await this.#count();
      if (found !== undefined) this.#judge(found);
    } catch {
      // What cannot be counted this time is counted the next.
    } finally {
      this.#isLooking = false;
    }
  }

  #judge({ open, limit }: DescriptorCount): void {
    const left = limit - open;
    if (left * SHORT_PART < limit) this.#warn(open, limit);
    else if (this.#quietLooks !== undefined && left * SHORT_PART >= 2 * limit) {
      this.#quietLooks = undefined;
      this.#logger.info(`there are file descriptors again: ${open} of ${limit} are open`);
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

/** Counts the descriptors of this process by /proc. */
function countOfProcess(): () => Promise<DescriptorCount | undefined> {
  let limit: number | undefined;
  return async () => {
    try {
      limit = softLimit(await readFile('/proc/self/limits', 'utf8'));
      if (limit === undefined) return undefined;
      // The folder itself is open while it is read.
      return { open: (await readdir('/proc/self/fd')).length - 1, limit };
    } catch (error) {
      // There is none left to count with.
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
