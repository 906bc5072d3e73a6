/**
 * Bodies of region requests: counted here, byte by byte, since Fastify's own limit does not hold for streams.
 *
 * A client may be slow, but not idle: each wait for the next piece has the progress time-out. Nothing is read ahead beyond the
 * socket's own buffer, so a target that cannot keep up slows the client down.
 */
import type { IncomingMessage } from 'node:http';
import { BedrockError } from '../errors.js';
import { askForBody } from './continue.js';
import { ClientGone } from './problem.js';

export interface BodyLimits {
  maxBodyBytes: number;
  progressTimeoutMs: number;
}

/** Whether the request has a body, possibly an empty one. */
export function hasBody(request: IncomingMessage): boolean {
  return (
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  );
}

/**
 * How many bytes the body will have: by Content-Length, by `?size=`, or by both, if they agree.
 * @throws LENGTH_REQUIRED, INVALID_ARGUMENT, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE
 */
export function announcedSize(
  request: IncomingMessage,
  size: number | undefined,
  limits: BodyLimits,
): number {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new BedrockError(
      'UNSUPPORTED_MEDIA_TYPE',
      `bodies are stored as they come; send it without Content-Encoding ${encoding}`,
    );
  }
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

/**
 * The body in pieces, exactly `size` bytes together.
 * @throws INVALID_ARGUMENT (more or fewer bytes), REQUEST_TIMEOUT, ClientGone
 */
export async function* readBody(
  request: IncomingMessage,
  size: number,
  limits: BodyLimits,
): AsyncGenerator<Buffer> {
  askForBody(request);
  let received = 0;
  for (;;) {
    const piece = request.read() as Buffer | null;
    if (piece !== null) {
      received += piece.length;
      if (received > size) throw unequal(size, `at least ${received}`);
      yield piece;
    } else if (request.readableEnded) {
      break;
    } else if (request.destroyed) {
      throw new ClientGone(`the client left after ${received} of ${size} bytes`);
    } else {
      await progress(request, limits.progressTimeoutMs, received, size);
    }
  }
  if (received < size) throw unequal(size, String(received));
}

function unequal(announced: number, received: string): BedrockError {
  return new BedrockError(
    'INVALID_ARGUMENT',
    `the body was announced with ${announced} bytes and has ${received}`,
  );
}

/** Waits until there is something to read, or the body or the connection has ended. */
function progress(
  request: IncomingMessage,
  timeoutMs: number,
  received: number,
  size: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stop();
      reject(
        new BedrockError(
          'REQUEST_TIMEOUT',
          `no progress for ${timeoutMs} ms after ${received} of ${size} bytes`,
        ),
      );
    }, timeoutMs);
    const moved = (): void => {
      stop();
      resolve();
    };
    const stop = (): void => {
      clearTimeout(timer);
      for (const event of EVENTS) request.off(event, moved);
    };
    for (const event of EVENTS) request.on(event, moved);
  });
}

const EVENTS = ['readable', 'end', 'close', 'error'] as const;
