/** Uploads that break off: what is left of them, and that nothing else is. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { gates, openGates } from '../fixtures/gated-library.js';
import { RawConnection, head } from './raw-connection.js';
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

const SIZE = 2 ** 20;
const NEW = Buffer.alloc(SIZE, 'N');
const OLD = Buffer.alloc(SIZE, 'o');

let daemon: RunningDaemon;
/** One that gives up early on clients that stop sending. */
let impatient: RunningDaemon;

beforeAll(async () => {
  const options = { gated: true, providers: [memoryStore('store', 42), gatedStore('gated', 7)] };
  daemon = await runDaemon(options);
  impatient = await runDaemon({ ...options, http: { progress_timeout_ms: 400 } });
});
afterEach(openGates);
afterAll(closeDaemons);

/** Expects a prefix of new bytes, no longer than what was sent, with the old bytes behind it. */
function expectPrefix(bytes: Buffer, sent: number): void {
  const end = bytes.indexOf('o');
  expect(end).toBeLessThanOrEqual(sent);
  expect(bytes.subarray(0, end).equals(NEW.subarray(0, end))).toBe(true);
  expect(bytes.subarray(end).equals(OLD.subarray(end))).toBe(true);
}

/** Writes that have ended at the daemon, well or not. */
async function writesEnded(provider: string): Promise<number> {
  const text = (await daemon.call('GET', '/metrics')).bytes.toString();
  const pattern = `^bedrock_operations_total\\{provider="${provider}",target="0",operation="write"\\} (\\d+)$`;
  return Number(new RegExp(pattern, 'm').exec(text)?.[1]);
}

/** The ways in which an upload ends before its body does. */
const ENDS: [string, (connection: RawConnection) => void][] = [
  ['closes the connection', (connection) => connection.destroy()],
  ['resets the connection', (connection) => connection.socket.resetAndDestroy()],
  ['ends its direction of the connection', (connection) => connection.socket.end()],
];

describe.each(['store', 'gated'])('an upload to %s whose client', (provider) => {
  const regions = `/v1/providers/${provider}/regions`;

  it.each(ENDS)('%s half way leaves a prefix in the region (PUT)', async (_how, end) => {
    const place = await daemon.regionOf(OLD, provider);
    const before = await writesEnded(provider);
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`PUT ${place}`, `Content-Length: ${SIZE}`)).send(NEW.subarray(0, SIZE / 2));
    await eventually(
      async () => (await daemon.call('GET', place, { headers: { range: 'bytes=0-0' } })).bytes.toString(),
      (first) => first === 'N',
    );
    end(connection);
    await connection.closed();
    await eventually(
      () => writesEnded(provider),
      (count) => count === before + 1,
    );
    expectPrefix((await daemon.call('GET', place)).bytes, SIZE / 2);
    expect((await daemon.call('DELETE', place)).status).toBe(204);
    await eventually(
      () => daemon.stats(provider),
      ({ regions: count, usedBytes }) => count === 0 && usedBytes === 0,
    );
  });

  it.each(ENDS)('%s half way leaves no region, and its space comes back (POST)', async (_how, end) => {
    const connection = await RawConnection.open(daemon.port);
    connection.send(head(`POST ${regions}?persist=true`, `Content-Length: ${SIZE}`));
    connection.send(NEW.subarray(0, SIZE / 2));
    await eventually(
      () => daemon.stats(provider),
      ({ usedBytes }) => usedBytes === SIZE,
    );
    expect(await daemon.stats(provider)).toMatchObject({ regions: 0 });
    end(connection);
    await eventually(
      () => daemon.stats(provider),
      ({ usedBytes }) => usedBytes === 0,
    );
    expect((await daemon.call('GET', regions)).json()).toEqual({ regions: [] });
  });

  it('stops sending gets REQUEST_TIMEOUT (408), and the space comes back (POST)', async () => {
    const connection = await RawConnection.open(impatient.port);
    connection.send(head(`POST ${regions}`, `Content-Length: ${SIZE}`)).send(NEW.subarray(0, SIZE / 2));
    const answer = await connection.answer();
    expectProblem(answer, 408, 'REQUEST_TIMEOUT');
    expect(answer.headers.connection).toBe('close');
    connection.destroy();
    expect(await impatient.stats(provider)).toMatchObject({ regions: 0, usedBytes: 0 });
  });

  it('stops sending gets REQUEST_TIMEOUT (408), and a prefix stays (PUT)', async () => {
    const place = await impatient.regionOf(OLD, provider);
    const connection = await RawConnection.open(impatient.port);
    connection.send(`${head(`PUT ${place}?size=${SIZE}`, 'Transfer-Encoding: chunked')}3\r\nNNN\r\n`);
    expectProblem(await connection.answer(), 408, 'REQUEST_TIMEOUT');
    connection.destroy();
    expect((await impatient.call('GET', place)).bytes.subarray(0, 5).toString()).toBe('NNNoo');
    expect((await impatient.call('DELETE', place)).status).toBe(204);
  });
});

describe('a broken upload', () => {
  it('whose target is at work ends when the target has', async () => {
    gates.write.shut();
    const connection = await RawConnection.open(daemon.port);
    connection
      .send(head('POST /v1/providers/gated/regions', `Content-Length: ${SIZE}`))
      .send(NEW.subarray(9));
    await gates.write.arrivals(1);
    connection.destroy();
    await turns();
    expect(await daemon.stats('gated')).toMatchObject({ regions: 0, usedBytes: SIZE });
    gates.write.open();
    await eventually(
      () => daemon.stats('gated'),
      ({ usedBytes }) => usedBytes === 0,
    );
  });

  it('gives its space back for the next one', async () => {
    for (let round = 0; round < 20; round++) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(head('POST /v1/providers/store/regions', `Content-Length: ${SIZE}`)).send('x');
      // The others leave before the daemon knows of them, or just then.
      if (round % 2 === 0)
        await eventually(
          () => daemon.stats(),
          ({ usedBytes }) => usedBytes > 0,
        );
      connection.destroy();
    }
    await eventually(
      () => daemon.stats(),
      ({ usedBytes }) => usedBytes === 0,
    );
  });
});

describe('a JSON body that', () => {
  it('stops coming gets REQUEST_TIMEOUT (408)', async () => {
    const place = await impatient.regionOf(Buffer.from('x'));
    for (const coding of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
      const connection = await RawConnection.open(impatient.port);
      connection.send(head(`POST ${place}/persist`, 'Content-Type: application/json', coding));
      connection.send(coding.startsWith('T') ? '1\r\n{\r\n' : '{');
      expectProblem(await connection.answer(), 408, 'REQUEST_TIMEOUT');
      connection.destroy();
    }
  });
});
