/** A warabi provider that moves to another daemon, in one process: what it keeps, what it refuses, and how it ends what broke off. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connect, type Daemon, type RegionId } from '../../core/index.js';
import { CuttingProcess } from '../fixtures/cutting-process.js';
import { CuttingProxy, type Traffic } from '../fixtures/cutting-proxy.js';
import { sampled } from '../fixtures/thoroughness.js';
import {
  addressOf,
  type Backend,
  bytesOf,
  codeOf,
  contentsOf,
  Daemons,
  fill,
  migrate,
  NAMES,
  type Protocol,
} from './migration-daemons.js';

let daemons: Daemons;
const proxies: CuttingProxy[] = [];
beforeEach(async () => {
  daemons = await Daemons.open();
});
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  await daemons.close();
});

const BACKENDS: readonly Backend[] = ['memory', 'file', 'pmem'];
const MATRIX = BACKENDS.flatMap((from) =>
  BACKENDS.flatMap((to) => (['http', 'resp'] as const).map((protocol) => ({ from, to, protocol }))),
);

async function pair(
  from: readonly Backend[] = ['memory'],
  to: readonly Backend[] = ['memory'],
): Promise<{ source: Daemon; destination: Daemon }> {
  return {
    source: await daemons.start('source', from),
    destination: await daemons.start('destination', to),
  };
}

async function proxyTo(daemon: Daemon, protocol: Protocol = 'http'): Promise<[CuttingProxy, string]> {
  const proxy = await CuttingProxy.open(Number(new URL(addressOf(daemon, protocol)).port));
  proxies.push(proxy);
  return [proxy, `${protocol}://127.0.0.1:${proxy.ownPort}`];
}

describe.each(sampled(4, MATRIX))('from $from to $to over $protocol', ({ from, to, protocol }) => {
  test('regions keep their IDs, names, times and bytes, and erased IDs stay invalid', async () => {
    const { source, destination } = await pair([from], [to]);
    const target = source.target('store');
    const erased = await fill(target);
    const before = await contentsOf(target);
    await migrate(source, addressOf(destination, protocol), { transfer_size: 65536 });
    const moved = destination.target('store');
    expect(await contentsOf(moved)).toEqual(before);
    for (const id of erased) expect(await codeOf(moved.stat(id))).toBe('REGION_NOT_FOUND');
    const taken = new Set([...erased.map(String), ...Object.keys(before)]);
    for (let i = 0; i < 20; i++) expect(taken).not.toContain((await moved.create(1)).toString());
    expect((await moved.find(NAMES[2] ?? '')).size).toBe(52);
  });
});

describe('a provider that has moved', () => {
  test('refuses every call with PROVIDER_MOVED, which says where to, over every door', async () => {
    const { source, destination } = await pair();
    const target = source.target('store');
    const id = await target.createAndWrite(Buffer.from('x'));
    const address = addressOf(destination, 'http');
    const held = await connect(addressOf(source, 'resp'));
    await migrate(source, address);
    const moved = { code: 'PROVIDER_MOVED', details: { address, provider: 'store', target: 0 } };
    for (const protocol of ['http', 'resp'] as const) {
      const service = await connect(addressOf(source, protocol));
      const remote = service.target('store');
      await expect(remote.read(id, 0, 1)).rejects.toMatchObject(moved);
      await expect(remote.write(id, 0, Buffer.from('y'))).rejects.toMatchObject(moved);
      await expect(remote.create(1)).rejects.toMatchObject(moved);
      await expect(remote.put('name', Buffer.from('y'))).rejects.toMatchObject(moved);
      await expect(remote.list()).rejects.toMatchObject(moved);
      await service.close();
    }
    await expect(held.target('store').read(id, 0, 1)).rejects.toMatchObject(moved);
    await held.close();
    // Also whoever held the target itself.
    await expect(target.read(id, 0, 1)).rejects.toMatchObject(moved);
    await expect(target.create(1)).rejects.toMatchObject(moved);
  });

  test('says so after a restart, and a repeated migration ends at once', async () => {
    const { source, destination } = await pair(['file'], ['file']);
    await fill(source.target('store'));
    const address = addressOf(destination, 'http');
    await migrate(source, address);
    await daemons.stop(source);
    const again = await daemons.start('source', ['file']);
    expect(await codeOf(again.target('store').list())).toBe('PROVIDER_MOVED');
    await migrate(again, address);
    expect(await codeOf(migrate(again, address, {}, 43))).toBe('INVALID_ARGUMENT');
  });

  test('has no data left with remove_source', async () => {
    const { source, destination } = await pair(['file'], ['memory']);
    await fill(source.target('store'));
    await migrate(source, addressOf(destination, 'http'), { remove_source: true });
    await daemons.stop(source);
    const again = await daemons.start('source', ['file']);
    expect(await codeOf(again.target('store').list())).toBe('PROVIDER_MOVED');
  });

  test('moves all its targets, and on to a third daemon', async () => {
    const { source, destination } = await pair(['memory', 'file'], ['file', 'memory']);
    await fill(source.target('store', 0));
    await source.target('store', 1).put('other', Buffer.from('y'));
    const before = [await contentsOf(source.target('store', 0)), await contentsOf(source.target('store', 1))];
    await migrate(source, addressOf(destination, 'http'));
    const third = await daemons.start('third', ['memory', 'memory']);
    await migrate(destination, addressOf(third, 'resp'), {}, 42);
    expect([await contentsOf(third.target('store', 0)), await contentsOf(third.target('store', 1))]).toEqual(
      before,
    );
  });
});

describe('changes while a provider moves', () => {
  test.each(['memory', 'file'] as const)('are all there, or were not acknowledged: %s', async (backend) => {
    const { source, destination } = await pair([backend], ['memory']);
    const target = source.target('store');
    const ids: RegionId[] = [];
    for (let i = 0; i < 8; i++) ids.push(await target.createAndWrite(bytesOf(100_000, i)));
    const model = new Map(ids.map((id) => [id, new Map<number, number>()]));
    const created = new Map<string, Buffer>();
    const erased: RegionId[] = [];
    let isOver = false;
    let acknowledged = 0;
    const service = await connect(addressOf(source, 'resp'));
    const write = async (worker: number): Promise<void> => {
      for (let i = 0; !isOver; i++) {
        const id = ids[(worker + i) % ids.length] as RegionId;
        const offset = ((i * 4099 + worker * 257) % 390) * 256 + worker;
        const value = (i * 7 + worker) & 0xff;
        const remote = i % 2 === 0 ? service.target('store') : target;
        try {
          await remote.write(id, offset, Buffer.from([value]));
          model.get(id)?.set(offset, value);
          acknowledged++;
          if (i % 8 === 0) {
            const name = `w${worker}-${i % 24}`;
            const contents = bytesOf(200, i);
            await remote.put(name, contents);
            created.set(name, contents);
          }
          if (i % 16 === 1) {
            const gone = await remote.create(10);
            await remote.erase(gone);
            erased.push(gone);
          }
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^(PROVIDER_MOVED|MIGRATION_UNFINISHED)$/);
          return;
        }
      }
    };
    const workers = Array.from({ length: 4 }, (_, worker) => write(worker));
    // However slow the machine is, the last pass gets its time.
    await migrate(source, addressOf(destination, 'http'), { transfer_size: 16384, max_hold_ms: 600_000 });
    isOver = true;
    await Promise.all(workers);
    await service.close();
    expect(acknowledged).toBeGreaterThan(0);
    const moved = destination.target('store');
    for (const [id, bytes] of model)
      for (const [offset, value] of bytes) expect((await moved.read(id, offset, 1))[0]).toBe(value);
    for (const [name, contents] of created) {
      const { size } = await moved.find(name);
      expect(Buffer.compare(await moved.read(name, 0, size), contents)).toBe(0);
    }
    for (const id of erased) expect(await codeOf(moved.stat(id))).toBe('REGION_NOT_FOUND');
  });
});

describe('a destination', () => {
  test('serves nobody until it has everything', async () => {
    const { source, destination } = await pair(['memory'], ['file']);
    const target = source.target('store');
    await fill(target);
    const [proxy, address] = await proxyTo(destination);
    proxy.onRequest = ({ chunk }) => (chunk.includes('/migration/finish') ? 'cut' : 'pass');
    expect(await codeOf(migrate(source, address))).toBe('MIGRATION_UNFINISHED');
    const service = await connect(addressOf(destination, 'http'));
    expect(await codeOf(service.target('store').list())).toBe('MIGRATION_UNFINISHED');
    expect(await codeOf(service.target('store').create(1))).toBe('MIGRATION_UNFINISHED');
    await service.close();
    // Nor does the source, as the destination may have begun.
    expect(await codeOf(source.target('store').list())).toBe('MIGRATION_UNFINISHED');
    expect(await codeOf(target.create(1))).toBe('MIGRATION_UNFINISHED');
    // Both remember it.
    await daemons.stop(destination);
    const again = await daemons.start('destination', ['file']);
    expect(await codeOf(again.target('store').list())).toBe('MIGRATION_UNFINISHED');
  });

  test('that is not empty, of another type, with other targets, or the source itself is refused, and the source serves on', async () => {
    const { source, destination } = await pair();
    const target = source.target('store');
    await fill(target);
    const before = await contentsOf(target);
    const address = addressOf(destination, 'http');
    const other = await destination.target('store').create(1);
    expect(await codeOf(migrate(source, address))).toBe('CONFLICT');
    expect((await destination.target('store').stat(other)).size).toBe(1);
    await destination.target('store').erase(other);
    expect(await codeOf(migrate(source, address, {}, 'pairs'))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(migrate(source, address, {}, 'nobody'))).toBe('PROVIDER_NOT_FOUND');
    expect(await codeOf(migrate(source, addressOf(source, 'http')))).toBe('CONFLICT');
    const two = await daemons.start('two', ['memory', 'memory']);
    expect(await codeOf(migrate(source, addressOf(two, 'http')))).toBe('CONFLICT');
    expect(await codeOf(migrate(source, 'http://127.0.0.1:1'))).toBe('UNREACHABLE');
    expect(await codeOf(migrate(source, 'nonsense'))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(migrate(source, address, { transfer_size: 1 }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(migrate(source, address, { wrong: 1 }))).toBe('INVALID_ARGUMENT');
    expect(await contentsOf(source.target('store'))).toEqual(before);
    await target.create(1);
    await migrate(source, address);
  });

  test('that fills up leaves the source as it was, and can be abandoned', async () => {
    const source = await daemons.start('source', ['memory']);
    const destination = await daemons.start('destination', ['file']);
    const target = source.target('store');
    for (let i = 0; i < 5; i++) await target.createAndWrite(bytesOf(2 ** 24, i));
    const address = addressOf(destination, 'http');
    expect(await codeOf(migrate(source, address))).toBe('OUT_OF_SPACE');
    expect((await target.list()).regions).toHaveLength(5);
    expect(await codeOf(destination.target('store').list())).toBe('MIGRATION_UNFINISHED');
    await migrate(source, address, { abandon: true });
    expect((await destination.target('store').list()).regions).toEqual([]);
    await destination.target('store').create(1);
  });

  test('that stores something else than it was sent is found out by checksums', async () => {
    const { source, destination } = await pair();
    const target = source.target('store');
    await target.createAndWrite(bytesOf(1000, 1));
    const liar = await lyingDaemon(addressOf(destination, 'http'));
    const { port } = liar.address() as AddressInfo;
    expect(await codeOf(migrate(source, `http://127.0.0.1:${port}`))).toBe('CHECKSUM_MISMATCH');
    liar.closeAllConnections();
    await new Promise((resolve) => liar.close(resolve));
    await target.create(1);
  });
});

/** Passes requests on to a daemon, but spoils the bytes of pieces on their way. */
async function lyingDaemon(address: string): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      if (request.url?.endsWith('/pieces') === true) body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
      fetch(`${address}${request.url ?? ''}`, {
        method: request.method ?? 'GET',
        headers: { 'content-type': request.headers['content-type'] ?? 'application/octet-stream' },
        ...(body.length > 0 && { body }),
      })
        .then(async (answer) => {
          const bytes = Buffer.from(await answer.arrayBuffer());
          const type = answer.headers.get('content-type');
          response.writeHead(answer.status, type === null ? {} : { 'content-type': type });
          response.end(bytes);
        })
        .catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('a migration that breaks off', () => {
  const STEPS = ['begin', 'erased', 'pieces', 'compare', 'finish'] as const;
  const FATES = ['cut', 'passThenCut', 'end'] as const;
  const BREAKS = STEPS.flatMap((step) =>
    FATES.flatMap((fate) => (['http', 'resp'] as const).map((protocol) => ({ step, fate, protocol }))),
  );

  test.each(sampled(5, BREAKS))(
    'at $step ($fate, over $protocol) is ended by one more',
    async ({ step, fate, protocol }) => {
      const { source, destination } = await pair(['memory'], ['memory']);
      const target = source.target('store');
      await fill(target);
      const before = await contentsOf(target);
      const [proxy, address] = await proxyTo(destination, protocol);
      proxy.onRequest = ({ chunk }: Traffic) => (chunk.includes(`/migration/${step}`) ? fate : 'pass');
      const code = await codeOf(migrate(source, address, { transfer_size: 65536 }));
      proxy.onRequest = () => 'pass';
      // A cut that is passed by trying again is no failure.
      if (code !== undefined) await migrate(source, address);
      expect(await contentsOf(destination.target('store'))).toEqual(before);
      expect(await codeOf(source.target('store').list())).toBe('PROVIDER_MOVED');
    },
  );

  test('by the kernel, as the process between both is killed, is ended by one more', async () => {
    const { source, destination } = await pair(['file'], ['file']);
    await fill(source.target('store'));
    const before = await contentsOf(source.target('store'));
    const proxy = await CuttingProcess.open(Number(new URL(addressOf(destination, 'http')).port));
    try {
      await proxy.watch({ mark: '/migration/pieces', at: 'answer', isPassed: false });
      const address = `http://127.0.0.1:${proxy.ownPort}`;
      expect(await codeOf(migrate(source, address))).toBe('UNREACHABLE');
      expect(await proxy.isMet()).toBe(true);
      await proxy.restart();
      await migrate(source, address);
      expect(await contentsOf(destination.target('store'))).toEqual(before);
    } finally {
      await proxy.kill();
    }
  });

  test('goes on with what had come, and takes what changed since', async () => {
    const { source, destination } = await pair(['file'], ['file']);
    const target = source.target('store');
    await fill(target, 2_000_000);
    const [proxy, address] = await proxyTo(destination);
    let pieces = 0;
    proxy.onRequest = ({ chunk }) => (chunk.includes('/migration/pieces') && ++pieces > 8 ? 'cut' : 'pass');
    expect(await codeOf(migrate(source, address, { transfer_size: 65536 }))).toBe('UNREACHABLE');
    proxy.onRequest = () => 'pass';
    const { regions } = await target.list();
    const [first, second] = regions.filter(({ size }) => size >= 50);
    await target.erase((first as { id: RegionId }).id);
    await target.write((second as { id: RegionId }).id, 3, Buffer.from('changed'));
    await target.put(NAMES[0] ?? '', Buffer.from('replaced'));
    await target.rename(NAMES[1] ?? '', 'renamed');
    await target.rename(NAMES[2] ?? '', NAMES[1] ?? '');
    await daemons.stop(source);
    const again = await daemons.start('source', ['file']);
    const before = await contentsOf(again.target('store'));
    await migrate(again, address, { transfer_size: 65536 });
    expect(await contentsOf(destination.target('store'))).toEqual(before);
  });

  test('can be cancelled: the source serves on', async () => {
    const { source, destination } = await pair();
    const target = source.target('store');
    await target.createAndWrite(bytesOf(10 ** 6, 1));
    const service = await connect(addressOf(source, 'http'));
    const [proxy, address] = await proxyTo(destination);
    const sent = new Promise<void>((resolve) => {
      proxy.onRequest = ({ chunk }) => {
        if (chunk.includes('/migration/pieces')) resolve();
        return 'pass';
      };
    });
    const options = { transfer_size: 4096, max_bytes_per_second: 4096 };
    const cancel = new AbortController();
    const done = service
      .provider('store')
      .migrate({ address, provider: 'store', options }, { signal: cancel.signal });
    await sent;
    cancel.abort();
    expect(await codeOf(done)).toBe('ABORTED');
    await service.close();
    await target.create(1);
  });
});
