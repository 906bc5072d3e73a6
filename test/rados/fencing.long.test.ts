/**
 * A daemon that is taken for dead while it lives, one that serves alone, copies of a target under
 * its IDs, and a thread that ends with operations in flight.
 */
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { radosAddonPath } from '../../backends/rados/addon.js';
import { bootstrap, connect, RegionId, type Target } from '../../core/index.js';
import { addressOf, codeOf, contentsOf, fill } from '../warabi/migration-daemons.js';
import { ceph, TestCluster } from './cluster.js';

let cluster: TestCluster;

/** Begins operations without end, in a thread of its own. */
const BUSY = `
const { parentPort, workerData: { addon, conf } } = require('node:worker_threads');
const module_ = { exports: {} };
process.dlopen(module_, addon);
const cluster = new module_.exports.Cluster(() => {});
let number = 0;
(async () => {
  await cluster.connect('client.regions', conf, ['rados_osd_op_timeout', '5', 'objecter_inflight_ops', '100000']);
  const io = await cluster.open('regions', 'ended-thread');
  const begin = () => {
    for (let at = 0; at < 100; at++) {
      io.write(++number, 'object' + (at % 10), [['write', 0, Buffer.alloc(65536)]]);
      io.read(++number, 'object' + (at % 10), [['read', 0, Buffer.alloc(65536)]]);
    }
  };
  begin();
  setInterval(begin, 5);
  io.list(1000);
  parentPort.postMessage('busy');
})();
`;

ceph.describe('a daemon of a cluster', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 200_000);
  afterAll(async () => {
    await cluster.stop();
  }, 100_000);

  it('can be taken for dead, and joins again: nothing is lost or counted twice', async () => {
    const { namespace } = cluster.settings();
    const slow = cluster.target({ namespace });
    // It takes for dead who shows no sign of life for half a second; the other one does so every 15 s.
    const hasty = cluster.target({ namespace, op_timeout_ms: 61_000 }, 500);
    await slow.open();
    await hasty.open();
    try {
      const made: { id: RegionId; text: string }[] = [];
      for (let round = 0; round < 12; round++) {
        const text = `round ${round}`;
        // A region that is half made is not lost: nobody else has taken over its slot.
        const bytes = Buffer.from(text);
        const contents = { size: bytes.length, source: [bytes.subarray(0, 3), bytes.subarray(3)] };
        const id = round % 2 === 0 ? await slow.createAndWrite(contents) : await slow.put(text, bytes);
        made.push({ id, text });
        await delay(round % 3 === 2 ? 1500 : 10);
      }
      expect(new Set(made.map(({ id }) => String(id))).size).toBe(12);
      for (const target of [slow, hasty]) {
        for (const { id, text } of made)
          expect(Buffer.from(await target.read(id, 0, text.length)).toString()).toBe(text);
        const listed = (await target.list()).regions.map(({ id }) => String(id)).toSorted();
        expect(listed).toEqual(made.map(({ id }) => String(id)).toSorted());
        const usedBytes = made.reduce((sum, { text }) => sum + text.length, 0);
        expect(await target.stats()).toMatchObject({ regions: made.length, usedBytes });
      }
      for (const { id } of made) await hasty.erase(id);
      expect(await slow.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
    } finally {
      await slow.close();
      await hasty.close();
    }
    const later = cluster.target({ namespace });
    await later.open();
    expect(await later.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
    await later.close();
  });

  it('is told that its namespace was destroyed, also when there is a new one', async () => {
    const settings = { namespace: cluster.settings().namespace };
    const [left, destroyer] = [cluster.target(settings), cluster.target(settings)];
    for (const target of [left, destroyer]) await target.open();
    const id = await left.createAndWrite(Buffer.from('old'), { name: 'name' });
    await destroyer.destroy();
    await expect(left.create(8)).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
    await expect(left.read(id, 0, 3)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    const next = cluster.target(settings);
    await next.open();
    await expect(left.create(8)).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
    await expect(next.read(id, 0, 3)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await next.put('name', Buffer.from('new'));
    await left.close();
    expect(await next.stats()).toMatchObject({ regions: 1, usedBytes: 3 });
    await next.close();
  });

  it('asks for the stripes of a region that were written when it is erased, not for all', async () => {
    const target = cluster.target({ stripe_bytes: 4096 });
    await target.open();
    const size = 2 ** 30;
    const id = await target.create(size);
    for (const offset of [0, 4096, 5 * 4096 - 1, size - 2]) await target.write(id, offset, Buffer.from('ab'));
    const objects = target['parts'].objects;
    const sent = jest.spyOn(objects, 'write');
    await target.erase(id);
    expect(sent.mock.calls.length).toBeLessThan(12);
    for await (const names of objects.list()) expect(names).toEqual(['catalog']);
    // A filled one has them all.
    await target.erase(await target.createAndWrite(Buffer.alloc(10 * 4096, 1)));
    for await (const names of objects.list()) expect(names).toEqual(['catalog']);
    await target.close();
  });

  it('keeps others from joining while it serves alone, and is refused that beside others', async () => {
    const settings = { namespace: cluster.settings().namespace, op_timeout_ms: 2000 };
    const [one, other] = [cluster.target(settings), cluster.target(settings)];
    await one.open();
    await other.open();
    const kept = await one.createAndWrite(Buffer.from('kept'), { name: 'name' });
    const conflict = { code: 'CONFLICT' };
    const ours = RegionId.of(7777, 3, kept.poolLow, kept.poolHigh);
    await expect(one.importRegion(ours, Buffer.from('x'), { createdAt: 1 })).rejects.toMatchObject(conflict);
    await expect(one.importErased([ours])).rejects.toMatchObject(conflict);
    await expect(one.beginFilling(Buffer.alloc(8, 1))).rejects.toMatchObject(conflict);
    const listener = { wrote: () => undefined, changed: () => undefined };
    const early = one.watchChanges(listener);
    await expect(one.listErased()).rejects.toMatchObject(conflict);
    await expect(early.hold(1000)).rejects.toMatchObject(conflict);
    early.end();
    await other.close();

    // What another daemon has done in between is not in the copy.
    const watch = one.watchChanges(listener);
    await one.listErased();
    await other.open();
    await other.close();
    await expect(watch.hold(1000)).rejects.toMatchObject(conflict);
    watch.end();

    // While changes are held nobody joins, and changes wait.
    const last = one.watchChanges(listener);
    await last.hold(1000);
    let hasJoined = false;
    const joining = other.open().then(() => (hasJoined = true));
    let hasWritten = false;
    const writing = one.write(kept, 0, Buffer.from('KEPT')).then(() => (hasWritten = true));
    await delay(600);
    expect([hasJoined, hasWritten]).toEqual([false, false]);
    last.end();
    await Promise.all([joining, writing]);
    expect(Buffer.from(await other.read('name', 0, 4)).toString()).toBe('KEPT');
    await other.close();

    // A filling is begun and ended by one daemon; one that comes meanwhile gives up.
    await expect(one.beginFilling(Buffer.alloc(8, 1))).rejects.toMatchObject({ code: 'TARGET_NOT_EMPTY' });
    expect(one.state).toBe('open');
    await one.erase(kept);
    await one.beginFilling(Buffer.alloc(8, 1));
    const word = Buffer.alloc(4, 1).readUInt32LE(0);
    const imported = RegionId.of(300, 9, word, word);
    await one.importRegion(imported, Buffer.from('lost'), { createdAt: 5, name: 'lost' });
    await one.importErased([RegionId.of(2, 8, word, word)]);
    // Begun again, it is empty.
    await one.beginFilling(Buffer.alloc(8, 1));
    expect(await one.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
    expect((await one.listErased()).ids).toEqual([]);
    await one.importRegion(imported, Buffer.from('there'), { createdAt: 5, name: 'there' });
    await one['parts'].catalog.change({});
    const refused = other.open();
    for (let at = 0; at < 10; at++) {
      await delay(250);
      await one['parts'].catalog.change({});
    }
    await expect(refused).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    // An interrupted one is known as such, by whoever comes next.
    await one.close();
    await other.open();
    expect(other.isFilling).toBe(true);
    await other.endFilling();
    expect(other.isFilling).toBe(false);
    await one.open();
    expect(one.isFilling).toBe(false);
    for (const target of [one, other])
      expect(Buffer.from(await target.read('there', 0, 5)).toString()).toBe('there');
    expect(String((await other.find('there')).id)).toBe(String(imported));
    const objects: string[] = [];
    for await (const names of one['parts'].objects.list()) objects.push(...names);
    expect(objects.toSorted()).toEqual(['catalog', `r${String(imported)}`]);
    await one.close();
    await other.close();
  });

  it('takes over a namespace that a daemon was filling when it died, and keeps that one out', async () => {
    const settings = { namespace: cluster.settings().namespace, op_timeout_ms: 1000 };
    const dead = cluster.target(settings, 60_000);
    await dead.open();
    await dead.beginFilling(Buffer.alloc(8, 2));
    const word = Buffer.alloc(4, 2).readUInt32LE(0);
    const [first, second] = [RegionId.of(1, 4, word, word), RegionId.of(2, 5, word, word)];
    await dead.importRegion(first, Buffer.from('first'), { createdAt: 1 });
    let goOn = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (goOn = resolve));
    const source = (async function* () {
      yield Buffer.from('sec');
      await waiting;
      yield Buffer.from('ond');
    })();
    const late = dead
      .importRegion(second, { size: 6, source }, { createdAt: 1 })
      .catch((error: unknown) => error);
    const heir = cluster.target(settings, 1500);
    await heir.open();
    expect(heir.isFilling).toBe(true);
    // What came in is there, and what is missing can be imported.
    await heir.importRegion(second, Buffer.from('SECOND'), { createdAt: 2 });
    goOn();
    expect(await late).toMatchObject({ code: 'CONFLICT' });
    await expect(dead.create(1)).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    await heir.endFilling();
    expect(Buffer.from(await heir.read(first, 0, 5)).toString()).toBe('first');
    expect(await heir.stats()).toMatchObject({ regions: 2, usedBytes: 11 });
    // Now it may join again, although it knows the settings of before.
    await dead.close();
    await dead.open();
    for (const target of [heir, dead])
      expect(Buffer.from(await target.read(second, 0, 6)).toString()).toBe('SECOND');
    await dead.close();
    await heir.close();
  });

  it('moves from a file and back by migrations, and through a snapshot, under all IDs', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-rados-'));
    const namespace = cluster.settings().namespace;
    const rados = (space: string): object => {
      return {
        type: 'rados',
        config: { pool: 'regions', namespace: space, conf: cluster.conf, client: 'client.regions' },
      };
    };
    const file = (name: string): object => {
      return { type: 'file', config: { path: name, create_if_missing_with_size: 2 ** 24 } };
    };
    const targets = {
      first: file('first'),
      store: rados(namespace),
      back: file('back'),
      copy: rados(`${namespace}-copy`),
    };
    const config = {
      margo: { mercury: { address: 'http://127.0.0.1:0' } },
      providers: Object.entries(targets).map(([name, target]) => {
        return { name, type: 'warabi', config: { target } };
      }),
    };
    const daemon = await bootstrap(config, { directory: folder, logLevel: 'off' });
    try {
      const address = addressOf(daemon, 'http');
      const service = await connect(address);
      const [first, store, back, copy] = ['first', 'store', 'back', 'copy'].map((name) =>
        daemon.target(name),
      ) as [Target, Target, Target, Target];
      const erased = await fill(first);
      const before = await contentsOf(first);
      await service
        .provider('first')
        .migrate({ address, provider: 'store', options: { remove_source: true } });
      expect(await contentsOf(store)).toEqual(before);
      const made = await store.createAndWrite(Buffer.from('made'), { name: 'made' });
      const gone = await store.create(5);
      await store.erase(gone);
      const now = await contentsOf(store);
      await service.provider('store').snapshot({ path: path.join(folder, 'snapshot') });
      await service
        .provider('store')
        .migrate({ address, provider: 'back', options: { remove_source: true } });
      await service.provider('copy').restore({ path: path.join(folder, 'snapshot') });
      for (const target of [back, copy]) {
        expect(await contentsOf(target)).toEqual(now);
        expect((await target.find('made')).id.equals(made)).toBe(true);
        for (const id of [...erased, gone]) expect(await codeOf(target.stat(id))).toBe('REGION_NOT_FOUND');
        const taken = new Set([...erased, gone].map(String));
        for (let i = 0; i < 10; i++) expect(taken).not.toContain(String(await target.create(1)));
      }
      expect(await codeOf(store.list())).toBe('PROVIDER_MOVED');
      await service.close();
    } finally {
      await daemon.close();
      await rm(folder, { recursive: true });
    }
  });

  it('ends a thread with operations in flight, and the process goes on', async () => {
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(BUSY, {
        eval: true,
        workerData: { addon: radosAddonPath(), conf: cluster.conf },
      });
      await once(worker, 'message');
      await delay(10 * round);
      await worker.terminate();
    }
    const target = cluster.target();
    await target.open();
    const id = await target.createAndWrite(Buffer.from('after'));
    expect(Buffer.from(await target.read(id, 0, 5)).toString()).toBe('after');
    await target.close();
  });
});
