/** What browsers are told of pages of other sites: all of allowed origins, nothing of others. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeDaemons, expectProblem, runDaemon, type Answer, type RunningDaemon } from './running-daemon.js';

const ORIGIN = 'https://console.example';
const FOREIGN = 'https://evil.example';
const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;
let plain: RunningDaemon;
let region: string;

beforeAll(async () => {
  daemon = await runDaemon({ http: { allowed_origins: [`${ORIGIN}/`, 'http://other.example:8080'] } });
  plain = await runDaemon();
  region = await daemon.regionOf(Buffer.from('contents'));
});
afterAll(closeDaemons);

const corsOf = ({ headers }: Answer): string[] =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

function preflight(to: RunningDaemon, origin: string, method = 'PUT', path = region): Promise<Answer> {
  return to.call('OPTIONS', path, {
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'content-type,range,x-anything',
    },
  });
}

describe('a page of an allowed origin', () => {
  it.each(['PUT', 'POST', 'DELETE', 'GET'])(
    'may send %s, with the headers that it asks for',
    async (method) => {
      const answer = await preflight(daemon, ORIGIN, method);
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        'access-control-allow-origin': ORIGIN,
        'access-control-allow-headers': 'content-type,range,x-anything',
        vary: 'Origin',
      });
      expect(String(answer.headers['access-control-allow-methods']).split(', ')).toContain(method);
    },
  );

  it('may read the answers and their headers, on the fast path, behind it, and of errors', async () => {
    const headers = { origin: ORIGIN };
    for (const [method, path, status] of [
      ['GET', region, 200],
      ['GET', `${region}?target=0`, 200],
      ['HEAD', region, 200],
      ['PUT', region, 204],
      ['GET', '/v1/providers', 200],
      ['GET', `${REGIONS}/${'0'.repeat(32)}`, 404],
      ['GET', '/nowhere', 404],
      ['OPTIONS', region, 204],
    ] as const) {
      const answer = await daemon.call(method, path, { headers, ...(method === 'PUT' && { body: 'new' }) });
      expect([method, path, answer.status]).toEqual([method, path, status]);
      expect(answer.headers).toMatchObject({ 'access-control-allow-origin': ORIGIN, vary: 'Origin' });
      expect(String(answer.headers['access-control-expose-headers'])).toContain('Region-Created-At');
    }
  });

  it('may read a region that goes out in pieces', async () => {
    const large = await daemon.regionOf(Buffer.alloc(2 ** 20));
    const answer = await daemon.call('GET', large, { headers: { origin: ORIGIN } });
    expect(answer.bytes.length).toBe(2 ** 20);
    expect(answer.headers['access-control-allow-origin']).toBe(ORIGIN);
  });

  it('may be on a public site while the daemon is on a private network', async () => {
    const answer = await daemon.call('OPTIONS', region, {
      headers: {
        origin: ORIGIN,
        'access-control-request-method': 'GET',
        'access-control-request-private-network': 'true',
      },
    });
    expect(answer.headers['access-control-allow-private-network']).toBe('true');
  });

  it('still has to name this daemon as its host', async () => {
    const headers = { origin: ORIGIN, host: 'evil.example', 'access-control-request-method': 'PUT' };
    expectProblem(await daemon.call('OPTIONS', region, { headers }), 403, 'FORBIDDEN');
  });
});

describe('a page of another origin', () => {
  it.each([FOREIGN, 'null', `${ORIGIN}:444`, 'http://console.example'])(
    '%s is told nothing',
    async (origin) => {
      for (const to of [daemon, plain]) {
        const asked = await preflight(to, origin, 'PUT', REGIONS);
        expectProblem(asked, 403, 'FORBIDDEN');
        expect(corsOf(asked)).toEqual([]);
      }
      const read = await daemon.call('GET', region, { headers: { origin } });
      expectProblem(read, 403, 'FORBIDDEN');
      expect(corsOf(read)).toEqual([]);
    },
  );

  it('makes nothing by a request that browsers send without asking', async () => {
    const { regions, usedBytes } = await daemon.stats();
    const headers = { origin: FOREIGN, 'content-type': 'text/plain' };
    expectProblem(await daemon.call('POST', REGIONS, { headers, body: 'hello' }), 403, 'FORBIDDEN');
    expect(await daemon.stats()).toMatchObject({ regions, usedBytes });
  });
});

it('says nothing to those that are no pages', async () => {
  expect(corsOf(await daemon.call('GET', region))).toEqual([]);
  const answer = await plain.call('GET', '/healthz');
  expect(corsOf(answer)).toEqual([]);
  expect(answer.headers.vary).toBeUndefined();
});
