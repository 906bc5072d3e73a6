/** Stopping: what is in flight ends, what is new is refused, what is stuck is cut. */
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { counters, gates, openGates } from '../fixtures/gated-library.js';
import { holdTimers, passUntilSettled } from '../fixtures/held-time.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  gatedStore,
  hasSettled,
  memoryStore,
  runDaemon,
  turns,
  type DaemonOptions,
  type RunningDaemon,
} from './running-daemon.js';

const MIB = 2 ** 20;
const REGIONS = '/v1/providers/store/regions';

afterEach(async () => {
  openGates();
  await closeDaemons();
});

function run(options: DaemonOptions = {}): Promise<RunningDaemon> {
  return runDaemon({
    gated: true,
    providers: [memoryStore('store', 42), gatedStore('gated', 7)],
    ...options,
  });
}

describe('a daemon that stops', () => {
  it('lets an upload end that is under way', async () => {
    const daemon = await run();
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`POST ${REGIONS}?persist=true`, 'Content-Length: 10')).send('01234');
    await eventually(
      () => daemon.stats(),
      ({ usedBytes }) => usedBytes === 10,
    );
    const closed = daemon.daemon.close();
    expect(await hasSettled(closed)).toBe(false);
    connection.send('56789');
    expect((await connection.answer()).status).toBe(201);
    await connection.closed();
    await closed;
  });

  it('lets a download end that is under way', async () => {
    const daemon = await run();
    const place = await daemon.regionOf(Buffer.alloc(8 * MIB, 'x'), 'gated');
    gates.read.shut();
    const download = daemon.call('GET', place);
    await gates.read.arrivals(1);
    const closed = daemon.daemon.close();
    expect(await hasSettled(closed)).toBe(false);
    gates.read.open();
    expect((await download).bytes.length).toBe(8 * MIB);
    await closed;
  });

  it('answers NOT_READY (503) to what comes behind it on the same connection, which ends', async () => {
    const daemon = await run();
    const place = await daemon.regionOf(Buffer.from('contents'), 'gated');
    gates.read.shut();
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`GET ${place}`));
    await gates.read.arrivals(1);
    const closed = daemon.daemon.close();
    connection.send(head(`DELETE ${place}`));
    // It has arrived before the one in front of it ends; or the connection would end there.
    await turns();
    gates.read.open();
    expect((await connection.answer()).bytes.toString()).toBe('contents');
    const refused = await connection.answer();
    expectProblem(refused, 503, 'NOT_READY');
    expect(refused.headers).toMatchObject({
      connection: 'close',
      'retry-after': expect.stringMatching(/\d/),
    });
    await connection.closed();
    await closed;
  });

  it.each([
    ['GET /healthz', 200],
    ['GET /metrics', 200],
    ['GET /readyz', 503],
    ['POST /v1/shutdown', 503],
  ])('answers %s with %i as long as something is under way', async (line, status) => {
    const daemon = await run();
    const place = await daemon.regionOf(Buffer.from('contents'), 'gated');
    gates.read.shut();
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`GET ${place}`) + head(line));
    await gates.read.arrivals(1);
    const closed = daemon.daemon.close();
    gates.read.open();
    expect((await connection.answer()).bytes.toString()).toBe('contents');
    expect((await connection.answer()).status).toBe(status);
    await closed;
  });

  it('takes no new connections', async () => {
    const daemon = await run();
    const { port } = daemon;
    const connection = await RawConnection.open(port);
    connection.send(head(`POST ${REGIONS}`, 'Content-Length: 2')).send('0');
    await eventually(
      () => daemon.stats(),
      ({ usedBytes }) => usedBytes === 2,
    );
    const closed = daemon.daemon.close();
    const isServed = await RawConnection.open(port).then(
      (other) =>
        other
          .send(head('GET /healthz'))
          .answer()
          .then(
            () => true,
            () => false,
          ),
      () => false,
    );
    expect(isServed).toBe(false);
    connection.send('1');
    expect((await connection.answer()).status).toBe(201);
    await closed;
  });

  it('does not wait for connections without a request', async () => {
    const { logger, entries } = recordingLogger();
    const daemon = await run({ logger });
    const silent = await RawConnection.open(daemon.port);
    const idle = await RawConnection.open(daemon.port);
    expect((await idle.send(head('GET /healthz')).answer()).status).toBe(200);
    const begun = (await RawConnection.open(daemon.port)).send('GET /healthz HTTP/1.1\r\nHost:');
    await turns();
    await daemon.daemon.close();
    await Promise.all([silent.closed(), idle.closed(), begun.closed()]);
    expect(entries.filter(({ level }) => level === 'warning')).toEqual([]);
  });

  it('cuts an upload that is stuck after drain_timeout_ms, and its region does not appear', async () => {
    const { logger, entries } = recordingLogger();
    const daemon = await run({ drainTimeoutMs: 50, logger });
    const target = daemon.daemon.target('store');
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`POST ${REGIONS}`, 'Content-Length: 10')).send('01234');
    await eventually(
      () => target.stats(),
      ({ usedBytes }) => usedBytes === 10,
    );
    await daemon.daemon.close();
    await connection.closed();
    expect(connection.unread).toBe('');
    expect(target.state).toBe('closed');
    expect(entries).toContainEqual(
      expect.objectContaining({ level: 'warning', message: expect.stringContaining('50 ms') }),
    );
  });

  it('cuts a download whose client does not read after drain_timeout_ms', async () => {
    const daemon = await run({ drainTimeoutMs: 50 });
    const place = await daemon.regionOf(Buffer.alloc(32 * MIB), 'gated');
    const before = counters.bytesRead;
    const connection = await RawConnection.open(daemon.port);
    connection.socket.pause();
    connection.send(head(`GET ${place}`));
    await eventually(
      () => counters.bytesRead - before,
      (bytes) => bytes > 0,
    );
    await daemon.daemon.close();
    connection.socket.resume();
    await connection.closed();
    expect(connection.unread.length).toBeLessThan(32 * MIB);
  });

  it('closes in the end even if a target does not come back', async () => {
    const { logger, entries } = recordingLogger();
    const daemon = await run({ drainTimeoutMs: 100, logger });
    const place = await daemon.regionOf(Buffer.from('contents'), 'gated');
    gates.read.shut();
    const download = daemon.call('GET', place);
    await gates.read.arrivals(1);
    holdTimers('setTimeout');
    const closed = Promise.all([daemon.daemon.close(), expect(download).rejects.toThrow()]);
    await passUntilSettled(closed).finally(() => jest.useRealTimers());
    expect(entries).toContainEqual(expect.objectContaining({ level: 'error' }));
  });

  it('stops once, however often it is asked', async () => {
    const daemon = await run();
    await Promise.all([daemon.daemon.close(), daemon.daemon.close(), daemon.daemon.closed]);
    await daemon.daemon.close();
  });
});
