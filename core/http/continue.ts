/**
 * "Expect: 100-continue" (RFC 9110, 10.1.1): the client sends its body only when it is asked to, so
 * a refused request costs no transfer. node:http would ask at once; here the reader of the body
 * asks. If a client was not asked, it is unknown whether its body follows, so node:http closes the
 * connection.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';

const waiting = new WeakMap<IncomingMessage, ServerResponse>();

/**
 * Handles requests with this header like any other, without asking for their bodies. Other
 * expectations are ignored.
 */
export function deferContinue(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.set(request, response);
    server.emit('request', request, response);
  });
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    server.emit('request', request, response),
  );
}

/** Asks the client for the body, if it waits to be asked. */
export function askForBody(request: IncomingMessage): void {
  waiting.get(request)?.writeContinue();
  waiting.delete(request);
}
