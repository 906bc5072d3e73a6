/** How a command ends that did not succeed: one line on standard error, `error CODE: message`, and the exit status. */
import { constants } from 'node:os';
import { BedrockError, asBedrockError, messageOf, systemCodeOf } from '../errors.js';
import { bounded, isInstance } from '../plain.js';
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
  if (isInstance(error, OutputClosed)) return ExitStatus.ok;
  if (isInstance(error, Interrupted)) return error.status;
  if (isInstance(error, Conclusion)) {
    if (error.error !== undefined) reportFailure(error.error);
    return error.status;
  }
  const code = codeOf(error);
  // The system's messages begin with their code.
  process.stderr.write(failureLine(code, bounded(messageOf(error), MAX_MESSAGE).replace(`${code}: `, '')));
  return isInstance(error, UsageError) ? ExitStatus.badConfiguration : ExitStatus.failed;
}

/** Longest message, characters. */
const MAX_MESSAGE = 2 ** 16;

/** That of the table or of the system; an error of others may call anything its code. */
function codeOf(error: unknown): string {
  if (isInstance(error, BedrockError)) return asBedrockError(error).code;
  const code = systemCodeOf(error) ?? '';
  return /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : 'INTERNAL';
}

/** One line, whatever the message. */
export function failureLine(code: string, message: string): string {
  const lines = message.split(/[\r\n]/).map((line) => line.trim());
  return `error ${code}: ${lines.filter((line) => line !== '').join(' ')}\n`;
}
