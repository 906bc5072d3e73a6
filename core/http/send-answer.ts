/**
 * Sends answers of providers' own routes: bytes as bytes, streams as streams, anything else as
 * JSON.
 *
 * What a provider returns is checked. A status, a header or a piece that cannot be sent is
 * INTERNAL. If the head of the answer was already sent, the connection is closed instead.
 */
import { type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Answer } from '../contract/route.js';
import type { AnswerMemory } from './answer-memory.js';
import { JSON_TYPE, jsonText } from './json-text.js';
import { sendable } from './problem.js';
import { noteJson } from './work.js';

const BYTES = 'application/octet-stream';

/** @param failed gets the error of a stream that fails after the head of the answer was sent */
export function sendAnswer(
  reply: FastifyReply,
  { status, body, headers }: Answer,
  answers: AnswerMemory,
  failed: (error: unknown) => void,
): FastifyReply {
  const checked = checkedHeaders(headers);
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw wrongAnswer('with a status that is not from 200 to 599');
  const isBytes = body instanceof Uint8Array;
  const isPieces = !isBytes && isStream(body);
  const text = body === undefined || isBytes || isPieces ? undefined : textOf(body);
  noteJson(reply.request.raw, text?.length ?? 0);
  answers.hold(reply.raw, isBytes ? body.length : (text?.length ?? 0));
  // Only after the checks, so that nothing of a wrong answer remains in the error answer.
  reply.code(status).headers(checked);
  if (body === undefined) return reply.send();
  if (!reply.hasHeader('content-type')) reply.header('content-type', text === undefined ? BYTES : JSON_TYPE);
  if (isBytes) return reply.send(Buffer.from(body.buffer, body.byteOffset, body.length));
  return reply.send(
    isPieces
      ? Readable.from(
          held(
            reply.raw,
            answers,
            piecesOf(body, (error) => {
              // Before the head was sent, the error becomes the answer.
              if (reply.raw.headersSent) failed(error);
            }),
          ),
          { objectMode: false },
        )
      : text,
  );
}

/**
 * Gives the same pieces and holds memory for them. The previous piece may still wait to be sent, so
 * memory for two is held; later pieces reuse it.
 */
async function* held(
  response: ServerResponse,
  answers: AnswerMemory,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    if (response.headersSent) answers.force(response, 2 * piece.length);
    else answers.hold(response, 2 * piece.length);
    yield piece;
  }
}

/** As a string: Fastify's serialiser would go by the type of the value, and send a string as plain text. */
function textOf(body: unknown): string {
  let text: string | undefined;
  try {
    text = jsonText(body);
  } catch (cause) {
    throw wrongAnswer(`with something that JSON has no form for: ${messageOf(cause)}`, cause);
  }
  if (text === undefined) throw wrongAnswer('with something that JSON has no form for');
  return text;
}

function checkedHeaders(headers: unknown): Record<string, string> {
  const checked: Record<string, string> = {};
  try {
    for (const [name, value] of Object.entries(headers ?? {}) as [string, unknown][]) {
      validateHeaderName(name);
      const text = typeof value === 'number' ? String(value) : value;
      if (typeof text !== 'string') throw new TypeError(`the header ${name} is not text`);
      validateHeaderValue(name, text);
      checked[name] = text;
    }
  } catch (cause) {
    throw wrongAnswer(`with headers that cannot be sent: ${messageOf(cause)}`, cause);
  }
  return checked;
}

async function* piecesOf(
  body: AsyncIterable<unknown>,
  failed: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of body) {
      if (!(piece instanceof Uint8Array) && typeof piece !== 'string')
        throw wrongAnswer('with a stream of something that is not bytes');
      // An empty piece would end the stream.
      if (piece.length > 0) yield typeof piece === 'string' ? Buffer.from(piece) : piece;
    }
  } catch (thrown) {
    failed(thrown);
    throw sendable(thrown);
  }
}

function wrongAnswer(what: string, cause?: unknown): BedrockError {
  return new BedrockError('INTERNAL', `the provider answered ${what}`, cause === undefined ? {} : { cause });
}

function isStream(body: unknown): body is AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
