/**
 * How a daemon handles signals. SIGTERM and SIGINT stop it cleanly, even while it is starting; a
 * second one ends the process at once. SIGHUP makes it reopen its log file, read its configuration
 * again if the file has changed, and continue; a daemon that logs to a terminal has lost it, and
 * stops. SIGUSR1 is only logged. An uncaught exception stops the daemon like a signal, and is a
 * failure.
 */
import { constants } from 'node:os';
import type { BedrockError } from '../base/errors.js';
import type { Daemon } from '../daemon/daemon.js';
import { ExitStatus } from './exit-status.js';
import { reportFailure } from './failure.js';
import { endProcess, expectHang } from './process-end.js';
import { onUncaught } from './uncaught.js';

/** npm forwards the terminal's signals, so the daemon gets each of them twice in a short time. */
const NPM_ECHO_MS = 500;

/** Maximum delay of a timer, milliseconds; with a longer one it would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Maximum number of reported failures: a timer that throws may do so during the whole stop. */
const MAX_TOLD = 8;

export interface StartSignals {
  /** Aborted by the first signal that stops the daemon. */
  readonly stop: AbortSignal;
  /** The first uncaught exception, if one ended the daemon. */
  readonly failure: BedrockError | undefined;
  /** Sets the daemon, which has now started: signals that came earlier take effect now. */
  with(daemon: Daemon): void;
}

export function listenToSignals(): StartSignals {
  const starting = new AbortController();
  let running: Daemon | undefined;
  let stoppedAt: number | undefined;
  let isHungUp = false;
  let failure: BedrockError | undefined;
  let failures = 0;
  onUncaught((found) => {
    if (failures++ >= MAX_TOLD) return;
    const isFirst = failure === undefined;
    failure ??= found;
    if (running === undefined) starting.abort(failure);
    else fail(running, found, isFirst);
  });
  const stop = (signal: NodeJS.Signals): void => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      starting.abort();
      void running?.close();
      return;
    }
    const isEcho =
      process.env.npm_lifecycle_event !== undefined && performance.now() - stoppedAt < NPM_ECHO_MS;
    if (isEcho) return;
    expectHang();
    endProcess(128 + constants.signals[signal]);
  };
  const hangUp = (): void => {
    isHungUp = running === undefined;
    if (running === undefined) return;
    const isOnTerminal = process.stdout.isTTY && running.config.bedrock?.log?.file === undefined;
    if (isOnTerminal) stop('SIGHUP');
    else void running.hangUp();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', hangUp);
  // By default Node.js would open its inspector, through which any user of the machine can run code
  // here. A listener prevents that.
  process.on('SIGUSR1', () => running?.noteIgnored('SIGUSR1'));
  return {
    stop: starting.signal,
    get failure() {
      return failure;
    },
    with(daemon) {
      running = daemon;
      if (failure !== undefined) fail(daemon, failure, true);
      else if (stoppedAt !== undefined) void daemon.close();
      else if (isHungUp) hangUp();
    },
  };
}

/** Every step of a stop has a time-out. If the stop itself is broken, the process ends without it. */
function fail(daemon: Daemon, failure: BedrockError, isFirst: boolean): void {
  void daemon.fail(failure.message);
  if (!isFirst) return;
  const stepMs = Math.max(daemon.config.bedrock?.drain_timeout_ms ?? 0, 1000);
  setTimeout(
    () => {
      reportFailure(failure);
      expectHang();
      endProcess(ExitStatus.failed);
    },
    Math.min(MAX_TIMER_MS, stepMs * (daemon.providers.length + 2)),
  );
}
