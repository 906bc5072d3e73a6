/** Faults of a configuration: where each stands, what was found there and what is allowed. All are reported together. */
import { BedrockError, type ErrorCode } from '../errors.js';

/** Keys and indexes from the root of the configuration to a value. */
export type ConfigPath = readonly (string | number)[];

export interface ConfigIssue {
  code: Extract<ErrorCode, 'CONFIG_INVALID' | 'LIBRARY_LOAD_FAILED' | 'DEPENDENCY_UNRESOLVED'>;
  /** JSON path (RFC 9535), such as `$.providers[0].type`. */
  path: string;
  /** The fault, in words: what was found and what is allowed. */
  message: string;
  /** Position in the file, both from 1, where the format tells it. */
  line?: number;
  column?: number;
}

const PLAIN_KEY = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** The JSON path of a value, such as `$.providers[0].type`. */
export function formatPath(path: ConfigPath): string {
  const steps = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    return PLAIN_KEY.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return `$${steps.join('')}`;
}

const LONGEST_FOUND = 60;

/** A value as messages show it, shortened. */
export function describeFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > LONGEST_FOUND ? `${text.slice(0, LONGEST_FOUND)}…` : text;
}

/** `found 42, expected a string`: how every fault is worded. */
export function expected(found: unknown, allowed: string): string {
  return `found ${describeFound(found)}, expected ${allowed}`;
}

export function formatIssue(source: string, issue: ConfigIssue): string {
  const position = issue.line === undefined ? '' : `:${issue.line}:${issue.column ?? 1}`;
  return `${source}${position}: ${issue.path}: ${issue.message}`;
}

/**
 * The error that carries issues. Its code is theirs where they agree, else CONFIG_INVALID.
 * @param source name of the file, or what stands for it
 */
export function configError(source: string, issues: readonly ConfigIssue[]): BedrockError {
  const codes = new Set(issues.map((issue) => issue.code));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? only : 'CONFIG_INVALID';
  const message = issues.map((issue) => formatIssue(source, issue)).join('\n');
  return new BedrockError(code, message, { details: { source, issues } });
}
