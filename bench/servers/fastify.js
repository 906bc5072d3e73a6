/** Reference: a bare Fastify route. GET / and PUT / of small bodies. */
import Fastify from 'fastify';
import { announce, small } from './contents.js';

let stored = Buffer.from(small);
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.get('/', (_request, reply) => reply.header('content-type', 'application/octet-stream').send(stored));
app.put('/', (request, reply) => {
  stored = request.body;
  return reply.code(204).send();
});
await app.listen({ host: '127.0.0.1', port: 0 });
announce(app.server);
