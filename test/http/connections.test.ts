/** Connections as such: how many there may be, and what they are good for after errors. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, eventually, expectProblem, runDaemon, type RunningDaemon } from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

describe('max_connections', () => {
  const MOST = 5;
  let daemon: RunningDaemon;
  const { logger, entries } = recordingLogger();
  let open: RawConnection[] = [];

  beforeAll(async () => {
    daemon = await runDaemon({ http: { max_connections: MOST }, logger });
  });
  afterEach(() => {
    for (const connection of open) connection.destroy();
    open = [];
  });
  afterAll(closeDaemons);

  /** Opens one, and asks for health on it. @returns whether there was an answer */
  async function isServed(): Promise<boolean> {
    const connection = await RawConnection.open(daemon.port);
    open.push(connection);
    connection.send(head('GET /healthz'));
    return connection.answer().then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  it('closes connections beyond them, serves those within, and says so in the log', async () => {
    for (let count = 0; count < MOST; count++) expect(await isServed()).toBe(true);
    for (let count = 0; count < 20; count++) expect(await isServed()).toBe(false);
    for (const connection of open.slice(0, MOST)) {
      expect((await connection.send(head('GET /readyz')).answer()).status).toBe(200);
    }
    expect(entries).toContainEqual(
      expect.objectContaining({ level: 'warning', message: expect.stringContaining('max_connections') }),
    );
  });

  it('lets others in once some have gone', async () => {
    await eventually(isServed, (served) => served);
    expect(await daemon.stats()).toMatchObject({ regions: 0 });
  });
});

describe('a connection', () => {
  let daemon: RunningDaemon;

  beforeAll(async () => {
    daemon = await runDaemon();
  });
  afterAll(closeDaemons);

  it('serves on after every error that leaves its bytes in order', async () => {
    const connection = await RawConnection.open(daemon.port);
    const place = await daemon.regionOf(Buffer.from('abcdefghij'));
    for (const [request, status, code] of [
      [head('GET /nowhere'), 404, 'ROUTE_NOT_FOUND'],
      [head('PATCH /healthz'), 405, 'METHOD_NOT_ALLOWED'],
      [head('GET /%'), 400, 'INVALID_ARGUMENT'],
      [head(`GET ${REGIONS}?limit=x`), 400, 'INVALID_ARGUMENT'],
      [head('GET /v1/providers/nosuch/stats'), 404, 'PROVIDER_NOT_FOUND'],
      [head('GET /healthz', 'Origin: https://evil.example'), 403, 'FORBIDDEN'],
      [head(`GET ${place}`, 'Range: bytes=10-'), 416, 'OUT_OF_RANGE'],
      [head(`POST ${REGIONS}`), 411, 'LENGTH_REQUIRED'],
      [`${head(`PUT ${place}`, 'Content-Length: 11')}01234567890`, 416, 'OUT_OF_RANGE'],
      [`${head(`PUT ${place}?size=9`, 'Content-Length: 2')}01`, 400, 'INVALID_ARGUMENT'],
    ] as const) {
      const answer = await connection.send(request).answer();
      expectProblem(answer, status, code);
      expect(answer.headers.connection).toBe('keep-alive');
    }
    const written = await connection.send(`${head(`PUT ${place}`, 'Content-Length: 3')}NEW`).answer();
    expect(written.status).toBe(204);
    expect((await connection.send(head(`GET ${place}`)).answer()).bytes.toString()).toBe('NEWdefghij');
    connection.destroy();
  });

  it('serves on after a body that its route does not read', async () => {
    const connection = await RawConnection.open(daemon.port);
    for (const request of [
      `${head('GET /healthz', 'Content-Length: 26')}GET /v1/config HTTP/1.1\r\n\r\n`,
      `${head('GET /healthz', 'Transfer-Encoding: chunked')}3\r\nabc\r\n0\r\n\r\n`,
      `${head('HEAD /healthz', 'Content-Length: 3')}abc`,
    ]) {
      const answer = await connection.send(request).answer(!request.startsWith('HEAD'));
      expect(answer.status).toBe(200);
    }
    const place = await daemon.regionOf(Buffer.from('x'));
    const erased = await connection.send(`${head(`DELETE ${place}`, 'Content-Length: 3')}abc`).answer();
    expect(erased.status).toBe(204);
    expect((await connection.send(head('GET /readyz')).answer()).json()).toEqual({ status: 'ready' });
    connection.destroy();
  });

  it('is closed when its client is', async () => {
    const connection = await RawConnection.open(daemon.port);
    expect((await connection.send(head('GET /healthz')).answer()).status).toBe(200);
    connection.socket.end();
    await connection.closed();
  });
});
