/**
 * Over HTTP a call ends that makes no progress, or that its caller's time bounds; but what came in time counts, although this process
 * stood still and its timers run out before it looks at its sockets. Here that is one step: the daemon writes by its file descriptor,
 * then the time-out is told. On a unix socket the system has the bytes at the other end at once.
 */
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { HttpConnection } from '../../core/client/http/http-connection.js';
import { ProgressWatch, WatchedPool } from '../../core/client/http/progress-watch.js';
import type { BedrockError } from '../../core/index.js';
import { holdTimeouts, holdTimers, passUntilSettled, turns } from '../fixtures/held-time.js';

const PROGRESS_MS = 60_000;
/** Time between two looks. */
const LOOK_MS = PROGRESS_MS / 4;
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n';

let folder: string;
let server: Server;
let connection: HttpConnection;
/** The daemon's end. */
let served: Socket | undefined;
let asked = '';
const sockets = new Set<Socket>();

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bedrock-progress-'));
  const socketPath = path.join(folder, 'http.sock');
  asked = '';
  served = undefined;
  server = createServer((socket) => {
    served = socket;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => (asked += bytes.toString('latin1')));
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  holdTimers('setInterval');
  const url = { kind: 'http' as const, text: `unix:${socketPath}`, origin: 'http://localhost', socketPath };
  connection = new HttpConnection(url, { progressTimeoutMs: PROGRESS_MS });
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await connection.close();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
  jest.useRealTimers();
  jest.restoreAllMocks();
});

/** Waits until a request has come as far as a text of it. */
async function arrival(text: string): Promise<void> {
  while (!asked.includes(text)) await turns();
}

function ask(timeoutMs?: number): Promise<unknown> {
  return connection.json({ method: 'GET', path: '/', ...(timeoutMs !== undefined && { timeoutMs }) });
}

/** Sends past the stream, so that the system has it now. */
function sendNow(text: string): void {
  writeSync((served as unknown as { _handle: { fd: number } })._handle.fd, text);
}

/** Passes time up to the last look before a call that makes no progress ends. */
async function passMost(): Promise<void> {
  for (let look = 0; look < 4; look++) {
    jest.advanceTimersByTime(LOOK_MS);
    await turns();
  }
}

describe('an answer that came while this process stood still', () => {
  it('is the result of a call that its caller bounds', async () => {
    const { expire } = holdTimeouts();
    const answer = ask(30);
    await arrival('\r\n\r\n');
    sendNow(`${HEAD}true`);
    expire();
    expect(await answer).toBe(true);
  });

  it('is the result of a call that had made no progress', async () => {
    const answer = ask();
    await arrival('\r\n\r\n');
    await passMost();
    sendNow(`${HEAD}true`);
    jest.advanceTimersByTime(LOOK_MS);
    expect(await answer).toBe(true);
  });

  it('counts as progress if it is a part', async () => {
    const answer = ask();
    await arrival('\r\n\r\n');
    for (const part of [HEAD, 't', 'r']) {
      await passMost();
      sendNow(part);
      jest.advanceTimersByTime(LOOK_MS);
      await turns();
    }
    sendNow('ue');
    expect(await answer).toBe(true);
  });
});

describe('TIMEOUT is what a call fails with', () => {
  const TIMEOUT = { code: 'TIMEOUT' };

  it.each([
    ['no answer', ''],
    ['half a head', HEAD.slice(0, 20)],
    ['a head alone', HEAD],
    ['half a body', `${HEAD}tr`],
  ])('if there comes %s', async (_, part) => {
    const answer = ask();
    await arrival('\r\n\r\n');
    if (part !== '') sendNow(part);
    await expect(passUntilSettled(answer)).rejects.toMatchObject(TIMEOUT);
  });

  it.each(['', `${HEAD}tr`])('if its caller gave it less time, after %j', async (part) => {
    const { expire } = holdTimeouts();
    const answer = ask(30);
    await arrival('\r\n\r\n');
    if (part !== '') sendNow(part);
    await turns(3);
    expire();
    await expect(answer).rejects.toMatchObject(TIMEOUT);
  });

  it('if the daemon takes nothing of what is sent', async () => {
    server.once('connection', (socket: Socket) => socket.pause());
    const sent = connection.send({ method: 'PUT', path: '/', body: endless() });
    await expect(passUntilSettled(sent)).rejects.toMatchObject(TIMEOUT);
  });
});

it('a source, and a caller that reads nothing, take their time', async () => {
  let bring!: () => void;
  const source = (async function* () {
    yield Buffer.from('first');
    await new Promise<void>((resolve) => (bring = resolve));
    yield Buffer.from('second');
  })();
  const sent = connection.request({ method: 'PUT', path: '/', body: source });
  await arrival('first');
  await passMost();
  await passMost();
  bring();
  await arrival('second');
  const body = Buffer.alloc(2 ** 20, 'a');
  served?.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`);
  served?.write(body);
  const answer = await sent;
  // Until it asks for no more.
  for (let length = -1; length !== answer.body.readableLength; await turns(3))
    length = answer.body.readableLength;
  await passMost();
  await passMost();
  expect((await connection.bytesOf(answer, { method: 'PUT', path: '/' })).equals(body)).toBe(true);
});

it('a caller that ends its call waits for nothing', async () => {
  const caller = new AbortController();
  const answer = connection.json({ method: 'GET', path: '/', signal: caller.signal });
  const failure = answer.catch((error: unknown) => error as BedrockError);
  await arrival('\r\n\r\n');
  caller.abort();
  expect(await failure).toMatchObject({ code: 'ABORTED' });
});

it('requests of another version of undici are made too', async () => {
  const socketPath = server.address() as string;
  const pool = new WatchedPool(
    'http://localhost',
    { socketPath },
    new ProgressWatch(PROGRESS_MS, socketPath),
  );
  const body = await new Promise<string>((resolve, reject) => {
    let text = '';
    pool.dispatch(
      { method: 'GET', path: '/' },
      {
        onRequestStart: () => void arrival('\r\n\r\n').then(() => served?.write(`${HEAD}true`)),
        onResponseData: (_, piece) => void (text += piece.toString()),
        onResponseEnd: () => resolve(text),
        onResponseError: (_, error) => reject(error),
      },
    );
  });
  expect(body).toBe('true');
  await pool.close();
});

async function* endless(): AsyncGenerator<Uint8Array> {
  const piece = Buffer.alloc(2 ** 20);
  for (;;) {
    await turns();
    yield piece;
  }
}
