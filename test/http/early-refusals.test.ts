/** Refusals while the body is still to come: the client gets to read them, and is not made to send what nobody wants. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  expectProblem,
  memoryStore,
  runDaemon,
  sleep,
  type Answer,
  type RunningDaemon,
} from './running-daemon.js';

const MIB = 2 ** 20;
const REGIONS = '/v1/providers/store/regions';
const NOWHERE = `${REGIONS}/${'0'.repeat(32)}`;

let daemon: RunningDaemon;
/** A region `abcdefghij`. */
let place: string;

beforeAll(async () => {
  daemon = await runDaemon({
    http: { max_body_bytes: 100 * MIB },
    providers: [memoryStore('store', 42), memoryStore('full', 7, { max_bytes: 0 })],
  });
  place = await daemon.regionOf(Buffer.from('abcdefghij'));
});
afterAll(async () => {
  expect((await daemon.call('GET', place)).bytes.toString()).toBe('abcdefghij');
  expect(await daemon.stats()).toMatchObject({ regions: 1, usedBytes: 10 });
  expect(await daemon.stats('full')).toMatchObject({ regions: 0, usedBytes: 0 });
  await closeDaemons();
});

interface Refusal {
  /** What the test titles call it. */
  what: string;
  line: () => string;
  headers: string[];
  status: number;
  code: string;
}

/** Requests with a body of that size that are refused before it is read. */
function refusals(size: number): Refusal[] {
  const of = (
    what: string,
    line: () => string,
    problem: [number, string],
    ...headers: string[]
  ): Refusal => ({
    what,
    line,
    headers,
    status: problem[0],
    code: problem[1],
  });
  const noMedium: [number, string] = [415, 'UNSUPPORTED_MEDIA_TYPE'];
  const noRoute: [number, string] = [404, 'ROUTE_NOT_FOUND'];
  const json = 'Content-Type: application/json';
  return [
    of('a region that is not there', () => `PUT ${NOWHERE}`, [404, 'REGION_NOT_FOUND']),
    of('an unknown provider', () => 'POST /v1/providers/nosuch/regions', [404, 'PROVIDER_NOT_FOUND']),
    of('an unknown path', () => 'POST /nowhere', noRoute),
    of('an unknown path, for JSON', () => 'POST /nowhere', noRoute, json),
    of('another method', () => `PATCH ${place}`, [405, 'METHOD_NOT_ALLOWED']),
    of('an offset past the end', () => `PUT ${place}?offset=11`, [416, 'OUT_OF_RANGE']),
    of('an offset that is none', () => `PUT ${place}?offset=x`, [400, 'INVALID_ARGUMENT']),
    of('another ?size=', () => `POST ${REGIONS}?size=${size + 1}`, [400, 'INVALID_ARGUMENT']),
    of('a target that is full', () => 'POST /v1/providers/full/regions', [507, 'OUT_OF_SPACE']),
    of('an encoded body', () => `POST ${REGIONS}`, noMedium, 'Content-Encoding: gzip'),
    of('a foreign page', () => `POST ${REGIONS}`, [403, 'FORBIDDEN'], 'Origin: https://evil.example'),
    of('text where JSON belongs', () => `POST ${place}/persist`, noMedium, 'Content-Type: text/plain'),
  ];
}

const LARGE = 64 * MIB;
const largeRefusals: Refusal[] = [
  ...refusals(LARGE),
  {
    what: 'too much JSON',
    line: () => `POST ${place}/persist`,
    headers: ['Content-Type: application/json'],
    status: 413,
    code: 'BODY_TOO_LARGE',
  },
];

describe('a refusal of 64 MiB that are on their way', () => {
  it.each(largeRefusals)('reaches the client: $what ($status)', async ({ line, headers, status, code }) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(line(), `Content-Length: ${LARGE}`, ...headers)).send(Buffer.alloc(LARGE));
    const answer = await connection.answer();
    expectProblem(answer, status, code);
    expect(answer.headers.connection).toBe('close');
    connection.destroy();
  });

  it('reaches a client that only reads once it has sent all', async () => {
    const connection = await RawConnection.open(daemon.port);
    connection.socket.pause();
    const size = 8 * MIB;
    await new Promise((resolve) => {
      connection.socket.write(head(`PUT ${NOWHERE}`, `Content-Length: ${size}`));
      connection.socket.write(Buffer.alloc(size), resolve);
    });
    await sleep(50);
    connection.socket.resume();
    expectProblem(await connection.answer(), 404, 'REGION_NOT_FOUND');
    connection.destroy();
  });

  it('reaches a client of node:http', async () => {
    const status = await new Promise((resolve, reject) => {
      const upload = httpRequest(
        `${daemon.url}${REGIONS}`,
        { method: 'POST', headers: { 'content-length': 101 * MIB } },
        (response) => {
          resolve(response.statusCode);
          upload.destroy();
        },
      );
      upload.on('error', reject);
      upload.write(Buffer.alloc(MIB));
    });
    expect(status).toBe(413);
  });
});

describe('a refusal of a small body', () => {
  it.each(refusals(20))(
    'keeps the connection usable: $what ($status)',
    async ({ line, headers, status, code }) => {
      const connection = await RawConnection.open(daemon.port);
      for (const isLate of [false, true]) {
        connection.send(head(line(), 'Content-Length: 20', ...headers));
        if (!isLate) connection.send('12345678901234567890');
        expectProblem(await connection.answer(), status, code);
        if (isLate) connection.send('12345678901234567890');
        const next: Answer = await connection.send(head(`GET ${place}`)).answer();
        expect(next.bytes.toString()).toBe('abcdefghij');
      }
      connection.destroy();
    },
  );
});

describe('a client that expects 100-continue', () => {
  it.each(largeRefusals)(
    'is not asked for the body: $what ($status)',
    async ({ line, headers, status, code }) => {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head(line(), `Content-Length: ${LARGE}`, 'Expect: 100-continue', ...headers));
      // The first answer is the last: there is no 100 before it.
      const answer = await connection.answer();
      expectProblem(answer, status, code);
      expect(answer.headers.connection).toBe('close');
      await connection.closed();
      expect(connection.unread).toBe('');
    },
  );

  it.each([
    { what: 'POST', line: () => `POST ${REGIONS}`, headers: [], body: 'ef', status: 201 },
    { what: 'PUT', line: () => `PUT ${place}?offset=4`, headers: [], body: 'ef', status: 204 },
    {
      what: 'persist',
      line: () => `POST ${place}/persist`,
      headers: ['Content-Type: application/json'],
      body: '{}',
      status: 204,
    },
  ])('is asked for the body of a $what once all else is right', async ({ line, headers, body, status }) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(line(), 'Content-Length: 2', 'Expect: 100-continue', ...headers));
    expect((await connection.answer()).status).toBe(100);
    const answer = await connection.send(body).answer();
    expect(answer.status).toBe(status);
    if (status === 201) await daemon.call('DELETE', String(answer.headers.location));
    expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
    connection.destroy();
  });

  it('is not asked for a body that the route does not read, nor by HTTP/1.0', async () => {
    for (const request of [
      head('GET /healthz', 'Content-Length: 5', 'Expect: 100-continue'),
      'GET /healthz HTTP/1.0\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n',
    ]) {
      const connection = await RawConnection.open(daemon.port);
      const answer = await connection.send(request).answer();
      expect(answer.status).toBe(200);
      expect(answer.headers.connection).toBe('close');
      await connection.closed();
    }
  });
});

it('an expectation that is unknown means nothing', async () => {
  const answer = await daemon.call('GET', '/healthz');
  expect(answer.status).toBe(200);
  const connection = await RawConnection.open(daemon.port);
  expect((await connection.send(head('GET /healthz', 'Expect: miracles')).answer()).status).toBe(200);
  connection.destroy();
});
