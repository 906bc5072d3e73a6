/**
 * Handles Ctrl-C, other signals and uncaught exceptions while a command works: the work is told to
 * stop, cleans up, and ends.
 */
import type { BedrockError } from '../base/errors.js';
import { Interrupted, reportFailure } from './failure.js';
import { endProcess } from './process-end.js';
import { onUncaught } from './uncaught.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** How long the work may take to clean up; a read from a file that never answers must not block the user. */
const CLEAN_UP_MS = 1000;

/**
 * Runs work that an AbortSignal ends.
 * @throws Interrupted if that happened, or what the work throws
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let uncaught: BedrockError | undefined;
  const end = (reason: Error): void => {
    timer ??= setTimeout(() => endProcess(reportFailure(reason)), CLEAN_UP_MS);
    controller.abort(reason);
  };
  const stop = (name: NodeJS.Signals): void => end(new Interrupted(name));
  for (const name of SIGNALS) process.on(name, stop);
  const release = onUncaught((failure) => end((uncaught ??= failure)));
  try {
    await work(controller.signal);
    // Work that succeeded despite a signal counts as done. After an uncaught exception it is
    // unknown what else failed.
    if (uncaught !== undefined) throw uncaught;
  } catch (error) {
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    release();
    for (const name of SIGNALS) process.off(name, stop);
  }
}
