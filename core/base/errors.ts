/**
 * Every error that leaves the project: one class, one table of codes.
 *
 * A code is the contract, in-process and on the wire (an HTTP error carries it as `code`); the message is for people and may
 * change. It says what was asked, what the limit is and what to do.
 */

import { types } from 'node:util';
import { brand } from './brand.js';
import { bounded, isInstance, isRecord, plainOf, propertyOf, textOf } from './plain.js';

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
  NOT_FOUND: {
    status: 404,
    meaning: 'What the request names is not there: by a provider, of what it serves by itself.',
  },
  REGION_NOT_FOUND: { status: 404, meaning: 'No live region of this target has that ID.' },
  PROVIDER_NOT_FOUND: { status: 404, meaning: 'The daemon runs no provider of that name or id.' },
  ROUTE_NOT_FOUND: { status: 404, meaning: 'The daemon serves nothing under that path.' },
  METHOD_NOT_ALLOWED: { status: 405, meaning: 'The path exists, but not for that HTTP method.' },
  REQUEST_TIMEOUT: { status: 408, meaning: 'The client made no progress for too long.' },
  LENGTH_REQUIRED: { status: 411, meaning: 'A body needs Content-Length or ?size=.' },
  CONFLICT: {
    status: 409,
    meaning: 'What is there already does not allow the request: by a provider, of what it serves by itself.',
  },
  ID_TAKEN: {
    status: 409,
    meaning: 'A region has that ID, or had it or a later one of its place; none can be imported under it.',
  },
  PRECONDITION_FAILED: {
    status: 412,
    meaning: 'The region is not what If-Match or If-None-Match asks for; nothing was done.',
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
  OVERLOADED: {
    status: 503,
    meaning: 'An execution pool, or the memory for requests and answers, is full; try again later.',
  },
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
    return (isErrorCode(this.code) ? ERROR_CODES[this.code] : ERROR_CODES.INTERNAL).status;
  }
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
}

/** Longest message that leaves the daemon, characters. */
const MAX_MESSAGE = 2 ** 13;

/**
 * Anything that was thrown as an error of the table that can be sent: its code is in the table, its message is a text of bounded
 * length, its details have a form in JSON. What is not foreseen becomes INTERNAL, and its message stays in the log. It throws nothing.
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

/** Whether it can be sent as it is, which most can; nothing of it is called. */
function isSound(thrown: unknown): thrown is BedrockError {
  if (typeof thrown !== 'object' || thrown === null || types.isProxy(thrown)) return false;
  if (Object.getPrototypeOf(thrown) !== BedrockError.prototype) return false;
  // One by one: the descriptor of the stack would have it made.
  const own = (name: string): unknown => Object.getOwnPropertyDescriptor(thrown, name)?.value;
  const message = own('message');
  return (
    isErrorCode(own('code')) &&
    typeof message === 'string' &&
    message.length <= MAX_MESSAGE &&
    isFlat(own('details'))
  );
}

/** Whether all that an object holds are short texts, numbers, booleans and nulls. */
function isFlat(details: unknown): boolean {
  if (typeof details !== 'object' || details === null || types.isProxy(details)) return false;
  const prototype: unknown = Object.getPrototypeOf(details);
  // One of another realm is copied.
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
  if (!isInstance(thrown, Error)) return thrown === '' ? 'an empty text' : textOf(thrown);
  // Such as that of a connection refused at each of several addresses.
  const name = propertyOf(thrown, 'name');
  return systemCodeOf(thrown) ?? (typeof name === 'string' ? textOf(name) : 'an error without a message');
}

/** The system's code of an error (`ENOENT`, `EADDRINUSE`), where it has one. */
export function systemCodeOf(thrown: unknown): string | undefined {
  const code = propertyOf(thrown, 'code');
  return typeof code === 'string' ? code : undefined;
}

/** Causes of causes that are told. */
const MAX_CAUSES = 8;

/** Longest text of a failure in the log, characters. */
const MAX_EXPLANATION = 2 ** 14;

/** What was thrown, and why, as far as its causes say more: for the log. It throws nothing. */
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

/** The message, behind a code that the table does not have and that it does not tell itself. */
function withCode(thrown: unknown): string {
  const message = bounded(messageOf(thrown), MAX_EXPLANATION);
  const code = systemCodeOf(thrown);
  if (code === undefined || isErrorCode(code) || message.includes(code)) return message;
  return `${bounded(code, 64)}: ${message}`;
}

/** What the log says of a failure that the client is only told to be INTERNAL. */
export function failureRecord(error: BedrockError): { message: string; stack: string | undefined } {
  const thrown = propertyOf(error, 'cause') ?? error;
  const stack = propertyOf(thrown, 'stack');
  return {
    message: explain(thrown),
    stack: typeof stack === 'string' ? bounded(stack, MAX_EXPLANATION) : undefined,
  };
}
