/**
 * What signals do to a daemon. SIGTERM and SIGINT stop it in good order, also one that is still starting, and a second one ends the
 * process at once. SIGHUP has it open the file of its log anew and go on; one whose log goes to a terminal has lost that, and stops.
 * SIGUSR1 is a line in the log.
 */
import { constants } from 'node:os';
import type { Daemon } from '../daemon/daemon.js';
import { endProcess } from './process-end.js';

/** npm passes the terminal's signals on, so the daemon gets each twice within moments. */
const NPM_ECHO_MS = 500;

export interface StartSignals {
  /** Aborted by the first signal that stops the daemon. */
  readonly stop: AbortSignal;
  /** Names the daemon, which has started: what came meanwhile is done to it now. */
  with(daemon: Daemon): void;
}

export function listenToSignals(): StartSignals {
  const starting = new AbortController();
  let running: Daemon | undefined;
  let stoppedAt: number | undefined;
  let isHungUp = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      starting.abort();
      void running?.close();
      return;
    }
    const isEcho =
      process.env.npm_lifecycle_event !== undefined && performance.now() - stoppedAt < NPM_ECHO_MS;
    if (!isEcho) endProcess(128 + constants.signals[signal]);
  };
  const hangUp = (): void => {
    isHungUp = running === undefined;
    if (running === undefined) return;
    const isOnTerminal = process.stdout.isTTY && running.config.bedrock?.log?.file === undefined;
    if (isOnTerminal) stop('SIGHUP');
    else void running.reopenLog();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', hangUp);
  // Node.js would open its inspector, through which any user of the machine can run code here. A listener takes the place of that.
  process.on('SIGUSR1', () => running?.noteIgnored('SIGUSR1'));
  return {
    stop: starting.signal,
    with(daemon) {
      running = daemon;
      if (stoppedAt !== undefined) void daemon.close();
      else if (isHungUp) hangUp();
    },
  };
}
