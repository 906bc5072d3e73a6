/** How a command fails: `error CODE: message` on standard error, one line per fault, and the exit status. */
import { constants } from 'node:os';
import { asBedrockError, BedrockError, type ErrorCode, messageOf, systemCodeOf } from '../base/errors.js';
import { bounded, isInstance, propertyOf } from '../base/plain.js';
import { withCure } from '../base/system-cure.js';
import { hideTokens } from '../security/hidden-tokens.js';
import { type ConfigIssue, formatIssue } from '../validation/issues.js';
import { ExitStatus } from './exit-status.js';

/** The command line asks for something impossible. */
export class UsageError extends BedrockError {
  constructor(message: string) {
    super('INVALID_ARGUMENT', message);
  }
}

/** The reader of standard output has ended, as in `| head`. This is not a failure. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** The user ended the command, for example with Ctrl-C. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** The status that a shell gives to a command ended by a signal. */
  readonly status: number;

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
    this.status = 128 + constants.signals[signal];
  }
}

/** Ends a command with its own exit status: its result is on standard output, or `error` says what failed. */
export class Conclusion extends Error {
  override readonly name = 'Conclusion';

  constructor(
    readonly status: number,
    readonly error?: Error,
  ) {
    super(error?.message ?? `exit status ${status}`);
  }
}

/** Mistakes of the user, wherever they are found. */
const USED_WRONGLY: readonly ErrorCode[] = [
  'CONFIG_INVALID',
  'LIBRARY_LOAD_FAILED',
  'DEPENDENCY_UNRESOLVED',
  'POOL_NOT_FOUND',
];

/** The system's errors for a name that leads to no readable file. */
const NOT_READABLE = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ELOOP', 'ENAMETOOLONG'];

/**
 * Opens or reads a file that the command line names.
 * @throws Conclusion if there is no such file, UsageError for a folder
 */
export async function ofNamedFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCodeOf(error) ?? '';
    // The system's message does not name the file.
    if (code === 'EISDIR') throw new UsageError(`${file} is a directory; name a file`);
    if (!NOT_READABLE.includes(code)) throw error;
    throw new Conclusion(ExitStatus.usedWrongly, error as Error);
  }
}

/**
 * Writes a file that the command line names. System errors are reported with this name, even if
 * they concern a temporary file.
 */
export async function ofWrittenFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === undefined || typeof propertyOf(error, 'errno') !== 'number') throw error;
    // As in `ENOENT: no such file or directory, open 'NAME'`.
    const reason = messageOf(error)
      .replace(/, \w+(?: '.*)?$/s, '')
      .replace(`${code}: `, '');
    throw Object.assign(new Error(`${file} cannot be written: ${reason}`, { cause: error }), { code });
  }
}

/** Prints on standard error what failed, one line per fault. @returns the exit status */
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
  // A file that is not a pool at all, as opposed to a damaged pool.
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
  // A foreign error may have anything as its code.
  const code = /^[A-Z][A-Z0-9_]{0,63}$/.test(given) ? given : 'INTERNAL';
  // The system's messages begin with their code.
  return [failureLine(code, bounded(withCure(error), MAX_MESSAGE).replace(`${code}: `, ''))];
}

/** All faults of a configuration; undefined if it is another error. */
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

/** `error CODE: message`, always on one line. */
export function failureLine(code: string, message: string): string {
  const lines = hideTokens(message)
    .split(/[\r\n]/)
    .map((line) => line.trim());
  return `error ${code}: ${lines.filter((line) => line !== '').join(' ')}\n`;
}
