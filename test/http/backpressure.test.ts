/**
 * What the daemon holds for clients that are slower than it: a few pieces each, however large the region. The connections are unix
 * sockets, whose own buffers in the system are small.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { counters, gates, openGates } from '../fixtures/gated-library.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  gatedStore,
  runDaemon,
  turns,
  type RunningDaemon,
} from './running-daemon.js';

const MIB = 2 ** 20;
const REGIONS = '/v1/providers/gated/regions';

let folder: string;
let socketPath: string;
let daemon: RunningDaemon;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  socketPath = path.join(folder, 'socket');
  daemon = await runDaemon({
    gated: true,
    address: `unix:${socketPath}`,
    providers: [gatedStore('gated', 7)],
  });
});
afterEach(openGates);
afterAll(async () => {
  await closeDaemons();
  await rm(folder, { recursive: true });
});

/** Waits until a figure has begun to rise and no longer changes. @returns it */
async function settled(figure: () => number): Promise<number> {
  let last = await eventually(figure, (value) => value > 0);
  for (;;) {
    await turns();
    if (figure() === last) return last;
    last = figure();
  }
}

describe('a client that does not read', () => {
  it('has the daemon read no more than a few pieces of the region', async () => {
    const place = await daemon.regionOf(Buffer.alloc(32 * MIB), 'gated');
    const connection = await RawConnection.open({ path: socketPath });
    connection.socket.pause();
    const before = counters.bytesRead;
    connection.send(head(`GET ${place}`, 'Connection: close'));
    expect(await settled(() => counters.bytesRead - before)).toBeLessThan(3 * MIB);
    connection.socket.resume();
    await connection.closed();
    expect(connection.unread.length).toBeGreaterThan(32 * MIB);
    await daemon.call('DELETE', place);
  });

  it('gets the answers of a flood of requests only as it reads them', async () => {
    const place = await daemon.regionOf(Buffer.alloc(200_000), 'gated');
    const connection = await RawConnection.open({ path: socketPath });
    connection.socket.pause();
    const before = counters.bytesRead;
    connection.send(head(`GET ${place}`).repeat(500));
    expect(await settled(() => counters.bytesRead - before)).toBeLessThan(3 * MIB);
    connection.socket.resume();
    for (let count = 0; count < 500; count++) {
      const answer = await connection.answer();
      if (answer.bytes.length !== 200_000)
        throw new Error(`answer ${count} has ${answer.bytes.length} bytes`);
    }
    connection.destroy();
    await daemon.call('DELETE', place);
  });
});

describe('a target that is slow to write', () => {
  it('has the daemon take no more than a few pieces of the body', async () => {
    gates.write.shut();
    const connection = await RawConnection.open({ path: socketPath });
    connection.send(head(`POST ${REGIONS}`, `Content-Length: ${32 * MIB}`));
    let sent = 0;
    const piece = Buffer.alloc(64 * 1024);
    const sendOn = (): void => {
      if (sent === 32 * MIB) return;
      connection.socket.write(piece, () => {
        sent += piece.length;
        sendOn();
      });
    };
    sendOn();
    await gates.write.arrivals(1);
    expect(await settled(() => sent)).toBeLessThan(3 * MIB);
    gates.write.open();
    expect((await connection.answer()).status).toBe(201);
    connection.destroy();
  });
});
