/** Parameters that mean nothing: each gets INVALID_ARGUMENT. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  closeDaemons,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  type RunningDaemon,
} from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';
const SOME_ID = '0'.repeat(32);

let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({
    providers: [memoryStore('store', 42), gatedStore('unnamed', 7)],
    gated: true,
  });
});
afterEach(async () => {
  expect(await daemon.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
});
afterAll(closeDaemons);

describe('INVALID_ARGUMENT (400) answers', () => {
  const NO_NUMBERS = [
    '-1',
    '1.5',
    '0x10',
    '1e3',
    '',
    '+1',
    '%201',
    '1%20',
    '1_000',
    'NaN',
    '٣',
    '9007199254740992',
    '99999999999999999999',
  ];
  const NUMBER_PARAMETERS = [
    ['POST', REGIONS, 'size'],
    ['POST', REGIONS, 'target'],
    ['GET', REGIONS, 'limit'],
    ['GET', '/v1/providers/store/stats', 'target'],
    ['PUT', `${REGIONS}/${SOME_ID}`, 'offset'],
    ['PUT', `${REGIONS}/${SOME_ID}`, 'size'],
  ] as const;
  const cases = NUMBER_PARAMETERS.flatMap(([method, path, name]) =>
    NO_NUMBERS.map((text) => [method, path, name, text] as const),
  );

  it.each(cases)(
    '%s %s to ?%s=%s, which is no number that can be meant',
    async (method, path, name, text) => {
      expectProblem(await daemon.call(method, `${path}?${name}=${encodeURI(text)}`), 400, 'INVALID_ARGUMENT');
    },
  );

  it.each([
    ['GET', `${REGIONS}?limit=1&limit=1`],
    ['POST', `${REGIONS}?size=1&size=1`],
    ['GET', `${REGIONS}/${SOME_ID}?target=0&target=0`],
    ['POST', `${REGIONS}?size=1&persist=true&persist=true`],
  ])('a parameter that comes twice: %s %s', async (method, path) => {
    expectProblem(await daemon.call(method, path), 400, 'INVALID_ARGUMENT');
  });

  it.each([
    ['GET', '/healthz?x=1'],
    ['GET', '/v1/config?x'],
    ['GET', '/v1/providers?target=0'],
    ['POST', '/v1/shutdown?now=true'],
    ['GET', '/v1/providers/store/stats?Target=0'],
    ['GET', `${REGIONS}?size=1`],
    ['POST', `${REGIONS}?size=1&Size=1`],
    ['POST', `${REGIONS}?size=1&__proto__=1`],
    ['POST', `${REGIONS}?size=1&constructor=1`],
    ['POST', `${REGIONS}?size[]=1`],
    ['DELETE', `${REGIONS}/${SOME_ID}?force=true`],
    ['HEAD', `${REGIONS}/${SOME_ID}?offset=0`],
    ['PUT', `${REGIONS}/${SOME_ID}?from=0`],
    ['POST', `${REGIONS}/${SOME_ID}/persist?offset=0`],
  ])('a parameter that the route does not have: %s %s', async (method, path) => {
    const answer = await daemon.call(method, path);
    expect(answer.status).toBe(400);
    if (method !== 'HEAD') expectProblem(answer, 400, 'INVALID_ARGUMENT');
  });

  it.each(['yes', '1', 'TRUE', ''])('?persist=%s, which is neither true nor false', async (text) => {
    expectProblem(await daemon.call('POST', `${REGIONS}?size=1&persist=${text}`), 400, 'INVALID_ARGUMENT');
  });

  it.each(['0', '10001', '9007199254740991'])('?limit=%s, which is out of bounds', async (limit) => {
    expectProblem(await daemon.call('GET', `${REGIONS}?limit=${limit}`), 400, 'INVALID_ARGUMENT');
  });

  it.each([
    'x',
    '0',
    '0'.repeat(31),
    '0'.repeat(33),
    `${'0'.repeat(31)}g`,
    `${'0'.repeat(31)}%00`,
    `${'0'.repeat(32)}%0a`,
    '%2F',
  ])('a region ID that is none, where regions have no names: %s', async (id) => {
    const regions = REGIONS.replace('store', 'unnamed');
    expectProblem(await daemon.call('DELETE', `${regions}/${id}`), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('PUT', `${regions}/${id}`, { body: 'x' }), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('POST', `${regions}/${id}/persist`), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('GET', `${regions}?after=${id}`), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('GET', `${REGIONS}?after=${id}`), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('GET', `${REGIONS}/${id}`), 404, 'REGION_NOT_FOUND');
  });

  it('a target that the provider does not have', async () => {
    expectProblem(await daemon.call('GET', `${REGIONS}?target=1`), 400, 'INVALID_ARGUMENT');
    expectProblem(await daemon.call('POST', `${REGIONS}?target=1&size=1`), 400, 'INVALID_ARGUMENT');
    expectProblem(
      await daemon.call('GET', '/v1/providers/store/stats?target=9007199254740991'),
      400,
      'INVALID_ARGUMENT',
    );
  });

  it.each([
    ['GET', '/v1/providers/store/stats?tarrget=0', '', ['?tarrget', 'target']],
    ['POST', `${REGIONS}?size=-1`, '', ['?size', '"-1"', 'whole number']],
    ['POST', `${REGIONS}?size=1&persist=yes`, '', ['?persist', '"yes"', '"true"', '"false"']],
    ['POST', `${REGIONS}/${SOME_ID}/persist`, '{"range":[]}', ['$.range', 'ranges']],
    ['POST', `${REGIONS}/${SOME_ID}/persist`, '{"ranges":[{"size":1}]}', ['$.ranges[0].offset', 'integer']],
  ])(
    '%s %s %s naming the place, and what was found or is allowed there',
    async (method, path, body, words) => {
      const headers = { 'content-type': 'application/json' };
      const answer = await daemon.call(method, path, body === '' ? {} : { body, headers });
      expectProblem(answer, 400, 'INVALID_ARGUMENT');
      const { detail } = answer.json() as { detail: string };
      for (const word of words) expect(detail).toContain(word);
    },
  );
});
