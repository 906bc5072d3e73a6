/**
 * Reads bodies of requests. Bytes are counted here, because Fastify's limit does not apply to streams.
 *
 * A client may be slow, but not idle: the progress time-out applies to each wait for the next
 * piece. It may not trickle either: a body must bring a minimum number of bytes per second,
 * measured over each progress time-out of waiting. This limits how long a connection is kept.
 * `HeldSpace` keeps slow uploads from filling a target: it may end one by `endBody`. Nothing is
 * read ahead beyond the socket's own buffer, so a target that cannot keep up slows the client down.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BedrockError, invalid } from '../base/errors.js';
import { noteDropped } from '../base/young-generation.js';
import type { ByteBudget } from '../net/byte-budget.js';
import { askForBody } from './continue.js';
import { GatheredBody } from './gathered-body.js';
import { checkNesting } from '../base/json-nesting.js';
import { ClientGone } from './problem.js';
import { noteJson } from './work.js';

/**
 * JSON texts of at least this length are checked for their nesting in one turn of the event loop,
 * and parsed in another.
 */
export const LONG_TEXT = 2 ** 16;

export interface BodyLimits {
  maxBodyBytes: number;
  progressTimeoutMs: number;
  /** Minimum bytes per second of a body, measured over each progress time-out of waiting. */
  minRate: number;
}

/** Limits for JSON bodies, which are collected until they are complete. */
export interface JsonLimits extends BodyLimits {
  /** Memory budget of all of them together. */
  gathering: ByteBudget;
}

/** Progress of a body. */
export class BodyProgress {
  /** Whether the daemon waits for the client. */
  isAwaited = false;
  receivedBytes = 0;
}

/** Whether the request has a body, possibly an empty one. */
export function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  );
}

/**
 * The size of the body of a region request: from Content-Length, from `?size=`, or from both, if they agree.
 * @throws LENGTH_REQUIRED, INVALID_ARGUMENT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, NOT_SUPPORTED
 */
export function announcedSize(
  request: IncomingMessage,
  size: number | undefined,
  limits: BodyLimits,
): number {
  checkCoding(request);
  const header = request.headers['content-length'];
  const length = header === undefined ? undefined : Number(header);
  const announced = length ?? size;
  if (announced === undefined) {
    throw new BedrockError('LENGTH_REQUIRED', 'a body needs Content-Length or ?size=');
  }
  if (!Number.isSafeInteger(announced)) {
    throw invalid(`Content-Length ${String(header)} is not a number of bytes that a region can have`);
  }
  if (length !== undefined && size !== undefined && length !== size) {
    throw invalid(`Content-Length is ${length}, but ?size= says ${size}`);
  }
  if (announced > limits.maxBodyBytes) {
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `a body of ${announced} bytes exceeds bedrock.http.max_body_bytes, ${limits.maxBodyBytes}`,
      { details: { size: announced, limit: limits.maxBodyBytes } },
    );
  }
  return announced;
}

/** RFC 9110, 14.5. Ignoring the header would write to the wrong place. @throws INVALID_ARGUMENT */
export function refuseContentRange(headers: IncomingHttpHeaders): void {
  if (headers['content-range'] === undefined) return;
  throw invalid(
    'a PUT does not take Content-Range; ?offset= of a region says where to write, and a name gets contents as a whole',
  );
}

/** Bodies are stored as they come, so they must not be encoded. */
function checkCoding({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity') {
    throw new BedrockError(
      'UNSUPPORTED_MEDIA_TYPE',
      `bodies are stored as they come; send it without Content-Encoding ${encoding}`,
    );
  }
  const coding = headers['transfer-encoding']?.toLowerCase() ?? 'chunked';
  if (coding !== 'chunked') {
    throw new BedrockError('NOT_SUPPORTED', `Transfer-Encoding ${coding} is not supported; only chunked is`);
  }
}

/**
 * Takes the whole body at once, if all of it has come with the head of the request. This is usual
 * for a small body.
 */
export function takeBody(request: IncomingMessage, size: number): Buffer | undefined {
  if (size === 0 || request.readableLength !== size || !hasAllCome(request, size)) return undefined;
  askForBody(request);
  const body = request.read() as Buffer;
  noteDropped(size);
  return body;
}

/**
 * Whether the body has no more than these bytes. Uses the announced length if there is one:
 * node:http runs promises between the last byte and its report that the request is complete, so
 * that the report may come after the answer.
 */
function hasAllCome(request: IncomingMessage, received: number): boolean {
  return request.complete || Number(request.headers['content-length']) === received;
}

/**
 * Reads the body in pieces, exactly `size` bytes in total.
 * @param progress is updated as the body is read
 * @throws INVALID_ARGUMENT (more or fewer bytes), REQUEST_TIMEOUT, ClientGone, what `endBody` was given
 */
export function readBody(
  request: IncomingMessage,
  size: number,
  limits: BodyLimits,
  progress?: BodyProgress,
): AsyncGenerator<Buffer> {
  const check = (received: number, hasEnded: boolean): void => {
    if (received > size) throw unequal(size, `at least ${received}`);
    if (hasEnded && received < size) throw unequal(size, String(received));
  };
  return pieces(request, limits, check, progress);
}

function unequal(announced: number, received: string): BedrockError {
  return invalid(`the body was announced with ${announced} bytes and has ${received}`);
}

/**
 * Reads the text of a whole JSON body, of at most `maxBodyBytes`. If the announced length is
 * larger, the body is refused without being read.
 * @throws BODY_TOO_LARGE, INVALID_ARGUMENT, REQUEST_TIMEOUT, OVERLOADED, ClientGone
 */
export async function readText(request: IncomingMessage, limits: JsonLimits): Promise<string> {
  const { maxBodyBytes, gathering } = limits;
  const checkLimit = (size: number): void => {
    if (size <= maxBodyBytes) return;
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `a JSON body of ${size} bytes or more exceeds the limit of ${maxBodyBytes}; bedrock.http.max_json_body_bytes raises it`,
      { details: { limit: maxBodyBytes } },
    );
  };
  checkLimit(Number(request.headers['content-length'] ?? 0));
  const body = new GatheredBody(gathering, request);
  try {
    for await (const piece of pieces(request, limits, checkLimit)) body.add(piece);
    const text = body.text();
    noteJson(request, text.length);
    checkNesting(text);
    // Parsing a long text takes milliseconds as well. Safe: it is whole, and nobody else has it.
    if (text.length >= LONG_TEXT) await nextTurn();
    return text;
  } finally {
    body.release();
  }
}

/** Tells the reader of a body that the rest will never come. */
export function breakBody(request: IncomingMessage, cause: Error): void {
  endBody(request, (received) => {
    const text = `the body ended early, after ${received} bytes: ${cause.message}`;
    return invalid(text, { cause });
  });
}

/**
 * Makes the reader of a body throw as soon as it would have to wait for more.
 * @param why gets the number of bytes that have come
 */
export function endBody(request: IncomingMessage, why: (received: number) => BedrockError): void {
  broken.set(request, why);
  request.emit(BROKEN);
}

const broken = new WeakMap<IncomingMessage, (received: number) => BedrockError>();
const BROKEN = Symbol('broken');

/**
 * Gives the bytes of the body as they come.
 * @param check gets the number of bytes so far, before a piece is passed on; if it throws, the body ends
 */
async function* pieces(
  request: IncomingMessage,
  { progressTimeoutMs, minRate }: BodyLimits,
  check: (received: number, hasEnded: boolean) => void,
  coming = new BodyProgress(),
): AsyncGenerator<Buffer> {
  askForBody(request);
  let received = 0;
  // Time spent waiting, and the bytes that had come before that.
  let waitedMs = 0;
  let receivedBefore = 0;
  for (;;) {
    const piece = request.read() as Buffer | null;
    if (piece !== null) {
      received += piece.length;
      coming.receivedBytes = received;
      check(received, false);
      yield piece;
      noteDropped(piece.length);
    } else if (request.readableEnded || hasAllCome(request, received)) {
      break;
    } else if (request.destroyed) {
      throw new ClientGone(`the client left after ${received} bytes of its body`);
    } else {
      const why = broken.get(request);
      if (why !== undefined) throw why(received);
      if (waitedMs >= progressTimeoutMs) {
        checkRate(received - receivedBefore, waitedMs, minRate);
        waitedMs = 0;
        receivedBefore = received;
      }
      coming.isAwaited = true;
      waitedMs += await progress(request, progressTimeoutMs, received);
      coming.isAwaited = false;
    }
  }
  check(received, true);
}

/** @throws REQUEST_TIMEOUT */
function checkRate(received: number, waitedMs: number, minRate: number): void {
  if (received * 1000 >= minRate * waitedMs) return;
  const text = `only ${received} bytes of the body came in ${Math.round(waitedMs)} ms; bedrock.http.min_body_rate requires ${minRate} a second`;
  throw new BedrockError('REQUEST_TIMEOUT', text);
}

/**
 * Waits until there is something to read, or the body or the connection has ended.
 * @returns the time waited, in milliseconds; 0 if it was the daemon that stood still
 * @throws REQUEST_TIMEOUT
 */
function progress(request: IncomingMessage, timeoutMs: number, received: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    let isOver = false;
    let isLate = false;
    const end = (settle: () => void) => (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      for (const event of EVENTS) request.off(event, moved);
      settle();
    };
    const moved = end(() => resolve(isLate ? 0 : performance.now() - begun));
    const late = end(() => {
      const text = `no progress for ${timeoutMs} ms after ${received} bytes of the body`;
      reject(new BedrockError('REQUEST_TIMEOUT', text));
    });
    // Decides one turn of the event loop later: if the daemon stood still, input that arrived
    // meanwhile is read first.
    const timer = setTimeout(() => {
      isLate = true;
      setImmediate(late);
    }, timeoutMs);
    for (const event of EVENTS) request.on(event, moved);
  });
}

const EVENTS = ['readable', 'end', 'close', 'error', BROKEN] as const;
