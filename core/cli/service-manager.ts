/**
 * What a daemon tells systemd, or any other service manager that sets NOTIFY_SOCKET (sd_notify(3)): that it is ready, that it stops,
 * and, if WATCHDOG_USEC asks for it, that its event loop still turns. Without NOTIFY_SOCKET nothing is loaded, and nothing costs.
 *
 * A message that cannot be sent is no failure of the daemon: the service manager acts on what it misses. The log of the process says
 * so, as a service that is never ready is stopped after a long time without a reason. That it is ready is sent until there is room.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { messageOf } from '../base/errors.js';

export interface ServiceManager {
  readonly ready: (status: string) => void;
  readonly stopping: () => void;
}

const { errno } = constants;
/** That of setInterval: a longer one would be 1 ms. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1;
/** Time until a message is sent again that the service manager had no room for. */
const RETRY_MS = 100;

const NOBODY: ServiceManager = { ready: () => undefined, stopping: () => undefined };

/** Sends a message, and returns 0 or errno. */
type Send = (message: string) => number;

/**
 * Takes what is for this process out of the environment, so that no child process speaks for it.
 * @param findSender for tests
 */
export async function serviceManagerOf(
  env: NodeJS.ProcessEnv,
  findSender: (socket: string) => Promise<Send | undefined> = senderTo,
): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  if (socket === undefined || socket === '') return NOBODY;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  const send = await findSender(socket);
  if (send === undefined) return NOBODY;
  const isWatched = pid === undefined || Number(pid) === process.pid;
  const watchdogMs = isWatched ? Number(usec ?? 0) / 1000 : 0;
  let timer: NodeJS.Timeout | undefined;
  let isStopping = false;
  const sayReady = (message: string): void => {
    const error = isStopping ? 0 : send(message);
    if (error === errno.EAGAIN || error === errno.ENOBUFS) {
      setTimeout(() => sayReady(message), RETRY_MS).unref();
    } else if (error !== 0) {
      const why = getSystemErrorMap().get(-error)?.join(': ') ?? `error ${error}`;
      process.stderr.write(
        `warning: the service manager does not learn that the daemon is ready: NOTIFY_SOCKET=${socket}: ${why}\n`,
      );
    }
  };
  return {
    ready(status) {
      sayReady(`READY=1\nSTATUS=${status}\nMAINPID=${process.pid}`);
      if (!(watchdogMs >= 2)) return;
      // Half of the time that it waits, as sd_watchdog_enabled(3) recommends.
      const interval = Math.min(watchdogMs / 2, LONGEST_INTERVAL_MS);
      timer = setInterval(() => void send('WATCHDOG=1'), interval).unref();
    },
    stopping() {
      if (isStopping) return;
      isStopping = true;
      clearInterval(timer);
      send('STOPPING=1');
    },
  };
}

/** Node.js has no datagram sockets of the unix family; the native addon has. */
async function senderTo(socket: string): Promise<Send | undefined> {
  const { loadAddon } = await import('../../native/load.js');
  try {
    const addon = loadAddon();
    return (message) => addon.sendDatagram(socket, message);
  } catch (error) {
    process.stderr.write(
      `warning: the service manager is told nothing, as that needs the native addon: ${messageOf(error)}\n`,
    );
    return undefined;
  }
}
