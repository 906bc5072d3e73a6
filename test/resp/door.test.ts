/** The Redis door: commands, the order of replies, limits, and clients that mean no good. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { bootstrap, type Daemon } from '../../core/index.js';
import { holdTimers, passUntilSettled, stopClock, turns } from '../fixtures/held-time.js';
import { RawClient, codeOf, encode, type Value } from './raw-client.js';

const LIMITS = {
  max_bulk_bytes: 2 ** 20,
  max_arguments: 100,
  max_request_bytes: 65536,
  max_buffered_bytes: 2 ** 18,
};

let folder: string;
let daemon: Daemon;
let clients: RawClient[];

async function start(resp: Record<string, unknown> = {}, bedrock: object = {}): Promise<void> {
  daemon = await bootstrap(
    {
      bedrock: {
        ...bedrock,
        resp: { address: '127.0.0.1:0', unix: path.join(folder, 'resp.sock'), ...LIMITS, ...resp },
      },
      providers: [
        { name: 'fast', type: 'warabi', provider_id: 1, config: { target: { type: 'memory' } } },
        {
          name: 'slow',
          type: 'warabi',
          provider_id: 2,
          config: {
            target: {
              type: 'file',
              config: { path: path.join(folder, 'pool'), create_if_missing_with_size: 2 ** 23 },
            },
          },
        },
        {
          name: 'two',
          type: 'warabi',
          provider_id: 3,
          config: { targets: [{ type: 'memory' }, { type: 'memory' }] },
        },
      ],
    },
    { address: 'http://127.0.0.1:0', logLevel: 'off' },
  );
}

async function client(): Promise<RawClient> {
  const [host = '', port = ''] = (daemon.config.bedrock?.resp?.address ?? '').split(':');
  const made = await RawClient.connect({ host, port: Number(port) });
  clients.push(made);
  return made;
}

/** Asks until the answer is yes. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await turns();
}

/** A figure of INFO. */
async function figure(c: RawClient, name: string): Promise<number> {
  const info = (await c.call('INFO')) as string;
  return Number(new RegExp(`^${name}:(\\d+)\r$`, 'm').exec(info)?.[1]);
}

beforeEach(async () => {
  clients = [];
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-resp-'));
  await start();
});

afterEach(async () => {
  jest.restoreAllMocks();
  for (const each of clients) each.close();
  await daemon.close();
  await rm(folder, { recursive: true });
});

const ID = /^[0-9a-f]{32}$/;
const NO_REGION = '0'.repeat(32);

describe('commands on regions', () => {
  it('go through the life of a region', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 100)) as string;
    expect(id).toMatch(ID);
    expect(await c.call('blob.write', id, 10, 'hello', 'PERSIST')).toBe('OK');
    expect(await c.call('BLOB.READ', id, 8, 9)).toBe('\0\0hello\0\0');
    expect(await c.call('BLOB.WRITEV', id, 0, 'ab', 98, 'yz')).toBe('OK');
    expect(await c.call('BLOB.READV', id, 0, 2, 98, 2)).toEqual(['ab', 'yz']);
    expect(await c.call('BLOB.PERSIST', id)).toBe('OK');
    expect(await c.call('BLOB.PERSIST', id, 0, 10, 20, 30)).toBe('OK');
    expect(await c.call('BLOB.STAT', id)).toEqual(['id', id, 'size', 100, 'createdAt', expect.any(Number)]);
    expect(await c.call('BLOB.LIST')).toEqual([null, [[id, 100, expect.any(Number)]]]);
    expect(await c.call('BLOB.ERASE', id)).toBe('OK');
    expect(codeOf(await c.call('BLOB.ERASE', id))).toBe('REGION_NOT_FOUND');
    expect(await c.call('BLOB.LIST')).toEqual([null, []]);
  });

  it('make a region with contents', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 3, 'DATA', 'abc', 'PERSIST')) as string;
    expect(await c.call('BLOB.READ', id, 0, 3)).toBe('abc');
    expect(codeOf(await c.call('BLOB.CREATE', 4, 'DATA', 'abc'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await c.call('BLOB.CREATE', 4, 'NONSENSE'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await c.call('BLOB.CREATE', 3, 'DATA'))).toBe('INVALID_ARGUMENT');
  });

  it('of Redis mean what they mean there, within the region', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 10)) as string;
    expect(await c.call('SETRANGE', id, 2, 'abc')).toBe(10);
    expect(await c.call('GETRANGE', id, 2, 4)).toBe('abc');
    expect(await c.call('GETRANGE', id, -8, -6)).toBe('abc');
    expect(await c.call('GETRANGE', id, 0, -1)).toBe('\0\0abc\0\0\0\0\0');
    expect(await c.call('GETRANGE', id, 5, 2)).toBe('');
    expect(await c.call('STRLEN', id)).toBe(10);
    expect(await c.call('EXISTS', id, id, NO_REGION)).toBe(2);
    expect(await c.call('SCAN', 0)).toEqual(['0', [id]]);
    expect(await c.call('DEL', id, NO_REGION)).toBe(1);
    expect(await c.call('EXISTS', id)).toBe(0);
  });

  it.each<[string, (id: string) => (string | number)[]]>([
    ['a write past the end', (id) => ['SETRANGE', id, 9, 'ab']],
    ['a read past the end', (id) => ['GETRANGE', id, 0, 10]],
    ['a read before the beginning', (id) => ['GETRANGE', id, -11, -1]],
    ['a vectored write past the end', (id) => ['BLOB.WRITEV', id, 0, 'a', 10, 'b']],
    ['a persist past the end', (id) => ['BLOB.PERSIST', id, 5, 6]],
  ])('refuse %s with OUT_OF_RANGE, and change nothing', async (_what, request) => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 10)) as string;
    expect(codeOf(await c.call(...request(id)))).toBe('OUT_OF_RANGE');
    expect(await c.call('BLOB.READ', id, 0, 10)).toBe('\0'.repeat(10));
  });

  it.each<[string, (string | number | Uint8Array)[]]>([
    ['an empty name', ['BLOB.STAT', '']],
    ['a name too long', ['BLOB.STAT', 'n'.repeat(1025)]],
    ['a name that does not fit into the buffer', ['BLOB.STAT', 'n'.repeat(2 ** 16)]],
    ['a name that is no UTF-8', ['BLOB.STAT', Uint8Array.of(0xc3, 0x28)]],
    ['a name where an ID belongs', ['BLOB.LIST', 'AFTER', 'abc']],
    ['a negative offset', ['BLOB.READ', NO_REGION, -1, 1]],
    ['an offset that is no number', ['BLOB.READ', NO_REGION, '1x', 1]],
    ['an offset beyond all numbers', ['BLOB.READ', NO_REGION, '99999999999999999999', 1]],
    ['an empty number', ['BLOB.CREATE', '']],
    ['too few arguments', ['BLOB.READ', NO_REGION]],
    ['too many arguments', ['PING', 'a', 'b']],
    ['an unknown command', ['NONSENSE', 'x']],
    ['a read of more than a reply holds', ['BLOB.READ', NO_REGION, 0, 2 ** 21]],
    ['a word that is not PERSIST', ['BLOB.WRITE', NO_REGION, 0, 'x', 'PERSISTENT']],
    ['a cursor that nobody gave out', ['SCAN', 77]],
  ])('refuse %s with INVALID_ARGUMENT', async (_what, request) => {
    const c = await client();
    expect(codeOf(await c.call(...request))).toBe('INVALID_ARGUMENT');
    expect(await c.call('PING')).toBe('PONG');
  });

  it('reach every provider and target, by SELECT and by prefix', async () => {
    const c = await client();
    const first = (await c.call('BLOB.CREATE', 1)) as string;
    expect(await c.call('SELECT', 2)).toBe('OK');
    const second = (await c.call('BLOB.CREATE', 2)) as string;
    expect(codeOf(await c.call('STRLEN', first))).toBe('REGION_NOT_FOUND');
    expect(await c.call('STRLEN', `fast/${first}`)).toBe(1);
    expect(await c.call('STRLEN', `1/${first}`)).toBe(1);
    expect(await c.call('STRLEN', second)).toBe(2);
    const other = await daemon.target('two', 1).create(3);
    expect(await c.call('STRLEN', `two.1/${other.toString()}`)).toBe(3);
    expect(codeOf(await c.call('STRLEN', `two.2/${other.toString()}`))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await c.call('STRLEN', `none/${other.toString()}`))).toBe('PROVIDER_NOT_FOUND');
    expect(codeOf(await c.call('SELECT', 'none'))).toBe('PROVIDER_NOT_FOUND');
    expect(await c.call('STRLEN', second)).toBe(2);
  });

  it('list and scan in pages', async () => {
    const c = await client();
    const ids = new Set<Value>();
    for (let n = 0; n < 25; n++) ids.add(await c.call('BLOB.CREATE', 1));
    const scanned = new Set<Value>();
    let cursor: Value = '0';
    do {
      const [next, page] = (await c.call('SCAN', cursor, 'COUNT', 7)) as [string, string[]];
      for (const id of page) scanned.add(id);
      cursor = next;
    } while (cursor !== '0');
    expect(scanned).toEqual(ids);
    const [next, page] = (await c.call('BLOB.LIST', 'COUNT', 20)) as [string, Value[][]];
    expect(page).toHaveLength(20);
    const [end, rest] = (await c.call('BLOB.LIST', 'AFTER', next, 'COUNT', 20)) as [null, Value[][]];
    expect(end).toBeNull();
    expect(new Set([...page, ...rest].map(([id]) => id))).toEqual(ids);
  });
});

describe('a connection', () => {
  it('speaks version 3 when asked to', async () => {
    const c = await client();
    expect(await c.call('HELLO')).toEqual(expect.arrayContaining(['proto', 2]));
    const greeting = (await c.call('HELLO', 3, 'SETNAME', 'me')) as Map<string, Value>;
    expect(greeting.get('proto')).toBe(3);
    expect(await c.call('CLIENT', 'GETNAME')).toBe('me');
    const figures = (await c.call('BLOB.STATS')) as Map<string, Value>;
    expect(figures.get('mode')).toBe('volatile');
    expect(codeOf(await c.call('HELLO', 4))).toBe('NOPROTO');
    expect(codeOf(await c.call('HELLO', 3, 'AUTH', 'x', 'y'))).toBe('ERR');
  });

  it('answers pipelined requests in order, and each meets what the ones before it did', async () => {
    for (const provider of ['1', '2']) {
      const c = await client();
      await c.call('SELECT', provider);
      const id = (await c.call('BLOB.CREATE', 1000)) as string;
      const requests: Buffer[] = [];
      const expected: Value[] = [];
      for (let n = 0; n < 200; n++) {
        const text = String(n).padStart(4, '0');
        requests.push(encode('BLOB.WRITE', id, (n % 5) * 4, text, ...(n % 7 === 0 ? ['PERSIST'] : [])));
        requests.push(encode('BLOB.READ', id, (n % 5) * 4, 4), encode('ECHO', text));
        expected.push('OK', text, text);
      }
      c.socket.write(Buffer.concat(requests));
      const replies: Value[] = [];
      while (replies.length < expected.length) replies.push(await c.reply());
      expect(replies).toEqual(expected);
    }
  });

  it('takes requests however they are cut', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 40_000)) as string;
    const payload = Buffer.alloc(20_000, 'x');
    const bytes = Buffer.concat([
      encode('SETRANGE', id, 5, payload),
      encode('GETRANGE', id, 0, 20_010),
      encode('PING'),
    ]);
    for (let at = 0; at < bytes.length;) {
      const size = at < 80 ? 1 : 3333;
      c.socket.write(bytes.subarray(at, (at += size)));
      await new Promise(setImmediate);
    }
    expect(await c.reply()).toBe(40_000);
    expect(await c.reply()).toBe('\0'.repeat(5) + payload.toString() + '\0'.repeat(6));
    expect(await c.reply()).toBe('PONG');
  });

  it('moves large payloads, several in one command too', async () => {
    const c = await client();
    for (const provider of ['1', '2']) {
      await c.call('SELECT', provider);
      const a = Buffer.alloc(2 ** 20, 'a');
      const b = Buffer.alloc(300_000, 'b');
      const id = (await c.call('BLOB.CREATE', 2 ** 21)) as string;
      c.send('BLOB.WRITEV', id, 0, a, 2 ** 20, b, 'PERSIST');
      c.send('BLOB.READ', id, 2 ** 20 - 5, 10);
      c.send('BLOB.READ', id, 0, 2 ** 20);
      expect(await c.reply()).toBe('OK');
      expect(await c.reply()).toBe('aaaaabbbbb');
      expect(await c.reply()).toBe(a.toString());
    }
  });

  it('that is half closed gets its answers, and is closed then', async () => {
    const c = await client();
    await c.call('SELECT', 2);
    const id = (await c.call('BLOB.CREATE', 10)) as string;
    c.socket.end(Buffer.concat([encode('BLOB.WRITE', id, 0, 'x', 'PERSIST'), encode('BLOB.READ', id, 0, 1)]));
    expect(await c.reply()).toBe('OK');
    expect(await c.reply()).toBe('x');
    await c.ended();
  });

  it('ends after QUIT and its answer', async () => {
    const c = await client();
    c.socket.write(Buffer.concat([encode('QUIT'), encode('PING')]));
    expect(await c.reply()).toBe('OK');
    await c.ended();
  });

  it('may be a unix socket, for its owner alone', async () => {
    const socket = path.join(folder, 'resp.sock');
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    const c = await RawClient.connect({ path: socket });
    clients.push(c);
    expect(await c.call('PING')).toBe('PONG');
  });

  it('takes inline commands', async () => {
    const c = await client();
    c.socket.write('PING\r\nECHO hi\n');
    expect(await c.reply()).toBe('PONG');
    expect(await c.reply()).toBe('hi');
  });
});

describe('hostile clients', () => {
  it.each([
    ['a web page', 'POST /v1/shutdown HTTP/1.1\r\nHost: x\r\n\r\n*1\r\n$4\r\nPING\r\n'],
    ['TLS', Buffer.from([0x16, 3, 1, 0, 10, 10, 10])],
    ['a length that lies', '*1\r\n$2\r\nPING\r\n'],
    ['too many arguments', '*101\r\n'],
    ['too large an argument', `*1\r\n$${2 ** 20 + 1}\r\n`],
    ['a nested array', '*1\r\n*1\r\n$4\r\nPING\r\n'],
  ])('of %s get one error, and the connection ends', async (_what, bytes) => {
    const c = await client();
    c.socket.write(bytes);
    expect(await c.reply()).toBeInstanceOf(Error);
    await expect(c.reply()).rejects.toThrow('ended');
  });

  it('that break off within a write to be made durable leave nothing behind', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 2 ** 20)) as string;
    const whole = encode('BLOB.WRITE', id, 0, Buffer.alloc(2 ** 19, 'x'), 'PERSIST');
    c.socket.write(whole.subarray(0, 2 ** 18));
    const other = await client();
    await until(async () => (await figure(other, 'arriving_bytes')) >= 2 ** 17);
    c.close();
    await until(async () => (await figure(other, 'connected_clients')) === 1);
    expect(await other.call('GETRANGE', id, 0, 3)).toBe('\0\0\0\0');
  });

  it('that break off within another write leave its beginning behind, and the region free', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 2 ** 20)) as string;
    const whole = encode('BLOB.WRITE', id, 4, Buffer.alloc(2 ** 19, 'x'));
    c.socket.write(whole.subarray(0, 2 ** 18));
    const other = await client();
    await until(async () => (await other.call('GETRANGE', id, 2 ** 17, 2 ** 17)) === 'x');
    c.close();
    expect(await other.call('GETRANGE', id, 0, 5)).toBe('\0\0\0\0xx');
    expect(await other.call('GETRANGE', id, 2 ** 18, 2 ** 18)).toBe('\0');
    expect(await other.call('BLOB.ERASE', id)).toBe('OK');
    await until(async () => (await daemon.target('fast').stats()).usedBytes === 0);
  });

  it('that take no replies are not read on, and cost little memory', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', 2 ** 20)) as string;
    c.socket.pause();
    const request = encode('BLOB.READ', id, 0, 2 ** 20);
    for (let n = 0; n < 100; n++) c.socket.write(request);
    const other = await client();
    const waitingBytes = async (): Promise<number> => {
      const lines = ((await other.call('CLIENT', 'LIST')) as string).split('\n');
      return Math.max(...lines.map((line) => Number(/ omem=(\d+)/.exec(line)?.[1] ?? 0)));
    };
    await until(async () => (await waitingBytes()) > LIMITS.max_buffered_bytes);
    // Each call is a turn of the event loop and more, in which a door that goes on reading would carry out another request.
    for (let n = 0; n < 200; n++) expect(await waitingBytes()).toBeLessThan(4 * 2 ** 20);
    c.socket.resume();
    for (let n = 0; n < 100; n++) expect(((await c.reply()) as string).length).toBe(2 ** 20);
  });

  it('that stall within a command are closed', async () => {
    await daemon.close();
    await start({ progress_timeout_ms: 100 });
    const c = await client();
    c.socket.write('*2\r\n$4\r\nECHO\r\n$5\r\nab');
    await c.ended();
    const idle = await client();
    expect(await idle.call('PING')).toBe('PONG');
    // It has been still for longer than one that is closed for that.
    const later = await client();
    later.socket.write('*2\r\n$4\r\nECHO\r\n$5\r\nab');
    await later.ended();
    expect(await idle.call('PING')).toBe('PONG');
  });

  it('beyond the memory for what comes are refused, one by one', async () => {
    await daemon.close();
    await start({ max_arriving_bytes: 2 ** 20 });
    // Nobody is slow, who would be closed for others.
    stopClock();
    const [a, b] = [await client(), await client()];
    const id = (await a.call('BLOB.CREATE', 2 ** 20)) as string;
    const half = encode('BLOB.WRITE', id, 0, Buffer.alloc(2 ** 20 - 10, 'x'), 'PERSIST');
    a.socket.write(half.subarray(0, 700_000));
    await until(async () => (await figure(b, 'arriving_bytes')) >= 690_000);
    const other = ['BLOB.WRITE', id, 0, Buffer.alloc(2 ** 19, 'y'), 'PERSIST'] as const;
    expect(codeOf(await b.call(...other))).toBe('OVERLOADED');
    expect(await b.call('PING')).toBe('PONG');
    a.socket.write(half.subarray(700_000));
    expect(await a.reply()).toBe('OK');
    expect(await b.call(...other)).toBe('OK');
  });
});

describe('a large write that lands in the region', () => {
  const LENGTH = 2 ** 19;

  it('is not begun where it has no place, and its bytes are read and dropped', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', LENGTH)) as string;
    const bytes = Buffer.alloc(LENGTH, 'x');
    expect(codeOf(await c.call('BLOB.WRITE', id, 1, bytes))).toBe('OUT_OF_RANGE');
    expect(codeOf(await c.call('SETRANGE', id.replace(/^../, '77'), 0, bytes))).toBe('REGION_NOT_FOUND');
    expect(codeOf(await c.call('BLOB.WRITE', id, -1, bytes))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await c.call('BLOB.WRITE', id, 0, bytes, 'PERSISTENTLY'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await c.call('BLOB.WRITES', id, 0, bytes))).toBe('INVALID_ARGUMENT');
    expect(await c.call('GETRANGE', id, 0, 1)).toBe('\0\0');
  });

  it('ends well in a region that is erased meanwhile, whose space nobody else gets before', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', LENGTH)) as string;
    const whole = encode('SETRANGE', id, 0, Buffer.alloc(LENGTH, 'x'));
    c.socket.write(whole.subarray(0, LENGTH / 2));
    const other = await client();
    await until(async () => (await other.call('GETRANGE', id, 0, 0)) === 'x');
    expect(await other.call('BLOB.ERASE', id)).toBe('OK');
    const next = (await other.call('BLOB.CREATE', LENGTH)) as string;
    c.socket.write(whole.subarray(LENGTH / 2));
    expect(await c.reply()).toBe(LENGTH);
    expect(await other.call('GETRANGE', next, 0, -1)).toBe('\0'.repeat(LENGTH));
    expect(codeOf(await c.call('STRLEN', id))).toBe('REGION_NOT_FOUND');
  });

  it('comes whole, whatever stands before and behind it, and however it is cut', async () => {
    const c = await client();
    const id = (await c.call('BLOB.CREATE', LENGTH)) as string;
    const bytes = Buffer.from(Array.from({ length: LENGTH }, (_, at) => (at * 7 + (at >> 9)) & 127));
    const stream = Buffer.concat([
      encode('PING'),
      encode('SETRANGE', id, 0, bytes.subarray(0, 100_000)),
      encode('SETRANGE', id, 100_000, bytes.subarray(100_000, 100_010)),
      encode('BLOB.WRITE', id, 100_010, bytes.subarray(100_010), 'PERSIST'),
      encode('GETRANGE', id, 0, -1),
      encode('ECHO', bytes),
      encode('PING'),
    ]);
    for (const cut of [777, 65_536, 131_073, stream.length]) {
      for (let at = 0; at < stream.length; at += cut) {
        c.socket.write(stream.subarray(at, at + cut));
        if (at % 5 === 0) await new Promise(setImmediate);
      }
      expect(await c.reply()).toBe('PONG');
      expect(await c.reply()).toBe(LENGTH);
      expect(await c.reply()).toBe(LENGTH);
      expect(await c.reply()).toBe('OK');
      expect(await c.reply()).toBe(bytes.toString());
      expect(await c.reply()).toBe(bytes.toString());
      expect(await c.reply()).toBe('PONG');
    }
  });

  it('does not keep a stopping daemon, though it never ends', async () => {
    await daemon.close();
    await start({}, { drain_timeout_ms: 100 });
    const c = await client();
    const id = (await c.call('BLOB.CREATE', LENGTH)) as string;
    c.socket.write(encode('SETRANGE', id, 0, Buffer.alloc(LENGTH, 'x')).subarray(0, LENGTH / 2));
    const other = await client();
    await until(async () => (await other.call('GETRANGE', id, 0, 0)) === 'x');
    await daemon.close();
    await c.ended();
  });
});

describe('a stopping daemon', () => {
  it('ends what was begun, and answers it', async () => {
    const c = await client();
    await c.call('SELECT', 2);
    const id = (await c.call('BLOB.CREATE', 10)) as string;
    c.send('BLOB.WRITE', id, 0, 'last', 'PERSIST');
    const idle = await client();
    expect(await idle.call('PING')).toBe('PONG');
    holdTimers('setTimeout');
    try {
      const closed = daemon.close();
      expect(await c.reply()).toBe('OK');
      await idle.ended();
      // Neither client closes its end: they are waited for only for a while.
      await passUntilSettled(closed);
    } finally {
      jest.useRealTimers();
    }
  });
});
