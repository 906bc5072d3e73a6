/**
 * The end of the process is the command's own. A library that calls `process.exit(0)`, or leaves the command waiting for what never
 * comes, must not make it look done: whatever else ends the process is a failure, and is called one.
 */
import { ExitStatus } from './exit-status.js';
import { failureLine } from './failure.js';

let isOurs = false;

/** Ends the process with the status of the command. */
export function endProcess(status: number): never {
  isOurs = true;
  process.exit(status);
}

/** Watches over the end, from now on. */
export function guardEnd(): void {
  process.on('exit', (status) => {
    if (isOurs) return;
    process.exitCode = ExitStatus.failed;
    // An exception that nobody caught has told of itself.
    if (status === ExitStatus.failed) return;
    const message = `the process was ended with status ${status} before the command was; a library may have called process.exit`;
    process.stderr.write(failureLine('INTERNAL', message));
  });
}
