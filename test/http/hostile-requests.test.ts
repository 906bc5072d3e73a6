/**
 * Bytes that no HTTP client would send. Each is answered with a problem or the end of the connection; after each the daemon lives,
 * and no region has appeared, vanished or changed.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;
/** A region `abcdefghij`. */
let place: string;

beforeAll(async () => {
  daemon = await runDaemon();
  place = await daemon.regionOf(Buffer.from('abcdefghij'));
});
afterEach(async () => {
  expect((await daemon.call('GET', '/healthz')).status).toBe(200);
  expect((await daemon.call('GET', place)).bytes.toString()).toBe('abcdefghij');
  expect(await daemon.stats()).toMatchObject({ regions: 1, usedBytes: 10 });
});
afterAll(closeDaemons);

/** Sends it, and sees the connection end after answers with these codes. */
async function expectEnd(bytes: string | Uint8Array, ...codes: string[]): Promise<void> {
  const connection = await RawConnection.open(daemon.port);
  connection.send(bytes);
  for (const code of codes) {
    const answer = await connection.answer();
    expectProblem(answer, answer.status, code);
    expect(answer.headers.connection).toBe('close');
  }
  connection.socket.end();
  await connection.closed();
  expect(connection.unread).toBe('');
}

describe('a body whose length is in doubt', () => {
  const lines = (): string[] => [`POST ${REGIONS}?size=5`, `PUT ${place}?size=5`];

  it.each([
    ['Content-Length beside Transfer-Encoding', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['Transfer-Encoding beside Content-Length', ['Transfer-Encoding: chunked', 'Content-Length: 5']],
    ['two Content-Lengths', ['Content-Length: 5', 'Content-Length: 6']],
    ['the same Content-Length twice', ['Content-Length: 5', 'Content-Length: 5']],
    ['a list of Content-Lengths', ['Content-Length: 5, 5']],
    ['a negative Content-Length', ['Content-Length: -5']],
    ['a signed Content-Length', ['Content-Length: +5']],
    ['a fractional Content-Length', ['Content-Length: 5.0']],
    ['a hexadecimal Content-Length', ['Content-Length: 0x5']],
    ['a Content-Length in words', ['Content-Length: five']],
    ['an empty Content-Length', ['Content-Length:']],
    ['a Content-Length of two numbers', ['Content-Length: 5 5']],
    ['a Content-Length beyond 64 bits', ['Content-Length: 99999999999999999999999']],
    ['chunked, but not last', ['Transfer-Encoding: chunked, gzip']],
    ['a space before the colon', ['Content-Length : 5']],
    ['a folded header', ['X: y', ' Content-Length: 5']],
  ])('gets INVALID_ARGUMENT (400): %s', async (_what, headers) => {
    for (const line of lines()) {
      await expectEnd(`${head(line, ...headers)}5\r\nhello\r\n0\r\n\r\n`, 'INVALID_ARGUMENT');
    }
  });

  it.each(['9007199254740993', '18446744073709551615'])(
    'gets INVALID_ARGUMENT (400): a Content-Length of %s, which no region can have',
    async (length) => {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head(`POST ${REGIONS}`, `Content-Length: ${length}`)).send('hello');
      expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
      connection.destroy();
    },
  );

  it('gets OUT_OF_SPACE (507): a Content-Length that no machine has', async () => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`POST ${REGIONS}`, 'Content-Length: 1099511627776')).send('hello');
    expectProblem(await connection.answer(), 507, 'OUT_OF_SPACE');
    connection.destroy();
  });
});

describe('a chunked body that breaks off in nonsense', () => {
  it.each([
    ['a size in words', 'five\r\nhello\r\n0\r\n\r\n'],
    ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
    ['a size in the C form', '0x5\r\nhello\r\n0\r\n\r\n'],
    ['a size beyond 64 bits', 'fffffffffffffffff\r\nhello'],
    ['no size', '\r\nhello\r\n0\r\n\r\n'],
    ['a chunk longer than its size', '2\r\nhello\r\n0\r\n\r\n'],
    ['a bad second chunk', '2\r\nhe\r\nzz\r\nllo\r\n0\r\n\r\n'],
    ['bare line feeds', '5\nhello\n0\n\n'],
    ['a flood of chunk extensions', `5;${'x'.repeat(50_000)}\r\nhello\r\n0\r\n\r\n`],
    ['a flood of trailers', `5\r\nhello\r\n0\r\nX: ${'x'.repeat(50_000)}\r\n\r\n`],
  ])('gets a problem and no region: %s', async (_what, body) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(`${head(`POST ${REGIONS}?size=5`, 'Transfer-Encoding: chunked')}${body}`);
    const answer = await connection.answer();
    expectProblem(answer, answer.status, answer.status === 431 ? 'HEADERS_TOO_LARGE' : 'INVALID_ARGUMENT');
    connection.socket.end();
    await connection.closed();
    expect(connection.unread).toBe('');
  });

  it('ends the connection without a second answer if there was one already', async () => {
    for (const line of ['GET /healthz', 'POST /nowhere', `DELETE ${REGIONS}/x`]) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head(line, 'Transfer-Encoding: chunked')).send('1\r\nx\r\n');
      expect((await connection.answer()).bytes).not.toHaveLength(0);
      connection.send('zz\r\n');
      connection.socket.end();
      await connection.closed();
      expect(connection.unread).toBe('');
    }
  });

  it('leaves nothing of a body that came whole before the nonsense', async () => {
    const body = '5\r\nhello\r\nX';
    await expectEnd(
      `${head(`POST ${REGIONS}?size=5`, 'Transfer-Encoding: chunked')}${body}\r\n`,
      'INVALID_ARGUMENT',
    );
  });
});

describe('what is no request', () => {
  it.each([
    ['a target that is none', 'GET ? HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['nonsense', 'hello world\r\n\r\n'],
    ['bytes of chance', Buffer.from('16030100a5010000a10303', 'hex')],
    ['zeros', Buffer.alloc(2000)],
    ['an unknown method', 'STEAL /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['an unknown version', 'GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a command of the Redis protocol', '*1\r\n$4\r\nPING\r\n'],
    ['a NUL in a header', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n'],
    ['a NUL in the path', 'GET /health\0z HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a header without a colon', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n'],
    ['a line feed in the path', 'GET /heal\nthz HTTP/1.1\r\nHost: localhost\r\n\r\n'],
    ['a carriage return in a header', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n'],
  ])('gets INVALID_ARGUMENT (400), and the connection ends: %s', async (_what, bytes) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(bytes);
    await connection.answer().then(
      (answer) => expectProblem(answer, 400, 'INVALID_ARGUMENT'),
      // node:http has no answer to HTTP/2.
      () => expect(connection.isClosed).toBe(true),
    );
    connection.socket.end();
    await connection.closed();
  });

  it.each(['CONNECT localhost:1', 'CONNECT /healthz'])('ends the connection: %s', async (line) => {
    await expectEnd(head(line));
  });
});

describe('the Host header', () => {
  it('that is missing from HTTP/1.1 gets INVALID_ARGUMENT (400)', async () => {
    const connection = await RawConnection.open(daemon.port);
    connection.send('GET /healthz HTTP/1.1\r\n\r\n');
    expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
    connection.destroy();
  });

  it('that comes twice gets INVALID_ARGUMENT (400)', async () => {
    const connection = await RawConnection.open(daemon.port);
    for (const host of ['localhost', 'evil.example']) {
      connection.send(head('GET /healthz', `HOST: ${host}`));
      expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
    }
    connection.destroy();
  });

  it.each(['GET /healthz HTTP/1.0', 'GET /healthz'])(
    'may be missing from %s, as health checks leave it out: no browser does',
    async (line) => {
      const connection = await RawConnection.open(daemon.port);
      connection.send(`${line}\r\n\r\n`);
      expect((await connection.answer()).status).toBe(200);
      await connection.closed();
    },
  );
});

it('HTTP/1.0 is served, one request a connection unless asked to keep it', async () => {
  const connection = await RawConnection.open(daemon.port);
  const line = `GET ${place} HTTP/1.0\r\nHost: localhost\r\n`;
  const kept = await connection.send(`${line}Connection: keep-alive\r\n\r\n`).answer();
  expect(kept.bytes.toString()).toBe('abcdefghij');
  const last = await connection.send(`${line}\r\n`).answer();
  expect(last.bytes.toString()).toBe('abcdefghij');
  await connection.closed();
});

it('an upgrade that is not offered is passed over', async () => {
  for (const protocol of ['websocket', 'h2c', 'TLS/1.0, HTTP/1.1']) {
    const connection = await RawConnection.open(daemon.port);
    const headers = [`Upgrade: ${protocol}`, 'Connection: Upgrade'];
    const read = await connection.send(head(`GET ${place}`, ...headers)).answer();
    expect(read.bytes.toString()).toBe('abcdefghij');
    connection.send(`${head(`PUT ${place}`, 'Content-Length: 3', ...headers)}abc`);
    expect((await connection.answer()).status).toBe(204);
    expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
    connection.destroy();
  }
});

it('a body behind a thousand headers is still a body', async () => {
  const connection = await RawConnection.open(daemon.port);
  const many = Array<string>(1500).fill('X:');
  connection.send(head(`POST ${REGIONS}?size=5`, ...many, 'Content-Length: 5')).send('hello');
  const answer = await connection.answer();
  expect(answer.status).toBe(201);
  const made = String(answer.headers.location);
  expect((await daemon.call('GET', made)).bytes.toString()).toBe('hello');
  expect((await daemon.call('DELETE', made)).status).toBe(204);
  connection.destroy();
});
