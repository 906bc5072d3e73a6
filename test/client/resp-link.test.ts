/** What becomes of calls over the Redis protocol when the connection breaks, stalls or lies, and when their callers give up. */
import { writeSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { RegionId, connect, type ConnectOptions, type RemoteTarget, type Service } from '../../core/index.js';
import { holdTimers, turns } from '../fixtures/held-time.js';
import { FakeDaemon, bulk } from './fake-daemon.js';

const ID = RegionId.of(1, 2, 3, 4);

let daemon: FakeDaemon;
let service: Service | undefined;
let target: RemoteTarget;

async function reach(options: ConnectOptions = {}): Promise<void> {
  await service?.close();
  service = await connect(daemon.url, options);
  target = service.target('store');
}

beforeEach(async () => {
  daemon = await FakeDaemon.start();
  await reach();
});

afterEach(async () => {
  await daemon.close();
  await service?.close();
  service = undefined;
});

/** Answers reads with zeros, and everything else with OK. */
function serve(): void {
  daemon.answers(([name, , , size]) => (name === 'BLOB.READ' ? bulk(Buffer.alloc(Number(size))) : '+OK\r\n'));
}

function names(): string[] {
  return daemon.commands.map(([name]) => name ?? '');
}

describe('a connection that breaks', () => {
  it('has a read sent again', async () => {
    let reads = 0;
    daemon.answers((_words, socket) => {
      if (++reads > 1) return bulk('late');
      socket.destroy();
      return undefined;
    });
    expect(Buffer.from(await target.read(ID, 0, 4)).toString()).toBe('late');
  });

  it('is tried for again a bounded number of times if each breaks right behind its greeting', async () => {
    let greetings = 0;
    daemon.answers((_words, socket) => {
      socket.destroy();
      return undefined;
    });
    const greeting = Buffer.concat([
      Buffer.from(daemon.handshake['BEDROCK.HELLO'] ?? ''),
      Buffer.from('!no reply\r\n'),
    ]);
    Object.defineProperty(daemon.handshake, 'BEDROCK.HELLO', { get: () => (greetings++, greeting) });
    await expect(target.read(ID, 0, 4)).rejects.toBeInstanceOf(Error);
    expect(greetings).toBeGreaterThan(0);
    expect(greetings).toBeLessThan(16);
  });

  it('has a read fail with UNREACHABLE when every connection breaks', async () => {
    daemon.answers((_words, socket) => {
      socket.destroy();
      return undefined;
    });
    await expect(target.read(ID, 0, 4)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(daemon.commands).toHaveLength(4);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['write', () => target.write(ID, 0, Buffer.from('abc'))],
    ['writev', () => target.writev(ID, [{ offset: 0, size: 3 }], Buffer.from('abc'))],
    ['create', () => target.create(10)],
    ['createAndWrite', () => target.createAndWrite(Buffer.from('abc'))],
    ['erase', () => target.erase(ID)],
  ])('leaves the outcome of %s unknown, and does not send it twice', async (_title, change) => {
    daemon.answers((_words, socket) => {
      socket.destroy();
      return undefined;
    });
    await expect(change()).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    // It would go out first on the next connection.
    daemon.answers(() => bulk('next'));
    await target.read(ID, 0, 4);
    expect(names().slice(1)).toEqual(['BLOB.READ']);
  });

  it('has a change sent on the next one that was not sent yet', async () => {
    daemon.answers((_words, socket) => {
      socket.destroy();
      return undefined;
    });
    // The client knows then that the connection is gone.
    await expect(target.erase(ID)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    serve();
    await target.write(ID, 0, Buffer.from('two'));
    expect(names()).toEqual(['BLOB.ERASE', 'BLOB.WRITE']);
  });
});

describe('a daemon that stalls', () => {
  const PROGRESS_MS = 60_000;

  beforeEach(async () => {
    // What looks for progress, four times within the time-out.
    holdTimers('setInterval');
    await reach({ progressTimeoutMs: PROGRESS_MS });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('has its calls fail with TIMEOUT', async () => {
    daemon.answers(() => undefined);
    const calls = [target.read(ID, 0, 4), target.write(ID, 0, Buffer.from('a'))];
    await daemon.arrival('BLOB.WRITE');
    jest.advanceTimersByTime(2 * PROGRESS_MS);
    for (const result of await Promise.allSettled(calls))
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'TIMEOUT' } });
  });

  it('has not stalled if its reply came while this process stood still', async () => {
    daemon.answers(() => undefined);
    const read = target.read(ID, 0, 4);
    await daemon.arrival('BLOB.READ');
    for (let look = 0; look < 4; look++) {
      jest.advanceTimersByTime(PROGRESS_MS / 4);
      await turns();
    }
    const [socket] = daemon.sockets;
    // Past its stream, so that the system has the reply now.
    writeSync((socket as unknown as { _handle: { fd: number } })._handle.fd, bulk('abcd'));
    jest.advanceTimersByTime(PROGRESS_MS / 4);
    expect(Buffer.from(await read).toString()).toBe('abcd');
  });

  it('may take longer as long as something comes', async () => {
    const text = 'slowly, slowly';
    const sent = new Promise<Socket>((resolve) => {
      daemon.answers((_words, socket) => {
        resolve(socket);
        return `$${text.length}\r\n`;
      });
    });
    const buffer = Buffer.alloc(text.length);
    const read = target.readInto(ID, 0, buffer);
    const socket = await sent;
    for (const [at, byte] of Buffer.from(text).entries()) {
      socket.write(Buffer.of(byte));
      while (buffer[at] !== byte) await Promise.race([turns(), read]);
      jest.advanceTimersByTime(0.75 * PROGRESS_MS);
    }
    socket.write('\r\n');
    await read;
  });
});

describe('a daemon that lies', () => {
  it.each([
    ['sends more than was asked for', bulk('12345')],
    ['speaks another protocol', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ])('is UNREACHABLE when it %s', async (_title, reply) => {
    daemon.answers(() => reply);
    await expect(target.read(ID, 0, 4)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('gives less than was asked for, which is INTERNAL', async () => {
    daemon.answers(() => bulk('123'));
    await expect(target.read(ID, 0, 4)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('is UNREACHABLE to begin with when it is none', async () => {
    const server = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await expect(connect(`resp://127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    server.close();
  });
});

describe('a caller who gives up', () => {
  it.each([
    ['by a signal', () => ({ signal: AbortSignal.abort() }), 'ABORTED'],
    ['by a signal later', () => ({ signal: signalAfter(daemon.arrival('BLOB.READ', 2)) }), 'ABORTED'],
    ['after a time', () => ({ timeoutMs: 10 }), 'TIMEOUT'],
  ])('%s does not disturb the calls behind', async (_title, bounds, code) => {
    const givenUp = new AbortController();
    daemon.answers(([, , offset], socket) => {
      whenAborted(givenUp.signal, () => socket.write(bulk(`at ${offset ?? ''}`)));
      return undefined;
    });
    const first = target.read(ID, 1, 4, bounds());
    const second = target.read(ID, 2, 4);
    await expect(first).rejects.toMatchObject({ code });
    givenUp.abort();
    expect(Buffer.from(await second).toString()).toBe('at 2');
  });

  it('has nothing written to his buffer afterwards, though the daemon sends on', async () => {
    const size = 2 ** 18;
    const reply = bulk(Buffer.alloc(size, 1));
    const caller = new AbortController();
    const givenUp = new AbortController();
    daemon.answers(([, , offset], socket) => {
      if (offset === '0') socket.write(reply.subarray(0, 10_000), () => caller.abort());
      whenAborted(givenUp.signal, () => socket.write(offset === '0' ? reply.subarray(10_000) : bulk('next')));
      return undefined;
    });
    const buffer = Buffer.alloc(size);
    const read = target.readInto(ID, 0, buffer, { signal: caller.signal });
    const next = target.read(ID, 1, 4);
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
    const then = Buffer.from(buffer);
    givenUp.abort();
    expect(Buffer.from(await next).toString()).toBe('next');
    expect(buffer.equals(then)).toBe(true);
    expect(daemon.commands).toHaveLength(2);
  });

  it('is told soon, though the daemon has stalled within a reply', async () => {
    const size = 2 ** 18;
    daemon.answers((_words, socket) => {
      socket.write(bulk(Buffer.alloc(size, 1)).subarray(0, 100_000));
      return undefined;
    });
    const buffer = Buffer.alloc(size);
    const begun = (async () => {
      while (buffer[0] !== 1) await turns();
    })();
    const read = target.readInto(ID, 0, buffer, { signal: signalAfter(begun) });
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('may use the bytes of a write again, though the daemon takes nothing', async () => {
    for (const socket of daemon.sockets) socket.pause();
    const bytes = Buffer.alloc(2 ** 20, 1);
    const signal = signalAfter(turns());
    const calls = Array.from({ length: 7 }, () => target.write(ID, 0, bytes, {}, { signal }));
    for (const result of await Promise.allSettled(calls))
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } });
  });
});

describe('many calls at once', () => {
  it('are answered in order, whatever their number and size', async () => {
    daemon.answers(([, , offset, size]) => bulk(Buffer.alloc(Number(size), Number(offset) % 251)));
    const sizes = Array.from({ length: 600 }, (_, at) => (at % 50 === 0 ? 200_000 : at));
    const reads = await Promise.all(sizes.map((size, at) => target.read(ID, at, size)));
    for (const [at, read] of reads.entries())
      expect(read.length === sizes[at] && read.every((byte) => byte === at % 251)).toBe(true);
  });
});

function signalAfter(event: Promise<void>): AbortSignal {
  const controller = new AbortController();
  void event.then(() => controller.abort());
  return controller.signal;
}

/** Does `act` at once if the signal has been given already: a command may come after it. */
function whenAborted(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', act, { once: true });
}
