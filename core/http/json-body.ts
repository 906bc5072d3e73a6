/**
 * JSON bodies of routes that accept any JSON: no other content type, limited to the configured
 * size, with the same time-outs as all bodies. Parsing a long text takes a few milliseconds per
 * MiB, so the event loop gets a turn before and after it.
 */
import type { FastifyInstance } from 'fastify';
import { type JsonLimits, LONG_TEXT, readText } from './body.js';

export function takeJsonBodies(app: FastifyInstance, limits: JsonLimits): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', (request, _payload, done) => {
    readText(request.raw, limits).then((text) => {
      // Every such body is optional, and some clients announce JSON without sending any.
      if (text === '') done(null, undefined);
      else if (text.length < LONG_TEXT) void parse(request, text, done);
      // Safe: the value is the request's own.
      else void parse(request, text, (error, value) => setImmediate(done, error, value));
    }, done);
  });
}
