/**
 * All errors that leave the project: one class, one table of codes.
 *
 * The code is the contract, in-process and on the wire (an HTTP error carries it as `code`). The
 * message is for people and may change. It says what was requested, what the limit is and what to
 * do.
 */

import { types } from 'node:util';
import { brand } from './brand.js';
import { bounded, isInstance, isRecord, plainOf, propertyOf, textOf } from './plain.js';

interface ErrorEntry {
  /** HTTP status of the code. */
  readonly status: number;
  /** Meaning of the code, one line. */
  readonly meaning: string;
  /** The code as clients of Redis know it, if they do. */
  readonly redis?: string;
}

/** Every code, with its HTTP status and its meaning in one line. */
export const ERROR_CODES = {
  INVALID_ARGUMENT: {
    status: 400,
    meaning: 'An argument has the wrong type or form, or contradicts another.',
  },
  UNAUTHENTICATED: {
    status: 401,
    redis: 'NOAUTH',
    meaning: 'The daemon requires a token, and the request has none that is valid.',
  },
  PERMISSION_DENIED: {
    status: 403,
    redis: 'NOPERM',
    meaning:
      'The sender of the request may not do this; details.scope and details.provider say what is required.',
  },
  FORBIDDEN: {
    status: 403,
    meaning: 'The Host or Origin header names a party that may not call this daemon.',
  },
  NOT_FOUND: {
    status: 404,
    meaning: 'What the request names does not exist. For providers, about what they serve themselves.',
  },
  REGION_NOT_FOUND: { status: 404, meaning: 'No live region of this target has that ID or name.' },
  PROVIDER_NOT_FOUND: { status: 404, meaning: 'The daemon runs no provider of that name or id.' },
  ROUTE_NOT_FOUND: { status: 404, meaning: 'The daemon serves nothing under that path.' },
  METHOD_NOT_ALLOWED: { status: 405, meaning: 'The path exists, but not for that HTTP method.' },
  REQUEST_TIMEOUT: { status: 408, meaning: 'The client made too little progress; try again.' },
  LENGTH_REQUIRED: { status: 411, meaning: 'A body needs Content-Length or ?size=.' },
  CONFLICT: {
    status: 409,
    meaning: 'The present state does not allow the request. For providers, about what they serve themselves.',
  },
  ID_TAKEN: {
    status: 409,
    meaning:
      'A region has this ID, or its slot has had this or a later generation; nothing can be imported under it.',
  },
  SNAPSHOT_INCOMPLETE: {
    status: 409,
    meaning: 'The snapshot was not finished; take it again into the same folder.',
  },
  SNAPSHOT_CORRUPT: {
    status: 422,
    meaning: 'The snapshot is damaged, or contradicts itself; the message says where.',
  },
  TARGET_NOT_EMPTY: {
    status: 409,
    meaning: 'The target holds regions; only an empty one can take the regions of another, or of a snapshot.',
  },
  NAME_TAKEN: { status: 409, meaning: 'Another region of this target has that name.' },
  CONDITION_FAILED: {
    status: 412,
    meaning: 'The name does not have the region that the call expects; nothing was done.',
  },
  PROVIDER_MOVED: {
    status: 410,
    meaning: 'The target has moved; details.address and details.provider say where to.',
  },
  PRECONDITION_FAILED: {
    status: 412,
    meaning: 'The region does not match If-Match or If-None-Match; nothing was done.',
  },
  BODY_TOO_LARGE: { status: 413, meaning: 'The body is larger than the configured limit.' },
  TRANSACTION_TOO_LARGE: {
    status: 413,
    meaning: 'The changes of a transaction hold more bytes than max_transaction_bytes.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: 'The route takes JSON, and the body is declared as something else.',
  },
  OUT_OF_RANGE: { status: 416, meaning: 'Offset and size are not within the region or the mapping.' },
  QUERY_TOO_COSTLY: {
    status: 422,
    meaning: 'The query exceeds a limit of bedrock.query; details.setting names it.',
  },
  RATE_LIMITED: {
    status: 429,
    meaning:
      'The client asks more than bedrock.limits allows; details.limit says of what, details.retryAfterSeconds when to try again. Unlike OVERLOADED, only this client is refused.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    meaning: 'The request line and headers are larger than the configured limit.',
  },
  POOL_NOT_FOUND: { status: 500, meaning: 'There is no pool at that path, and none may be created.' },
  POOL_CORRUPT: {
    status: 500,
    meaning: 'Neither header of the pool can be used, or the file is not a pool.',
  },
  NOT_SUPPORTED: { status: 501, meaning: 'This target or provider does not offer the operation.' },
  OVERLOADED: {
    status: 503,
    meaning:
      'An execution pool, or the memory for requests and answers, is full, or the cluster behind a target does not answer in time; try again later.',
  },
  READ_ONLY: {
    status: 503,
    meaning: 'The target refuses changes, by configuration or after a failure of its medium.',
  },
  POOL_IN_USE: { status: 503, meaning: 'Another process, or another target of this one, has the pool open.' },
  TARGET_CLOSED: { status: 503, meaning: 'The target is not open.' },
  NOT_READY: { status: 503, meaning: 'The daemon is starting or stopping.' },
  MIGRATION_UNFINISHED: {
    status: 503,
    meaning: 'The target has an unfinished migration, and does not serve until it is finished or abandoned.',
  },
  MAPPING_CLOSED: { status: 503, meaning: 'The mapping of a file is closed.' },
  OUT_OF_SPACE: { status: 507, meaning: 'The target does not have enough space left.' },
  CONFIG_INVALID: { status: 422, meaning: 'The configuration is wrong; details.issues lists all faults.' },
  LIBRARY_LOAD_FAILED: {
    status: 422,
    meaning: 'A library was not found, did not load, or has no valid definitions.',
  },
  DEPENDENCY_UNRESOLVED: { status: 422, meaning: 'A dependency of a provider is missing or does not fit.' },
  NATIVE_UNAVAILABLE: {
    status: 500,
    meaning: 'The native addon is not built or does not load; the message has the cause and what to do.',
  },
  START_FAILED: { status: 500, meaning: 'A provider or the listener could not start.' },
  UNREACHABLE: {
    status: 502,
    meaning: 'The daemon cannot be reached, or the connection broke; a change may or may not have been made.',
  },
  OUTCOME_UNKNOWN: {
    status: 502,
    meaning:
      'The connection broke after a change was sent and before the answer came: it may or may not have been made. Check before you repeat it.',
  },
  CHECKSUM_MISMATCH: {
    status: 502,
    meaning: 'Data that was sent differs from what the destination has stored.',
  },
  TIMEOUT: {
    status: 504,
    meaning: 'The daemon did not answer in time; a change may or may not have been made.',
  },
  ABORTED: { status: 499, meaning: 'The caller aborted the call; a change may or may not have been made.' },
  INTERNAL: { status: 500, meaning: 'A fault in the daemon or a backend; the log has the cause.' },
} as const satisfies Record<string, ErrorEntry>;

/** A code of `ERROR_CODES`. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The parts of an error apart from its code and message. */
export interface BedrockErrorOptions {
  /** Machine-readable details; their content depends on the code. */
  details?: Record<string, unknown>;
  /** The error, or any other value, that caused this one. */
  cause?: unknown;
}

/**
 * The class of all errors that this package throws under its own codes. Callers should use `code`;
 * the message may change.
 */
export class BedrockError extends Error {
  /** Name of the class, the same for every code. */
  override readonly name = 'BedrockError';

  static {
    brand(BedrockError, 'bedrock-node.BedrockError');
  }

  /** What went wrong. */
  readonly code: ErrorCode;
  /** Machine-readable details; their content depends on the code. Empty if there are none. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: BedrockErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? {};
  }

  /** HTTP status of the code. */
  get status(): number {
    return (isErrorCode(this.code) ? ERROR_CODES[this.code] : ERROR_CODES.INTERNAL).status;
  }
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
}

/** Longest message that leaves the daemon, characters. */
const MAX_MESSAGE = 2 ** 13;

/** What an argument is refused with. */
export function invalid(message: string, options: BedrockErrorOptions = {}): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', message, options);
}

/**
 * Converts anything that was thrown to an error that can be sent: its code is in the table, its
 * message has a bounded length, its details can be expressed in JSON. Unexpected errors become
 * INTERNAL, and their message stays in the log. It throws nothing.
 */
export function asBedrockError(thrown: unknown): BedrockError {
  if (isSound(thrown)) return thrown;
  const code = isInstance(thrown, BedrockError) ? propertyOf(thrown, 'code') : undefined;
  if (!isErrorCode(code))
    return new BedrockError('INTERNAL', 'the daemon failed to carry this out; its log has the cause', {
      cause: thrown,
    });
  const details = plainOf(propertyOf(thrown, 'details'));
  return new BedrockError(code, bounded(messageOf(thrown), MAX_MESSAGE), {
    ...(isRecord(details) && { details }),
    cause: thrown,
  });
}

/** Whether the error can be sent as it is, as most can. Calls no code of the error. */
function isSound(thrown: unknown): thrown is BedrockError {
  if (typeof thrown !== 'object' || thrown === null || types.isProxy(thrown)) return false;
  if (Object.getPrototypeOf(thrown) !== BedrockError.prototype) return false;
  // One by one: reading the descriptor of the stack would create the stack.
  const own = (name: string): unknown => Object.getOwnPropertyDescriptor(thrown, name)?.value;
  const message = own('message');
  return (
    isErrorCode(own('code')) &&
    typeof message === 'string' &&
    message.length <= MAX_MESSAGE &&
    isFlat(own('details'))
  );
}

/** Whether an object holds only short texts, numbers, booleans and nulls. */
function isFlat(details: unknown): boolean {
  if (typeof details !== 'object' || details === null || types.isProxy(details)) return false;
  const prototype: unknown = Object.getPrototypeOf(details);
  // An object of another realm is copied.
  if (prototype !== Object.prototype && prototype !== null) return false;
  const members = Object.values(Object.getOwnPropertyDescriptors(details));
  return members.length <= MAX_FLAT_MEMBERS && members.every(({ value }) => isScalar(value));
}

const MAX_FLAT_MEMBERS = 32;

function isScalar(value: unknown): boolean {
  if (typeof value === 'string') return value.length <= MAX_MESSAGE;
  return value === null || typeof value === 'boolean' || Number.isFinite(value);
}

/** The message of anything that was thrown. It throws nothing. */
export function messageOf(thrown: unknown): string {
  const message = propertyOf(thrown, 'message');
  if (typeof message === 'string' && message !== '') return textOf(message);
  if (typeof thrown === 'string') return thrown === '' ? 'an empty text' : textOf(thrown);
  if (!isInstance(thrown, Error)) return `what was thrown is not an error: ${textOf(thrown)}`;
  // Without a message, such as that of a refused connection to each of several addresses.
  const name = propertyOf(thrown, 'name');
  return systemCodeOf(thrown) ?? (typeof name === 'string' ? textOf(name) : 'an error without a message');
}

/** The system's code of an error (`ENOENT`, `EADDRINUSE`), if it has one. */
export function systemCodeOf(thrown: unknown): string | undefined {
  const code = propertyOf(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** Maximum number of nested causes in an explanation. */
const MAX_CAUSES = 8;

/** Maximum length of a failure in the log, characters. */
const MAX_EXPLANATION = 2 ** 14;

/** The message of an error, and of those causes that add something: for the log. It never throws. */
export function explain(thrown: unknown): string {
  let text = '';
  let cause = thrown;
  for (let depth = 0; cause !== undefined && cause !== null && depth < MAX_CAUSES; depth++) {
    const message = withCode(cause);
    if (text === '') text = message;
    else if (!text.includes(message)) text = bounded(`${text}; the cause: ${message}`, MAX_EXPLANATION);
    cause = propertyOf(cause, 'cause');
  }
  return text === '' ? messageOf(thrown) : text;
}

/** The message, prefixed with the code if that is not in the table and not in the message. */
function withCode(thrown: unknown): string {
  const message = bounded(messageOf(thrown), MAX_EXPLANATION);
  const code = systemCodeOf(thrown);
  if (code === undefined || isErrorCode(code) || message.includes(code)) return message;
  return `${bounded(code, 64)}: ${message}`;
}

/** The log's record of a failure that clients see only as INTERNAL. */
export function failureRecord(error: BedrockError): { message: string; stack: string | undefined } {
  const thrown = propertyOf(error, 'cause') ?? error;
  const stack = propertyOf(thrown, 'stack');
  return {
    message: explain(thrown),
    stack: typeof stack === 'string' ? bounded(stack, MAX_EXPLANATION) : undefined,
  };
}
