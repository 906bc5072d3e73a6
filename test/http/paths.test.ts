/** Where requests lead: unknown places, operations that a place does not have, and targets that try to be something else. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, memoryStore, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';
const NAMES = '/v1/providers/store/names';
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
    ['GET', '/index.html'],
    ['GET', '/healthz/'],
    ['GET', '/HEALTHZ'],
    ['GET', '/openapiXjson'],
    ['GET', '//healthz'],
    ['GET', '/v1'],
    ['GET', '/v1/providers/'],
    ['GET', '/v1/providers/store/nosuch/'],
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
    ['POST', '/healthz', 'GET, HEAD, OPTIONS'],
    ['DELETE', '/v1/config', 'GET, HEAD, OPTIONS'],
    ['GET', '/v1/shutdown', 'OPTIONS, POST'],
    ['PUT', REGIONS, 'GET, HEAD, OPTIONS, POST'],
    ['DELETE', REGIONS, 'GET, HEAD, OPTIONS, POST'],
    ['POST', `${REGIONS}/${SOME_ID}`, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
    ['POST', `${NAMES}/a/b?x=1`, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
    ['PUT', NAMES, 'GET, HEAD, OPTIONS'],
    ['GET', '/v1/providers/store/transactions', 'OPTIONS, POST'],
    ['PATCH', REGIONS, 'GET, HEAD, OPTIONS, POST'],
    ['POST', '/v1/operations', 'GET, HEAD, OPTIONS'],
    ['POST', '/v1/operations/x', 'DELETE, GET, HEAD, OPTIONS'],
    ['GET', `${REGIONS}/${SOME_ID}/persist`, 'OPTIONS, POST'],
    ['PROPFIND', '/v1/providers', 'GET, HEAD, OPTIONS, POST'],
    ['GET', '/v1/providers/store', 'DELETE, OPTIONS, PATCH'],
  ])('%s %s', async (method, path, allowed) => {
    const answer = await daemon.call(method, path, method === 'POST' ? { body: 'x' } : {});
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
    expect(String(answer.headers.allow).split(', ').sort().join(', ')).toBe(allowed);
  });
});

it.each([
  [`${REGIONS}/${SOME_ID}`, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
  [`${NAMES}/a//b/`, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
  ['/healthz', 'GET, HEAD, OPTIONS'],
])('OPTIONS %s answers with the methods that are allowed', async (path, allowed) => {
  const answer = await daemon.call('OPTIONS', path);
  expect(answer.status).toBe(204);
  expect(String(answer.headers.allow).split(', ').sort().join(', ')).toBe(allowed);
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

describe('a path', () => {
  let connection: RawConnection;

  beforeAll(async () => {
    connection = await RawConnection.open(daemon.port);
  });
  afterAll(async () => {
    // The same connection all along: no answer has cost it, and none has made anything.
    expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
    connection.destroy();
    expect(await daemon.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
  });

  it.each([
    ['/v1/providers/store/regions/..', 404, 'REGION_NOT_FOUND'],
    ['/v1/providers/store/regions/%2e%2e', 404, 'REGION_NOT_FOUND'],
    ['/v1/providers/store/regions/../../../healthz', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/../../healthz', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/nosuch/counters', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/store/', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/store//', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/store/counters', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/nosuch/names', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/nosuch/names/a/b', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/store/regions/x/y', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/%2e%2e/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/%2e%2e%2fetc%2fpasswd/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers//stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers//regions', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1//providers', 404, 'ROUTE_NOT_FOUND'],
    ['//healthz', 404, 'ROUTE_NOT_FOUND'],
    ['/./healthz', 404, 'ROUTE_NOT_FOUND'],
    ['/healthz/.', 404, 'ROUTE_NOT_FOUND'],
    ['/healthz%00', 404, 'ROUTE_NOT_FOUND'],
    ['/healthz;x=1', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/store%00/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/store%2fregions', 405, 'METHOD_NOT_ALLOWED'],
    ['/v1/providers/store%2Fstats', 405, 'METHOD_NOT_ALLOWED'],
    ['/v1/providers/%73tore%/stats', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/%zz/stats', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/%ff/stats', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/%c0%ae/stats', 400, 'INVALID_ARGUMENT'],
    ['/%', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/constructor/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/:provider/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/v1/providers/*/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['/*', 404, 'ROUTE_NOT_FOUND'],
    ['*', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/<script>/stats', 404, 'PROVIDER_NOT_FOUND'],
    ['http://localhost/v1/nowhere', 404, 'ROUTE_NOT_FOUND'],
    ['http://localhost/index.html', 404, 'ROUTE_NOT_FOUND'],
    [`${REGIONS}/${SOME_ID}%20`, 404, 'REGION_NOT_FOUND'],
    [`${REGIONS}/${SOME_ID}?`, 404, 'REGION_NOT_FOUND'],
    [`${REGIONS}/${SOME_ID}#x`, 400, 'INVALID_ARGUMENT'],
  ])('%s leads nowhere: %i %s', async (path, status, code) => {
    expectProblem(await connection.send(head(`GET ${path}`)).answer(), status, code);
  });

  it('of a provider with a name of 2000 letters leads nowhere, whatever the letters', async () => {
    for (const letter of ['x', '%2e', '%F0%9F%98%80']) {
      const name = letter.repeat(2000 / letter.length);
      const answer = await connection.send(head(`GET /v1/providers/${name}/stats`)).answer();
      expectProblem(answer, 404, 'PROVIDER_NOT_FOUND');
    }
  });

  it('of 15 000 letters leads nowhere', async () => {
    const letters = 'x'.repeat(15_000);
    for (const [path, status, code] of [
      [`/${letters}`, 404, 'ROUTE_NOT_FOUND'],
      [`/${'a/'.repeat(7000)}`, 404, 'ROUTE_NOT_FOUND'],
      [`${REGIONS}/${letters}`, 400, 'INVALID_ARGUMENT'],
      [`${REGIONS}?limit=${'1'.repeat(15_000)}`, 400, 'INVALID_ARGUMENT'],
      [`${REGIONS}?${'limit=1&'.repeat(1800)}`, 400, 'INVALID_ARGUMENT'],
    ] as const) {
      expectProblem(await connection.send(head(`GET ${path}`)).answer(), status, code);
    }
  });

  it('in the absolute form leads where the path leads', async () => {
    for (const url of ['http://localhost/healthz', `HTTP://localhost:${daemon.port}/healthz?`]) {
      expect((await connection.send(head(`GET ${url}`)).answer()).status).toBe(200);
    }
    const answer = await connection.send(head('DELETE http://localhost/healthz')).answer();
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED');
  });

  it('with escaped letters is the path of these letters', async () => {
    expect((await connection.send(head('GET /%68ealthz')).answer()).status).toBe(200);
    expect((await connection.send(head('GET /v1/providers/%73tore/stats')).answer()).status).toBe(200);
  });

  it('with raw bytes beyond ASCII leads nowhere', async () => {
    const other = await RawConnection.open(daemon.port);
    const answer = await other.send(head('GET /v1/providers/st\xf6re/stats')).answer();
    expect([400, 404]).toContain(answer.status);
    other.destroy();
  });
});
