/**
 * The daemon itself stood still, longer than any time-out, and its timers run out before it looks at what clients have done meanwhile.
 * Here all of that is one step: the client takes or sends by its file descriptor, then the time-out is told.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readSync, writeSync } from 'node:fs';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { takenBytes } from '../../core/net/taken-bytes.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  expectProblem,
  runDaemon,
  turns,
  type RunningDaemon,
} from './running-daemon.js';

const SIZE = 2 ** 25;

let daemon: RunningDaemon;
let client: RawConnection;
/** The daemon's end of it. */
let served: Socket;
let accepted: Socket | undefined;

const note = (message: unknown): void => {
  accepted = (message as { socket: Socket }).socket;
};
beforeAll(async () => {
  daemon = await runDaemon();
});
beforeEach(async () => {
  subscribe('net.server.socket', note);
  client = await RawConnection.open(daemon.port);
  const found = await eventually(
    () => accepted,
    (socket) => socket?.remotePort === client.socket.localPort,
  );
  served = found as Socket;
  unsubscribe('net.server.socket', note);
});
afterAll(closeDaemons);

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
