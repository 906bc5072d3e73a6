/** Every answer tells a browser to guess nothing, to load nothing and to show it in no page. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { RawConnection } from './raw-connection.js';
import { closeDaemons, runDaemon, type RunningDaemon } from './running-daemon.js';

const EXPECTED = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};
const ORIGIN = 'https://console.example';

let daemon: RunningDaemon;
let region: string;
beforeAll(async () => {
  daemon = await runDaemon({ http: { allowed_origins: [ORIGIN] } });
  region = await daemon.regionOf(Buffer.alloc(2 ** 21));
});
afterAll(closeDaemons);

it.each<[string, string, () => string, Record<string, string>]>([
  ['a small read', 'GET', () => region, { range: 'bytes=0-9' }],
  ['a large read', 'GET', () => region, {}],
  ['a small write', 'PUT', () => region, {}],
  ['metrics', 'GET', () => '/metrics', {}],
  ['JSON', 'GET', () => '/v1/providers', {}],
  ['a head', 'HEAD', () => region, {}],
  ['what is not there', 'GET', () => '/nothing', {}],
  ['a foreign page', 'GET', () => '/healthz', { origin: 'https://evil.example' }],
  ['an allowed page', 'GET', () => '/healthz', { origin: ORIGIN }],
  ['a preflight', 'OPTIONS', () => region, { origin: ORIGIN, 'access-control-request-method': 'PUT' }],
])('%s', async (_what, method, path, headers) => {
  const answer = await daemon.call(method, path(), {
    headers,
    ...(method === 'PUT' && { body: Buffer.from('few') }),
  });
  expect(answer.headers).toMatchObject(EXPECTED);
});

it('input that is no request', async () => {
  const connection = await RawConnection.open(daemon.port);
  connection.send('nonsense\r\n\r\n');
  expect((await connection.answer()).headers).toMatchObject(EXPECTED);
});
