/**
 * Bodies of requests: counted here, byte by byte, since Fastify's own limit does not hold for streams.
 *
 * A client may be slow, but not idle: each wait for the next piece has the progress time-out. Nothing is read ahead beyond the
 * socket's own buffer, so a target that cannot keep up slows the client down.
 */
import type { IncomingMessage } from 'node:http';
import { BedrockError } from '../base/errors.js';
import { noteDropped } from '../base/young-generation.js';
import type { ByteBudget } from '../net/byte-budget.js';
import { askForBody } from './continue.js';
import { GatheredBody } from './gathered-body.js';
import { checkNesting } from './json-nesting.js';
import { ClientGone } from './problem.js';

export interface BodyLimits {
  maxBodyBytes: number;
  progressTimeoutMs: number;
}

/** Of bodies in JSON, which are gathered until they are whole. */
export interface JsonLimits extends BodyLimits {
  /** What all of them together may take. */
  gathering: ByteBudget;
}

/** Whether the request has a body, possibly an empty one. */
export function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  );
}

/**
 * How many bytes the body of a region request will have: by Content-Length, by `?size=`, or by both, if they agree.
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
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `Content-Length ${String(header)} is no number of bytes that a region can have`,
    );
  }
  if (length !== undefined && size !== undefined && length !== size) {
    throw new BedrockError('INVALID_ARGUMENT', `Content-Length is ${length}, but ?size= says ${size}`);
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

/** Bodies are stored as they come, and what comes must be the bytes themselves. */
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
    throw new BedrockError('NOT_SUPPORTED', `Transfer-Encoding ${coding} is not decoded; chunked alone is`);
  }
}

/** The whole body at once, if it has all come with the head of the request, as a small one mostly has. */
export function takeBody(request: IncomingMessage, size: number): Buffer | undefined {
  if (size === 0 || request.readableLength !== size || !hasAllCome(request, size)) return undefined;
  askForBody(request);
  const body = request.read() as Buffer;
  noteDropped(size);
  return body;
}

/**
 * Whether the body has no more than these bytes. By its announced length where there is one: node:http lets promises run between
 * the last byte and the word that the request is complete, which may then come after its answer.
 */
function hasAllCome(request: IncomingMessage, received: number): boolean {
  return request.complete || Number(request.headers['content-length']) === received;
}

/**
 * The body in pieces, exactly `size` bytes together.
 * @throws INVALID_ARGUMENT (more or fewer bytes), REQUEST_TIMEOUT, ClientGone
 */
export function readBody(
  request: IncomingMessage,
  size: number,
  { progressTimeoutMs }: BodyLimits,
): AsyncGenerator<Buffer> {
  return pieces(request, progressTimeoutMs, (received, hasEnded) => {
    if (received > size) throw unequal(size, `at least ${received}`);
    if (hasEnded && received < size) throw unequal(size, String(received));
  });
}

function unequal(announced: number, received: string): BedrockError {
  return new BedrockError(
    'INVALID_ARGUMENT',
    `the body was announced with ${announced} bytes and has ${received}`,
  );
}

/**
 * The text of a whole body in JSON, at most as long as `maxBodyBytes`. A body that says it is longer is not asked for.
 * @throws BODY_TOO_LARGE, INVALID_ARGUMENT, REQUEST_TIMEOUT, OVERLOADED, ClientGone
 */
export async function readText(
  request: IncomingMessage,
  { maxBodyBytes, progressTimeoutMs, gathering }: JsonLimits,
): Promise<string> {
  const checkLimit = (size: number): void => {
    if (size <= maxBodyBytes) return;
    throw new BedrockError(
      'BODY_TOO_LARGE',
      `a JSON body of ${size} bytes or more exceeds bedrock.http.max_json_body_bytes, ${maxBodyBytes}`,
      { details: { limit: maxBodyBytes } },
    );
  };
  checkLimit(Number(request.headers['content-length'] ?? 0));
  const body = new GatheredBody(gathering, request);
  try {
    for await (const piece of pieces(request, progressTimeoutMs, checkLimit)) body.add(piece);
    const text = body.text();
    checkNesting(text);
    return text;
  } finally {
    body.release();
  }
}

/** Announces to the reader of a body that the rest of it will never come. */
export function breakBody(request: IncomingMessage, cause: Error): void {
  broken.set(request, cause);
  request.emit(BROKEN);
}

const broken = new WeakMap<IncomingMessage, Error>();
const BROKEN = Symbol('broken');

/**
 * What has come of the body, as it comes.
 * @param check is told how much has come, before that is given on; what it throws ends the body
 */
async function* pieces(
  request: IncomingMessage,
  timeoutMs: number,
  check: (received: number, hasEnded: boolean) => void,
): AsyncGenerator<Buffer> {
  askForBody(request);
  let received = 0;
  for (;;) {
    const piece = request.read() as Buffer | null;
    if (piece !== null) {
      received += piece.length;
      check(received, false);
      yield piece;
      noteDropped(piece.length);
    } else if (request.readableEnded || hasAllCome(request, received)) {
      break;
    } else if (request.destroyed) {
      throw new ClientGone(`the client left after ${received} bytes of its body`);
    } else {
      const cause = broken.get(request);
      if (cause !== undefined) {
        const text = `the body breaks off after ${received} bytes: ${cause.message}`;
        throw new BedrockError('INVALID_ARGUMENT', text, { cause });
      }
      await progress(request, timeoutMs, received);
    }
  }
  check(received, true);
}

/** Waits until there is something to read, or the body or the connection has ended. @throws REQUEST_TIMEOUT */
function progress(request: IncomingMessage, timeoutMs: number, received: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (settle: () => void) => (): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      for (const event of EVENTS) request.off(event, moved);
      settle();
    };
    const moved = end(resolve);
    const late = end(() => {
      const text = `no progress for ${timeoutMs} ms after ${received} bytes of the body`;
      reject(new BedrockError('REQUEST_TIMEOUT', text));
    });
    // By a turn of the event loop later: if it was the daemon that stood still, what has come meanwhile is read first.
    const timer = setTimeout(() => setImmediate(late), timeoutMs);
    for (const event of EVENTS) request.on(event, moved);
  });
}

const EVENTS = ['readable', 'end', 'close', 'error', BROKEN] as const;
