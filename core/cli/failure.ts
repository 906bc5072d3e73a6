/** How a command ends that did not succeed: one line on standard error, `error CODE: message`, and the exit status. */
import { constants } from 'node:os';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import { ExitStatus } from './exit-status.js';

/** The command line asks for something that cannot be. */
export class UsageError extends BedrockError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

/** Nobody reads standard output any more, as in `| head`; no failure. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** The user ended the command, by Ctrl-C for instance. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** As a shell has it for a command that a signal ended. */
  readonly status: number;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.status = 128 + constants.signals[signal];
  }
}

/** Ends a command with an exit status of its own: what it found is on standard output, or went wrong as `error` says. */
export class Conclusion extends Error {
  override readonly name = 'Conclusion';

  constructor(
    readonly status: number,
    readonly error?: Error,
  ) {
    super(error?.message ?? `exit status ${status}`);
  }
}

/** Says on standard error what went wrong. @returns the exit status */
export function reportFailure(error: unknown): number {
  if (error instanceof OutputClosed) return ExitStatus.ok;
  if (error instanceof Interrupted) return error.status;
  if (error instanceof Conclusion) {
    if (error.error !== undefined) reportFailure(error.error);
    return error.status;
  }
  const code = error instanceof BedrockError ? error.code : (systemCodeOf(error) ?? 'INTERNAL');
  // The system's messages begin with their code.
  process.stderr.write(failureLine(code, messageOf(error).replace(`${code}: `, '')));
  return error instanceof UsageError ? ExitStatus.badConfiguration : ExitStatus.failed;
}

/** One line, whatever the message. */
export function failureLine(code: string, message: string): string {
  return `error ${code}: ${message.trim().replace(/\s*\n\s*/g, ' ')}\n`;
}
