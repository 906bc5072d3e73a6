/** Memory that the system refuses fails one request, by either door, and nothing else: an allocator that fails at each of its calls in turn. */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { replaceAllocator } from '../../core/base/allocation.js';
import { forgetSpareBuffers } from '../../core/net/spare-buffers.js';
import { codeOf, encode, type RawClient } from '../resp/raw-client.js';
import { closeDoors, eventually, RunningDoor } from '../resp/running-door.js';

const SIZE = 2 ** 20;

let door: RunningDoor;
let id: string;
let restore = (): void => undefined;
beforeAll(async () => {
  door = await RunningDoor.start();
  id = (await door.daemon.target('store').createAndWrite(Buffer.alloc(SIZE, 'x'))).toString();
});
afterEach(() => restore());
afterAll(closeDoors);

/** Has the nth allocation from now on fail. @returns whether it has come to that */
function failAt(nth: number): () => boolean {
  let calls = 0;
  forgetSpareBuffers();
  restore = replaceAllocator((bytes) => {
    if (++calls === nth) throw new RangeError('Array buffer allocation failed');
    return Buffer.allocUnsafeSlow(bytes);
  });
  return () => calls >= nth;
}

async function isServed(): Promise<void> {
  const client = await door.client();
  expect(await client.call('BLOB.READ', id, 0, 1)).toBe('x');
  client.close();
  for (const figure of ['arriving_bytes', 'buffered_bytes'])
    await eventually(
      () => door.figure(figure),
      (bytes) => bytes === 0,
    );
}

/** Runs a session, which may lose its connection, with ever later failures, until one goes through without. */
async function untilUnharmed(session: () => Promise<void>): Promise<number> {
  for (let nth = 1; ; nth++) {
    const hasFailed = failAt(nth);
    await session().catch(() => undefined);
    const wasReached = hasFailed();
    restore();
    await isServed();
    if (!wasReached) return nth - 1;
  }
}

it('by HTTP: reads in pieces, JSON bodies', async () => {
  const statuses = new Set<number>();
  const base = `${door.daemon.address ?? ''}/v1/providers/store/regions/${id}`;
  const ask = async (url: string, init?: RequestInit): Promise<void> => {
    const response = await fetch(url, init);
    await response.arrayBuffer();
    statuses.add(response.status);
  };
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ ranges: [{ offset: 0, size: 8 }] });
  const failures = await untilUnharmed(async () => {
    await ask(base);
    await ask(`${base}/persist`, { method: 'POST', headers, body });
  });
  expect(failures).toBeGreaterThan(2);
  expect([...statuses].sort()).toEqual([200, 204, 503]);
});

it('by the Redis protocol: long arguments, large replies, lists', async () => {
  const errors = new Set<string>();
  const failures = await untilUnharmed(async () => {
    const client: RawClient = await door.client();
    const requests = [
      ['BLOB.CREATE', SIZE, 'DATA', Buffer.alloc(SIZE)],
      ['BLOB.READ', id, 0, SIZE],
      ['BLOB.READV', id, 0, 2 ** 18, 0, 2 ** 18],
      ['BLOB.WRITEV', id, 0, Buffer.alloc(2 ** 16, 'x'), 8, Buffer.alloc(2 ** 16, 'x')],
      ['ECHO', Buffer.alloc(2 ** 17)],
      ['COMMAND', 'DOCS'],
    ];
    client.socket.write(Buffer.concat(requests.map((request) => encode(...request))));
    for (let n = 0; n < requests.length; n++) {
      const answer = await client.reply();
      if (answer instanceof Error) errors.add(codeOf(answer));
    }
    client.close();
  });
  expect(failures).toBeGreaterThan(4);
  expect([...errors]).toEqual(['OVERLOADED']);
});
