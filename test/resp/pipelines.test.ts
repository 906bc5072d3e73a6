/** Requests that wait for one another: their order, what a connection's end does to them, and what they may cost. */
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { counters, gates } from '../fixtures/gated-library.js';
import { holdTimers } from '../fixtures/held-time.js';
import { codeOf, encode, type RawClient, type Value } from './raw-client.js';
import { RunningDoor, closeDoors, eventually } from './running-door.js';

afterEach(closeDoors);

async function replies(client: RawClient, count: number): Promise<Value[]> {
  const all: Value[] = [];
  while (all.length < count) all.push(await client.reply());
  return all;
}

async function gatedClient(door: RunningDoor): Promise<RawClient> {
  const client = await door.client();
  await client.call('SELECT', 'gated');
  return client;
}

async function regions(client: RawClient, count: number, size = 8): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push((await client.call('BLOB.CREATE', size)) as string);
  return ids;
}

describe('a command on several regions', () => {
  it('meets them as they were when it came, whatever comes behind it', async () => {
    const door = await RunningDoor.start();
    const client = await gatedClient(door);
    const [a = '', b = ''] = await regions(client, 2);
    gates.stat.shut();
    client.socket.write(Buffer.concat([encode('EXISTS', a, b), encode('BLOB.ERASE', b)]));
    await gates.stat.arrivals(1);
    await door.serveAnother();
    gates.stat.open();
    expect(await replies(client, 2)).toEqual([2, 'OK']);
  });

  it('has done all of them before what comes behind it begins', async () => {
    const door = await RunningDoor.start();
    const client = await door.client();
    const ids = await regions(client, 50);
    const last = ids.at(-1) ?? '';
    client.socket.write(Buffer.concat([encode('DEL', ...ids), encode('BLOB.READ', last, 0, 1)]));
    expect(await client.reply()).toBe(50);
    expect(codeOf(await client.reply())).toBe('REGION_NOT_FOUND');
  });
});

describe('requests that came whole', () => {
  it.each([100, 2000])(
    'are carried out and answered though the client has ended its side, %d too',
    async (count) => {
      const door = await RunningDoor.start();
      const client = await gatedClient(door);
      const [id = ''] = await regions(client, 1);
      gates.write.shut();
      const requests = Array.from({ length: count }, (_, n) => encode('SETRANGE', id, n % 8, 'x'));
      client.socket.end(Buffer.concat(requests));
      await gates.write.arrivals(1);
      await door.serveAnother();
      gates.write.open();
      expect(await replies(client, count)).toEqual(Array(count).fill(8));
      await client.ended();
    },
  );

  it('wait for one before them, though they are larger together than one may be', async () => {
    const door = await RunningDoor.start({ resp: { max_request_bytes: 65536 } });
    const client = await gatedClient(door);
    const [id = ''] = await regions(client, 1, 65536);
    const pieces = Array.from(
      { length: 6 },
      (_, n) => [n * 8000, Buffer.alloc(7900, 97 + n)] as const,
    ).flat();
    const large = encode('BLOB.WRITEV', id, ...pieces);
    gates.write.shut();
    client.send('BLOB.WRITE', id, 0, 'x');
    await gates.write.arrivals(1);
    for (let n = 0; n < 4; n++) client.socket.write(large);
    await door.serveAnother();
    gates.write.open();
    expect(await replies(client, 5)).toEqual(Array(5).fill('OK'));
    expect(await client.call('BLOB.READ', id, 8000, 2)).toBe('bb');
  });

  it('are answered in full, though the client has ended its side and is slow to read', async () => {
    // With less room the door would not see that the client has ended its side.
    const door = await RunningDoor.start({ resp: { max_buffered_bytes: 2 ** 25 } });
    const client = await door.client();
    const [id = ''] = await regions(client, 1, 2 ** 24);
    client.socket.pause();
    holdTimers('setTimeout');
    try {
      client.socket.end(encode('BLOB.READ', id, 0, 2 ** 24));
      await eventually(
        () => door.figure('buffered_bytes'),
        (bytes) => bytes > 0,
      );
      // However long it takes: a timer that would end the connection has run out.
      for (let round = 0; round < 20; round++) {
        await door.serveAnother(1);
        jest.advanceTimersByTime(600_000);
      }
    } finally {
      jest.useRealTimers();
    }
    client.socket.resume();
    expect(((await client.reply()) as string).length).toBe(2 ** 24);
    await client.ended();
  });
});

describe('reads whose size only the region tells', () => {
  it('are not begun by the hundred before the first of them is taken', async () => {
    const door = await RunningDoor.start();
    const client = await gatedClient(door);
    const [id = ''] = await regions(client, 1, 2 ** 22);
    const before = counters.bytesRead;
    client.socket.pause();
    client.socket.write(Buffer.concat(Array.from({ length: 100 }, () => encode('GETRANGE', id, 0, -1))));
    await eventually(
      () => door.figure('buffered_bytes'),
      (bytes) => bytes > 0,
    );
    await door.serveAnother(100);
    expect(counters.bytesRead - before).toBeLessThan(10 * 2 ** 22);
    client.socket.resume();
    expect(((await client.reply()) as string).length).toBe(2 ** 22);
  });

  it('count as the bytes that they moved', async () => {
    const door = await RunningDoor.start();
    const client = await door.client();
    const [id = ''] = await regions(client, 1, 100);
    await client.call('GETRANGE', id, -30, -1);
    const metrics = await (await fetch(`${door.daemon.address ?? ''}/metrics`)).text();
    expect(metrics).toContain(
      'bedrock_operation_bytes_total{provider="store",target="0",operation="read"} 30\n',
    );
  });
});

describe('a command that is wrong', () => {
  const LONG = Buffer.alloc(30_000, 'x');

  it.each<[string, (id: string) => (string | number | Uint8Array)[]]>([
    ['the bytes at the wrong place', (id) => ['BLOB.WRITE', id, 0, 'a', LONG]],
    ['the bytes for an offset', (id) => ['BLOB.WRITE', id, LONG]],
    ['the bytes for an ID', () => ['BLOB.WRITE', LONG]],
    ['nothing but bytes', () => [LONG]],
  ])('changes no region, neither one that was named before: %s', async (_what, request) => {
    const door = await RunningDoor.start();
    const client = await door.client();
    const [id = ''] = await regions(client, 1, 65536);
    await client.call('SETRANGE', id, 0, '');
    const bytes = encode(...request(id));
    client.socket.write(bytes.subarray(0, 5000));
    await door.serveAnother();
    client.socket.write(bytes.subarray(5000));
    expect(codeOf(await client.reply())).toBe('INVALID_ARGUMENT');
    expect(await client.call('BLOB.READ', id, 0, 65536)).toBe('\0'.repeat(65536));
  });
});

describe('no bytes at all', () => {
  it('are written and read, also behind a request that is waited for', async () => {
    const door = await RunningDoor.start();
    const client = await gatedClient(door);
    const [id = ''] = await regions(client, 1);
    const other = (await door.daemon.target('store').create(8)).toString();
    expect(await client.call('SETRANGE', id, 8, '')).toBe(8);
    expect(await client.call('BLOB.READ', id, 8, 0)).toBe('');
    client.socket.write(
      Buffer.concat([encode('SETRANGE', id, 0, 'x'), encode('BLOB.READ', `store/${other}`, 8, 0)]),
    );
    expect(await replies(client, 2)).toEqual([8, '']);
  });
});

describe('a client that takes its replies', () => {
  it.each(['store', 'gated'])(
    'gets all of them, however small the buffer for them is: of %s',
    async (name) => {
      const door = await RunningDoor.start({ resp: { max_buffered_bytes: 65536 } });
      const client = await door.client();
      await client.call('SELECT', name);
      const [id = ''] = await regions(client, 1, 2 ** 17);
      for (const size of [40_000, 70_000, 131_072]) {
        client.socket.write(
          Buffer.concat(Array.from({ length: 20 }, () => encode('BLOB.READ', id, 0, size))),
        );
        for (const reply of await replies(client, 20)) expect((reply as string).length).toBe(size);
      }
    },
  );
});
