/** What is too large: bodies, headers, regions, writes past the end. */
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, memoryStore, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;
let place: string;

beforeAll(async () => {
  daemon = await runDaemon({
    http: { max_body_bytes: 1000, max_json_body_bytes: 500, max_header_bytes: 4096 },
    providers: [memoryStore('store', 42), memoryStore('small', 7, { max_bytes: 100 })],
  });
});
beforeEach(async () => {
  place = await daemon.regionOf(Buffer.from('abcdefghij'));
});
afterEach(async () => {
  expect((await daemon.call('GET', place)).bytes.toString()).toBe('abcdefghij');
  expect((await daemon.call('DELETE', place)).status).toBe(204);
  expect(await daemon.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
});
afterAll(closeDaemons);

describe('BODY_TOO_LARGE (413)', () => {
  it('answers a region body beyond max_body_bytes', async () => {
    const body = Buffer.alloc(1001);
    expectProblem(await daemon.call('POST', REGIONS, { body }), 413, 'BODY_TOO_LARGE');
    expectProblem(await daemon.call('PUT', place, { body }), 413, 'BODY_TOO_LARGE');
  });

  it('answers a chunked body that ?size= says is beyond it', async () => {
    for (const line of [`POST ${REGIONS}?size=1001`, `PUT ${place}?size=9007199254740991`]) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head(line, 'Transfer-Encoding: chunked'));
      expectProblem(await connection.answer(), 413, 'BODY_TOO_LARGE');
      connection.destroy();
    }
  });

  it('does not answer a body of exactly max_body_bytes, nor a larger region without a body', async () => {
    for (const [path, body] of [
      [REGIONS, Buffer.alloc(1000)],
      [`${REGIONS}?size=5000`, undefined],
    ] as const) {
      const answer = await daemon.call('POST', path, body === undefined ? {} : { body });
      expect(answer.status).toBe(201);
      await daemon.call('DELETE', String(answer.headers.location));
    }
  });

  it('answers a JSON body beyond max_json_body_bytes, with its length announced or not', async () => {
    const headers = { 'content-type': 'application/json' };
    const path = `${place}/persist`;
    const body = (size: number): string => `${'{"ranges":['.padEnd(size - 2)}]}`;
    expect((await daemon.call('POST', path, { headers, body: body(500) })).status).toBe(204);
    expectProblem(await daemon.call('POST', path, { headers, body: body(501) }), 413, 'BODY_TOO_LARGE');
    const pieces = Readable.from([body(501).slice(0, 250), body(501).slice(250)]);
    expectProblem(await daemon.call('POST', path, { headers, body: pieces }), 413, 'BODY_TOO_LARGE');
  });
});

describe('OUT_OF_RANGE (416)', () => {
  it.each([
    ['', 11],
    ['?offset=5', 6],
    ['?offset=10', 1],
    ['?offset=11', 0],
    ['?offset=9007199254740991', 1],
  ])('answers a PUT past the end, which changes nothing: %s with %i bytes', async (query, size) => {
    const answer = await daemon.call('PUT', `${place}${query}`, {
      body: Buffer.alloc(size, '#'),
      headers: { 'content-length': String(size) },
    });
    expectProblem(answer, 416, 'OUT_OF_RANGE');
    expect(answer.headers['content-range']).toBe('bytes */10');
  });

  it('answers persist of ranges past the end', async () => {
    const headers = { 'content-type': 'application/json' };
    for (const range of [
      { offset: 0, size: 11 },
      { offset: 11, size: 0 },
      { offset: 1, size: Number.MAX_SAFE_INTEGER },
    ]) {
      const body = JSON.stringify({ ranges: [{ offset: 0, size: 1 }, range] });
      expectProblem(await daemon.call('POST', `${place}/persist`, { headers, body }), 416, 'OUT_OF_RANGE');
    }
  });
});

describe('HEADERS_TOO_LARGE (431)', () => {
  it.each([
    ['one large header', () => head('GET /healthz', `X: ${'x'.repeat(5000)}`)],
    ['many headers', () => head('GET /healthz', ...Array.from({ length: 500 }, (_, n) => `X-${n}: xxxxx`))],
    ['a long URL', () => head(`GET /healthz?${'x'.repeat(5000)}`)],
    ['a header that does not end', () => `GET /healthz HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`],
  ])('answers %s, and the client gets to read it', async (_what, text) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(text());
    expectProblem(await connection.answer(), 431, 'HEADERS_TOO_LARGE');
    connection.socket.end();
    await connection.closed();
  });

  it('does not answer headers within max_header_bytes', async () => {
    const answer = await daemon.call('GET', '/healthz', { headers: { x: 'x'.repeat(3500) } });
    expect(answer.status).toBe(200);
  });
});

describe('OUT_OF_SPACE (507)', () => {
  const SMALL = '/v1/providers/small/regions';

  it('answers a region that does not fit, and takes none of the space', async () => {
    const first = await daemon.regionOf(Buffer.alloc(60), 'small');
    for (const answer of [
      await daemon.call('POST', `${SMALL}?size=41`),
      await daemon.call('POST', SMALL, { body: Buffer.alloc(41) }),
      await daemon.call('POST', `${SMALL}?size=9007199254740991`),
    ]) {
      expectProblem(answer, 507, 'OUT_OF_SPACE');
      expect(answer.json()).toMatchObject({ details: { used: 60, free: 40, largestFree: 40 } });
    }
    expect(await daemon.stats('small')).toMatchObject({ regions: 1, usedBytes: 60 });
    expect((await daemon.call('POST', `${SMALL}?size=40`)).status).toBe(201);
    expect((await daemon.call('DELETE', first)).status).toBe(204);
    expect((await daemon.call('POST', SMALL, { body: Buffer.alloc(60) })).status).toBe(201);
  });
});
