/** Who may call: the names of this daemon as Host, and pages of known origins. */
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RawConnection } from './raw-connection.js';
import { closeDaemons, expectProblem, runDaemon, type Answer, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

interface Asker {
  host?: string;
  origin?: string;
  method?: string;
  path?: string;
}

async function ask(daemon: RunningDaemon, asker: Asker, to = '127.0.0.1'): Promise<Answer> {
  const { method = 'GET', path = '/healthz', host = `127.0.0.1:${daemon.port}`, origin } = asker;
  const connection = await RawConnection.open({ port: daemon.port, host: to });
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`];
  if (origin !== undefined) lines.push(`Origin: ${origin}`);
  connection.send(`${lines.join('\r\n')}\r\n\r\n`);
  const answer = await connection.answer();
  connection.destroy();
  return answer;
}

describe('a daemon at 127.0.0.1', () => {
  let daemon: RunningDaemon;

  beforeAll(async () => {
    daemon = await runDaemon({
      http: {
        allowed_hosts: ['Store.Example', 'port.example:7480'],
        allowed_origins: ['https://console.example'],
      },
    });
  });
  afterAll(closeDaemons);

  it.each([
    'localhost',
    'LocalHost:1',
    '127.0.0.1',
    '127.0.0.1:99999',
    '127.1.2.3',
    '[::1]',
    '[::1]:80',
    'store.example',
    'STORE.example:443',
    'port.example',
  ])('serves the Host %s', async (host) => {
    expect((await ask(daemon, { host })).status).toBe(200);
  });

  it.each([
    'evil.example',
    'localhost.evil.example',
    'evil.localhost',
    '127.0.0.1.evil.example',
    '127.evil.example',
    'evil.example:7480',
    '10.1.2.3',
    '8.8.8.8',
    '[fe80::1]',
    '0x7f000001',
    '2130706433',
    'user@127.0.0.1',
    'a.store.example',
    '',
    ':80',
    '[::1',
  ])('refuses the Host "%s" with FORBIDDEN', async (host) => {
    expectProblem(await ask(daemon, { host }), 403, 'FORBIDDEN');
  });

  it.each(['HTTP/1.0', 'HTTP/1.0\r\nHost:'])('serves a health check without a host: %s', async (version) => {
    for (const request of ['GET /healthz', 'GET /readyz', 'OPTIONS /', 'OPTIONS *', 'HEAD /readyz']) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(`${request} ${version}\r\n\r\n`);
      const { status } = await connection.answer(false);
      expect([request, Math.floor(status / 100)]).toEqual([request, 2]);
      connection.destroy();
    }
  });

  it('refuses a page that sends no host', async () => {
    const connection = await RawConnection.open(daemon.port);
    connection.send('GET /healthz HTTP/1.0\r\nOrigin: https://evil.example\r\n\r\n');
    expectProblem(await connection.answer(), 403, 'FORBIDDEN');
    connection.destroy();
  });

  it('says how the host of a refused request would be allowed', async () => {
    const problem = (await ask(daemon, { host: 'my.example:80' })).json() as { detail: string };
    expect(problem.detail).toMatch(/"my\.example".*allowed_hosts/);
    const nobody = (await ask(daemon, { host: '' })).json() as { detail: string };
    expect(nobody.detail).not.toMatch(/allowed_hosts/);
  });

  it('refuses it everywhere, and does nothing', async () => {
    const host = 'evil.example';
    const id = '0'.repeat(32);
    for (const [method, path] of [
      ['GET', '/metrics'],
      ['GET', '/openapi.json'],
      ['GET', '/v1/config'],
      ['GET', '/nowhere'],
      ['PATCH', '/healthz'],
      ['GET', `${REGIONS}/${id}`],
      ['POST', `${REGIONS}?size=1`],
      ['POST', '/v1/shutdown'],
    ] as const) {
      expectProblem(await ask(daemon, { host, method, path }), 403, 'FORBIDDEN');
    }
    expect(await daemon.stats()).toMatchObject({ regions: 0 });
  });

  it('goes by the host of an absolute URI, not by the Host header beside it', async () => {
    const own = `http://127.0.0.1:${daemon.port}/healthz`;
    expect((await ask(daemon, { path: own, host: 'evil.example' })).status).toBe(200);
    const foreign = { path: 'http://evil.example/healthz', host: '127.0.0.1' };
    expectProblem(await ask(daemon, foreign), 403, 'FORBIDDEN');
  });

  it('serves pages of its own and of allowed origins', async () => {
    const host = `localhost:${daemon.port}`;
    for (const origin of [`http://${host}`, 'https://console.example', 'HTTPS://Console.example']) {
      expect((await ask(daemon, { host, origin })).status).toBe(200);
    }
  });

  it.each([
    'null',
    'https://evil.example',
    'http://console.example',
    'https://console.example:444',
    'https://console.example.evil.example',
    'http://localhost:1',
    'https://localhost',
    'x',
  ])('refuses pages of the origin %s with FORBIDDEN', async (origin) => {
    const host = `localhost:${daemon.port}`;
    expectProblem(
      await ask(daemon, { host, origin, method: 'POST', path: `${REGIONS}?size=1` }),
      403,
      'FORBIDDEN',
    );
    expectProblem(await ask(daemon, { host, origin }), 403, 'FORBIDDEN');
    expect(await daemon.stats()).toMatchObject({ regions: 0 });
  });
});

describe('a daemon at all addresses', () => {
  let daemon: RunningDaemon;

  beforeAll(async () => {
    daemon = await runDaemon({ address: 'http://0.0.0.0:0', insecure: true });
  });
  afterAll(closeDaemons);

  it('serves its machine by the address that the connection came to', async () => {
    const addresses = Object.values(networkInterfaces())
      .flat()
      .flatMap((one) => (one?.family === 'IPv4' ? [one.address] : []));
    expect(addresses).not.toHaveLength(0);
    for (const address of addresses) {
      expect((await ask(daemon, { host: `${address}:${daemon.port}` }, address)).status).toBe(200);
    }
  });

  it('refuses addresses that are not those of its machine with FORBIDDEN', async () => {
    expectProblem(await ask(daemon, { host: '198.51.100.7' }), 403, 'FORBIDDEN');
  });
});
