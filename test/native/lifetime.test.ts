/** What ends when: windows, collected mappings, work in flight, worker threads, the process. */
import { describe, expect, it } from '@jest/globals';
import { isThorough, sampled } from '../fixtures/thoroughness.js';
import { useFolder } from './folder.js';
import { runScript, WELL } from './script.js';

const at = useFolder();

/** Bytes that are not there cost time, too: each page that a window shows needs its table. */
const SPARSE_GIB = isThorough ? 1024 : 64;
/** Of a mapping that is written, flushed and read when its worker or process ends. */
const BUSY_BYTES = isThorough ? 2 ** 22 : 2 ** 20;
const TEBI_MAPPINGS = isThorough ? 300 : 130;

describe('windows', () => {
  it(`of a sparse file of ${SPARSE_GIB} GiB start every 2 GiB, span 4, and show the same bytes where they overlap`, async () => {
    const end = await runScript(
      `
      const GIB = 2 ** 30;
      const SIZE = ${SPARSE_GIB} * GIB;
      const mapping = await mapFile(args[0], { create: true, sparse: true, size: SIZE });
      assert.equal(mapping.windowCount, SIZE / (2 * GIB));
      const windows = Array.from({ length: mapping.windowCount }, (_, i) => mapping.window(i));
      assert.ok(windows.every((window, i) => window.length === (i === windows.length - 1 ? 2 : 4) * GIB));
      assert.equal(mapping.window(7), windows[7]);
      for (const i of [0, 1, windows.length >> 1, windows.length - 2]) {
        windows[i][3 * GIB] = 100 + (i % 100);
        assert.equal(windows[i + 1][GIB], 100 + (i % 100));
      }
      const word = SIZE - 8;
      await mapping.storePersist64(word, 77n);
      assert.equal(windows.at(-1)[2 * GIB - 8], 77);
      assert.equal(windows.at(-2)[4 * GIB - 8], 77);
      assert.equal(mapping.view(word, 8)[0], 77);
      await mapping.copyPersist(5 * GIB - 2, Buffer.from('view'));
      assert.equal(String(Buffer.from(mapping.view(5 * GIB - 2, 4))), 'view');
      assert.equal(mapping.view(2 * GIB - 1, 2 * GIB).length, 2 * GIB);
      assert.equal(mapping.view(4 * GIB, 4 * GIB).length, 4 * GIB);
      assert.equal(codeOf(() => mapping.view(GIB, 4 * GIB)), 'NOT_SUPPORTED');
      assert.equal(mapping.view(SIZE, 0).length, 0);
      global.gc();
      await mapping.close();
      assert.ok(windows.every((window) => window.length === 0 && window.buffer.byteLength === 0));
      global.gc();`,
      { args: [at('tebi')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('ends a window exactly where the file ends, at the sizes around 2 and 4 GiB', async () => {
    const end = await runScript(
      `
      for (const size of [2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1]) {
        const mapping = await mapFile(args[0], { create: true, sparse: true, size });
        const last = mapping.window(mapping.windowCount - 1);
        assert.equal((mapping.windowCount - 1) * 2 ** 31 + last.length, size);
        last[last.length - 1] = 9;
        assert.equal(mapping.view(size - 1, 1)[0], 9);
        assert.equal(codeOf(() => mapping.window(mapping.windowCount)), 'OUT_OF_RANGE');
        await mapping.close();
      }`,
      { args: [at('edges')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('can be moved to another ArrayBuffer, which then outlives the mapping harmlessly', async () => {
    const end = await runScript(
      `
      const mapping = await mapFile(args[0], { create: true, size: 2 ** 20 });
      mapping.window(0).fill(5);
      await mapping.persist(0, 2 ** 20);
      // structuredClone refuses in some versions and moves in others; transfer() came with Node 22.
      let moved;
      try { moved = structuredClone(mapping.window(0).buffer, { transfer: [mapping.window(0).buffer] }); } catch {}
      if (moved === undefined && ArrayBuffer.prototype.transfer) moved = mapping.window(0).buffer.transfer();
      await mapping.close();
      for (let i = 0; i < 20; i++) { global.gc(); await turn(); }
      if (moved) {
        const bytes = new Uint8Array(moved);
        assert.ok(bytes.every((byte) => byte === 0 || byte === 5));
        bytes.fill(6);
      }
      assert.deepEqual(fs.readFileSync(args[0]), Buffer.alloc(2 ** 20, 5));`,
      { args: [at('moved')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('may be in use by other work of the thread pool when the mapping is closed', async () => {
    const end = await runScript(
      `
      const zlib = await import('node:zlib');
      const { webcrypto } = await import('node:crypto');
      for (let round = 0; round < ${isThorough ? 8 : 3}; round++) {
        const mapping = await mapFile(args[0], { create: true, size: 2 ** 24 });
        const file = await fs.promises.open(args[0] + '.copy', 'w');
        const work = [
          // In one piece: between two, Node itself ends the process if the input was detached.
          new Promise((resolve) => zlib.deflate(mapping.window(0), { level: 1, chunkSize: 2 ** 25 }, resolve)),
          webcrypto.subtle.digest('SHA-256', mapping.window(0)).catch(() => undefined),
          file.write(mapping.window(0)).catch(() => undefined),
          file.read(mapping.window(0), 0, 2 ** 24, 0).catch(() => undefined),
        ];
        await mapping.close();
        await turn();
        global.gc();
        await Promise.all(work);
        await file.close();
      }`,
      { args: [at('borrowed')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

describe('close', () => {
  it('waits for work in flight, which ends well', async () => {
    const end = await runScript(
      `
      for (let round = 0; round < ${isThorough ? 20 : 8}; round++) {
        const mapping = await mapFile(args[0], { create: true, size: 2 ** 22 });
        const ended = [];
        const note = (name) => (promise) => promise.then((value) => { ended.push(name); return value; });
        const work = [
          note('msync')(mapping.msyncAsync(0, 2 ** 22)),
          note('fill')(mapping.fillAsync(0, 2 ** 22, round)),
          note('crc')(mapping.crc32cAsync(0, 2 ** 22)),
          note('deep')(mapping.deepPersistAsync(0, 2 ** 22)),
          note('persist')(mapping.persistAsync(0, 2 ** 22)),
          note('copy')(Promise.resolve(mapping.copyPersist(0, Buffer.from('accepted')))),
          note('copy')(Promise.resolve(mapping.copyPersist(4096, Buffer.from('as well')))),
        ];
        await mapping.close();
        // The callers' own continuations come right behind.
        await turn();
        assert.equal(ended.length, work.length);
        await Promise.all(work);
      }`,
      { args: [at('busy')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('lets go of the file, windows or not', async () => {
    const end = await runScript(
      `
      const maps = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes(args[0])).length;
      for (const hasWindow of [false, true]) {
        const mapping = await mapFile(args[0], { create: true, size: 2 ** 20 });
        if (hasWindow) mapping.window(0)[0] = 1;
        assert.equal(maps(), 1);
        await mapping.close();
        assert.equal(maps(), 0);
      }`,
      { args: [at('released')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it(`gives addresses back: ${TEBI_MAPPINGS} mappings of 1 TiB fit one after the other, which are more than the 128 TiB that there are`, async () => {
    const end = await runScript(
      `
      await (await mapFile(args[0], { create: true, sparse: true, size: 2 ** 40 })).close();
      for (let i = 0; i < ${TEBI_MAPPINGS}; i++) {
        const mapping = await mapFile(args[0]);
        mapping.window(i);
        await mapping.close();
      }`,
      { args: [at('many')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

describe('garbage collection', () => {
  const COLLECT = `
    const maps = () => fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.includes(args[0])).length;
    const collect = async (isDone) => {
      for (let i = 0; i < 200 && !isDone(); i++) { global.gc(); await turn(); }
      assert.ok(isDone());
    };`;

  it('of a mapping that was never closed lets go of the file', async () => {
    const end = await runScript(
      `${COLLECT}
      let mapping = await mapFile(args[0], { create: true, size: 2 ** 20 });
      mapping.window(0)[0] = 1;
      assert.equal(maps(), 1);
      mapping = undefined;
      await collect(() => maps() === 0);`,
      { args: [at('gone')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('of a mapping leaves its windows alive, and their end the file', async () => {
    const end = await runScript(
      `${COLLECT}
      let mapping = await mapFile(args[0], { create: true, size: 2 ** 20 });
      let window = mapping.window(0);
      let isCollected = false;
      const registry = new FinalizationRegistry(() => (isCollected = true));
      registry.register(mapping);
      mapping = undefined;
      await collect(() => isCollected);
      window.fill(8);
      assert.equal(maps(), 1);
      assert.deepEqual(fs.readFileSync(args[0]), Buffer.alloc(2 ** 20, 8));
      window = undefined;
      await collect(() => maps() === 0);`,
      { args: [at('kept')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('of a mapping with work in flight waits for the work', async () => {
    const end = await runScript(
      `${COLLECT}
      // A function of its own, so that nothing stays in the frame that goes on.
      const begin = async () => {
        const mapping = await mapFile(args[0], { create: true, size: 2 ** 22 });
        return Promise.all([mapping.fillAsync(0, 2 ** 22, 7), mapping.crc32cAsync(0, 2 ** 22)]);
      };
      const work = Array.from({ length: 30 }, begin);
      for (let i = 0; i < ${isThorough ? 25 : 10}; i++) { global.gc(); await turn(); }
      await Promise.all(work);
      work.length = 0;
      await collect(() => maps() === 0);`,
      { args: [at('unheld')], nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

describe('worker threads', () => {
  it('use the addon side by side, each with mappings of its own', async () => {
    const end = await runScript(
      `
      const code = \`
        const { parentPort, workerData } = require('node:worker_threads');
        (async () => {
          const { mapFile } = await import('bedrock-node/native');
          const mapping = await mapFile(workerData.path, { create: true, size: 2 ** 20 });
          for (let i = 0; i < ${isThorough ? 3000 : 1000}; i++) {
            await mapping.copyPersist((workerData.number * 4096 + i * 8) % (2 ** 20 - 64), Buffer.alloc(64, i));
            if (i % 100 === 0) await mapping.msyncAsync(0, 4096);
          }
          await mapping.close();
          parentPort.postMessage('done');
        })();\`;
      await Promise.all(Array.from({ length: 4 }, async (_, number) => {
        const worker = new Worker(code, { eval: true, execArgv: [], workerData: { path: args[0], number } });
        const ended = once(worker, 'exit');
        const [message] = await once(worker, 'message');
        assert.equal(message, 'done');
        assert.deepEqual(await ended, [0]);
      }));`,
      { args: [at('shared')], isForced: true },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it.each(sampled(1, [true, false]))(
    'may be terminated in the middle of it all (persistent memory: %s)',
    async (isForced) => {
      const end = await runScript(
        `
      const code = \`
        const { workerData } = require('node:worker_threads');
        (async () => {
          const { mapFile, allocate } = await import('bedrock-node/native');
          const fs = require('node:fs');
          const fd = fs.openSync(workerData.path, 'r+');
          const mapping = await mapFile(workerData.path);
          const window = mapping.window(0);
          for (;;) {
            void mapping.msyncAsync(0, ${BUSY_BYTES});
            void mapping.fillAsync(0, ${BUSY_BYTES}, 1);
            void mapping.crc32cAsync(0, ${BUSY_BYTES});
            void allocate(fd, 0, ${BUSY_BYTES});
            void mapFile(workerData.path);
            window.fill(3, 0, 4096);
            await mapping.persist(0, 4096);
            await new Promise(setImmediate);
            if (Atomics.add(workerData.rounds, 0, 1) > 40) { void mapping.close(); break; }
          }
        })();\`;
      fs.writeFileSync(args[0], Buffer.alloc(${BUSY_BYTES}));
      for (let i = 0; i < 25; i += ${isThorough ? 1 : 8}) {
        const rounds = new Int32Array(new SharedArrayBuffer(4));
        const worker = new Worker(code, { eval: true, execArgv: [], workerData: { path: args[0], rounds } });
        let isOver = false;
        worker.on('exit', () => (isOver = true));
        // Some rounds later each time, at whatever it is doing then; the last ones close their mapping meanwhile.
        while (Atomics.load(rounds, 0) < 2 * i && !isOver) await turn();
        await worker.terminate();
      }
      const mapping = await mapFile(args[0]);
      await mapping.persist(0, ${BUSY_BYTES});`,
        { args: [at('terminated')], isForced },
      );
      expect(end).toEqual({ ...WELL, stdout: '' });
    },
  );
});

describe('the process', () => {
  it.each(sampled(2, ['process.exit(0)', 'process.exitCode = 0', 'setImmediate(() => process.exit(0))']))(
    'ends well by %s with mappings open and work in flight',
    async (exit) => {
      const end = await runScript(
        `
        const mapping = await mapFile(args[0], { create: true, size: ${4 * BUSY_BYTES} });
        const window = mapping.window(0).fill(1);
        for (let i = 0; i < 12; i++) {
          void mapping.fillAsync(0, ${4 * BUSY_BYTES}, i);
          void mapping.msyncAsync(0, ${4 * BUSY_BYTES});
        }
        globalThis.held = [mapping, window];
        ${exit};`,
        { args: [at('exit')] },
      );
      expect(end).toEqual({ ...WELL, stdout: '' });
    },
  );

  it('keeps what was stored when it is killed: the file is shared memory', async () => {
    const end = await runScript(
      `
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      mapping.copy(0, Buffer.from('survives'));
      process.kill(process.pid, 'SIGKILL');
      await delay(10_000);`,
      { args: [at('killed')] },
    );
    expect(end.signal).toBe('SIGKILL');
    const { readFileSync } = await import('node:fs');
    expect(String(readFileSync(at('killed')).subarray(0, 8))).toBe('survives');
  });
});
