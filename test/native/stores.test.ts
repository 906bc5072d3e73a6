/** Stores and what makes them durable, on a mapping that needs msync and on one that passes for persistent memory. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runScript, WELL, type ScriptEnd } from './script.js';

/** Each is the body of an async function; `mapping` is 1 MiB of zeros, `onDisk(offset, length)` what another reader of the file finds. */
const BEHAVIOUR: Record<string, string> = {
  'copyPersist copies a part of the source': `
    await mapping.copyPersist(4096, Buffer.from('__hello__'), 2, 5);
    assert.equal(String(onDisk(4095, 7)), '\\0hello\\0');`,
  'copyPersist copies all of the source, or the rest of it, unless told': `
    await mapping.copyPersist(0, Buffer.from('whole'));
    await mapping.copyPersist(8, Buffer.from('the rest'), 4);
    assert.equal(String(onDisk(0, 12)), 'whole\\0\\0\\0rest');`,
  'copyPersist reaches the last byte': `
    await mapping.copyPersist(2 ** 20 - 3, Buffer.from('end'));
    assert.equal(String(onDisk(2 ** 20 - 3, 3)), 'end');`,
  'copyPersist takes sources of every alignment and length': `
    const source = Buffer.alloc(700);
    for (let i = 0; i < 700; i++) source[i] = 1 + (i % 251);
    for (const [to, from, length] of [[1, 0, 1], [63, 1, 65], [4095, 3, 255], [8191, 5, 256], [12289, 7, 513], [16384, 0, 700]]) {
      await mapping.copyPersist(to, source, from, length);
      assert.deepEqual(onDisk(to, length), source.subarray(from, from + length));
    }`,
  'copyPersist takes a source in shared memory': `
    const source = new Uint8Array(new SharedArrayBuffer(16)).fill(7);
    await mapping.copyPersist(0, source);
    assert.deepEqual(onDisk(0, 16), Buffer.alloc(16, 7));`,
  'copyPersist moves overlapping ranges of the mapping itself': `
    await mapping.copyPersist(0, Buffer.from('0123456789'));
    await mapping.copyPersist(2, mapping.window(0), 0, 8);
    assert.equal(String(onDisk(0, 10)), '0101234567');
    await mapping.copyPersist(0, mapping.window(0), 2, 8);
    assert.equal(String(onDisk(0, 10)), '0123456767');`,
  'copy and drain do the same for many': `
    for (let i = 0; i < 64; i++) mapping.copy(i * 4096, Buffer.from([i + 1]));
    await mapping.drain();
    for (let i = 0; i < 64; i++) assert.equal(onDisk(i * 4096, 1)[0], i + 1);`,
  'fillPersist, fill and fillAsync set bytes': `
    await mapping.fillPersist(10, 5, 0xab);
    mapping.fill(20, 5, 0xcd);
    await mapping.drain();
    await mapping.fillAsync(30, 5, 0xef);
    await mapping.fillPersist(12, 1);
    assert.equal(onDisk(8, 28).toString('hex'),
      '0000abab00abab' + '00'.repeat(5) + 'cdcdcdcdcd' + '00'.repeat(5) + 'efefefefef' + '00');`,
  'storePersist64 and load64 agree, and are little-endian': `
    await mapping.storePersist64(8, 0x0102030405060708n);
    await mapping.storePersist64(2 ** 20 - 8, 2n ** 64n - 1n);
    assert.equal(mapping.load64(8), 0x0102030405060708n);
    assert.equal(mapping.load64(2 ** 20 - 8), 2n ** 64n - 1n);
    assert.equal(mapping.load64(16), 0n);
    assert.equal(onDisk(8, 8).readBigUInt64LE(), 0x0102030405060708n);`,
  'stores through a window become durable by persist': `
    mapping.window(0).set(Buffer.from('by window'), 100);
    await mapping.persist(100, 9);
    assert.equal(String(onDisk(100, 9)), 'by window');`,
  'a list of stores is carried out in order on persistent memory, and refused elsewhere': `
    const list = mapping.storeList();
    const source = Buffer.from('the bytes of a copy that is longer than a loop takes, and more');
    list.copy(0, source, 0, source.length);
    list.copy(100, source, 4, 5);
    list.zeros(102, 2);
    list.drain();
    list.word(200, 0x0102030405060708n);
    list.wordOf(208, Buffer.from('a word, more'));
    list.drain();
    if (!mapping.isPmem) return assert.throws(() => list.carryOut(), { code: 'INVALID_ARGUMENT' });
    list.carryOut();
    assert.equal(list.length, 0);
    assert.deepEqual(onDisk(0, source.length), source);
    assert.equal(String(onDisk(100, 5)), 'by\\0\\0s');
    assert.equal(mapping.load64(200), 0x0102030405060708n);
    assert.equal(String(onDisk(208, 8)), 'a word, ');
    for (const [offset, code] of [[2 ** 20 - 4, 'OUT_OF_RANGE'], [2 ** 20, 'OUT_OF_RANGE'], [-1, 'INVALID_ARGUMENT']]) {
      list.copy(offset, source, 0, 5);
      assert.throws(() => list.carryOut(), { code });
      list.zeros(offset, 5);
      assert.throws(() => list.carryOut(), { code });
    }
    list.word(4, 1n);
    assert.throws(() => list.carryOut(), { code: 'INVALID_ARGUMENT' });`,
  'persistRanges takes pairs, objects, and a part of the pairs': `
    mapping.window(0).fill(1, 0, 64);
    await mapping.persistRanges(new Float64Array([0, 8, 4096, 0, 56, 8]));
    await mapping.persistRanges(new Float64Array([0, 8, -1, -1]), 1);
    await mapping.persistRanges([{ offset: 0, size: 8 }, { offset: 2 ** 20, size: 0 }]);
    await mapping.persistRanges([]);
    await mapping.persistRanges(new Float64Array([8, 0]));
    assert.deepEqual(onDisk(0, 64), Buffer.alloc(64, 1));`,
  'flush and drain, msyncAsync, persistAsync, deepPersistAsync and msyncBlocking all work': `
    mapping.window(0).fill(3);
    mapping.flush(0, 100);
    mapping.flush(5000, 100);
    await mapping.drain();
    await mapping.drain();
    await mapping.msyncAsync(4097, 12345);
    await mapping.persistAsync(0, 2 ** 20);
    await mapping.deepPersistAsync(1, 2 ** 20 - 1);
    mapping.msyncBlocking(4095, 2);
    assert.deepEqual(onDisk(0, 2 ** 20), Buffer.alloc(2 ** 20, 3));`,
  'empty ranges are done at once, anywhere up to the end': `
    for (const offset of [0, 1, 2 ** 20]) {
      await mapping.persist(offset, 0);
      await mapping.copyPersist(offset, Buffer.alloc(0));
      await mapping.fillPersist(offset, 0);
      await mapping.msyncAsync(offset, 0);
      await mapping.deepPersistAsync(offset, 0);
      mapping.msyncBlocking(offset, 0);
      mapping.flush(offset, 0);
    }
    await mapping.drain();`,
  'crc32c and crc32cAsync agree with crc32c of the bytes': `
    mapping.copy(1000, Buffer.from('123456789'));
    assert.equal(mapping.crc32c(1000, 9), 0xe3069283);
    assert.equal(await mapping.crc32cAsync(1000, 9), 0xe3069283);
    assert.equal(mapping.crc32c(1004, 5, mapping.crc32c(1000, 4)), 0xe3069283);
    assert.equal(mapping.crc32c(0, 2 ** 20), native.crc32c(mapping.window(0)));`,
  'durable calls give undefined on persistent memory and a promise elsewhere': `
    const calls = [mapping.copyPersist(0, Buffer.from('x')), mapping.persist(0, 1), mapping.storePersist64(8, 1n),
      mapping.fillPersist(0, 1), mapping.persistRanges([{ offset: 0, size: 1 }])];
    for (const call of calls) assert.equal(call instanceof Promise, !mapping.isPmem);
    await Promise.all(calls);`,
  'stays whole under many calls at once': `
    await Promise.all(Array.from({ length: 2000 }, (_, i) => mapping.copyPersist(i * 512, Buffer.alloc(512, i % 255))));
    for (let i = 0; i < 2000; i++) assert.equal(onDisk(i * 512 + 511, 1)[0], i % 255);`,
};

/** Runs all of it, each on a file of its own, and prints what becomes of each as a line of JSON. */
const SCRIPT = `
  const behaviour = {${Object.entries(BEHAVIOUR)
    .map(([title, script]) => `${JSON.stringify(title)}: async (mapping, onDisk) => {${script}}`)
    .join(',')}};
  for (const [index, [title, check]] of Object.entries(behaviour).entries()) {
    const name = args[0] + index;
    const mapping = await mapFile(name, { create: true, size: 2 ** 20 });
    const file = fs.openSync(name);
    const onDisk = (offset, length) => {
      const bytes = Buffer.alloc(length);
      assert.equal(fs.readSync(file, bytes, 0, length, offset), length);
      return bytes;
    };
    const fault = await check(mapping, onDisk).then(() => null, (error) => String(error.stack));
    await mapping.close();
    console.log(JSON.stringify({ title, fault }));
  }`;

describe.each([
  { mapping: 'a mapping that needs msync', isForced: false },
  { mapping: 'a mapping that passes for persistent memory', isForced: true },
])('on $mapping', ({ isForced }) => {
  let end: ScriptEnd;
  const faults = new Map<string, string | null>();
  // In one process, which takes longer to begin than all of it: where one crashes, those behind it are missing.
  beforeAll(async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-native-'));
    end = await runScript(SCRIPT, { args: [path.join(folder, 'stores')], isForced });
    await rm(folder, { recursive: true });
    for (const line of end.stdout.split('\n').filter(Boolean)) {
      const { title, fault } = JSON.parse(line) as { title: string; fault: string | null };
      faults.set(title, fault);
    }
  });

  it.each(Object.keys(BEHAVIOUR))('%s', (title) => {
    expect(faults.get(title)).toBeNull();
  });

  it('the process ends well', () => {
    expect(end).toMatchObject(WELL);
  });
});
