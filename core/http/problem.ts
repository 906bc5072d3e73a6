/** Errors as they are sent: RFC 9457 problem details with a `code` of the error table. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asBedrockError, BedrockError, type ErrorCode, messageOf } from '../base/errors.js';
import { isInstance, propertyOf } from '../base/plain.js';
import { lingerAfterResponse } from '../net/linger.js';
import { hideTokens } from '../security/hidden-tokens.js';
import { jsonText } from './json-text.js';
import { SECURITY_LINES } from './security-headers.js';

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** Seconds that a client should wait before it tries again. */
const RETRY_AFTER_SECONDS = 1;

/** If no more than this is left of a body, it is read to its end, which keeps the connection usable. */
const MAX_UNREAD_BYTES = 64 * 1024;

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_VALIDATION: 'INVALID_ARGUMENT',
  FST_ERR_BAD_URL: 'INVALID_ARGUMENT',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'INVALID_ARGUMENT',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'INVALID_ARGUMENT',
  FST_ERR_CTP_INVALID_JSON_BODY: 'INVALID_ARGUMENT',
};

/** The client has left; nobody can be answered. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** Converts anything that was thrown, errors of Fastify included, to an error of the table. Never throws. */
export function toBedrockError(error: unknown): BedrockError {
  if (isInstance(error, BedrockError)) return asBedrockError(error);
  const code = propertyOf(error, 'code');
  const known =
    typeof code === 'string' && Object.hasOwn(FASTIFY_CODES, code) ? FASTIFY_CODES[code] : undefined;
  const meant = known ?? (propertyOf(error, 'statusCode') === 400 ? 'INVALID_ARGUMENT' : undefined);
  if (meant === undefined) return asBedrockError(error);
  return asBedrockError(new BedrockError(meant, messageOf(error), { cause: error }));
}

/**
 * Converts what a handler has thrown to an error that Fastify can handle: ClientGone, or an error
 * that can be sent.
 */
export function sendable(thrown: unknown): Error {
  return isInstance(thrown, ClientGone) ? thrown : asBedrockError(thrown);
}

export function problemBody(error: BedrockError): string {
  const text = jsonText({
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(Object.keys(error.details).length > 0 && { details: error.details }),
  });
  return hideTokens(text ?? '');
}

/** Answers a request with an error. If its body is still coming, the connection is closed gracefully. */
export function sendProblem(error: BedrockError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!request.raw.complete) dropRest(error, request.raw, reply);
  // They describe a body that is not sent.
  for (const header of REGION_HEADERS) reply.removeHeader(header);
  // The answer to a HEAD has no body, so the code is in a header.
  reply.header('error-code', error.code);
  // RFC 6750, 3: without a token no error is named.
  if (error.code === 'UNAUTHENTICATED')
    reply.header(
      'www-authenticate',
      error.details.hasTried === true
        ? 'Bearer realm="bedrock", error="invalid_token"'
        : 'Bearer realm="bedrock"',
    );
  const wait = retryAfter(error);
  if (wait !== undefined) reply.header('retry-after', wait);
  const size = error.details.regionSize;
  if (error.code === 'OUT_OF_RANGE' && typeof size === 'number')
    reply.header('content-range', `bytes */${size}`);
  return reply.code(error.status).header('content-type', PROBLEM_TYPE).send(problemBody(error));
}

/** Seconds that a client should wait before it tries again, if that helps. */
function retryAfter({ status, details }: BedrockError): number | undefined {
  if (status === 503) return RETRY_AFTER_SECONDS;
  if (status !== 429) return undefined;
  const { retryAfterSeconds } = details;
  return typeof retryAfterSeconds === 'number' ? retryAfterSeconds : RETRY_AFTER_SECONDS;
}

const REGION_HEADERS = ['accept-ranges', 'content-range', 'etag', 'region-created-at', 'region-name'];

/**
 * Reads the rest of the body and drops it. The connection can then be used again. If the rest is
 * too large, the connection ends.
 */
function dropRest(error: BedrockError, request: IncomingMessage, reply: FastifyReply): void {
  if (mustClose(error, request)) reply.header('connection', 'close');
  // Also when something else closes the connection.
  lingerAfterResponse(request.socket);
  request.resume();
}

/** Whether the rest of the body is too large to be read and dropped, or will never come. */
function mustClose(error: BedrockError, request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  if (length === undefined && coding === undefined) return false;
  if (error.code === 'REQUEST_TIMEOUT') return true;
  return !(Number(length ?? NaN) <= MAX_UNREAD_BYTES);
}

const CLIENT_ERRORS: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};

/** The answer to input that is not a request, as bytes of the protocol. It ends the connection. */
export function clientErrorResponse(error: NodeJS.ErrnoException): string {
  const code = CLIENT_ERRORS[error.code ?? ''] ?? 'INVALID_ARGUMENT';
  return lastAnswer(new BedrockError(code, `this is not a request that can be served: ${error.message}`));
}

/**
 * The answer to a client that speaks no TLS where TLS is spoken, as bytes of the protocol. It ends
 * the connection.
 */
export function plainAnswer(): string {
  const message = 'this address requires TLS; connect with https://';
  return lastAnswer(new BedrockError('INVALID_ARGUMENT', message, { details: { tls: true } }));
}

/** The answer to a user who may not use a unix socket, as bytes of the protocol. It ends the connection. */
export function foreignUser(): string {
  const message =
    'this user may not use the socket; bedrock.unix.allow_uids and allow_gids name those who may';
  return lastAnswer(new BedrockError('FORBIDDEN', message));
}

/** An error that ends a connection, as bytes of the protocol. */
export function lastAnswer(problem: BedrockError): string {
  const body = problemBody(problem);
  const wait = retryAfter(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(wait === undefined ? [] : [`Retry-After: ${wait}`]),
    ...SECURITY_LINES,
    'Connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
