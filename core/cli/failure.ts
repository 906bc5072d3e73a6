/** How a command ends that did not succeed: `error CODE: message` on standard error, a line each fault, and the exit status. */
import { constants } from 'node:os';
import { asBedrockError, BedrockError, type ErrorCode, messageOf, systemCodeOf } from '../base/errors.js';
import { bounded, isInstance, propertyOf } from '../base/plain.js';
import { type ConfigIssue, formatIssue } from '../validation/issues.js';
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

/** Faults of what the user wrote, wherever they are found. */
const USED_WRONGLY: readonly ErrorCode[] = [
  'CONFIG_INVALID',
  'LIBRARY_LOAD_FAILED',
  'DEPENDENCY_UNRESOLVED',
  'POOL_NOT_FOUND',
];

/** What the system says of a name that leads to no file. */
const NO_FILE = ['ENOENT', 'ENOTDIR'];

/** Opens or reads a file that the command line names. @throws Conclusion for a name that leads to none, UsageError for a folder */
export async function ofNamedFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCodeOf(error) ?? '';
    // The system does not say which.
    if (code === 'EISDIR') throw new UsageError(`${file} is a directory; name a file`);
    if (!NO_FILE.includes(code)) throw error;
    throw new Conclusion(ExitStatus.usedWrongly, error as Error);
  }
}

/** Says on standard error what went wrong, a line each fault. @returns the exit status */
export function reportFailure(error: unknown): number {
  if (isInstance(error, OutputClosed)) return ExitStatus.ok;
  if (isInstance(error, Interrupted)) return error.status;
  if (isInstance(error, Conclusion)) {
    if (error.error !== undefined) reportFailure(error.error);
    return error.status;
  }
  for (const line of linesOf(error)) process.stderr.write(line);
  return isUsedWrongly(error) ? ExitStatus.usedWrongly : ExitStatus.failed;
}

function isUsedWrongly(error: unknown): boolean {
  if (isInstance(error, UsageError)) return true;
  if (!isInstance(error, BedrockError)) return false;
  const { code, details } = asBedrockError(error);
  // A file that is no pool at all, as against one that was damaged.
  return USED_WRONGLY.includes(code) || details.absent === true;
}

/** Longest message, characters. */
const MAX_MESSAGE = 2 ** 16;

function linesOf(error: unknown): string[] {
  if (isInstance(error, BedrockError)) {
    const { source, issues } = issuesOf(error);
    if (issues.length > 0) return issues.map((issue) => failureLine(issue.code, formatIssue(source, issue)));
    const { code, message } = asBedrockError(error);
    return [failureLine(code, bounded(message, MAX_MESSAGE))];
  }
  const given = systemCodeOf(error) ?? '';
  // An error of others may call anything its code.
  const code = /^[A-Z][A-Z0-9_]{0,63}$/.test(given) ? given : 'INTERNAL';
  // The system's messages begin with their code.
  return [failureLine(code, bounded(messageOf(error), MAX_MESSAGE).replace(`${code}: `, ''))];
}

/** The faults of a configuration, all of them; none if the error is another one. */
function issuesOf(error: BedrockError): { source: string; issues: readonly ConfigIssue[] } {
  const details = propertyOf(error, 'details');
  const [source, issues] = [propertyOf(details, 'source'), propertyOf(details, 'issues')];
  const isOurs =
    Array.isArray(issues) &&
    issues.every((issue) =>
      ['code', 'path', 'message'].every((key) => typeof propertyOf(issue, key) === 'string'),
    );
  return typeof source === 'string' && isOurs
    ? { source, issues: issues as readonly ConfigIssue[] }
    : { source: '', issues: [] };
}

/** `error CODE: message`, in one line whatever the message. */
export function failureLine(code: string, message: string): string {
  const lines = message.split(/[\r\n]/).map((line) => line.trim());
  return `error ${code}: ${lines.filter((line) => line !== '').join(' ')}\n`;
}
