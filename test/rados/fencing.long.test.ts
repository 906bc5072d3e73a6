/** A daemon that is taken for dead while it lives, and a thread that ends with operations in flight. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { radosAddonPath } from '../../backends/rados/addon.js';
import { BedrockError, type RegionId } from '../../core/index.js';
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
  io.list();
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
      let refused = 0;
      for (let round = 0; round < 12; round++) {
        const text = `round ${round}`;
        try {
          const id =
            round % 2 === 0
              ? await slow.createAndWrite(Buffer.from(text))
              : await slow.put(text, Buffer.from(text));
          made.push({ id, text });
        } catch (error) {
          // It was not made: what the daemon had begun under its old epoch is void.
          expect(error instanceof BedrockError && error.code).toBe('OVERLOADED');
          refused++;
        }
        await delay(round % 3 === 2 ? 1500 : 10);
      }
      expect(refused).toBeGreaterThan(0);
      expect(made.length).toBeGreaterThan(4);
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
