/**
 * Faults of a configuration: where each is, what was found there and what is allowed. All are
 * reported together.
 */
import { BedrockError, type ErrorCode } from '../base/errors.js';

/** Keys and indexes from the root of the configuration to a value. */
export type ConfigPath = readonly (string | number)[];

export interface ConfigIssue {
  code: Extract<ErrorCode, 'CONFIG_INVALID' | 'LIBRARY_LOAD_FAILED' | 'DEPENDENCY_UNRESOLVED'>;
  /** JSON path (RFC 9535), such as `$.providers[0].type`. */
  path: string;
  /** The fault in words: what was found and what is allowed. */
  message: string;
  /** Position in the file, both from 1, if the format provides it. */
  line?: number;
  column?: number;
}

/** A key that RFC 9535 allows after a dot. */
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The JSON path of a value, such as `$.providers[0].type`. */
export function formatPath(path: ConfigPath): string {
  const steps = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    return PLAIN_KEY.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return `$${steps.join('')}`;
}

const LONGEST_FOUND = 60;

/** A value as shown in messages, shortened. */
export function describeFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  // JSON cannot express Infinity and NaN, which TOML can contain.
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol')
    return String(value);
  const text = JSON.stringify(value);
  return text.length > LONGEST_FOUND ? `${text.slice(0, LONGEST_FOUND)}…` : text;
}

/** `found 42, expected a string`: the wording of every fault. */
export function expected(found: unknown, allowed: string): string {
  return `found ${describeFound(found)}, expected ${allowed}`;
}

/** Always one line: messages of causes may have several. */
export function formatIssue(source: string, issue: ConfigIssue): string {
  const position = issue.line === undefined ? '' : `:${issue.line}:${issue.column ?? 1}`;
  return `${source}${position}: ${issue.path}: ${onOneLine(issue.message)}`;
}

/**
 * The error that contains all issues, in the order of the text if that is known. Its code is theirs
 * if they agree, else CONFIG_INVALID.
 * @param source name of the file, or a substitute for it
 */
export function configError(source: string, unsorted: readonly ConfigIssue[]): BedrockError {
  const issues = unsorted.toSorted(
    (one, other) => lineOf(one) - lineOf(other) || (one.column ?? 0) - (other.column ?? 0),
  );
  const codes = new Set(issues.map((issue) => issue.code));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? only : 'CONFIG_INVALID';
  const message = issues.map((issue) => formatIssue(source, issue)).join('\n');
  return new BedrockError(code, message, { details: { source, issues } });
}

/** Issues without a line come last. */
function lineOf({ line }: ConfigIssue): number {
  return line ?? Number.MAX_SAFE_INTEGER;
}

function onOneLine(message: string): string {
  return message
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .join(' | ');
}
