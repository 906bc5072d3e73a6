/** What `connect` says of an http:// address at which somebody else than a daemon answers. */
import { afterEach, expect, it } from '@jest/globals';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { connect } from '../../core/index.js';

let server: Server | undefined;
afterEach(() => new Promise((resolve) => (server === undefined ? resolve(0) : server.close(resolve))));

/** @returns the address of a server that gives the same answer to everything */
async function serverOf(answer: string): Promise<string> {
  const made = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}

const http = (status: string, body: string): string =>
  `HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;

it.each([
  ['a page', http('200 OK', '<html>'), 'with no JSON'],
  ['a redirection', http('301 Moved', ''), 'with no JSON'],
  ['null', http('200 OK', 'null'), 'with other JSON than a daemon'],
  ['an array', http('200 OK', '[]'), 'with other JSON than a daemon'],
  ['another object', http('200 OK', '{"ok":true}'), 'with other JSON than a daemon'],
  ['no such path', http('404 Not Found', 'no'), 'with status 404'],
])('is UNREACHABLE, with the address and what shows it: %s', async (_, answer, shown) => {
  const url = await serverOf(answer);
  const failure: unknown = await connect(url).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'UNREACHABLE' });
  const { message } = failure as Error;
  expect(message).toContain(`the server at ${url} is not a bedrock-node daemon: `);
  expect(message).toContain(shown);
});
