/** Clients that stall, flood, drip, come in crowds or speak something else, and daemons that want one address. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { gates } from '../fixtures/gated-library.js';
import { stopClock } from '../fixtures/held-time.js';
import { RawClient, codeOf, encode, type Value } from './raw-client.js';
import { RunningDoor, closeDoors, eventually } from './running-door.js';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeDoors();
});

describe('a client', () => {
  it('that never takes its replies is dropped within progress_timeout_ms', async () => {
    const door = await RunningDoor.start({ resp: { progress_timeout_ms: 200 } });
    const id = (await door.daemon.target('store').create(2 ** 20)).toString();
    const client = await door.client();
    expect(await client.call('PING')).toBe('PONG');
    client.socket.pause();
    const request = encode('BLOB.READ', id, 0, 2 ** 20);
    for (let n = 0; n < 50; n++) client.socket.write(request);
    // Beside the one that asks.
    await eventually(
      () => door.figure('connected_clients'),
      (count) => count === 1,
    );
    expect(await door.figure('buffered_bytes')).toBe(0);
  });

  it('that takes no large replies has others refused some beyond the memory for all of them', async () => {
    const door = await RunningDoor.start({
      resp: { max_replies_bytes: 2 ** 24, max_buffered_bytes: 2 ** 24 },
    });
    // Nobody is slow, who would be closed for others.
    stopClock();
    const id = (await door.daemon.target('store').create(2 ** 23)).toString();
    const request = encode('BLOB.READ', id, 0, 2 ** 23);
    const idle = await door.client();
    idle.socket.pause();
    for (let n = 0; n < 3; n++) idle.socket.write(request);
    await eventually(
      () => door.figure('buffered_bytes'),
      (count) => count >= 2 ** 22,
    );
    const other = await door.client();
    const answer = (): Promise<unknown> => other.call('BLOB.READ', id, 0, 2 ** 23).then((value) => value);
    await eventually(answer, (value) => value instanceof Error && codeOf(value) === 'OVERLOADED');
    expect(await other.call('BLOB.READ', id, 0, 10)).toBe('\0'.repeat(10));
    idle.close();
    await eventually(answer, (value) => value === '\0'.repeat(2 ** 23));
  });

  it('that announces much and sends little keeps nobody from sending', async () => {
    const door = await RunningDoor.start({ resp: { max_arriving_bytes: 2 ** 20 } });
    const id = (await door.daemon.target('store').create(2 ** 19)).toString();
    for (let n = 0; n < 9; n++) {
      const idle = await door.client();
      idle.socket.write('*2\r\n$4\r\nECHO\r\n$67108864\r\nx');
    }
    await eventually(
      () => door.figure('arriving_bytes'),
      (bytes) => bytes === 9 * 2 ** 16,
    );
    const client = await door.client();
    const large = Buffer.alloc(2 ** 18, 'x');
    expect(codeOrValue(await client.call('BLOB.CREATE', large.length, 'DATA', large))).toMatch(/^\w{32}$/);
    const small = encode('BLOB.WRITE', id, 0, 'x'.repeat(60));
    client.socket.write(Buffer.concat(Array<Buffer>(1000).fill(small)));
    for (let n = 0; n < 1000; n++) expect(await client.reply()).toBe('OK');
  });

  it('that sends much and then nothing more is closed when others need the memory', async () => {
    const door = await RunningDoor.start({ resp: { max_arriving_bytes: 2 ** 20 } });
    const idle = await door.client();
    const whole = encode('ECHO', Buffer.alloc(2 ** 20, 'x'));
    idle.socket.write(whole.subarray(0, -10));
    await eventually(
      () => door.figure('arriving_bytes'),
      (bytes) => bytes === 2 ** 20,
    );
    const client = await door.client();
    const create = (size: number): Promise<string> =>
      client.call('BLOB.CREATE', size, 'DATA', Buffer.alloc(size)).then(codeOrValue);
    // Small ones do not have to wait for that.
    expect(await create(2 ** 16)).toMatch(/^\w{32}$/);
    await eventually(
      () => create(2 ** 18),
      (answer) => /^\w{32}$/.test(answer),
    );
    await idle.ended();
    expect(await door.figure('evicted_clients')).toBe(1);
    expect(await door.figure('arriving_bytes')).toBe(0);
  });

  it.each([
    ['ECHO', () => ['ECHO', Buffer.alloc(2 ** 22, 'x')]],
    ['PING', () => ['PING', Buffer.alloc(2 ** 22, 'x')]],
    ['COMMAND GETKEYS', () => ['COMMAND', 'GETKEYS', 'BLOB.ERASE', Buffer.alloc(2 ** 22, 'x')]],
    ['BLOB.READV', (id: string) => ['BLOB.READV', id, 0, 2 ** 22]],
    ['GETRANGE from the end', (id: string) => ['GETRANGE', id, -(2 ** 22), -1]],
  ])(
    'that takes nothing of the replies to %s has no more of them in memory than all may',
    async (_, request) => {
      const limit = 2 ** 24;
      const door = await RunningDoor.start({ resp: { max_replies_bytes: limit } });
      const id = (await door.daemon.target('store').create(2 ** 22)).toString();
      const crowd = await Promise.all(Array.from({ length: 12 }, () => door.client()));
      for (const each of crowd) {
        each.socket.pause();
        each.socket.write(encode(...request(id)));
      }
      await eventually(
        () => door.figure('total_commands_processed'),
        (count) => count >= 12,
      );
      expect(await door.figure('buffered_bytes')).toBeLessThanOrEqual(limit);
      for (const each of crowd) each.close();
      await eventually(
        () => door.figure('buffered_bytes'),
        (bytes) => bytes === 0,
      );
      const client = await door.client();
      expect(codeOrValue(await client.call(...request(id)))).not.toBe('OVERLOADED');
    },
  );

  it('that takes nothing of many small replies is not served beyond a modest number of them', async () => {
    const door = await RunningDoor.start({ resp: { max_buffered_bytes: 2 ** 16 } });
    const client = await door.client();
    client.socket.pause();
    const list = encode('COMMAND');
    const flood = Buffer.concat(Array<Buffer>(50_000).fill(list));
    client.socket.write(flood);
    await eventually(
      () => door.figure('buffered_bytes'),
      (bytes) => bytes > 2 ** 16,
    );
    // What is carried out then is what others ask for.
    await eventually(
      async () => {
        const before = await door.figure('total_commands_processed');
        await door.serveAnother(50);
        return (await door.figure('total_commands_processed')) - before;
      },
      (count) => count === 51,
    );
    expect(await door.figure('total_commands_processed')).toBeLessThan(50_000);
    expect(await door.figure('buffered_bytes')).toBeLessThan(2 ** 18);
  });

  it('that floods does not keep others from being served', async () => {
    const door = await RunningDoor.start();
    const flood = await door.client();
    flood.socket.pause();
    const pings = encode('PING').toString().repeat(10_000);
    for (let n = 0; n < 20; n++) flood.socket.write(pings);
    const other = await door.client();
    for (let n = 0; n < 20; n++) expect(await other.call('PING')).toBe('PONG');
  });

  it('that sends one byte at a time is served', async () => {
    const door = await RunningDoor.start();
    const id = (await door.daemon.target('store').create(16)).toString();
    const client = await door.client();
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([encode('SETRANGE', id, 1, 'drip'), encode('GETRANGE', id, 0, 5)])) {
      client.socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    expect(await client.reply()).toBe(16);
    expect(await client.reply()).toBe('\0drip\0');
  });

  it('that is idle is closed after idle_timeout_ms, though it might take longer over a request', async () => {
    const door = await RunningDoor.start({ resp: { idle_timeout_ms: 1000, progress_timeout_ms: 600_000 } });
    const clock = stopClock();
    const busy = await door.client();
    busy.socket.write('*1\r\n');
    const idle = await door.client();
    expect(await idle.call('PING')).toBe('PONG');
    await eventually(
      () => door.figureOf(busy, 'qbuf'),
      (bytes) => bytes === 4,
    );
    clock.pass(1000);
    await idle.ended();
    busy.socket.write('$4\r\nPING\r\n');
    expect(await busy.reply()).toBe('PONG');
  });

  it('beyond max_connections is closed at once, and those that are there go on', async () => {
    const door = await RunningDoor.start({ resp: { max_connections: 5 } });
    const clients: RawClient[] = [];
    while (clients.length < 5) {
      const client = await door.client();
      expect(await client.call('PING')).toBe('PONG');
      clients.push(client);
    }
    const crowd = await Promise.all(Array.from({ length: 100 }, () => door.client()));
    await Promise.all(crowd.map((client) => client.ended()));
    for (const client of clients) expect(await client.call('PING')).toBe('PONG');
    expect(await (clients[0] as RawClient).call('INFO')).toContain('rejected_connections:100');
  });

  it.each([
    [
      'an HTTP request with commands in its body',
      (id: string) => `POST / HTTP/1.1\r\nHost: x\r\n\r\n${encode('BLOB.ERASE', id).toString()}`,
    ],
    [
      'a line of HTTP and then commands',
      (id: string) => `GET /x HTTP/1.1\r\nHost: x\r\n${encode('BLOB.ERASE', id).toString()}`,
    ],
    ['the beginning of TLS', (id: string) => `\x16\x03\x01\x02\x00\n${encode('BLOB.ERASE', id).toString()}`],
    ['an answer of the protocol', (id: string) => `+OK\r\n${encode('BLOB.ERASE', id).toString()}`],
  ])('that sends %s gets one error, and has nothing carried out', async (_what, bytes) => {
    const door = await RunningDoor.start();
    const id = await door.daemon.target('store').create(16);
    for (const cut of [0, 3, 20]) {
      const client = await door.client();
      const text = bytes(id.toString());
      client.socket.write(text.slice(0, cut), 'latin1');
      await door.serveAnother(2);
      client.socket.write(text.slice(cut), 'latin1');
      expect(await client.reply()).toBeInstanceOf(Error);
      await client.ended();
    }
    expect((await door.daemon.target('store').stat(id)).size).toBe(16);
  });
});

/** The code of an error, or what else came, as text. */
function codeOrValue(value: Value): string {
  if (value instanceof Error) return codeOf(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

describe('a daemon', () => {
  it('that stops ends what is in flight, and answers it', async () => {
    const door = await RunningDoor.start();
    const client = await door.client();
    await client.call('SELECT', 'gated');
    const id = (await client.call('BLOB.CREATE', 8)) as string;
    gates.write.shut();
    client.send('SETRANGE', id, 0, 'x');
    await gates.write.arrivals(1);
    const idle = await door.client();
    const closed = door.daemon.close();
    // All were told by then.
    await idle.ended();
    idle.close();
    gates.write.open();
    expect(await client.reply()).toBe(8);
    await client.ended();
    client.close();
    await closed;
  });

  it('cuts what does not end within drain_timeout_ms', async () => {
    const door = await RunningDoor.start({ drainTimeoutMs: 50 });
    const client = await door.client();
    await client.call('SELECT', 'gated');
    const id = (await client.call('BLOB.CREATE', 8)) as string;
    gates.write.shut();
    client.send('SETRANGE', id, 0, 'x');
    await gates.write.arrivals(1);
    const closed = door.daemon.close();
    await client.ended();
    gates.write.open();
    await closed;
  });

  it('does not start at the address of another, with START_FAILED', async () => {
    const door = await RunningDoor.start();
    await expect(RunningDoor.start({ resp: { address: `127.0.0.1:${door.port}` } })).rejects.toMatchObject({
      code: 'START_FAILED',
    });
    expect(await (await door.client()).call('PING')).toBe('PONG');
  });

  it('takes the socket over of one that was killed, for its owner alone, but not of one that lives', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-resp-'));
    try {
      const unix = path.join(folder, 'socket');
      const script = `require('net').createServer().listen(${JSON.stringify(unix)}, () => process.kill(process.pid, 9))`;
      spawnSync(process.execPath, ['-e', script]);
      expect((await stat(unix)).isSocket()).toBe(true);
      await RunningDoor.start({ resp: { unix } });
      expect((await stat(unix)).mode & 0o777).toBe(0o600);
      await expect(RunningDoor.start({ resp: { unix } })).rejects.toMatchObject({ code: 'START_FAILED' });
      const client = await RawClient.connect({ path: unix });
      expect(await client.call('PING')).toBe('PONG');
      client.close();
      await closeDoors();
      await expect(stat(unix)).rejects.toMatchObject({ code: 'ENOENT' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says in its metrics what goes on at its Redis door', async () => {
    const door = await RunningDoor.start();
    const client = await door.client();
    await client.call('PING');
    await client.call('NONSENSE');
    const metrics = await (await fetch(`${door.daemon.address ?? ''}/metrics`)).text();
    expect(metrics).toMatch(/^bedrock_resp_connections 1$/m);
    expect(metrics).toMatch(/^bedrock_resp_requests_total 2$/m);
    expect(metrics).toMatch(/^bedrock_resp_errors_total 1$/m);
  });
});
