/** Pages that the system cannot give: the process goes on, whoever meets them, and every call on the mapping says so from then on. */
import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { needs } from '../fixtures/needs.js';
import { useFolder } from './folder.js';
import { runScript, WELL } from './script.js';

const at = useFolder();

/** Of 16 pages the last 8 are cut off; the first byte of each page was its number. */
const CUT = `
  const PAGE = 4096;
  const made = async (name, size = 16 * PAGE) => {
    const mapping = await mapFile(name, { create: true, size });
    for (let page = 0; page * PAGE < size; page++) mapping.window(0)[page * PAGE] = page + 1;
    return mapping;
  };
  const cut = async (name) => {
    const mapping = await made(name);
    fs.truncateSync(name, 8 * PAGE);
    return mapping;
  };
`;

describe.each([
  { medium: 'msync', isForced: false },
  { medium: 'persistent memory', isForced: true },
])('a file that is cut off under a mapping, on $medium', ({ isForced }) => {
  it('makes each call on it fail with EIO, the first one included, and costs no other mapping anything', async () => {
    const end = await runScript(
      `${CUT}
      const other = await made(args[0] + '.other');
      const source = Buffer.alloc(PAGE, 7);
      const calls = {
        copyPersist: [10 * PAGE, source], copy: [10 * PAGE, source], fillPersist: [10 * PAGE, PAGE, 1], fill: [10 * PAGE, PAGE, 1],
        storePersist64: [10 * PAGE, 1n], store64: [10 * PAGE, 1n], load64: [10 * PAGE], crc32c: [10 * PAGE, PAGE], crc32cAsync: [10 * PAGE, PAGE],
        fillAsync: [10 * PAGE, PAGE, 1],
      };
      // What flushes the processor's caches reads nothing, so not every processor meets the loss by it.
      const later = { persist: [0, PAGE], flush: [0, PAGE], persistRanges: [[{ offset: 0, size: PAGE }]], drain: [], window: [0],
        view: [0, PAGE], persistAsync: [0, PAGE], msyncAsync: [0, PAGE], deepPersistAsync: [0, PAGE], msyncBlocking: [0, PAGE] };
      for (const [name, values] of Object.entries(calls)) {
        const mapping = await cut(args[0]);
        assert.equal(await codeOfAsync(async () => mapping[name](...values)), 'EIO', name);
        assert.ok(mapping.isLost);
        for (const [next, given] of Object.entries({ ...calls, ...later }))
          assert.equal(await codeOfAsync(async () => mapping[next](...given)), 'EIO', name + ', then ' + next);
        await mapping.close();
        assert.equal(codeOf(() => mapping.load64(0)), 'MAPPING_CLOSED');
      }
      assert.ok(!other.isLost);
      await other.copyPersist(10 * PAGE, source);
      assert.equal(other.window(0)[10 * PAGE], 7);`,
      { args: [at('cut')], isForced },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('shows JavaScript zeros in what is lost and all else as it was, and takes its stores there nowhere', async () => {
    const end = await runScript(
      `${CUT}
      const mapping = await made(args[0]);
      const window = mapping.window(0);
      fs.truncateSync(args[0], 8 * PAGE);
      assert.equal(window[7 * PAGE], 8);
      assert.ok(!mapping.isLost);
      const copy = Buffer.alloc(16 * PAGE, 255);
      copy.set(window);
      assert.ok(mapping.isLost);
      for (let page = 0; page < 16; page++) assert.equal(copy[page * PAGE], page < 8 ? page + 1 : 0);
      window.fill(9, 15 * PAGE);
      assert.equal(fs.statSync(args[0]).size, 8 * PAGE);
      // Made long again by others, it is not shown: the mapping is no more what the file is.
      fs.truncateSync(args[0], 16 * PAGE);
      assert.equal(fs.readFileSync(args[0])[15 * PAGE], 0);
      await mapping.close();
      const again = await mapFile(args[0]);
      assert.ok(!again.isLost);
      assert.equal(again.window(0)[0], 1);`,
      { args: [at('window')], isForced },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('is met by worker threads as by the first one, and survives the worker that had loaded the addon', async () => {
    const end = await runScript(
      `
      const script = \`
        import * as fs from 'node:fs';
        import { mapFile } from 'bedrock-node/native';
        const name = process.argv.at(-1);
        const mapping = await mapFile(name, { create: true, size: 65536 });
        const window = mapping.window(0);
        fs.truncateSync(name, 0);
        let sum = 0;
        for (const byte of window) sum += byte;
        if (sum !== 0 || !mapping.isLost) process.exit(9);
      \`;
      const url = new URL('data:text/javascript,' + encodeURIComponent(script.replace("'bedrock-node/native'", JSON.stringify(import.meta.resolve('bedrock-node/native')))));
      for (let round = 0; round < 3; round++) {
        const workers = Array.from({ length: 3 }, (_, index) => new Worker(url, { argv: [args[0] + index] }));
        assert.deepEqual(await Promise.all(workers.map(async (worker) => (await once(worker, 'exit'))[0])), [0, 0, 0]);
      }
      const mapping = await mapFile(args[0], { create: true, size: 65536 });
      fs.truncateSync(args[0], 0);
      assert.equal(codeOf(() => mapping.load64(0)), 'EIO');`,
      { args: [at('workers')], isForced },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

it('a thousand million bytes that were cut off are read at once', async () => {
  const end = await runScript(
    `
    const size = 2 ** 30;
    const mapping = await mapFile(args[0], { create: true, sparse: true, size });
    const view = mapping.view(0, size);
    fs.truncateSync(args[0], 2 ** 20);
    // A page each 64 KiB, from the end on.
    let sum = 0;
    for (let at = size - 1; at > 0; at -= 2 ** 16) sum += view[at];
    assert.equal(sum, 0);
    assert.ok(mapping.isLost);
    const ranges = fs.readFileSync('/proc/self/maps', 'utf8').split('\\n').length;
    assert.ok(ranges < 2000, String(ranges));
    await mapping.close();`,
    { args: [at('large')] },
  );
  expect(end).toEqual({ ...WELL, stdout: '' });
});

describe('a bus error that is none of a mapping', () => {
  it('ends the process as ever', async () => {
    const end = await runScript(
      `
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      process.kill(process.pid, 'SIGBUS');
      await delay(10_000);`,
      { args: [at('sent')] },
    );
    // A sanitizer, which handled it before, reports it and aborts.
    const signal = process.env.ASAN_OPTIONS === undefined ? 'SIGBUS' : 'SIGABRT';
    expect(end).toMatchObject({ status: null, signal });
  });

  it('goes to whoever handled it before', async () => {
    const end = await runScript(
      `
      const told = new Promise((resolve) => process.on('SIGBUS', resolve));
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      process.kill(process.pid, 'SIGBUS');
      const waiting = setInterval(() => undefined, 1000);
      assert.equal(await told, 'SIGBUS');
      clearInterval(waiting);
      fs.truncateSync(args[0], 0);
      assert.equal(codeOf(() => mapping.load64(0)), 'EIO');`,
      { args: [at('handled')] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

needs('root, to mount a small file system', canMount).it(
  'a store for which the file system has no room fails, and leaves what is stored',
  async () => {
    const folder = at('small');
    const end = await runScript(
      `
      fs.writeFileSync(args[0] + '/taken', Buffer.alloc(900 * 1024));
      const mapping = await mapFile(args[0] + '/mapped', { create: true, sparse: true, size: 2 ** 20 });
      const window = mapping.window(0);
      let stored = 0;
      for (let at = 0; at < 2 ** 20 && !mapping.isLost; at += 4096, stored++) window[at] = 1;
      assert.ok(stored > 4 && stored < 200, String(stored));
      assert.equal(codeOf(() => mapping.copy(1, Buffer.from('x'))), 'EIO');
      assert.equal(window[0], 1);
      await mapping.close();`,
      {
        args: [folder],
        before: `mkdir ${folder} && mount -t tmpfs -o size=1m none ${folder} && trap 'umount -l ${folder}' EXIT`,
      },
    );
    spawnSync('umount', ['-l', folder]);
    expect(end).toEqual({ ...WELL, stdout: '' });
  },
);
