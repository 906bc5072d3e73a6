/**
 * Controls the end of the process. A library may call `process.exit(0)`, or leave the command
 * waiting for an event that never comes. That must not look like success: any end that is not the
 * command's own is a failure, and is reported as one.
 */
import { locationInStack } from '../base/stack-location.js';
import { ExitStatus } from './exit-status.js';
import { failureLine } from './failure.js';

/** Node's own status if nothing is left that could settle a promise. */
const NOTHING_LEFT = 13;

/** More frames than Node.js keeps by default, so that the caller is among them. */
const FRAMES = 50;

let isOurs = false;

/** Ends the process with the status of the command. */
export function endProcess(status: number): never {
  isOurs = true;
  process.exit(status);
}

/** From now on, reports every other end of the process. */
export function guardEnd(): void {
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
