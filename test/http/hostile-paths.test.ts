/** Request targets that try to be something else. Nothing but the registered paths leads anywhere. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, expectProblem, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';
const SOME_ID = '0'.repeat(32);

let daemon: RunningDaemon;
let connection: RawConnection;
let place: string;

beforeAll(async () => {
  daemon = await runDaemon();
  connection = await RawConnection.open(daemon.port);
  place = await daemon.regionOf(Buffer.from('abcdefghij'));
});
afterEach(async () => {
  // The same connection all along: no answer costs it.
  expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
  expect((await connection.send(head(`GET ${place}`)).answer()).bytes.toString()).toBe('abcdefghij');
  expect(await daemon.stats()).toMatchObject({ regions: 1, usedBytes: 10 });
});
afterAll(async () => {
  connection.destroy();
  await closeDaemons();
});

describe('a path', () => {
  it.each([
    ['/v1/providers/store/regions/..', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/store/regions/%2e%2e', 400, 'INVALID_ARGUMENT'],
    ['/v1/providers/store/regions/../../../healthz', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/../../healthz', 404, 'ROUTE_NOT_FOUND'],
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
    ['/v1/providers/store%2fregions', 404, 'ROUTE_NOT_FOUND'],
    ['/v1/providers/store%2Fstats', 404, 'ROUTE_NOT_FOUND'],
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
    ['http://localhost', 404, 'ROUTE_NOT_FOUND'],
    [`${REGIONS}/${SOME_ID}%20`, 400, 'INVALID_ARGUMENT'],
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
