/** When the daemon cannot serve at once: pools that are full, providers that are not up, targets that fail. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { faults, gates, openGates } from '../fixtures/gated-library.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { head, RawConnection } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  gatedStore,
  runDaemon,
  type RunningDaemon,
} from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

afterEach(openGates);

describe('an execution pool that is full', () => {
  let daemon: RunningDaemon;
  let place: string;

  beforeAll(async () => {
    daemon = await runDaemon({
      gated: true,
      providers: [gatedStore('store', 42)],
      margo: { argobots: { pools: [{ name: '__primary__', max_in_flight: 1, max_queued: 1 }] } },
    });
  });
  beforeEach(async () => {
    place = await daemon.regionOf(Buffer.from('contents'));
  });
  afterAll(closeDaemons);

  it('answers OVERLOADED (503) with Retry-After, and those that wait are served in the end', async () => {
    const second = await RawConnection.open(daemon.port);
    // So that its next request comes in before those that are sent later.
    expect((await second.send(head('GET /healthz')).answer()).status).toBe(200);
    gates.read.shut();
    const first = daemon.call('GET', place);
    await gates.read.arrivals(1);
    second.send(head(`GET ${place}`));
    // That one waits in the pool; a further one is refused as soon as it does.
    await eventually(
      () => daemon.call('HEAD', place),
      ({ status }) => status === 503,
    );
    for (const refused of [
      await daemon.call('GET', place),
      await daemon.call('PUT', place, { body: '#' }),
      await daemon.call('POST', REGIONS, { body: 'x' }),
      await daemon.call('POST', `${REGIONS}?size=1`),
      await daemon.call('DELETE', place),
      await daemon.call('GET', REGIONS),
      await daemon.call('POST', `${place}/persist`),
      await daemon.call('GET', '/v1/providers/store/stats'),
    ]) {
      expectProblem(refused, 503, 'OVERLOADED');
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(refused.headers['region-created-at']).toBeUndefined();
    }
    expect((await daemon.call('GET', '/healthz')).status).toBe(200);
    expect((await daemon.call('GET', '/v1/providers')).status).toBe(200);
    gates.read.open();
    expect((await first).bytes.toString()).toBe('contents');
    expect((await second.answer()).bytes.toString()).toBe('contents');
    second.destroy();
    expect((await daemon.call('GET', place)).bytes.toString()).toBe('contents');
  });

  it('is not filled by clients that are slow to send', async () => {
    const { usedBytes: before } = await daemon.stats();
    const slow = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const connection = await RawConnection.open(daemon.port);
        return connection.send(head(`POST ${REGIONS}`, 'Content-Length: 4')).send('ab');
      }),
    );
    await eventually(
      () => daemon.stats(),
      ({ usedBytes }) => usedBytes === before + 5 * 4,
    );
    expect((await daemon.call('GET', place)).status).toBe(200);
    for (const connection of slow) connection.send('cd');
    for (const connection of slow) {
      expect((await connection.answer()).status).toBe(201);
      connection.destroy();
    }
  });

  it('takes no place from programs that call the target in-process', async () => {
    gates.read.shut();
    const calls = [daemon.call('GET', place), daemon.call('GET', place)];
    await gates.read.arrivals(1);
    const { regions } = await daemon.daemon.target('store').list();
    expect(regions.length).toBeGreaterThan(0);
    gates.read.open();
    await Promise.all(calls);
  });
});

describe('a daemon whose providers are not up yet', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  });
  afterEach(async () => {
    openGates();
    await closeDaemons();
    await rm(folder, { recursive: true });
  });

  it('answers NOT_READY (503), but lives and shows its metrics and interface', async () => {
    gates.start.shut();
    const socket = path.join(folder, 'socket');
    const starting = runDaemon({
      gated: true,
      address: `unix:${socket}`,
      providers: [gatedStore('store', 42), { name: 'late', type: 'gated_service', provider_id: 1 }],
    });
    await gates.start.arrivals(1);
    const connection = await RawConnection.open({ path: socket });
    for (const line of ['GET /healthz', 'GET /metrics', 'GET /openapi.json']) {
      expect((await connection.send(head(line)).answer()).status).toBe(200);
    }
    for (const line of [
      'GET /readyz',
      'GET /v1/config',
      'GET /v1/providers',
      'GET /v1/providers/store/stats',
      `GET ${REGIONS}`,
      `POST ${REGIONS}?size=1`,
      'POST /v1/shutdown',
      'GET /nowhere',
    ]) {
      const answer = await connection.send(head(line)).answer();
      expectProblem(answer, 503, 'NOT_READY');
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    gates.start.open();
    const daemon = await starting;
    expect((await connection.send(head('GET /readyz')).answer()).status).toBe(200);
    expect(await daemon.stats()).toMatchObject({ regions: 0 });
    connection.destroy();
  });
});

describe('a target that fails', () => {
  const errorWith = (text: string): unknown =>
    expect.objectContaining({ level: 'error', message: expect.stringContaining(text) });
  let daemon: RunningDaemon;
  const { logger, entries } = recordingLogger();

  beforeAll(async () => {
    daemon = await runDaemon({ gated: true, providers: [gatedStore('store', 42)], logger });
  });
  afterAll(closeDaemons);

  it('gives INTERNAL (500), whose cause stands in the log alone', async () => {
    const place = await daemon.regionOf(Buffer.from('contents'));
    faults.read = { error: new Error('a secret of the medium'), from: 0 };
    const answer = await daemon.call('GET', place, { headers: { range: 'bytes=0-3' } });
    expectProblem(answer, 500, 'INTERNAL');
    expect(answer.bytes.toString()).not.toContain('secret');
    expect(answer.headers['content-range']).toBeUndefined();
    expect(entries).toContainEqual(errorWith('a secret of the medium'));
    expect((await daemon.call('GET', place)).bytes.toString()).toBe('contents');
  });

  it('breaks a response that is under way, and stands in the log', async () => {
    const place = await daemon.regionOf(Buffer.alloc(2 ** 20));
    faults.read = { error: new Error('worn out'), from: 2 ** 19 };
    await expect(daemon.call('GET', place)).rejects.toThrow();
    expect(entries).toContainEqual(errorWith('worn out'));
    expect((await daemon.call('GET', place)).bytes).toHaveLength(2 ** 20);
  });

  it('gives REGION_NOT_FOUND for a region that is erased between the look and the read', async () => {
    const place = await daemon.regionOf(Buffer.from('contents'));
    gates.stat.shut();
    const reading = daemon.call('GET', place, { headers: { range: 'bytes=0-3' } });
    await gates.stat.arrivals(1);
    expect((await daemon.call('DELETE', place)).status).toBe(204);
    gates.stat.open();
    const answer = await reading;
    expectProblem(answer, 404, 'REGION_NOT_FOUND');
    expect(answer.headers['content-range']).toBeUndefined();
    expect(answer.headers['content-length']).toBe(String(answer.bytes.length));
  });

  it('gives the code that it fails with', async () => {
    const place = await daemon.regionOf(Buffer.from('contents'));
    for (const [code, status] of [
      ['READ_ONLY', 503],
      ['OUT_OF_SPACE', 507],
      ['NOT_SUPPORTED', 501],
    ] as const) {
      faults.read = { error: new BedrockError(code, 'as the target says'), from: 0 };
      expectProblem(await daemon.call('GET', place), status, code);
    }
  });

  it('is TARGET_CLOSED (503) once it is closed, and its daemon lives', async () => {
    const place = await daemon.regionOf(Buffer.from('contents'));
    await daemon.daemon.target('store').close();
    for (const answer of [
      await daemon.call('GET', place),
      await daemon.call('PUT', place, { body: 'x' }),
      await daemon.call('POST', REGIONS, { body: 'x' }),
      await daemon.call('GET', REGIONS),
      await daemon.call('GET', '/v1/providers/store/stats'),
    ]) {
      expectProblem(answer, 503, 'TARGET_CLOSED');
    }
    expect((await daemon.call('GET', '/metrics')).status).toBe(200);
    expect((await daemon.call('GET', '/healthz')).status).toBe(200);
  });
});
