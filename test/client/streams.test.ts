/** Contents that stream between a program and a daemon. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type RemoteTarget, type Service } from '../../core/index.js';
import { turns } from '../fixtures/held-time.js';
import { ONE_STORE, startDaemon, type Running } from '../fixtures/run-command.js';

/** A provider with a target, as a daemon describes it. */
const STORE = JSON.stringify({
  providers: [
    {
      name: 'store',
      type: 'warabi',
      provider_id: 1,
      tags: [],
      state: 'running',
      targets: [{ type: 'memory', state: 'open', capabilities: {} }],
    },
  ],
});

let running: Running;
let service: Service;
let target: RemoteTarget;
beforeAll(async () => {
  running = await startDaemon(ONE_STORE);
  service = await connect(running.env.BEDROCK_ADDRESS);
  target = service.target('store');
});
afterAll(async () => {
  await service.close();
  await running.daemon.close();
});

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all).toString();
}

/** Pieces with round trips to the daemon behind each, so that what came before is out by then. */
async function* slowly(...pieces: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield Buffer.from(piece);
    for (let round = 0; round < 5; round++) await target.stats();
  }
}

describe('readStream', () => {
  it('gives a part of a region', async () => {
    const id = await target.createAndWrite(Buffer.from('hello world'));
    await expect(gather(target.readStream(id, 4, 3))).resolves.toBe('o w');
    await expect(gather(target.readStream(id, 11, 0))).resolves.toBe('');
  });

  it('throws OUT_OF_RANGE before the first piece', async () => {
    const id = await target.create(10);
    await expect(gather(target.readStream(id, 5, 6))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    await expect(gather(target.readStream(id, 11, 0))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  });

  it('can be left early, as often as one likes', async () => {
    const id = await target.create(2 ** 24);
    for (let turn = 0; turn < 40; turn++) {
      for await (const piece of target.readStream(id, 0, 2 ** 24)) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
    }
  });

  it('ends with ABORTED', async () => {
    const id = await target.create(2 ** 26);
    const controller = new AbortController();
    const reading = (async () => {
      for await (const piece of target.readStream(id, 0, 2 ** 26, { signal: controller.signal })) {
        if (piece.length > 0) controller.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('writeFrom', () => {
  it('overwrites a part of a region', async () => {
    const id = await target.createAndWrite(Buffer.from('hello world'));
    await target.writeFrom(id, 6, { size: 5, source: slowly('the', 're') }, { persist: true });
    expect(Buffer.from(await target.read(id, 0, 11)).toString()).toBe('hello there');
  });

  it('changes nothing with OUT_OF_RANGE', async () => {
    const id = await target.createAndWrite(Buffer.from('hello'));
    const contents = { size: 5, source: slowly('there') };
    await expect(target.writeFrom(id, 1, contents)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    expect(Buffer.from(await target.read(id, 0, 5)).toString()).toBe('hello');
  });
});

describe('a source', () => {
  it.each([
    ['more', ['hello', 'w']],
    ['fewer', ['hel', 'l']],
  ])('that gives %s bytes than announced is INVALID_ARGUMENT, whenever they come', async (_, pieces) => {
    const { regions } = await target.stats();
    const created = target.createAndWrite({ size: 5, source: slowly(...pieces) });
    await expect(created).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((await target.stats()).regions).toBe(regions);
  });

  it("that fails by an error of the system is not mistaken for the connection's failure", async () => {
    const failure = Object.assign(new Error('i/o error, read'), { code: 'EIO' });
    const created = target.createAndWrite({ size: 5, source: slowly('hel', failure) });
    await expect(created).rejects.toBe(failure);
  });

  it('may give empty pieces', async () => {
    const id = await target.createAndWrite({ size: 5, source: slowly('', 'hello', '', '') });
    expect(Buffer.from(await target.read(id, 0, 5)).toString()).toBe('hello');
  });
});

describe('the memory of a piece', () => {
  /** Takes nothing of a request until all of its pieces were asked for. */
  async function slowReader(): Promise<{
    url: string;
    proceed: () => void;
    body: Promise<Buffer>;
    server: Server;
  }> {
    let proceed!: () => void;
    const allowed = new Promise<void>((resolve) => (proceed = resolve));
    // A process that stood still for long would otherwise close the connection under the request that has just come.
    const server = createServer({ keepAliveTimeout: 0 });
    const body = new Promise<Buffer>((resolve, reject) => {
      server.on('request', (request, response) => {
        if (request.method === 'GET') {
          const isConfig = request.url === '/v1/config';
          response.setHeader('content-type', 'application/json').end(isConfig ? '{}' : STORE);
          return;
        }
        const taken = allowed.then(async () => {
          const pieces: Buffer[] = [];
          for await (const piece of request as AsyncIterable<Buffer>) pieces.push(piece);
          resolve(Buffer.concat(pieces));
          response.setHeader('content-type', 'application/json').end(`{"id":"${'0'.repeat(32)}","size":0}`);
        });
        taken.catch(reject);
      });
    });
    // A request that breaks off fails the call that is awaited first.
    body.catch(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, proceed, body, server };
  }

  it("is the source's again when the next one is asked for, also where the connection stands still", async () => {
    const { url, proceed, body, server } = await slowReader();
    const far = await connect(url);
    const size = 2 ** 24;
    const buffer = Buffer.alloc(1000);
    let asked = 0;
    const written = new AbortController();
    function* fromOneBuffer(): Generator<Uint8Array> {
      for (let at = 0; at < size; at += buffer.length) {
        asked++;
        buffer.fill((at / buffer.length) % 251);
        yield buffer.subarray(0, Math.min(buffer.length, size - at));
        buffer.fill(0xff);
        // As much as a socket and the system hold at most is out, or waits; the daemon has taken nothing.
        if (at > 2 ** 23) proceed();
      }
    }
    // Where the system holds less, the source is not asked that far before something is taken.
    const watching = (async () => {
      for (let seen = -1; !written.signal.aborted; await turns(100)) {
        if (asked === seen) proceed();
        seen = asked;
      }
    })();
    try {
      await far.target('store').createAndWrite({ size, source: fromOneBuffer() });
      const found = await body;
      const expected = Buffer.alloc(size);
      for (let at = 0; at < size; at += buffer.length)
        expected.fill((at / buffer.length) % 251, at, Math.min(size, at + buffer.length));
      expect(found.length).toBe(size);
      expect(Buffer.compare(found, expected)).toBe(0);
    } finally {
      written.abort();
      await watching;
      await far.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
