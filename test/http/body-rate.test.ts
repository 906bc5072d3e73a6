/** Bodies that drip, in time that passes only when the test says so. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals';
import { readBody } from '../../core/http/body.js';
import { holdTimers, stopClock, turns } from '../fixtures/held-time.js';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, eventually, runDaemon } from './running-daemon.js';

const TIMEOUT_MS = 1000;
const RATE = 100;
const SIZE = 2 ** 20;

afterEach(() => {
  jest.useRealTimers();
  jest.restoreAllMocks();
});
afterAll(closeDaemons);

class Upload {
  readonly #clock = stopClock();
  readonly #request = Object.assign(new Readable({ read: () => undefined }), {
    headers: { 'content-length': String(SIZE) },
    complete: false,
  });
  received = 0;
  failure: unknown;

  constructor(minRate: number) {
    holdTimers('setTimeout');
    void this.#read(minRate).catch((error: unknown) => (this.failure = error));
  }

  async #read(minRate: number): Promise<void> {
    const limits = { maxBodyBytes: SIZE, progressTimeoutMs: TIMEOUT_MS, minRate };
    const request = this.#request as unknown as IncomingMessage;
    for await (const piece of readBody(request, SIZE, limits)) this.received += piece.length;
  }

  /** Bytes come after some time. */
  async send(bytes: number, afterMs: number): Promise<void> {
    await turns(2);
    this.#clock.pass(afterMs);
    jest.advanceTimersByTime(afterMs);
    this.#request.push(Buffer.alloc(bytes));
    await turns(3);
  }
}

describe('a body', () => {
  it('that brings a byte now and then is given up after the time-out', async () => {
    const upload = new Upload(RATE);
    for (let sent = 0; sent < 3; sent++) await upload.send(1, TIMEOUT_MS / 2);
    expect(upload.failure).toMatchObject({ code: 'REQUEST_TIMEOUT' });
    expect(upload.received).toBeLessThan(3);
  });

  it('that comes as slowly as may be goes on', async () => {
    const upload = new Upload(RATE);
    for (let sent = 0; sent < 40; sent++) await upload.send(RATE / 2, TIMEOUT_MS / 2);
    expect(upload.failure).toBeUndefined();
    expect(upload.received).toBe(20 * RATE);
  });

  it('gains nothing for later by being fast at first', async () => {
    const upload = new Upload(RATE);
    await upload.send(50 * RATE, TIMEOUT_MS / 2);
    for (let sent = 0; sent < 4; sent++) await upload.send(1, TIMEOUT_MS / 2);
    expect(upload.failure).toMatchObject({ code: 'REQUEST_TIMEOUT' });
  });

  it('may drip where there is no rate', async () => {
    const upload = new Upload(0);
    for (let sent = 0; sent < 10; sent++) await upload.send(1, TIMEOUT_MS / 2);
    expect(upload.failure).toBeUndefined();
    expect(upload.received).toBe(10);
  });

  it('is not held to the time in which the daemon stood still', async () => {
    const upload = new Upload(RATE);
    // The time-out is over before what came is read.
    for (let sent = 0; sent < 5; sent++) await upload.send(1, 100 * TIMEOUT_MS);
    expect(upload.failure).toBeUndefined();
    expect(upload.received).toBe(5);
  });
});

it('a POST that drips gets 408, and the space of its region is free again', async () => {
  const daemon = await runDaemon({ http: { progress_timeout_ms: 200, min_body_rate: 1_000_000_000 } });
  const connection = await RawConnection.open(daemon.port);
  connection.send(head('POST /v1/providers/store/regions', `Content-Length: ${SIZE}`));
  const dripping = setInterval(() => connection.send('x'), 20);
  try {
    expect((await connection.answer()).status).toBe(408);
  } finally {
    clearInterval(dripping);
    connection.destroy();
  }
  await eventually(
    () => daemon.stats(),
    ({ usedBytes }) => usedBytes === 0,
  );
});
