/** Time-outs count lack of progress of the client: who is slow but steady is served, and so is who waits for a slow target. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { counters, gates, openGates } from '../fixtures/gated-library.js';
import { holdSocketTimeouts, holdTimers } from '../fixtures/held-time.js';
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

const MIB = 2 ** 20;
const TIMEOUT_MS = 500;
/** Where nothing has to be in time: the sooner the better. */
const BRIEF_MS = 200;
const DRIP_MS = BRIEF_MS / 8;

let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({
    gated: true,
    http: { progress_timeout_ms: TIMEOUT_MS },
    providers: [memoryStore('store', 42), gatedStore('gated', 7)],
  });
});
afterEach(openGates);
afterAll(closeDaemons);

describe('a client that is slow but steady', () => {
  /** Of held time: only what these tests let pass counts, and no standstill of the process. */
  const HELD_MS = 600_001;
  const STEP = HELD_MS - 1;
  let folder: string;
  let steady: RunningDaemon;
  let connection: RawConnection;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-steady-'));
    steady = await runDaemon({
      // A unix socket holds less than a gulp: who has taken one has seen the daemon send on.
      address: `unix:${path.join(folder, 'http.sock')}`,
      gated: true,
      http: { progress_timeout_ms: HELD_MS },
      providers: [memoryStore('store', 42), gatedStore('gated', 7)],
    });
  });
  afterAll(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    holdTimers('setTimeout');
    holdSocketTimeouts();
    connection = await RawConnection.open({ path: path.join(folder, 'http.sock') });
  });
  afterEach(() => {
    connection.destroy();
    jest.useRealTimers();
    jest.restoreAllMocks();
  });

  it('ends its upload, which takes longer than the time-out', async () => {
    const bytes = randomBytes(5);
    const before = counters.bytesWritten;
    connection.send(head('POST /v1/providers/gated/regions', `Content-Length: ${bytes.length}`));
    for (const [index, byte] of bytes.entries()) {
      connection.send(Buffer.of(byte));
      await eventually(
        () => counters.bytesWritten - before,
        (count) => count === index + 1,
      );
      await turns();
      jest.advanceTimersByTime(STEP);
      await turns();
    }
    const answer = await connection.answer();
    expect(answer.status).toBe(201);
    expect((await steady.call('GET', String(answer.headers.location))).bytes.equals(bytes)).toBe(true);
  });

  it('ends its download, which takes longer than the time-out', async () => {
    const bytes = randomBytes(5 * MIB);
    const place = await steady.regionOf(bytes);
    const { socket } = connection;
    socket.pause();
    connection.send(head(`GET ${place}`, 'Connection: close'));
    for (let gulp = 1; gulp < 5; gulp++) {
      await drink(socket, gulp * MIB);
      jest.advanceTimersByTime(STEP);
      await turns();
    }
    socket.resume();
    await connection.closed();
    const received = Buffer.from(connection.unread, 'latin1');
    expect(received.subarray(received.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true);
    await steady.call('DELETE', place);
  });

  it('loses its connection when it stops', async () => {
    const place = await steady.regionOf(Buffer.alloc(5 * MIB));
    const { socket } = connection;
    socket.pause();
    connection.send(head(`GET ${place}`));
    await drink(socket, MIB);
    await turns();
    // What waits to be sent became less since the time-out began, which begins once more for that.
    for (let round = 0; round < 3; round++) {
      jest.advanceTimersByTime(HELD_MS);
      await turns();
    }
    socket.resume();
    await connection.closed();
    expect(connection.unread.length).toBeLessThan(5 * MIB);
    await steady.call('DELETE', place);
  });

  /** Reads on until so many bytes have come in all, and no further. */
  function drink(socket: Socket, until: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (socket.bytesRead < until && !socket.destroyed) return;
        socket.off('data', look).off('close', look).pause();
        resolve();
      };
      socket.on('data', look).on('close', look).resume();
      look();
    });
  }
});

describe('a client that takes nothing of its response', () => {
  it('loses the connection after the time-out, and the daemon has not read on for it', async () => {
    const place = await daemon.regionOf(Buffer.alloc(32 * MIB), 'gated');
    const before = counters.bytesRead;
    const connection = await RawConnection.open(daemon.port);
    connection.socket.pause();
    connection.send(head(`GET ${place}`));
    // The end can only be seen once everything before it is read.
    await eventually(readsAborted, (count) => count === 1);
    const read = counters.bytesRead - before;
    connection.socket.resume();
    await connection.closed();
    expect(counters.bytesRead - before).toBe(read);
    expect(connection.unread.length).toBeLessThan(32 * MIB);
    await daemon.call('DELETE', place);
  });

  /** Downloads from the gated store that the daemon has given up. */
  async function readsAborted(): Promise<number> {
    const text = (await daemon.call('GET', '/metrics')).bytes.toString();
    const [, count = '0'] =
      /^bedrock_operation_errors_total\{provider="gated",target="0",operation="read",code="ABORTED"\} (\d+)$/m.exec(
        text,
      ) ?? [];
    return Number(count);
  }
});

describe('a target that is slower than the time-out', () => {
  it('does not cost its clients their uploads', async () => {
    gates.write.shut();
    const upload = daemon.call('POST', '/v1/providers/gated/regions', { body: Buffer.alloc(MIB) });
    await gates.write.arrivals(1);
    await progressTimeOut(daemon.port);
    gates.write.open();
    const answer = await upload;
    expect(answer.status).toBe(201);
    await daemon.call('DELETE', String(answer.headers.location));
  });

  it('does not cost its clients their downloads, small or large', async () => {
    const places = [
      await daemon.regionOf(Buffer.alloc(10), 'gated'),
      await daemon.regionOf(Buffer.alloc(MIB), 'gated'),
    ];
    gates.read.shut();
    const downloads = places.map((place) => daemon.call('GET', place));
    await gates.read.arrivals(2);
    await progressTimeOut(daemon.port);
    gates.read.open();
    expect((await Promise.all(downloads)).map(({ bytes }) => bytes.length)).toEqual([10, MIB]);
    await Promise.all(places.map((place) => daemon.call('DELETE', place)));
  });
});

describe('a connection without a request', () => {
  let brief: RunningDaemon;
  beforeAll(async () => {
    brief = await runDaemon({ http: { progress_timeout_ms: BRIEF_MS } });
  });

  it('ends after the keep-alive time-out', async () => {
    const patient = await runDaemon({ http: { keep_alive_timeout_ms: 100, progress_timeout_ms: 600_000 } });
    const connection = await RawConnection.open(patient.port);
    // At once: the time-out is so short that the second might meet it.
    connection.send(head('GET /healthz').repeat(2));
    for (let count = 0; count < 2; count++) expect((await connection.answer()).status).toBe(200);
    await connection.closed();
    expect(connection.unread).toBe('');
  });

  it('ends after the progress time-out if it never had one', async () => {
    const connection = await RawConnection.open(brief.port);
    await connection.closed();
  });

  it('ends with REQUEST_TIMEOUT (408) if one has begun to come and does not end', async () => {
    for (const before of ['', head('GET /healthz')]) {
      const connection = await RawConnection.open(brief.port);
      connection.send(`${before}GET /healthz HTTP/1.1\r\nHost: local`);
      if (before !== '') expect((await connection.answer()).status).toBe(200);
      expectProblem(await connection.answer(), 408, 'REQUEST_TIMEOUT');
      connection.socket.end();
      await connection.closed();
    }
  });

  it('ends with REQUEST_TIMEOUT (408) if its headers only drip', async () => {
    const connection = await RawConnection.open(brief.port);
    connection.send('GET /healthz HTTP/1.1\r\n');
    const drip = setInterval(() => connection.send('X: y\r\n'), DRIP_MS);
    try {
      expectProblem(await connection.answer(), 408, 'REQUEST_TIMEOUT');
    } finally {
      clearInterval(drip);
      connection.destroy();
    }
  });
});
