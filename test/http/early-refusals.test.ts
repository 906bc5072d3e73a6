/** Refusals while the body is still to come: the client gets to read them, and is not made to send what nobody wants. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request as httpRequest } from 'node:http';
import { gates, openGates } from '../fixtures/gated-library.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  turns,
  type Answer,
  type RunningDaemon,
} from './running-daemon.js';

const MIB = 2 ** 20;
/** Far more than the system takes of a body that nobody reads. */
const LARGE_BYTES = 24 * MIB;
const REGIONS = '/v1/providers/store/regions';
const NOWHERE = `${REGIONS}/${'0'.repeat(32)}`;

let daemon: RunningDaemon;
/** A region `abcdefghij`. */
let place: string;

beforeAll(async () => {
  daemon = await runDaemon({
    http: { max_body_bytes: 100 * MIB },
    gated: true,
    providers: [memoryStore('store', 42), memoryStore('full', 7, { max_bytes: 0 }), gatedStore('gated', 8)],
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
  /** Bytes of the body. */
  size: number;
  /** The head of the request. */
  headWith: (...more: string[]) => string;
  status: number;
  code: string;
}

/** Requests with a body of that size that are refused before it is read. */
function refusals(size: number): Refusal[] {
  const of = (
    what: string,
    line: () => string,
    status: number,
    code: string,
    ...headers: string[]
  ): Refusal => ({
    what,
    size,
    headWith: (...more) => head(line(), `Content-Length: ${size}`, ...headers, ...more),
    status,
    code,
  });
  const json = 'Content-Type: application/json';
  const list = [
    of('a region that is not there', () => `PUT ${NOWHERE}`, 404, 'REGION_NOT_FOUND'),
    of('an unknown provider', () => 'POST /v1/providers/nosuch/regions', 404, 'PROVIDER_NOT_FOUND'),
    of('an unknown path', () => 'POST /nowhere', 404, 'ROUTE_NOT_FOUND'),
    of('an unknown path, for JSON', () => 'POST /nowhere', 404, 'ROUTE_NOT_FOUND', json),
    of('another method', () => `POST ${place}`, 405, 'METHOD_NOT_ALLOWED'),
    of('an offset past the end', () => `PUT ${place}?offset=11`, 416, 'OUT_OF_RANGE'),
    of('an offset that is none', () => `PUT ${place}?offset=x`, 400, 'INVALID_ARGUMENT'),
    of('another ?size=', () => `POST ${REGIONS}?size=${size + 1}`, 400, 'INVALID_ARGUMENT'),
    of('a target that is full', () => 'POST /v1/providers/full/regions', 507, 'OUT_OF_SPACE'),
    of('an encoded body', () => `POST ${REGIONS}`, 415, 'UNSUPPORTED_MEDIA_TYPE', 'Content-Encoding: gzip'),
    of('a foreign page', () => `POST ${REGIONS}`, 403, 'FORBIDDEN', 'Origin: https://evil.example'),
    of(
      'text for JSON',
      () => `POST ${place}/persist`,
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      'Content-Type: text/plain',
    ),
  ];
  if (size > MIB) list.push(of('much JSON', () => `POST ${place}/persist`, 413, 'BODY_TOO_LARGE', json));
  return list;
}

const small = refusals(20);
const large = refusals(LARGE_BYTES);

describe('a refusal of a large body that is on its way', () => {
  it.each(large)('reaches the client: $what ($status)', async ({ headWith, size, status, code }) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(headWith()).send(Buffer.alloc(size));
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
    // All is sent; whatever the daemon does about it, it has done before the client reads.
    await turns();
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
  it.each(small)('keeps the connection usable: $what ($status)', async ({ headWith, status, code }) => {
    const connection = await RawConnection.open(daemon.port);
    for (const isLate of [false, true]) {
      connection.send(headWith());
      if (!isLate) connection.send('12345678901234567890');
      expectProblem(await connection.answer(), status, code);
      if (isLate) connection.send('12345678901234567890');
      const next: Answer = await connection.send(head(`GET ${place}`)).answer();
      expect(next.bytes.toString()).toBe('abcdefghij');
    }
    connection.destroy();
  });
});

describe('a failure in the middle of a body', () => {
  it('reaches a client that only reads once it has sent all', async () => {
    const size = 8 * MIB;
    const { connection, erased } = await eraseWhileWritten(size);
    connection.socket.pause();
    await new Promise((resolve) => connection.socket.write(Buffer.alloc(size - 10), resolve));
    expect((await erased).status).toBe(204);
    connection.socket.resume();
    expectProblem(await connection.answer(), 404, 'REGION_NOT_FOUND');
    connection.destroy();
  });

  it('keeps the connection usable if the body is small', async () => {
    const { connection, erased } = await eraseWhileWritten(20);
    expect((await erased).status).toBe(204);
    connection.send('12345');
    expectProblem(await connection.answer(), 404, 'REGION_NOT_FOUND');
    connection.send('67890');
    expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
    connection.destroy();
  });

  /** Begins to overwrite a region with ten bytes of more, and erases it meanwhile. */
  async function eraseWhileWritten(
    size: number,
  ): Promise<{ connection: RawConnection; erased: Promise<Answer> }> {
    const victim = await daemon.regionOf(Buffer.alloc(size), 'gated');
    const connection = await RawConnection.open(daemon.port);
    gates.write.shut();
    connection.send(head(`PUT ${victim}`, `Content-Length: ${size}`)).send('1234567890');
    await gates.write.arrivals(1);
    const erased = daemon.call('DELETE', victim);
    erased.then(openGates, openGates);
    return { connection, erased };
  }
});

describe('a client that expects 100-continue', () => {
  it.each([...large, ...small])(
    'is not asked for the $size bytes of its body: $what ($status)',
    async ({ headWith, status, code }) => {
      const connection = await RawConnection.open(daemon.port);
      connection.send(headWith('Expect: 100-continue'));
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
  const connection = await RawConnection.open(daemon.port);
  expect((await connection.send(head('GET /healthz', 'Expect: miracles')).answer()).status).toBe(200);
  connection.destroy();
});
