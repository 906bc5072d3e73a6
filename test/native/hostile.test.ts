/** No input crashes the process: every method with every bad argument, on open and closed mappings, and at random. */
import { describe, expect, it } from '@jest/globals';
import { useFolder } from './folder.js';
import { runScript, WELL } from './script.js';

const at = useFolder();

/** How each method is called well; `good` arguments are replaced one by one by bad ones. */
const METHODS = `
  const source = Buffer.alloc(64, 1);
  const detached = new Uint8Array(64);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const pairs = new Float64Array([0, 8]);
  const detachedPairs = new Float64Array(4);
  structuredClone(detachedPairs.buffer, { transfer: [detachedPairs.buffer] });
  const good = {
    copyPersist: [0, source, 0, 8], copy: [0, source, 0, 8], fillPersist: [0, 8, 1], fill: [0, 8, 1],
    persist: [0, 8], flush: [0, 8], persistRanges: [pairs, 1], storePersist64: [0, 1n], store64: [0, 1n], load64: [0], drain: [],
    window: [0], view: [0, 8], msyncAsync: [0, 8], persistAsync: [0, 8], deepPersistAsync: [0, 8], fillAsync: [0, 8, 1],
    load: [0, Buffer.alloc(64), 0, 8], crc32c: [0, 8, 0], crc32cAsync: [0, 8, 0], msyncBlocking: [0, 8],
  };
  const badNumbers = [-1, -0.5, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 63, 2 ** 64, -(2 ** 63), 1e308, 5e-324];
  const tooLarge = [4097, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 52, 2 ** 53 - 1];
  const badValues = [null, '0', '', 'x', {}, [], [0], true, Symbol('s'), 1n, -1n, 2n ** 64n, () => 0, new Date(), detached,
    detachedPairs, new Uint16Array(8), new DataView(new ArrayBuffer(8)), new ArrayBuffer(8), new Proxy({}, {}),
    { valueOf() { throw new Error('called'); } }];
  const allowed = ['INVALID_ARGUMENT', 'OUT_OF_RANGE', 'NOT_SUPPORTED'];
`;

describe.each([
  { medium: 'msync', isForced: false },
  { medium: 'persistent memory', isForced: true },
])('on $medium', ({ isForced }) => {
  it('answers every bad argument of every method by a coded error', async () => {
    const end = await runScript(
      `${METHODS}
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(mapping))) {
        const isCall = typeof Object.getOwnPropertyDescriptor(Object.getPrototypeOf(mapping), name).value === 'function';
        assert.ok(!isCall || name in good || ['constructor', 'attributes', 'close', 'measureWith', 'storeList'].includes(name), name + ' is not tested');
      }
      let calls = 0;
      for (const [name, values] of Object.entries(good)) {
        assert.equal(await codeOfAsync(async () => mapping[name](...values)), undefined, name);
        for (let i = 0; i < values.length; i++) {
          for (const bad of [...badNumbers, ...tooLarge, ...badValues]) {
            const given = values.with ? values.with(i, bad) : Object.assign([...values], { [i]: bad });
            // Some bad values are good here: an array of no ranges, a bigint as value.
            const isGood = (name === 'persistRanges' && i === 0 && Array.isArray(bad) && bad.length === 0) ||
              (['storePersist64', 'store64'].includes(name) && i === 1 && bad === 1n);
            const isSeed = name.startsWith('crc32c') && i === 2 && [4097, 2 ** 31].includes(bad);
            const code = await codeOfAsync(async () => mapping[name](...given));
            calls++;
            if (isGood || isSeed) continue;
            assert.ok(allowed.includes(code), name + ' argument ' + i + ': ' + String(typeof bad) + ' gave ' + code);
          }
          await codeOfAsync(async () => mapping[name](...values.slice(0, i)));
        }
      }
      // Offset and length that are fine alone.
      for (const [offset, length] of [[4096, 1], [1, 4096], [4089, 8], [2 ** 53 - 1, 2 ** 53 - 1], [8, 2 ** 53 - 8]]) {
        for (const name of ['persist', 'flush', 'view', 'crc32c', 'msyncBlocking', 'fill', 'fillPersist']) {
          assert.equal(codeOf(() => mapping[name](offset, length, 0)), 'OUT_OF_RANGE', name);
        }
        for (const name of ['msyncAsync', 'persistAsync', 'deepPersistAsync', 'fillAsync', 'crc32cAsync']) {
          assert.equal(await codeOfAsync(() => mapping[name](offset, length, 0)), 'OUT_OF_RANGE', name);
        }
        assert.equal(codeOf(() => mapping.copyPersist(offset, source, 0, length)), 'OUT_OF_RANGE');
        assert.equal(codeOf(() => mapping.persistRanges([{ offset: 0, size: 1 }, { offset, size: length }])), 'OUT_OF_RANGE');
      }
      for (const offset of [4, 4092, 1]) assert.equal(codeOf(() => mapping.load64(offset)), offset === 4092 ? 'OUT_OF_RANGE' : 'INVALID_ARGUMENT');
      assert.equal(codeOf(() => mapping.copyPersist(0, source, 60, 5)), 'OUT_OF_RANGE');
      assert.equal(codeOf(() => mapping.copyPersist(0, detached, 0, 8)), 'OUT_OF_RANGE');
      assert.equal(codeOf(() => mapping.persistRanges(detachedPairs, 1)), 'INVALID_ARGUMENT');
      assert.equal(codeOf(() => mapping.persistRanges(new Float64Array(3))), 'INVALID_ARGUMENT');
      console.log(calls > 1000);
      await mapping.close();`,
      { args: [at('hostile')], isForced },
    );
    expect(end).toEqual({ ...WELL, stdout: 'true\n' });
  });

  it('answers every call on a closed mapping by MAPPING_CLOSED, and a second close by its end', async () => {
    const end = await runScript(
      `${METHODS}
      const mapping = await mapFile(args[0], { create: true, size: 4096 });
      const window = mapping.window(0);
      const first = mapping.close();
      for (const when of ['closing', 'closed']) {
        assert.equal(mapping.isOpen, false);
        assert.equal(window.length, 0);
        for (const [name, values] of Object.entries(good)) {
          assert.equal(await codeOfAsync(async () => mapping[name](...values)), 'MAPPING_CLOSED', name + ' when ' + when);
        }
        await first;
      }
      await mapping.close();
      // What Node does with an empty buffer: nothing.
      window[0] = 1;
      assert.equal(window[0], undefined);
      mapping.attributes();`,
      { args: [at('closed')], isForced },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });

  it('answers every call that stores through a mapping for reading only by READ_ONLY', async () => {
    const end = await runScript(
      `${METHODS}
      fs.writeFileSync(args[0], Buffer.alloc(4096, 7));
      const mapping = await mapFile(args[0], { readOnly: true });
      for (const [name, values] of Object.entries(good)) {
        const loads = ['load', 'load64', 'window', 'view', 'crc32c', 'crc32cAsync'].includes(name);
        assert.equal(await codeOfAsync(async () => mapping[name](...values)), loads ? undefined : 'READ_ONLY', name);
      }
      // Nothing can keep JavaScript from this; it must cost neither the process nor the file.
      mapping.window(0)[5] = 6;
      assert.equal(mapping.window(0)[5], 6);
      await mapping.close();
      assert.deepEqual(fs.readFileSync(args[0]), Buffer.alloc(4096, 7));
      console.log(mapping.isReadOnly, mapping.isPmem);`,
      { args: [at('read-only')], isForced },
    );
    const hasLibpmem = (await import('../../native/index.js')).attributes().libpmem !== null;
    expect(end).toEqual({ ...WELL, stdout: `true ${isForced && hasLibpmem}\n` });
  });

  it('survives calls in random order with random arguments', async () => {
    const end = await runScript(
      `${METHODS}
      // A generator of its own, so that a failure comes again.
      let state = Number(args[1]);
      const random = (below) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
      const pick = (list) => list[random(list.length)];
      const numbers = [0, 1, 7, 8, 63, 64, 100, 4095, 4096, 65528, 65535, 65536, ...tooLarge, ...badNumbers];
      const mappings = [];
      const running = [];
      for (let i = 0; i < 6000; i++) {
        if (mappings.length < 3 || random(200) === 0) mappings.push(await mapFile(args[0], { create: true, size: 65536 }));
        const mapping = pick(mappings.slice(-4));
        if (random(150) === 0) { running.push(mapping.close()); continue; }
        const name = pick(Object.keys(good));
        const values = good[name].map((value) => typeof value === 'number' ? pick(numbers)
          : random(4) === 0 ? pick([...badValues, mapping.isOpen ? mapping.window(0) : detached]) : value);
        try {
          const result = mapping[name](...values);
          if (result instanceof Promise) running.push(result.catch((error) => assert.ok(typeof error.code === 'string', error)));
        } catch (error) {
          assert.ok([...allowed, 'MAPPING_CLOSED'].includes(error.code), name + ': ' + error.stack);
        }
        if (running.length > 200) await Promise.all(running.splice(0));
        if (i % 500 === 0) global.gc();
      }
      await Promise.all(running);
      for (const mapping of mappings) await mapping.close();`,
      { args: [at('random'), '20261121'], isForced, nodeOptions: ['--expose-gc'] },
    );
    expect(end).toEqual({ ...WELL, stdout: '' });
  });
});

it('answers bad files, ranges and checksums by a coded error', async () => {
  const end = await runScript(
    `${METHODS}
    const { allocate, punchHole, zeroRange, unshare, lock, unlock, crc32c } = native;
    const ranged = [allocate, punchHole, zeroRange, unshare];
    const calls = (bad) => [...ranged.map((call) => () => call(bad, 0, 1)), () => lock(bad), () => unlock(bad)];
    const file = fs.openSync(args[0], 'w+');
    for (const bad of [...badNumbers.filter((value) => value !== -1), 2 ** 31, ...badValues]) {
      for (const call of calls(bad)) {
        assert.equal(await codeOfAsync(call), 'INVALID_ARGUMENT', String(typeof bad));
      }
    }
    for (const bad of [2 ** 31 - 1, -1, { fd: -1 }]) {
      for (const call of calls(bad)) {
        assert.equal(await codeOfAsync(call), 'EBADF');
      }
    }
    for (const bad of [...badNumbers, ...badValues]) {
      for (const call of ranged) {
        assert.equal(await codeOfAsync(() => call(file, bad, 1)), 'INVALID_ARGUMENT');
        assert.equal(await codeOfAsync(() => call(file, 0, bad)), 'INVALID_ARGUMENT');
      }
      if (!(bad instanceof Uint8Array)) assert.equal(codeOf(() => crc32c(bad)), 'INVALID_ARGUMENT');
      assert.equal(codeOf(() => crc32c(source, bad)), 'INVALID_ARGUMENT');
    }
    assert.equal(await codeOfAsync(() => allocate(file, 0, 0)), 'EINVAL');
    assert.equal(await codeOfAsync(() => allocate(file, 2 ** 53 - 1, 2 ** 53 - 1)), 'EFBIG');
    for (const [offset, length] of [[0, 0], [2 ** 53 - 1, 2 ** 53 - 1], [2 ** 53 - 1, 0], [0, 2 ** 53 - 1]])
      assert.equal(await codeOfAsync(() => unshare(file, offset, length)), undefined);
    assert.equal(codeOf(() => crc32c(source, 2 ** 32)), 'INVALID_ARGUMENT');
    assert.equal(crc32c(detached), 0);`,
    { args: [at('files')] },
  );
  expect(end).toEqual({ ...WELL, stdout: '' });
});

it('survives the bare addon being called without its face', async () => {
  const end = await runScript(
    `
    const loaded = { exports: {} };
    const { addonPath } = await import('./dist/native/load.js');
    process.dlopen(loaded, addonPath());
    const { mapFile: map, ...others } = loaded.exports;
    const values = [undefined, null, NaN, -1, 2 ** 60, 'x', {}, [], Symbol.iterator, 1n, Buffer.alloc(4)];
    for (const a of values) for (const b of values) {
      for (const call of [map, ...Object.values(others)]) {
        try { await call(a, b, a, b); } catch {}
        try { await new call(a, b); } catch {}
      }
    }
    const mapping = await map(args[0], 4096, 1, 0o600);
    const { close, ...calls } = mapping;
    for (const isClosed of [false, true]) {
      for (const a of values) for (const b of values) for (const call of Object.values(calls)) {
        try { await call.call(b, a, b, a, b); } catch {}
        try { await new call(a, b); } catch {}
      }
      if (!isClosed) await close();
    }
    console.log(close());`,
    { args: [at('bare')] },
  );
  expect(end).toEqual({ ...WELL, stdout: '2\n' });
});
