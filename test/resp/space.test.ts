/** What clients of the Redis door hold of a target's space without filling it, and others that need it. */
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import type { RegionId } from '../../core/index.js';
import { holdTimers, stopClock, turns } from '../fixtures/held-time.js';
import { codeOf, type RawClient } from './raw-client.js';
import { closeDoors, eventually, RunningDoor } from './running-door.js';

const SIZE = 2 ** 20;
const UPLOAD_MS = 4000;

let clock: ReturnType<typeof stopClock>;
let door: RunningDoor;
let slow: RawClient;
let other: RawClient;

beforeEach(async () => {
  clock = stopClock();
  holdTimers('setInterval');
  const target = { type: 'memory', config: { max_bytes: SIZE } };
  door = await RunningDoor.start({
    resp: { upload_timeout_ms: UPLOAD_MS },
    providers: [{ name: 'store', type: 'warabi', provider_id: 1, config: { target } }],
  });
  slow = await door.client();
  other = await door.client();
});
afterEach(async () => {
  jest.useRealTimers();
  jest.restoreAllMocks();
  await closeDoors();
});

async function pass(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 100) {
    clock.pass(100);
    jest.advanceTimersByTime(100);
  }
  await turns(2);
}

/** Has a long argument begin to come into a region. */
async function drip(): Promise<RegionId> {
  const target = door.daemon.target('store');
  const id = await target.create(SIZE);
  slow.socket.write(`*4\r\n$10\r\nBLOB.WRITE\r\n$32\r\n${id.toString()}\r\n$1\r\n0\r\n$${SIZE}\r\nab`);
  await eventually(
    async () => Buffer.from(await target.read(id, 0, 2)).toString(),
    (bytes) => bytes === 'ab',
  );
  return id;
}

it.each([
  ['BLOB.CREATE', ['BLOB.CREATE', SIZE]],
  ['BLOB.CREATE with its bytes', ['BLOB.CREATE', 3, 'DATA', 'abc']],
  ['BLOB.UPLOAD', ['BLOB.UPLOAD', SIZE]],
])('an upload that trickles gives way to %s', async (_title, command) => {
  const number = (await slow.call('BLOB.UPLOAD', SIZE)) as number;
  expect(await slow.call('BLOB.UPLOAD.PART', number, 'x')).toBe('OK');
  expect(codeOf(await other.call(...command))).toBe('OUT_OF_SPACE');
  await pass(1000);
  expect(await other.call(...command)).not.toBeInstanceOf(Error);
  expect(codeOf(await slow.call('BLOB.UPLOAD.PART', number, 'x'))).toBe('REQUEST_TIMEOUT');
  expect(codeOf(await slow.call('BLOB.UPLOAD.END', number))).toBe('REQUEST_TIMEOUT');
});

it('a write that trickles into an erased region gives way', async () => {
  const id = await drip();
  await pass(1000);
  expect(codeOf(await other.call('BLOB.CREATE', SIZE))).toBe('OUT_OF_SPACE');
  await door.daemon.target('store').erase(id);
  expect(await other.call('BLOB.CREATE', SIZE)).toMatch(/^[0-9a-f]{32}$/);
  await slow.ended();
});

it('a client that drips a command is closed after upload_timeout_ms, and its region let go', async () => {
  const id = await drip();
  await door.daemon.target('store').erase(id);
  // Looked at eight times in so long.
  for (let passed = 0; passed < 2 * UPLOAD_MS; passed += 500) {
    if (!slow.socket.destroyed) slow.socket.write('c');
    await pass(500);
  }
  await slow.ended();
  await eventually(
    async () => (await door.daemon.target('store').stats()).usedBytes,
    (bytes) => bytes === 0,
  );
});

it('a client that takes its time over a command, but moves, is not closed', async () => {
  const id = await drip();
  const target = door.daemon.target('store');
  let sent = 2;
  for (let passed = 0; passed < 2 * UPLOAD_MS; passed += 500) {
    slow.socket.write('c'.repeat(50));
    sent += 50;
    await eventually(
      async () => Buffer.from(await target.read(id, sent - 1, 1)).toString(),
      (last) => last === 'c',
    );
    await pass(500);
  }
  await turns(5);
  expect(await door.figure('connected_clients')).toBe(3);
});
