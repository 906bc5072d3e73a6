/** The page of the daemon and what it lives on: its files, the status, and the stream of it. */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import type { SpaceMap } from '../../core/index.js';
import { DASHBOARD_PATHS } from '../../core/http/dashboard-files.js';
import { RawConnection } from './raw-connection.js';
import { closeDaemons, expectProblem, gatedStore, memoryStore, runDaemon } from './running-daemon.js';

afterEach(closeDaemons);

interface Status {
  providers: {
    name: string;
    targets: { hasSpaceMap: boolean; stats?: { regions: number }; operations: Record<string, Figures> }[];
  }[];
  doors: Record<string, Record<string, number>>;
  latencyBoundsMs: number[];
}
interface Figures {
  count: number;
  bytes: number;
  durations: number[];
  errors: Record<string, number>;
}

describe('the files of the page', () => {
  it('are all served, under a policy that allows nothing of other sites', async () => {
    const daemon = await runDaemon();
    for (const path of DASHBOARD_PATHS) {
      const { status, headers, bytes } = await daemon.call('GET', path);
      expect([path, status, bytes.length > 0]).toEqual([path, 200, true]);
      expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/);
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-cache' });
      const again = await daemon.call('GET', path, { headers: { 'if-none-match': String(headers.etag) } });
      expect([again.status, again.bytes.length]).toEqual([304, 0]);
    }
  });

  it('are those of the folder, and ask for no others', async () => {
    const daemon = await runDaemon();
    const names = readdirSync(new URL('../../dashboard/', import.meta.url)).map((name) =>
      name === 'index.html' ? '/' : `/dashboard/${name}`,
    );
    const isOwn = (path: string): boolean => !path.includes('/uplot.');
    expect(DASHBOARD_PATHS.filter(isOwn).toSorted()).toEqual(names.toSorted());
    for (const path of DASHBOARD_PATHS.filter(isOwn)) {
      const text = (await daemon.call('GET', path)).bytes.toString();
      const asked = [...text.matchAll(/(?:from|href=|src=) ?['"]([^'"#]+)['"]/g)].map(
        ([, place = '']) => new URL(place, `http://page${path}`).href,
      );
      const places = asked.map((place) => place.replace('http://page', ''));
      expect(places.filter((place) => !DASHBOARD_PATHS.includes(place))).toEqual([]);
    }
  });

  it('are not served if the configuration says so', async () => {
    const daemon = await runDaemon({ http: { dashboard: false } });
    for (const path of ['/', '/dashboard/app.js'])
      expectProblem(await daemon.call('GET', path), 404, 'ROUTE_NOT_FOUND');
    expect((await daemon.call('OPTIONS', '/')).status).toBe(204);
    expect((await daemon.call('GET', '/v1/status')).status).toBe(200);
  });

  it('are not served to pages that had their own name pointed here', async () => {
    const daemon = await runDaemon();
    expectProblem(await daemon.call('GET', '/', { headers: { host: 'evil.example' } }), 403, 'FORBIDDEN');
  });

  it('never lead out of the folder', async () => {
    const daemon = await runDaemon();
    for (const path of [
      '/dashboard/../package.json',
      '/dashboard/%2e%2e/package.json',
      '/dashboard/',
      '/dashboard/x.js',
    ]) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      expect((await connection.answer(false)).status).toBe(404);
      connection.destroy();
    }
  });
});

describe('the status', () => {
  it('counts operations, bytes, errors and durations of each target', async () => {
    const daemon = await runDaemon({ providers: [memoryStore('store', 42, { max_bytes: 1000 })] });
    const place = await daemon.regionOf(Buffer.from('contents'));
    await daemon.call('GET', place);
    expectProblem(await daemon.call('POST', '/v1/providers/store/regions?size=2000'), 507, 'OUT_OF_SPACE');
    const status = (await daemon.call('GET', '/v1/status')).json() as Status;
    const [target] = status.providers[0]?.targets ?? [];
    expect(target?.stats).toMatchObject({ regions: 1, usedBytes: 8, capacityBytes: 1000 });
    expect(target?.operations).toMatchObject({
      read: { count: 1, bytes: 8, errors: {} },
      create: { count: 1, bytes: 0, errors: { OUT_OF_SPACE: 1 } },
    });
    const { durations = [] } = target?.operations.read ?? {};
    expect(durations.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(durations).toHaveLength(status.latencyBoundsMs.length + 1);
    expect(status.doors.http).toMatchObject({ refused: 0, evicted: 0 });
    expect(status.doors.http?.connections).toBeGreaterThan(0);
  });

  it('tells of providers without targets', async () => {
    const daemon = await runDaemon({
      gated: true,
      providers: [gatedStore('store', 1), { name: 'service', type: 'gated_service', provider_id: 2 }],
    });
    const status = (await daemon.call('GET', '/v1/status')).json() as Status;
    expect(status.providers).toMatchObject([{ name: 'store' }, { name: 'service', targets: [] }]);
  });
});

describe('the map of the space', () => {
  const fileStore = {
    name: 'disk',
    type: 'warabi',
    provider_id: 43,
    config: { target: { type: 'file', config: { path: 'disk.pool', create_if_missing_with_size: 2 ** 24 } } },
  };

  it('has the free bytes and the regions of a bounded number of buckets', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-map-'));
    const before = process.cwd();
    process.chdir(folder);
    try {
      const daemon = await runDaemon({ providers: [memoryStore('store', 42), fileStore] });
      const disk = daemon.daemon.target('disk');
      const ids = [];
      for (let index = 0; index < 20; index++) ids.push(await disk.create(2 ** 16));
      for (const id of ids.filter((_, index) => index % 2 === 1)) await disk.erase(id);
      const map = (await daemon.call('GET', '/v1/providers/disk/stats/space')).json() as SpaceMap;
      const { usedBytes } = await disk.stats();
      const sumOf = (list: readonly number[]): number => list.reduce((sum, each) => sum + each, 0);
      expect(map).toMatchObject({ totalBytes: 2 ** 24, bucketBytes: 2 ** 14 });
      expect([map.freeBytes.length, sumOf(map.freeBytes)]).toEqual([1024, 2 ** 24 - usedBytes]);
      expect([sumOf(map.regions), sumOf(map.freeExtentsBySize)]).toEqual([10, map.freeExtents]);
      expect(map.freeExtentsBySize[16]).toBeGreaterThanOrEqual(9);
      expectProblem(await daemon.call('GET', '/v1/providers/store/stats/space'), 501, 'NOT_SUPPORTED');
      const { providers } = (await daemon.call('GET', '/v1/status')).json() as Status;
      expect(providers.map(({ targets }) => targets[0]?.hasSpaceMap)).toEqual([false, true]);
      await daemon.close();
    } finally {
      process.chdir(before);
      await rm(folder, { recursive: true });
    }
  });
});

describe('the connections', () => {
  it('are listed one by one, up to a limit', async () => {
    const daemon = await runDaemon();
    const idle = await RawConnection.open(daemon.port);
    const list = async (query = ''): Promise<{ connections: Record<string, unknown>[]; total: number }> =>
      (await daemon.call('GET', `/v1/connections${query}`)).json() as never;
    const { connections, total } = await list();
    expect(total).toBe(connections.length);
    const now = Date.now();
    for (const { door, from, since } of connections) {
      expect([door, from]).toEqual(['http', expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
      expect(Math.abs(now - Number(since))).toBeLessThan(600_000);
    }
    // The one that asks is the only one with a request.
    expect(connections.map(({ inFlight }) => inFlight).toSorted()).toEqual([0, 1]);
    expect((await list('?limit=1')).connections).toHaveLength(1);
    for (const limit of ['0', '1001'])
      expectProblem(await daemon.call('GET', `/v1/connections?limit=${limit}`), 400, 'INVALID_ARGUMENT');
    idle.destroy();
  });
});

describe('the stream of the status', () => {
  /** The events that come, and the end of the stream. */
  async function follow(url: string): Promise<AsyncGenerator<Status>> {
    const { statusCode, headers, body } = await request(`${url}/v1/status/events`);
    expect([statusCode, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    return (async function* () {
      let text = '';
      for await (const piece of body) {
        text += String(piece);
        const events = text.split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) yield JSON.parse(event.replace(/^data: /, '')) as Status;
      }
    })();
  }

  it('shows what has changed, and ends with the daemon without holding it up', async () => {
    const daemon = await runDaemon();
    const events = await follow(daemon.url);
    expect(((await events.next()).value as Status).providers[0]?.targets[0]?.stats).toMatchObject({
      regions: 0,
    });
    await daemon.regionOf(Buffer.from('contents'));
    let seen: number | undefined = 0;
    while (seen !== 1)
      seen = ((await events.next()).value as Status).providers[0]?.targets[0]?.stats?.regions;
    const rest = (async () => {
      while ((await events.next()).done !== true);
    })();
    await Promise.all([rest, daemon.daemon.close()]);
  });

  it('goes to many readers at once, and to no more than it has places for', async () => {
    const daemon = await runDaemon();
    const connections = await Promise.all(Array.from({ length: 64 }, () => RawConnection.open(daemon.port)));
    for (const connection of connections)
      connection.send('GET /v1/status/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
    let refused = { status: 0, headers: {} };
    while (refused.status !== 503) {
      const { statusCode, headers, body } = await request(`${daemon.url}/v1/status/events`);
      body.on('error', () => undefined).destroy();
      refused = { status: statusCode, headers };
    }
    expect(refused.headers).toMatchObject({ 'error-code': 'OVERLOADED', 'retry-after': '1' });
    for (const connection of connections) connection.destroy();
    const events = await follow(daemon.url);
    expect((await events.next()).done).toBe(false);
    await events.return(undefined);
  });

  it('has a HEAD that ends', async () => {
    const daemon = await runDaemon();
    const { status, headers } = await daemon.call('HEAD', '/v1/status/events');
    expect([status, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
  });
});
