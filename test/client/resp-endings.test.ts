/** Over the Redis protocol every call and every close ends, within the caller's bounds, whatever the daemon or a source does. */
import { writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PlainCommand } from '../../core/client/resp/command.js';
import { RespConnection } from '../../core/client/resp/resp-connection.js';
import {
  BedrockError,
  RegionId,
  connect,
  type RegionSource,
  type RemoteTarget,
  type Service,
} from '../../core/index.js';
import { holdTimeouts, turns } from '../fixtures/held-time.js';
import { FakeDaemon, bulk } from './fake-daemon.js';

const ID = RegionId.of(1, 2, 3, 4);
const STAT = `%3\r\n+id\r\n+${ID.toString()}\r\n+size\r\n:${2 ** 30}\r\n+createdAt\r\n:1\r\n`;

let daemon: FakeDaemon;
let service: Service;
let target: RemoteTarget;

beforeEach(async () => {
  daemon = await FakeDaemon.start();
  // Longer than the time-out of a test: what waits for it instead of its own bounds does not pass.
  service = await connect(daemon.url, { progressTimeoutMs: 600_000 });
  target = service.target('store');
  daemon.answers(() => undefined);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await daemon.close();
  await service.close();
});

function names(): string[] {
  return daemon.commands.map(([name]) => name ?? '');
}

/** A source that never gives anything. @param asked called when something is asked of it */
async function* stalled(asked: () => void): AsyncGenerator<Uint8Array> {
  asked();
  await new Promise(() => undefined);
  yield Buffer.alloc(1);
}

/** Ends the connection. @returns when the client knows it, which a call has failed by */
async function hangUp(): Promise<void> {
  daemon.answers(() => undefined);
  const lost = expect(target.erase(ID)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
  await daemon.arrival('BLOB.ERASE');
  daemon.hangUp();
  await lost;
}

describe('close', () => {
  it('ends as often as it is called', async () => {
    const read = target.read(ID, 0, 4);
    await daemon.arrival('BLOB.READ');
    const closed = Promise.all([service.close(), service.close()]);
    for (const socket of daemon.sockets) socket.write(bulk('late'));
    await closed;
    await read;
  });

  it('waits for the whole of a read in pieces, and refuses what comes after it', async () => {
    daemon.answers(([name, , , size]) => (name === 'BLOB.STAT' ? STAT : bulk(Buffer.alloc(Number(size)))));
    const read = target.read(ID, 0, 5 * 2 ** 20);
    const closed = service.close();
    await expect(target.read(ID, 0, 1)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(await read).toHaveLength(5 * 2 ** 20);
    await closed;
  });

  it('does not wait for calls that were given up', async () => {
    await expect(target.read(ID, 0, 4, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await service.close();
  });

  it('waits for calls that wait for a connection', async () => {
    await hangUp();
    daemon.answers(() => bulk('back'));
    const read = target.read(ID, 0, 4);
    await service.close();
    expect(Buffer.from(await read).toString()).toBe('back');
  });

  it('has all calls end when no connection can be made', async () => {
    await hangUp();
    await daemon.close();
    // The shortest pauses between the tries.
    jest.spyOn(Math, 'random').mockReturnValue(0);
    const calls = Array.from({ length: 1000 }, (_, at) =>
      at % 2 === 0 ? target.read(ID, at, 4) : target.write(ID, at, Buffer.from('abcd')),
    );
    const [results] = await Promise.all([Promise.allSettled(calls), service.close()]);
    for (const result of results) expect(result).toMatchObject({ reason: { code: 'UNREACHABLE' } });
  });
});

describe('connect', () => {
  it.each(['HELLO', 'BEDROCK.CONFIG'])('ends within its bounds when %s is not answered', async (command) => {
    daemon.handshake[command] = '';
    const timeouts = holdTimeouts();
    const late = expect(connect(daemon.url, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    // The one of the service has sent the first.
    await daemon.arrival(command, 2);
    timeouts.expire();
    await late;
    while (daemon.sockets.size > 1) await turns();
  });

  it.each([
    ['no JSON', bulk('{')],
    ['no numbers', bulk('{}')],
    [
      'nothing of what it needs',
      bulk('{"max_bulk_bytes":0,"max_arguments":0,"max_request_bytes":0,"max_uploads":0}'),
    ],
  ])('is UNREACHABLE for limits that are %s', async (_title, reply) => {
    daemon.handshake['BEDROCK.HELLO'] = reply;
    await expect(connect(daemon.url)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('bounds of a call', () => {
  it.each<[string, number]>([
    ['small', 5],
    ['large', 2 ** 21],
  ])('hold while a source of %s contents stalls', async (_title, size) => {
    daemon.answers(([name]) => ({ 'BLOB.UPLOAD': ':1\r\n', 'BLOB.STAT': STAT })[name ?? ''] ?? '+OK\r\n');
    const timeouts = holdTimeouts();
    const bounds = { timeoutMs: 30 };
    for (const send of [
      (contents: RegionSource) => target.createAndWrite(contents, {}, bounds),
      (contents: RegionSource) => target.writeFrom(ID, 0, contents, {}, bounds),
    ]) {
      let late: Promise<void> | undefined;
      await new Promise<void>((asked) => {
        late = expect(send({ size, source: stalled(asked) })).rejects.toMatchObject({ code: 'TIMEOUT' });
      });
      timeouts.expire();
      await late;
    }
    await target.close();
  });

  it('hold while an upload waits for others to end', async () => {
    daemon.answers(([name]) => (name === 'BLOB.UPLOAD' ? ':1\r\n' : undefined));
    const timeouts = holdTimeouts();
    const bytes = Buffer.alloc(2 ** 21);
    const others = new AbortController();
    const calls = Array.from({ length: 8 }, () =>
      target.createAndWrite(bytes, {}, { signal: others.signal }),
    );
    const last = target.createAndWrite(bytes, {}, { timeoutMs: 30 });
    const late = expect(last).rejects.toMatchObject({ code: 'TIMEOUT' });
    await daemon.arrival('BLOB.UPLOAD.PART', 8);
    timeouts.expire();
    await late;
    expect(names().filter((name) => name === 'BLOB.UPLOAD')).toHaveLength(8);
    others.abort();
    await Promise.allSettled(calls);
  });

  it('hold for the end of an upload that the daemon does not answer', async () => {
    daemon.answers(([name]) => (name === 'BLOB.UPLOAD' ? ':1\r\n' : undefined));
    const timeouts = holdTimeouts();
    const created = target.createAndWrite(Buffer.alloc(2 ** 21), {}, { timeoutMs: 30 });
    const late = expect(created).rejects.toMatchObject({ code: 'TIMEOUT' });
    await daemon.arrival('BLOB.UPLOAD.PART');
    timeouts.expire();
    await late;
  });

  it('are still there when garbage was collected', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const caller = new AbortController();
    const real = AbortSignal.timeout.bind(AbortSignal);
    let timeout: WeakRef<AbortSignal> | undefined;
    AbortSignal.timeout = (milliseconds) => {
      const made = real(milliseconds);
      timeout = new WeakRef(made);
      return made;
    };
    let read: Promise<unknown>;
    try {
      read = target.read(ID, 0, 4, { signal: caller.signal, timeoutMs: 600_000 });
      read.catch(() => undefined);
    } finally {
      AbortSignal.timeout = real;
    }
    for (let round = 0; round < 5; round++) {
      await turns();
      collect();
    }
    expect(timeout?.deref()).toBeDefined();
    caller.abort();
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('leave a reply that came in time while this process stood still', async () => {
    const timeouts = holdTimeouts();
    const read = target.read(ID, 0, 4, { timeoutMs: 30 });
    await daemon.arrival('BLOB.READ');
    const [socket] = daemon.sockets;
    await turns();
    // Past its stream, so that the system has the reply now.
    writeSync((socket as unknown as { _handle: { fd: number } })._handle.fd, bulk('abcd'));
    timeouts.expire();
    expect(Buffer.from(await read).toString()).toBe('abcd');
  });

  it.each([-1, NaN, Infinity, 2 ** 31])(
    'are refused when timeoutMs is %s, and hold up nothing',
    async (timeoutMs) => {
      await expect(target.read(ID, 0, 4, { timeoutMs })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await target.close();
    },
  );
});

describe('a call that is given up', () => {
  it('has its upload cancelled, though it had no number yet', async () => {
    let number = (): unknown => undefined;
    daemon.answers(([name], socket) => {
      if (name === 'BLOB.UPLOAD') number = () => socket.write(':7\r\n');
      return undefined;
    });
    const controller = new AbortController();
    const created = target.createAndWrite(Buffer.alloc(2 ** 21), {}, { signal: controller.signal });
    await daemon.arrival('BLOB.UPLOAD');
    controller.abort();
    await expect(created).rejects.toMatchObject({ code: 'ABORTED' });
    number();
    await daemon.arrival('BLOB.UPLOAD.CANCEL');
    expect(daemon.commands.at(-1)).toEqual(['BLOB.UPLOAD.CANCEL', '7']);
  });

  it('leaves the connection to others, if none of its memory is on the way', async () => {
    for (const socket of daemon.sockets) socket.pause();
    // More than the system takes at once.
    const writes = Array.from({ length: 7 }, () => target.write(ID, 0, Buffer.alloc(2 ** 20)));
    await turns();
    const bounds = { timeoutMs: 20 };
    for (const call of [
      target.read(ID, 0, 2 ** 15, bounds),
      target.write(ID, 0, Buffer.alloc(9), {}, bounds),
    ])
      await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
    daemon.answers(([name]) => (name === 'BLOB.READ' ? bulk(Buffer.alloc(2 ** 15)) : '+OK\r\n'));
    for (const socket of daemon.sockets) socket.resume();
    await Promise.all(writes);
  });

  it('leaves nothing running when the connection is gone already', async () => {
    const connection = await RespConnection.open({ path: daemon.socketPath });
    const command = new PlainCommand(['ECHO', Buffer.alloc(2 ** 15)]);
    connection.submit(command);
    // Before the turn ends: the bytes of the command were not handed to the socket, and never will be.
    connection.break(new BedrockError('UNREACHABLE', 'the cable was pulled'));
    await expect(command.promise).rejects.toMatchObject({ code: 'UNREACHABLE' });
    const begun = jest.spyOn(globalThis, 'setInterval');
    connection.abandon(command, new BedrockError('ABORTED', 'nobody waits for it'));
    const left = begun.mock.results.map(({ value }) => value as NodeJS.Timeout);
    for (const timer of left) clearInterval(timer);
    expect(left.length).toBe(0);
    await connection.close();
  });

  it('leaves nothing running when others of its connection break off with it', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    daemon.answers(([name]) => (name === 'BLOB.UPLOAD' ? ':1\r\n' : undefined));
    const controller = new AbortController();
    const { signal } = controller;
    const created = target.createAndWrite(Buffer.alloc(2 ** 23), {}, { signal });
    // Fails first, and has the others be given up in the same breath.
    await daemon.arrival('BLOB.UPLOAD.PART');
    const before = timers();
    const erased = target.erase(ID, { signal }).catch(() => controller.abort());
    daemon.hangUp();
    await Promise.allSettled([erased, created]);
    // No new connection is under way any more when one has answered.
    daemon.answers(() => bulk('four'));
    await target.read(ID, 0, 4);
    expect(timers()).toBeLessThanOrEqual(before);
  });
});

describe('a stream', () => {
  it('can be left early, though the daemon stalls', async () => {
    let reads = 0;
    daemon.answers(([name, , , size]) => {
      if (name === 'BLOB.STAT') return STAT;
      return ++reads === 1 ? bulk(Buffer.alloc(Number(size))) : undefined;
    });
    for await (const piece of target.readStream(ID, 0, 2 ** 24)) {
      expect(piece).toHaveLength(2 ** 20);
      break;
    }
  });
});

describe('a reply', () => {
  it.each([
    ['no ID', '$3\r\nabc\r\n', (): Promise<unknown> => target.create(1)],
    ['no map', '*0\r\n', (): Promise<unknown> => target.stat(ID)],
    ['an error of no kind', '-constructor x\r\n', (): Promise<unknown> => target.erase(ID)],
  ])('that is %s is INTERNAL', async (_title, reply, call) => {
    daemon.answers(() => reply);
    await expect(call()).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('writev', () => {
  it('asks for the region before it says that the bytes do not fit the ranges', async () => {
    daemon.answers(() => '-REGION_NOT_FOUND {"message":"no","details":{}}\r\n');
    const written = target.writev(ID, [{ offset: 0, size: 2 }], Buffer.from('abc'));
    await expect(written).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
  });
});

describe('a target', () => {
  it('is chosen again on each connection, and named until that is confirmed', async () => {
    const id = ID.toString();
    daemon.answers(() => bulk('four'));
    await target.read(ID, 0, 4);
    await target.read(ID, 0, 4);
    daemon.handshake.SELECT = '-NOT_READY later\r\n';
    await hangUp();
    daemon.answers(() => bulk('four'));
    await target.read(ID, 0, 4);
    await target.read(ID, 0, 4);
    const reads = daemon.commands.filter(([name]) => name === 'BLOB.READ');
    const named = reads.map(([, region]) => region);
    expect(named).toEqual([`store.0/${id}`, id, `store.0/${id}`, `store.0/${id}`]);
  });
});
