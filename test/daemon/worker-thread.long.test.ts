/**
 * A daemon that runs on a worker thread. However the thread ends, its process goes on, and can open
 * the same pools at once: what was durable is there, and no lock is left.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { bootstrap, RegionId } from '../../core/index.js';
import { nativeAddon } from '../fixtures/needs.js';

const CORE = path.resolve(import.meta.dirname, '../../dist/core/index.js');

const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  parentPort.on('message', (end) => {
    if (end === 'exit') process.exit(7);
    throw new Error('thrown on the worker thread');
  });
  void (async () => {
    const { bootstrap } = await import(workerData.core);
    const daemon = await bootstrap(workerData.config, { listen: false, logLevel: 'error' });
    const id = await daemon.target('store').createAndWrite(Buffer.alloc(4096, 7), { persist: true });
    parentPort.postMessage(id.toString());
  })();`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-worker-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function leavesItsPool(type: 'file' | 'pmem'): void {
  it.each([
    { end: 'terminate', code: 1, error: undefined },
    { end: 'exit', code: 7, error: undefined },
    { end: 'throw', code: 1, error: 'thrown on the worker thread' },
  ])('leaves its pool to the process when the thread ends by $end', async ({ end, code, error }) => {
    const file = path.join(folder, `${type}-${end}.pool`);
    const target = { type, config: { path: file, create_if_missing_with_size: 2 ** 24 } };
    const config = { providers: [{ name: 'store', type: 'warabi', provider_id: 1, config: { target } }] };
    const worker = new Worker(PROGRAM, { eval: true, workerData: { core: CORE, config } });
    const [id] = (await once(worker, 'message')) as [string];
    let thrown: string | undefined;
    worker.on('error', ({ message }: Error) => {
      thrown = message;
    });
    const ended = new Promise<number>((resolve) => {
      worker.once('exit', resolve);
    });
    if (end === 'terminate') await worker.terminate();
    else worker.postMessage(end);
    expect(await ended).toBe(code);
    expect(thrown).toBe(error);

    const daemon = await bootstrap(config, { listen: false, logLevel: 'error' });
    try {
      const { regions } = await daemon.target('store').list();
      expect(regions.map((region) => String(region.id))).toEqual([id]);
      expect(Buffer.from(await daemon.target('store').read(RegionId.parse(id), 0, 4096))).toEqual(
        Buffer.alloc(4096, 7),
      );
    } finally {
      await daemon.close();
    }
  });
}

describe('a daemon with a file target on a worker thread', () => leavesItsPool('file'));
nativeAddon.describe('a daemon with a pmem target on a worker thread', () => leavesItsPool('pmem'));
