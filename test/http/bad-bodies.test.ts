/** Bodies that are not what was announced, or not what the route takes. None changes anything. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, runDaemon, type Answer, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;
/** A region `abcdefghij`. */
let place: string;

beforeAll(async () => {
  daemon = await runDaemon();
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

describe('INVALID_ARGUMENT (400) answers', () => {
  it('a Content-Length that ?size= contradicts', async () => {
    for (const size of [0, 4, 6]) {
      const options = { body: 'hello' };
      expectProblem(await daemon.call('POST', `${REGIONS}?size=${size}`, options), 400, 'INVALID_ARGUMENT');
      expectProblem(await daemon.call('PUT', `${place}?size=${size}`, options), 400, 'INVALID_ARGUMENT');
    }
    expectProblem(await daemon.call('PUT', `${place}?size=5`), 400, 'INVALID_ARGUMENT');
  });

  it.each([
    ['longer, in one piece', '3', ['0123456789']],
    ['longer, by a piece more', '5', ['01234', '5']],
    ['shorter', '11', ['0123456789']],
    ['empty', '1', []],
  ])('a chunked POST that turns out %s than ?size=', async (_how, size, pieces) => {
    expectProblem(await sendChunked('POST', `${REGIONS}?size=${size}`, pieces), 400, 'INVALID_ARGUMENT');
  });

  it.each([
    ['longer', '3', ['abc', 'XYZ']],
    ['longer, after it was complete', '5', ['abcde', 'XYZ', 'XYZ']],
    ['shorter', '7', ['abcdef']],
  ])('a chunked PUT that turns out %s than ?size=', async (_how, size, pieces) => {
    expectProblem(await sendChunked('PUT', `${place}?size=${size}`, pieces), 400, 'INVALID_ARGUMENT');
  });

  it('a PUT that says where to write in a Content-Range header', async () => {
    const options = { body: '#', headers: { 'content-range': 'bytes 3-3/10' } };
    expectProblem(await daemon.call('PUT', place, options), 400, 'INVALID_ARGUMENT');
  });

  it.each(['{', '{"ranges":[]', 'x', ' ', '\0', '{"ranges":[]}}', '{"__proto__":{"ranges":[]}}'])(
    'a body of persist that is no JSON: %j',
    async (body) => {
      const headers = { 'content-type': 'application/json' };
      expectProblem(
        await daemon.call('POST', `${place}/persist`, { body, headers }),
        400,
        'INVALID_ARGUMENT',
      );
    },
  );

  it.each([
    '[]',
    '1',
    '"x"',
    '{"ranges":{}}',
    '{"ranges":null}',
    '{"ranges":[{}]}',
    '{"ranges":[{"offset":0}]}',
    '{"ranges":[{"offset":-1,"size":1}]}',
    '{"ranges":[{"offset":0.5,"size":1}]}',
    '{"ranges":[{"offset":"0","size":1}]}',
    '{"ranges":[{"offset":0,"size":9007199254740992}]}',
    '{"ranges":[{"offset":0,"size":1e400}]}',
    '{"ranges":[{"offset":0,"size":1,"x":1}]}',
    '{"range":[]}',
  ])('a body of persist of another form: %s', async (body) => {
    const headers = { 'content-type': 'application/json' };
    expectProblem(await daemon.call('POST', `${place}/persist`, { body, headers }), 400, 'INVALID_ARGUMENT');
  });

  it('a body of a hundred thousand faults with one of them, not with all', async () => {
    const body = JSON.stringify({ ranges: Array<number>(60_000).fill(0) });
    const headers = { 'content-type': 'application/json' };
    const answer = await daemon.call('POST', `${place}/persist`, { body, headers });
    expectProblem(answer, 400, 'INVALID_ARGUMENT');
    expect(answer.bytes.length).toBeLessThan(1000);
  });
});

describe('UNSUPPORTED_MEDIA_TYPE (415) answers', () => {
  it.each(['gzip', 'deflate, br', 'GZIP', 'x'])(
    'a region body in the Content-Encoding %s',
    async (encoding) => {
      const options = { body: 'x', headers: { 'content-encoding': encoding } };
      expectProblem(await daemon.call('POST', REGIONS, options), 415, 'UNSUPPORTED_MEDIA_TYPE');
      expectProblem(await daemon.call('PUT', place, options), 415, 'UNSUPPORTED_MEDIA_TYPE');
    },
  );

  it('a region body in the Content-Encoding identity no more than one without', async () => {
    const options = { body: 'abc', headers: { 'content-encoding': 'Identity' } };
    expect((await daemon.call('PUT', place, options)).status).toBe(204);
  });

  it.each(['text/plain', 'application/octet-stream', 'application/x-www-form-urlencoded', 'x', undefined])(
    'a body of persist of the type %s',
    async (type) => {
      const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
      const options = { body: '{"ranges":[]}', headers };
      expectProblem(await daemon.call('POST', `${place}/persist`, options), 415, 'UNSUPPORTED_MEDIA_TYPE');
    },
  );
});

describe('NOT_SUPPORTED (501) answers', () => {
  it.each(['gzip, chunked', 'x'])('a Transfer-Encoding that is not decoded: %s', async (coding) => {
    const connection = await RawConnection.open(daemon.port);
    connection
      .send(head(`POST ${REGIONS}?size=1`, `Transfer-Encoding: ${coding}`))
      .send('1\r\nx\r\n0\r\n\r\n');
    expectProblem(await connection.answer(), 501, 'NOT_SUPPORTED');
    connection.destroy();
  });
});

describe('LENGTH_REQUIRED (411) answers', () => {
  it('a chunked body without ?size=', async () => {
    expectProblem(await sendChunked('POST', REGIONS, ['x']), 411, 'LENGTH_REQUIRED');
    expectProblem(await sendChunked('PUT', place, ['x']), 411, 'LENGTH_REQUIRED');
  });

  it('a request with neither a body nor a size', async () => {
    for (const line of [`POST ${REGIONS}`, `POST ${REGIONS}?persist=true`, `PUT ${place}`]) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head(line));
      expectProblem(await connection.answer(), 411, 'LENGTH_REQUIRED');
      connection.destroy();
    }
  });
});

async function sendChunked(method: string, path: string, pieces: string[]): Promise<Answer> {
  const connection = await RawConnection.open(daemon.port);
  connection.send(head(`${method} ${path}`, 'Transfer-Encoding: chunked'));
  for (const piece of pieces) connection.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
  connection.send('0\r\n\r\n');
  const answer = await connection.answer();
  connection.destroy();
  return answer;
}
