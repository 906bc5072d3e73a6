/** JSON bodies of routes that take any: no other content type, at most as long as configured, and with the time-out of all bodies. */
import type { FastifyInstance } from 'fastify';
import { readText, type JsonLimits } from './body.js';

export function takeJsonBodies(app: FastifyInstance, limits: JsonLimits): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser('application/json', (request, _payload, done) => {
    readText(request.raw, limits).then((text) => {
      // Every such body is optional, and some clients announce JSON without sending any.
      if (text === '') done(null, undefined);
      else void parse(request, text, done);
    }, done);
  });
}
