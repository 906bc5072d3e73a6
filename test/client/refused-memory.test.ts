/**
 * Memory that the system refuses to a client fails one call, over either wire, and nothing else: an allocator that fails at each of its
 * calls in turn. The daemon is another process, whose memory is its own.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { replaceAllocator } from '../../core/base/allocation.js';
import { connect, RegionId, type RemoteTarget, type Service } from '../../core/index.js';
import { bedrock, type BedrockProcess, killAll } from '../fixtures/bedrock-process.js';
import { eventually } from '../resp/running-door.js';
import { FakeDaemon, PROVIDERS } from './fake-daemon.js';

/** More than goes in one piece. */
const SIZE = 2.5 * 2 ** 20;
/** What a source gives at once; over HTTP so little is copied. */
const PIECE = 120_000;

let home: string;
let daemon: BedrockProcess;
let restore = (): void => undefined;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-refused-'));
  const target = { type: 'memory', config: { max_bytes: 2 ** 26 } };
  const config = {
    margo: { mercury: { address: `unix:${home}/http.sock` } },
    bedrock: { resp: { unix: `${home}/resp.sock` } },
    providers: [{ name: 'store', type: 'warabi', config: { target } }],
  };
  await writeFile(path.join(home, 'bedrock.json'), JSON.stringify(config));
  daemon = bedrock(['start', '-c', path.join(home, 'bedrock.json')]);
  await daemon.address();
});
afterEach(() => restore());
afterAll(async () => {
  daemon.signal('SIGTERM');
  await daemon.exit;
  await killAll();
  await rm(home, { recursive: true });
});

/** Has the nth allocation from now on fail. @returns whether it has come to that */
function failAt(nth: number): () => boolean {
  let calls = 0;
  restore = replaceAllocator((bytes) => {
    if (++calls === nth) throw new RangeError('Array buffer allocation failed');
    return Buffer.allocUnsafeSlow(bytes);
  });
  return () => calls >= nth;
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? String(error);
}

function* pieces(size: number): Generator<Uint8Array> {
  for (let left = size; left > 0; left -= PIECE) yield new Uint8Array(Math.min(left, PIECE));
}

/** What a call of a client is, and what it leaves in the target. */
type Work = (client: { service: Service; target: RemoteTarget; id: RegionId }) => Promise<unknown>;

const ranges = [
  { offset: 8, size: 2 ** 16 },
  { offset: 2 ** 20, size: 2 ** 17 },
];
const whole = new Uint8Array(SIZE);

const CALLS: readonly [name: string, work: Work][] = [
  ['read', ({ target, id }) => target.read(id, 0, 2 ** 19)],
  ['read of several pieces', ({ target, id }) => target.read(id, 0, SIZE)],
  ['readv', ({ target, id }) => target.readv(id, ranges)],
  [
    'readStream',
    async ({ target, id }) => {
      for await (const piece of target.readStream(id, 0, SIZE)) void piece;
    },
  ],
  ['list', ({ target }) => target.list({ limit: 10 })],
  ['stats', ({ target }) => target.stats()],
  ['write', ({ target, id }) => target.write(id, 0, new Uint8Array(2 ** 18))],
  ['many small writes', ({ target, id }) => small((at) => target.write(id, at, new Uint8Array(8000)))],
  ['writev', ({ target, id }) => target.writev(id, ranges, new Uint8Array(2 ** 16 + 2 ** 17))],
  ['writeFrom', ({ target, id }) => target.writeFrom(id, 0, { size: SIZE, source: pieces(SIZE) })],
  ['persist', ({ target, id }) => target.persist(id, Array(1000).fill({ offset: 0, size: 8 }))],
  ['createAndWrite', async (client) => erase(client, client.target.createAndWrite(whole))],
  ['createAndWrite of a short source', async (client) => erase(client, create(client.target, 2 ** 17))],
  ['createAndWrite of a long source', async (client) => erase(client, create(client.target, SIZE))],
  ['refresh', ({ service }) => service.refresh()],
];

async function small(write: (at: number) => Promise<void>): Promise<void> {
  await settled(Array.from({ length: 40 }, (_, index) => write(index * 8000)));
}

/** Waits for all of them. @throws what the first of them throws */
async function settled(calls: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(calls);
  await Promise.all(calls);
}

function create(target: RemoteTarget, size: number): Promise<RegionId> {
  return target.createAndWrite({ size, source: pieces(size) });
}

/** Erases what was made, with all the memory there is. */
async function erase({ target }: { target: RemoteTarget }, made: Promise<RegionId>): Promise<void> {
  const id = await made;
  restore();
  await target.erase(id);
}

const WIRES = [
  ['HTTP', () => `unix:${home}/http.sock`],
  ['the Redis protocol', () => `resp+unix:${home}/resp.sock`],
] as const;

describe.each(WIRES)('memory that the system refuses to a client of %s', (_wire, url) => {
  let service: Service;
  let target: RemoteTarget;
  let id: RegionId;
  beforeAll(async () => {
    service = await connect(url());
    target = service.target('store');
    id = await target.createAndWrite(whole);
  });
  afterAll(async () => {
    await target.erase(id);
    await service.close();
  });

  it.each(CALLS)('fails one call as OVERLOADED, and leaves the client as it was: %s', async (_name, work) => {
    for (let nth = 1; ; nth++) {
      const beside = [target.stat(id), target.stat(id)];
      const hasFailed = failAt(nth);
      const outcome = await work({ service, target, id }).then(
        () => 'OK',
        (error: unknown) => codeOf(error),
      );
      const wasReached = hasFailed();
      restore();
      expect((await Promise.allSettled(beside)).map(outcomeOf)).toEqual(['OK', 'OK']);
      expect(await target.read(id, 0, 1)).toEqual(Buffer.alloc(1));
      // Nothing that was begun keeps its space.
      await eventually(
        () => target.stats(),
        ({ usedBytes }) => usedBytes === SIZE,
      );
      expect(outcome).toBe(wasReached ? 'OVERLOADED' : 'OK');
      if (!wasReached) break;
    }
  });

  it('fails an attempt to connect', async () => {
    for (let nth = 1; ; nth++) {
      const hasFailed = failAt(nth);
      const outcome = await connect(url()).then(
        (other) => other.close().then(() => 'OK'),
        (error: unknown) => codeOf(error),
      );
      const wasReached = hasFailed();
      restore();
      expect(outcome).toBe(wasReached ? 'OVERLOADED' : 'OK');
      if (!wasReached) break;
    }
  });
});

function outcomeOf(settled: PromiseSettledResult<unknown>): string {
  return settled.status === 'fulfilled' ? 'OK' : codeOf(settled.reason);
}

it('drops a reply that there is no memory for, and takes the next', async () => {
  const fake = await FakeDaemon.start();
  const service = await connect(fake.url);
  try {
    const target = service.target('store');
    const long = `$100000\r\n${'x'.repeat(100_000)}\r\n`;
    fake.answers((words) => (words[0] === 'BLOB.LIST' ? `*2\r\n${long}*1\r\n${long}` : ':7\r\n'));
    for (let nth = 1; nth <= 2; nth++) {
      const hasFailed = failAt(nth);
      await expect(target.list()).rejects.toMatchObject({ code: 'OVERLOADED' });
      expect(hasFailed()).toBe(true);
      restore();
      // What does not fit is no fault of the connection.
      await expect(target.create(8)).rejects.toMatchObject({ code: 'INTERNAL' });
    }
    expect(fake.sockets.size).toBe(1);
  } finally {
    await service.close();
    await fake.close();
  }
});

it('ends the connection of an answer over HTTP whose bytes there is no memory for', async () => {
  const size = 2 ** 28 + 1;
  let aborted: Promise<unknown> | undefined;
  const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    const [, , about] = (request.url ?? '').split('/');
    if (about !== 'providers' || request.url === '/v1/providers') {
      response.end(about === 'config' ? '{}' : PROVIDERS);
      return;
    }
    aborted = once(response, 'close');
    response.writeHead(206, { 'content-length': size }).flushHeaders();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const service = await connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  try {
    failAt(1);
    const read = service.target('store').read(RegionId.of(1, 2, 3, 4), 0, size);
    await expect(read).rejects.toMatchObject({ code: 'OVERLOADED' });
    restore();
    await aborted;
    await service.refresh();
  } finally {
    await service.close();
    server.close();
  }
});
