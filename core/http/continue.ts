/**
 * "Expect: 100-continue" (RFC 9110, 10.1.1): the client waits with its body until it is asked for, so a request that is refused
 * costs no transfer. node:http would ask at once; here the one who reads the body asks. Of a client that was not asked nobody can
 * tell whether its body follows, so node:http closes its connection.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/** Passes requests with that header on like any other, without asking for their bodies. Other expectations mean nothing here. */
export function deferContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response);
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.emit('request', request, response),
  );
}

/** Asks for the body, if the client waits for that. */
export function askForBody(request: IncomingMessage): void {
  waiting.get(request)?.writeContinue();
  waiting.delete(request);
}
