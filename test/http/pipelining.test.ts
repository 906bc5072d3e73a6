/** Several requests on one connection, sent without waiting: each is answered in its turn, and meets what the one before has done. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { gates, openGates } from '../fixtures/gated-library.js';
import { RawConnection, head, progressTimeOut } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  gatedStore,
  memoryStore,
  runDaemon,
  turns,
  type RunningDaemon,
} from './running-daemon.js';

const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;
let connection: RawConnection;
/** A region `abcdefghij`, in a memory target and in a gated one. */
let place: string;
let gated: string;

beforeAll(async () => {
  daemon = await runDaemon({
    gated: true,
    providers: [memoryStore('store', 42), gatedStore('gated', 7)],
  });
});
beforeEach(async () => {
  place = await daemon.regionOf(Buffer.from('abcdefghij'));
  gated = await daemon.regionOf(Buffer.from('abcdefghij'), 'gated');
  connection = await RawConnection.open(daemon.port);
});
afterEach(async () => {
  openGates();
  connection.destroy();
  for (const region of [place, gated]) await daemon.call('DELETE', region);
  expect((await daemon.call('GET', '/healthz')).status).toBe(200);
});
afterAll(closeDaemons);

describe('requests sent at once', () => {
  it('are answered in order', async () => {
    connection.send(
      [
        head(`GET ${place}`, 'Range: bytes=0-1'),
        head('GET /healthz'),
        head('GET /nowhere'),
        head(`GET ${place}`, 'Range: bytes=8-9'),
        head(`HEAD ${place}`),
        head(`GET ${gated}`),
      ].join(''),
    );
    expect((await connection.answer()).bytes.toString()).toBe('ab');
    expect((await connection.answer()).json()).toEqual({ status: 'ok' });
    expectProblem(await connection.answer(), 404, 'ROUTE_NOT_FOUND');
    expect((await connection.answer()).bytes.toString()).toBe('ij');
    expect((await connection.answer(false)).headers['content-length']).toBe('10');
    expect((await connection.answer()).bytes.toString()).toBe('abcdefghij');
  });

  it('meet what the one before has done, however slow that was', async () => {
    gates.write.shut();
    connection.send(
      [
        `${head(`PUT ${gated}`, 'Content-Length: 3')}NEW`,
        head(`GET ${gated}`),
        `${head(`PUT ${gated}?offset=1&size=1`, 'Transfer-Encoding: chunked')}1\r\n#\r\n0\r\n\r\n`,
        head(`GET ${gated}`),
        head(`DELETE ${gated}`),
        head(`GET ${gated}`),
      ].join(''),
    );
    await gates.write.arrivals(1);
    await turns();
    expect(connection.unread).toBe('');
    gates.write.open();
    expect((await connection.answer()).status).toBe(204);
    expect((await connection.answer()).bytes.toString()).toBe('NEWdefghij');
    expect((await connection.answer()).status).toBe(204);
    expect((await connection.answer()).bytes.toString()).toBe('N#Wdefghij');
    expect((await connection.answer()).status).toBe(204);
    expectProblem(await connection.answer(), 404, 'REGION_NOT_FOUND');
  });

  it('may be thousands', async () => {
    connection.send(head('GET /healthz').repeat(2000));
    for (let count = 0; count < 2000; count++) {
      if ((await connection.answer()).status !== 200) throw new Error(`answer ${count} is another`);
    }
  });

  it('are not carried out behind one that asks to close the connection', async () => {
    connection.send(head('GET /healthz', 'Connection: close') + head(`DELETE ${place}`));
    expect((await connection.answer()).status).toBe(200);
    connection.socket.end();
    await connection.closed();
    expect(connection.unread).toBe('');
    expect((await daemon.call('GET', place)).status).toBe(200);
  });

  it('are not carried out behind a refusal that closes the connection', async () => {
    const size = 100_000;
    connection.send(head(`PUT ${place}`, `Content-Length: ${size}`));
    const refusal = await connection.answer();
    expectProblem(refusal, 416, 'OUT_OF_RANGE');
    expect(refusal.headers.connection).toBe('close');
    connection.send(Buffer.alloc(size)).send(head(`DELETE ${place}`));
    connection.socket.end();
    await connection.closed();
    expect(connection.unread).toBe('');
    expect((await daemon.call('GET', place)).status).toBe(200);
  });

  it('are dropped with their connection', async () => {
    gates.read.shut();
    connection.send(head(`GET ${gated}`) + head(`DELETE ${gated}`));
    await gates.read.arrivals(1);
    connection.destroy();
    await turns();
    gates.read.open();
    await turns();
    expect((await daemon.call('GET', gated)).bytes.toString()).toBe('abcdefghij');
  });
});

describe('nonsense behind requests', () => {
  it('is answered after them, in its turn', async () => {
    gates.write.shut();
    connection.send(
      [
        `${head(`PUT ${gated}`, 'Content-Length: 3')}NEW`,
        `${head(`POST ${REGIONS}`, 'Content-Length: 5')}hello`,
        head(`GET ${gated}`),
        'NONSENSE\r\n\r\n',
        head(`DELETE ${gated}`),
      ].join(''),
    );
    await gates.write.arrivals(1);
    await turns();
    expect(connection.unread).toBe('');
    gates.write.open();
    expect((await connection.answer()).status).toBe(204);
    const made = await connection.answer();
    expect(made.status).toBe(201);
    expect((await connection.answer()).bytes.toString()).toBe('NEWdefghij');
    expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
    connection.socket.end();
    await connection.closed();
    expect(connection.unread).toBe('');
    await daemon.call('DELETE', String(made.headers.location));
  });

  it('never gets into the bytes of a download', async () => {
    const bytes = Buffer.alloc(2 ** 21, 'x');
    const large = await daemon.regionOf(bytes, 'gated');
    connection.send(head(`GET ${large}`));
    connection.send('NONSENSE\r\n\r\n');
    const answer = await connection.answer();
    expect(answer.bytes.equals(bytes)).toBe(true);
    expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
    await daemon.call('DELETE', large);
  });

  it('in the body of a request leaves those before it alone', async () => {
    gates.write.shut();
    connection.send(
      [
        `${head(`PUT ${gated}`, 'Content-Length: 3')}NEW`,
        `${head(`POST ${REGIONS}?size=5`, 'Transfer-Encoding: chunked')}5\r\nhello\r\nzz\r\n`,
      ].join(''),
    );
    await gates.write.arrivals(1);
    gates.write.open();
    expect((await connection.answer()).status).toBe(204);
    expectProblem(await connection.answer(), 400, 'INVALID_ARGUMENT');
    connection.socket.end();
    await connection.closed();
    expect((await daemon.call('GET', gated)).bytes.toString()).toBe('NEWdefghij');
    await eventually(
      () => daemon.stats(),
      ({ regions, usedBytes }) => regions === 1 && usedBytes === 10,
    );
  });

  it('that never ends is answered after the time-out, behind those that came before', async () => {
    const impatient = await runDaemon({
      gated: true,
      http: { progress_timeout_ms: 400 },
      providers: [gatedStore('gated', 7)],
    });
    const slow = await impatient.regionOf(Buffer.from('abcdefghij'), 'gated');
    const sender = await RawConnection.open(impatient.port);
    gates.read.shut();
    sender.send(`${head(`GET ${slow}`)}GET /heal`);
    await gates.read.arrivals(1);
    await progressTimeOut(impatient.port);
    expect(sender.unread).toBe('');
    gates.read.open();
    expect((await sender.answer()).bytes.toString()).toBe('abcdefghij');
    expectProblem(await sender.answer(), 408, 'REQUEST_TIMEOUT');
    sender.destroy();
  });
});
