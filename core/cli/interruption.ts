/** Ctrl-C and its like while a command works: the work is told to stop, cleans up, and the command ends. */
import { Interrupted } from './failure.js';
import { endProcess } from './process-end.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** How long the work may take to clean up; a read from a file that never answers must not hold the user. */
const CLEAN_UP_MS = 1000;

/**
 * Runs work that an AbortSignal ends.
 * @throws Interrupted if that happened, or what the work throws
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = (name: NodeJS.Signals): void => {
    const reason = new Interrupted(name);
    timer ??= setTimeout(() => endProcess(reason.status), CLEAN_UP_MS);
    controller.abort(reason);
  };
  for (const name of SIGNALS) process.on(name, stop);
  try {
    await work(controller.signal);
  } catch (error) {
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
    for (const name of SIGNALS) process.off(name, stop);
  }
}
