/**
 * Controls the end of the process. A library may call `process.exit(0)`, or leave the command
 * waiting for an event that never comes. That must not look like success: any end that is not the
 * command's own is a failure, and is reported as one.
 *
 * `process.exit` waits for the threads of Node.js. A disk that does not answer holds one for ever, so
 * after a stop that was not clean a child kills this process if it has not ended by itself.
 */
import { locationInStack } from '../base/stack-location.js';
import { ExitStatus } from './exit-status.js';
import { failureLine } from './failure.js';

/** Node's own status if nothing is left that could settle a promise. */
const NOTHING_LEFT = 13;

/** More frames than Node.js keeps by default, so that the caller is among them. */
const FRAMES = 50;

/** For the threads to end, milliseconds. */
const LAST_MS = 5000;

/** Kills the process of its argument, unless that has ended: then standard input ends. */
const KILLER = `
  process.stdin.resume().on('end', () => process.exit());
  setTimeout(() => {
    process.kill(Number(process.argv[1]), 'SIGKILL');
    process.exit();
  }, ${LAST_MS});
`;

let isOurs = false;
let isGuarded = false;
let mayHang = false;

/** Ends the process with the status of the command. */
export function endProcess(status: number): never {
  isOurs = true;
  // Not a process that only calls this code.
  if (mayHang && isGuarded) limitEnd();
  process.exit(status);
}

/** Says that calls may still run which never return. The end of the process is then limited in time. */
export function expectHang(): void {
  mayHang = true;
}

function limitEnd(): void {
  // Loaded here, as almost no command needs it.
  const { spawn } = process.getBuiltinModule('node:child_process');
  try {
    const child = spawn(process.execPath, ['-e', KILLER, String(process.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    // Without a child the process ends as before.
    child.on('error', () => undefined);
    child.unref();
  } catch {
    // Likewise.
  }
}

/** From now on, reports every other end of the process. */
export function guardEnd(): void {
  isGuarded = true;
  process.on('exit', (status) => {
    if (isOurs) return;
    process.exitCode = ExitStatus.failed;
    process.stderr.write(failureLine('INTERNAL', reasonOf(status)));
  });
}

/** Called during `process.exit`, so its caller is in the stack. */
function reasonOf(status: number): string {
  if (status === NOTHING_LEFT) return 'the command waits for an event that never comes, perhaps of a library';
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = before;
  const called = stack.slice(stack.indexOf('process.exit'));
  const location =
    called === stack ? undefined : locationInStack(`\n${called.slice(called.indexOf('\n') + 1)}`);
  const who =
    location === undefined
      ? 'a library may have called process.exit'
      : `process.exit was called at ${location}`;
  return `the process was ended with status ${status} before the command was; ${who}`;
}
