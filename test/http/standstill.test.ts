/**
 * The daemon itself stood still, longer than any time-out, and its timers run out before it looks at what clients have done meanwhile.
 * Here all of that is one step: the client takes or sends by its file descriptor, then the time-out is told. On a unix socket the system
 * has the bytes at the other end at once.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, readSync, rmSync, writeSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { takenBytes } from '../../core/net/taken-bytes.js';
import { gates, openGates } from '../fixtures/gated-library.js';
import { holdSocketTimeouts, holdTimers } from '../fixtures/held-time.js';
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

const SIZE = 2 ** 25;

const PROGRESS_MS = 600_001;
const KEEP_ALIVE_MS = 2 * PROGRESS_MS;

let folder: string;
let socketPath: string;
let daemon: RunningDaemon;
let client: RawConnection;
/** The daemon's end of it. */
let served: Socket;
let accepted: Socket | undefined;

const note = (message: unknown): void => {
  accepted = (message as { socket: Socket }).socket;
};
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bedrock-still-'));
  socketPath = path.join(folder, 'http.sock');
  daemon = await runDaemon({
    address: `unix:${socketPath}`,
    gated: true,
    http: { progress_timeout_ms: PROGRESS_MS, keep_alive_timeout_ms: KEEP_ALIVE_MS },
    providers: [memoryStore('store', 42), gatedStore('gated', 7)],
  });
});
beforeEach(async () => {
  subscribe('net.server.socket', note);
  accepted = undefined;
  client = await RawConnection.open({ path: socketPath });
  const found = await eventually(
    () => accepted,
    (socket) => socket !== undefined,
  );
  served = found as Socket;
  unsubscribe('net.server.socket', note);
});
afterEach(openGates);
afterAll(async () => {
  await closeDaemons();
  rmSync(folder, { recursive: true });
});

function descriptor(): number {
  return (client.socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Takes what the system has for the client. @returns how many bytes */
function takeNow(): number {
  const bytes = Buffer.alloc(2 ** 20);
  let taken = 0;
  try {
    for (;;) {
      const count = readSync(descriptor(), bytes);
      if (count === 0) return taken;
      taken += count;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    return taken;
  }
}

describe('a download that was taken while the daemon stood still', () => {
  beforeEach(async () => {
    const place = await daemon.regionOf(Buffer.alloc(SIZE));
    client.socket.pause();
    client.send(head(`GET ${place}`, 'Connection: close'));
    await eventually(
      () => served.writableLength,
      (waiting) => waiting > 0,
    );
    for (let taken = -1; taken !== takenBytes(served);) {
      taken = takenBytes(served);
      await turns();
    }
    expect(served.writableLength).toBeGreaterThan(0);
  });

  it('goes on', async () => {
    const taken = takeNow();
    expect(taken).toBeGreaterThan(0);
    served.emit('timeout');
    await turns();
    client.socket.resume();
    await client.closed();
    expect(taken + client.unread.length).toBeGreaterThan(SIZE);
  });

  it('ends if the client took nothing', async () => {
    served.emit('timeout');
    await turns();
    client.socket.resume();
    await client.closed();
    expect(client.unread.length).toBeLessThan(SIZE);
  });
});

describe('a request that came while the daemon stood still', () => {
  it('is answered, on a connection that waits for its next one', async () => {
    client.send(head('GET /healthz'));
    await client.answer();
    await turns();
    writeSync(descriptor(), head('GET /healthz'));
    served.emit('timeout');
    expect((await client.answer()).status).toBe(200);
    served.emit('timeout');
    await client.closed();
  });

  it('is answered, on a connection that waits for its first one', async () => {
    await turns();
    const timeOut = (): void => {
      const error = Object.assign(new Error('too late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
      (served as Socket & { server: Server }).server.emit('clientError', error, served);
    };
    writeSync(descriptor(), head('GET /healthz'));
    timeOut();
    expect((await client.answer()).status).toBe(200);
    timeOut();
    expectProblem(await client.answer(), 408, 'REQUEST_TIMEOUT');
    client.destroy();
  });
});

it('an answer that went out while the daemon stood still leaves its connection the time-out of idle ones', async () => {
  holdTimers('setTimeout');
  holdSocketTimeouts();
  try {
    const connection = await RawConnection.open({ path: socketPath });
    const place = await daemon.regionOf(Buffer.from('hello'), 'gated');
    gates.read.shut();
    connection.send(head(`GET ${place}`));
    await gates.read.arrivals(1);
    jest.advanceTimersByTime(PROGRESS_MS);
    gates.read.open();
    expect((await connection.answer()).bytes.toString()).toBe('hello');
    await turns();
    jest.advanceTimersByTime(KEEP_ALIVE_MS - 1);
    await turns();
    expect(connection.isClosed).toBe(false);
    jest.advanceTimersByTime(KEEP_ALIVE_MS);
    await connection.closed();
  } finally {
    jest.useRealTimers();
    jest.restoreAllMocks();
  }
});
