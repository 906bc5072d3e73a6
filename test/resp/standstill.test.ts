/**
 * The daemon itself stood still, longer than a time-out: its timers run out before it looks at what clients have sent or taken
 * meanwhile. Here that is one step: the client sends or takes by its file descriptor, then the time-out is told. On a unix socket the
 * system has the bytes at the other end at once.
 */
import { mkdtempSync, readSync, rmSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { takenBytes } from '../../core/net/taken-bytes.js';
import { holdTimers, stopClock, turns } from '../fixtures/held-time.js';
import { encode, RawClient } from './raw-client.js';
import { closeDoors, eventually, RunningDoor } from './running-door.js';

const PROGRESS_MS = 600_001;
const IDLE_MS = 500_000;
const UPLOAD_MS = 400_000;
const LARGE = 2 ** 22;

let clock: ReturnType<typeof stopClock>;
let folder: string;
let door: RunningDoor;
let client: RawClient;
/** The daemon's end of it. */
let served: Socket;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'bedrock-still-'));
  const unix = path.join(folder, 'resp.sock');
  clock = stopClock();
  holdTimers('setInterval');
  const timed = jest.spyOn(Socket.prototype, 'setTimeout');
  door = await RunningDoor.start({
    resp: { unix, progress_timeout_ms: PROGRESS_MS, idle_timeout_ms: IDLE_MS, upload_timeout_ms: UPLOAD_MS },
  });
  client = await RawClient.connect({ path: unix });
  expect(await client.call('PING')).toBe('PONG');
  served = timed.mock.contexts.find((_, call) => timed.mock.calls[call]?.[0] === PROGRESS_MS) as Socket;
});
afterEach(async () => {
  client.close();
  await closeDoors();
  rmSync(folder, { recursive: true });
  jest.useRealTimers();
  jest.restoreAllMocks();
});

function descriptor(): number {
  return (client.socket as unknown as { _handle: { fd: number } })._handle.fd;
}

/** Sends within the step. */
function sendNow(...request: (string | Uint8Array | number)[]): void {
  writeSync(descriptor(), encode(...request));
}

describe('a request that came while the daemon stood still', () => {
  it('is answered, though its first half came long before', async () => {
    client.socket.write('*1\r\n$4\r\n');
    await turns(2);
    writeSync(descriptor(), 'PI');
    served.emit('timeout');
    await turns();
    client.socket.write('NG\r\n');
    expect(await client.reply()).toBe('PONG');
  });

  it('is answered, though its connection was idle', async () => {
    await turns();
    clock.pass(IDLE_MS + 1);
    sendNow('PING');
    jest.advanceTimersByTime(IDLE_MS);
    expect(await client.reply()).toBe('PONG');
    clock.pass(IDLE_MS + 1);
    jest.advanceTimersByTime(IDLE_MS);
    await client.ended();
  });

  it('adds its part to an upload', async () => {
    const number = (await client.call('BLOB.UPLOAD', 2)) as number;
    expect(await client.call('BLOB.UPLOAD.PART', number, 'a')).toBe('OK');
    await turns();
    clock.pass(UPLOAD_MS + 1);
    sendNow('BLOB.UPLOAD.PART', number, 'b');
    jest.advanceTimersByTime(UPLOAD_MS);
    expect(await client.reply()).toBe('OK');
    expect(await client.call('BLOB.UPLOAD.END', number)).toHaveLength(32);
  });
});

describe('a reply that waits for its client', () => {
  beforeEach(async () => {
    const id = (await client.call('BLOB.CREATE', LARGE)) as string;
    client.socket.pause();
    client.send('GETRANGE', id, 0, -1);
    await eventually(
      () => Promise.resolve(served.writableLength),
      (waiting) => waiting > 0,
    );
    for (let taken = -1; taken !== takenBytes(served); await turns()) taken = takenBytes(served);
  });

  it('goes on if its client took of it while the daemon stood still', async () => {
    const bytes = Buffer.alloc(2 ** 20);
    let taken = 0;
    try {
      for (;;) taken += readSync(descriptor(), bytes);
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
    }
    expect(taken).toBeGreaterThan(0);
    served.emit('timeout');
    await turns();
    let rest = 0;
    client.socket.on('data', ({ length }) => (rest += length));
    client.socket.resume();
    await eventually(
      () => Promise.resolve(taken + rest),
      (all) => all === `$${LARGE}\r\n`.length + LARGE + 2,
    );
  });

  it('ends with the connection if its client took nothing', async () => {
    served.emit('timeout');
    client.socket.resume();
    await client.ended();
  });
});

it('an upload that got no part is given up', async () => {
  const number = (await client.call('BLOB.UPLOAD', 2)) as number;
  await turns();
  // At once it would be a standstill of the daemon, which does not count.
  for (let passed = 0; passed <= UPLOAD_MS; passed += UPLOAD_MS / 8) {
    clock.pass(UPLOAD_MS / 8);
    jest.advanceTimersByTime(UPLOAD_MS / 8);
    await turns();
  }
  const target = door.daemon.target('store');
  await eventually(
    async () => (await target.stats()).usedBytes,
    (bytes) => bytes === 0,
  );
  expect(await client.call('BLOB.UPLOAD.END', number)).toBeInstanceOf(Error);
});
