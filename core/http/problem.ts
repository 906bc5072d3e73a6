/** Errors on the wire: RFC 9457 problem details with a `code` of the one table. */
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BedrockError, messageOf, type ErrorCode } from '../errors.js';
import { expectsContinue } from './continue.js';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** Seconds that a client should wait before it tries again. */
const RETRY_AFTER_SECONDS = 1;

/** A body that is left unread this far may be read to its end, which keeps the connection usable. */
const MAX_UNREAD_BYTES = 64 * 1024;

/** How long a connection is still read from after a refusal, so that the client sees the answer and not a reset. */
const LINGER_MS = 2000;

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_VALIDATION: 'INVALID_ARGUMENT',
  FST_ERR_BAD_URL: 'INVALID_ARGUMENT',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'INVALID_ARGUMENT',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'INVALID_ARGUMENT',
  FST_ERR_CTP_INVALID_JSON_BODY: 'INVALID_ARGUMENT',
};

/** The client went away; there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Any error as one of the table. What is not foreseen becomes INTERNAL, and its message stays in the log. */
export function toBedrockError(error: unknown): BedrockError {
  if (error instanceof BedrockError) return error;
  const { code = '', statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  const known = FASTIFY_CODES[code] ?? (statusCode === 400 ? 'INVALID_ARGUMENT' : undefined);
  if (known !== undefined) return new BedrockError(known, messageOf(error), { cause: error });
  return new BedrockError('INTERNAL', 'the daemon failed to carry this out; its log has the cause', {
    cause: error,
  });
}

export function problemBody(error: BedrockError): string {
  return JSON.stringify({
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(Object.keys(error.details).length > 0 && { details: error.details }),
  });
}

/** Answers a request with an error. If its body is still coming, the connection is closed in good order. */
export function sendProblem(error: BedrockError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (isMuchUnread(request.raw)) closeAfterResponse(request.raw.socket, reply);
  if (error.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  const size = error.details.regionSize;
  if (error.code === 'OUT_OF_RANGE' && typeof size === 'number')
    reply.header('content-range', `bytes */${size}`);
  return reply.code(error.status).header('content-type', PROBLEM_TYPE).send(problemBody(error));
}

/** Whether more of the body is to come than is worth reading only to drop it. */
function isMuchUnread(request: IncomingMessage): boolean {
  if (request.complete) return false;
  // A client that waits for "100 Continue" may take the error for its answer and never send the body.
  if (expectsContinue(request)) return true;
  const announced = Number(request.headers['content-length'] ?? NaN);
  return !(announced <= MAX_UNREAD_BYTES);
}

/**
 * Ends the connection after the response, yet goes on reading for a while: closing a socket that holds unread bytes makes the
 * system send a reset, which can overtake the response.
 */
function closeAfterResponse(socket: Socket, reply: FastifyReply): void {
  reply.header('connection', 'close');
  // What node:http calls once such a response is written.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
  };
}

const CLIENT_ERRORS: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};

/** Answers what is no HTTP request, and closes the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable || socket.destroyed) {
    socket.destroy();
    return;
  }
  const code = CLIENT_ERRORS[error.code ?? ''] ?? 'INVALID_ARGUMENT';
  const problem = new BedrockError(code, `this is not a request that can be served: ${error.message}`);
  const body = problemBody(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
