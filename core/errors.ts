/**
 * Every error that leaves the project: one class, one table of codes.
 *
 * A code is the contract, in-process and on the wire (an HTTP error carries it as `code`); the message is for people and may
 * change. It says what was asked, what the limit is and what to do.
 */

import { brand } from './brand.js';

interface ErrorEntry {
  /** HTTP status under which the code travels. */
  readonly status: number;
  /** What the code means, one line. */
  readonly meaning: string;
}

export const ERROR_CODES = {
  INVALID_ARGUMENT: {
    status: 400,
    meaning: 'An argument has the wrong type or form, or contradicts another.',
  },
  FORBIDDEN: {
    status: 403,
    meaning: 'The Host or Origin header names a party that may not call this daemon.',
  },
  REGION_NOT_FOUND: { status: 404, meaning: 'No live region of this target has that ID.' },
  PROVIDER_NOT_FOUND: { status: 404, meaning: 'The daemon runs no provider of that name or id.' },
  ROUTE_NOT_FOUND: { status: 404, meaning: 'The daemon serves nothing under that path.' },
  METHOD_NOT_ALLOWED: { status: 405, meaning: 'The path exists, but not for that HTTP method.' },
  REQUEST_TIMEOUT: { status: 408, meaning: 'The client made no progress for too long.' },
  LENGTH_REQUIRED: { status: 411, meaning: 'A body needs Content-Length or ?size=.' },
  ID_TAKEN: {
    status: 409,
    meaning: 'A region has that ID, or had it or a later one of its place; none can be imported under it.',
  },
  BODY_TOO_LARGE: { status: 413, meaning: 'The body is larger than the configured limit.' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: 'The route takes JSON, and the body is declared as something else.',
  },
  OUT_OF_RANGE: { status: 416, meaning: 'Offset and size do not lie within the region, or the mapping.' },
  HEADERS_TOO_LARGE: {
    status: 431,
    meaning: 'The request line and headers are larger than the configured limit.',
  },
  POOL_NOT_FOUND: { status: 500, meaning: 'There is no pool at that path, and none may be made.' },
  POOL_CORRUPT: {
    status: 500,
    meaning: 'Neither header of the pool can be used, or the file is no pool.',
  },
  NOT_SUPPORTED: { status: 501, meaning: 'This target or provider does not offer the operation.' },
  OVERLOADED: { status: 503, meaning: 'The execution pool of the provider is full; try again later.' },
  READ_ONLY: {
    status: 503,
    meaning: 'The target takes no changes, by configuration or after a failure of its medium.',
  },
  POOL_IN_USE: { status: 503, meaning: 'Another process, or another target of this one, has the pool open.' },
  TARGET_CLOSED: { status: 503, meaning: 'The target is not open.' },
  NOT_READY: { status: 503, meaning: 'The daemon is still starting, or already stopping.' },
  MAPPING_CLOSED: { status: 503, meaning: 'The mapping of a file is closed.' },
  OUT_OF_SPACE: { status: 507, meaning: 'The target has not enough space left.' },
  CONFIG_INVALID: { status: 500, meaning: 'The configuration is wrong; details.issues lists every fault.' },
  LIBRARY_LOAD_FAILED: {
    status: 500,
    meaning: 'A library was not found, did not load, or does not describe what it brings.',
  },
  DEPENDENCY_UNRESOLVED: { status: 500, meaning: 'A dependency of a provider is missing or does not fit.' },
  NATIVE_UNAVAILABLE: {
    status: 500,
    meaning: 'The native addon is not built or does not load; the message has the cause and the cure.',
  },
  START_FAILED: { status: 500, meaning: 'A provider or the listener could not start.' },
  UNREACHABLE: {
    status: 502,
    meaning:
      'The daemon cannot be reached, or the connection broke off; a change may or may not have been made.',
  },
  OUTCOME_UNKNOWN: {
    status: 502,
    meaning:
      'The connection broke after a change was sent and before the answer: it was made, or not. Look before making it again.',
  },
  TIMEOUT: {
    status: 504,
    meaning: 'The daemon did not answer in time; a change may or may not have been made.',
  },
  ABORTED: { status: 499, meaning: 'The caller ended the call; a change may or may not have been made.' },
  INTERNAL: { status: 500, meaning: 'A fault of the daemon or of a backend; the log has the cause.' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface BedrockErrorOptions {
  /** Machine-readable facts behind the message; what they hold depends on the code. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

export class BedrockError extends Error {
  override readonly name = 'BedrockError';

  static {
    brand(BedrockError, 'bedrock-node.BedrockError');
  }

  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: BedrockErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
  }

  /** HTTP status of the code. */
  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** Any error as one of the table. What is not foreseen becomes INTERNAL, and its message stays in the log. */
export function asBedrockError(error: unknown): BedrockError {
  if (error instanceof BedrockError) return error;
  return new BedrockError('INTERNAL', 'the daemon failed to carry this out; its log has the cause', {
    cause: error,
  });
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The system's code of an error (`ENOENT`, `EADDRINUSE`), where it has one. */
export function systemCodeOf(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
