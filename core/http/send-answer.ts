/** Answers of providers' own routes: bytes as bytes, streams as streams, anything else as JSON. */
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { BedrockError } from '../errors.js';
import type { Answer } from '../provider/route.js';

const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json; charset=utf-8';

export function sendAnswer(reply: FastifyReply, { status, body, headers }: Answer): FastifyReply {
  reply.code(status).headers({ ...headers });
  if (body === undefined) return reply.send();
  const isBytes = body instanceof Uint8Array;
  if (isBytes || isStream(body)) {
    if (!reply.hasHeader('content-type')) reply.header('content-type', BYTES);
    return reply.send(isBytes ? Buffer.from(body.buffer, body.byteOffset, body.length) : Readable.from(body));
  }
  // As text: a serialiser of Fastify's would go by the type of the value, and send a string as plain text.
  const text = JSON.stringify(body) as string | undefined;
  if (text === undefined)
    throw new BedrockError('INTERNAL', 'the provider answered with something that JSON has no form for');
  if (!reply.hasHeader('content-type')) reply.header('content-type', JSON_TYPE);
  return reply.send(text);
}

function isStream(body: unknown): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
