/** Places that do not exist, and operations that a place does not have. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeDaemons, expectProblem, memoryStore, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';
const SOME_ID = '0'.repeat(32);

let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({
    providers: [
      memoryStore('store', 42),
      memoryStore('other', 7),
      { name: 'empty', type: 'gated_service', provider_id: 9 },
    ],
    gated: true,
  });
});
afterAll(closeDaemons);

describe('not found (404) answers', () => {
  it.each(['nosuch', '41', '042', '4.2e1', 'STORE', '%00', 'store%2f', '__proto__'])(
    'a provider that does not run: %s',
    async (name) => {
      const base = `/v1/providers/${name}`;
      for (const [method, path] of [
        ['GET', '/stats'],
        ['GET', '/regions'],
        ['POST', '/regions?size=1'],
        ['GET', `/regions/${SOME_ID}`],
        ['DELETE', `/regions/${SOME_ID}`],
        ['POST', `/regions/${SOME_ID}/persist`],
      ] as const) {
        expectProblem(await daemon.call(method, `${base}${path}`), 404, 'PROVIDER_NOT_FOUND');
      }
    },
  );

  it('an ID of no region', async () => {
    const foreign = (await daemon.regionOf(Buffer.from('x'), 'other')).split('/').pop() ?? '';
    for (const id of [SOME_ID, 'f'.repeat(32), foreign]) {
      const path = `${REGIONS}/${id}`;
      expectProblem(await daemon.call('GET', path), 404, 'REGION_NOT_FOUND');
      expectProblem(await daemon.call('PUT', path, { body: 'x' }), 404, 'REGION_NOT_FOUND');
      expectProblem(await daemon.call('DELETE', path), 404, 'REGION_NOT_FOUND');
      expectProblem(await daemon.call('POST', `${path}/persist`), 404, 'REGION_NOT_FOUND');
      expectProblem(await daemon.call('GET', `${REGIONS}?after=${id}`), 404, 'REGION_NOT_FOUND');
      expect((await daemon.call('HEAD', path)).status).toBe(404);
    }
  });

  it.each([
    ['GET', '/'],
    ['GET', '/healthz/'],
    ['GET', '/HEALTHZ'],
    ['GET', '/openapiXjson'],
    ['GET', '//healthz'],
    ['GET', '/v1'],
    ['GET', '/v1/providers/'],
    ['GET', '/v1/providers/store'],
    ['POST', '/v1/providers/store/regions/'],
    ['POST', `${REGIONS}/${SOME_ID}/persist/x`],
    ['PUT', '/v1/nosuch'],
  ])('a path that is not served: %s %s', async (method, path) => {
    const options = method === 'GET' ? {} : { body: '{}', headers: { 'content-type': 'application/json' } };
    expectProblem(await daemon.call(method, path, options), 404, 'ROUTE_NOT_FOUND');
  });
});

describe('METHOD_NOT_ALLOWED (405) answers, with those that are allowed,', () => {
  it.each([
    ['POST', '/healthz', 'GET, HEAD'],
    ['DELETE', '/v1/config', 'GET, HEAD'],
    ['GET', '/v1/shutdown', 'POST'],
    ['PUT', REGIONS, 'GET, HEAD, POST'],
    ['DELETE', REGIONS, 'GET, HEAD, POST'],
    ['POST', `${REGIONS}/${SOME_ID}`, 'DELETE, GET, HEAD, PUT'],
    ['PATCH', `${REGIONS}/${SOME_ID}?offset=1`, 'DELETE, GET, HEAD, PUT'],
    ['OPTIONS', `${REGIONS}/${SOME_ID}`, 'DELETE, GET, HEAD, PUT'],
    ['GET', `${REGIONS}/${SOME_ID}/persist`, 'POST'],
    ['PROPFIND', '/v1/providers', 'GET, HEAD'],
  ])('%s %s', async (method, path, allowed) => {
    const answer = await daemon.call(method, path, method === 'POST' ? { body: 'x' } : {});
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
    expect(String(answer.headers.allow).split(', ').sort().join(', ')).toBe(allowed);
  });
});

describe('NOT_SUPPORTED (501) answers', () => {
  it('what a provider without targets is asked for', async () => {
    for (const [method, path] of [
      ['GET', '/stats'],
      ['GET', '/regions'],
      ['POST', '/regions?size=1'],
      ['GET', `/regions/${SOME_ID}`],
    ] as const) {
      expectProblem(await daemon.call(method, `/v1/providers/empty${path}`), 501, 'NOT_SUPPORTED');
    }
  });
});
