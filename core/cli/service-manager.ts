/**
 * What a daemon tells systemd, or any other service manager that sets NOTIFY_SOCKET (sd_notify(3)): that it is ready, that it stops,
 * and, if WATCHDOG_USEC asks for it, that its event loop still turns. Without NOTIFY_SOCKET nothing is loaded, and nothing costs.
 *
 * A message that cannot be sent is no failure of the daemon: the service manager acts on what it misses.
 */
import { messageOf } from '../base/errors.js';

export interface ServiceManager {
  readonly ready: (status: string) => void;
  readonly stopping: () => void;
}

const NOBODY: ServiceManager = { ready: () => undefined, stopping: () => undefined };

/** Takes what is for this process out of the environment, so that no child process speaks for it. */
export async function serviceManagerOf(env: NodeJS.ProcessEnv): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  if (socket === undefined || socket === '') return NOBODY;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  const send = await senderTo(socket);
  if (send === undefined) return NOBODY;
  const isWatched = pid === undefined || Number(pid) === process.pid;
  const watchdogMs = isWatched ? Number(usec ?? 0) / 1000 : 0;
  let timer: NodeJS.Timeout | undefined;
  let isStopping = false;
  return {
    ready(status) {
      send(`READY=1\nSTATUS=${status}\nMAINPID=${process.pid}`);
      // Half of the time that it waits, as sd_watchdog_enabled(3) recommends.
      if (watchdogMs >= 2) timer = setInterval(() => send('WATCHDOG=1'), watchdogMs / 2).unref();
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
async function senderTo(socket: string): Promise<((message: string) => void) | undefined> {
  const { loadAddon } = await import('../../native/load.js');
  try {
    const addon = loadAddon();
    return (message) => void addon.sendDatagram(socket, message);
  } catch (error) {
    process.stderr.write(
      `warning: the service manager is told nothing, as that needs the native addon: ${messageOf(error)}\n`,
    );
    return undefined;
  }
}
