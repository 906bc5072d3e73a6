/** Rules of `read` and `readInto`: the right bytes, no others, and copies that later writes do not change. */
import { types } from 'node:util';
import { counts, pattern, rejects, sameBytes } from './assertions.js';
import type { Rules } from './rules.js';

const NOT_BUFFERS: readonly unknown[] = [
  undefined,
  null,
  8,
  'buffer',
  [0, 0, 0],
  new ArrayBuffer(8),
  new DataView(new ArrayBuffer(8)),
  new Uint16Array(4),
  { length: 8 },
];

export const readRules: Rules = (rule) => {
  rule('reads exactly the bytes of every range of a region', async ({ target }) => {
    const whole = pattern(23);
    const id = await target.createAndWrite(whole);
    for (let offset = 0; offset <= whole.length; offset++) {
      for (let size = 0; size <= whole.length - offset; size++) {
        const expected = whole.slice(offset, offset + size);
        sameBytes(await target.read(id, offset, size), expected, `read of ${size} bytes at ${offset}`);
      }
    }
  });

  rule('reads a MiB at once, and any part of it', async ({ target }) => {
    const whole = pattern(1_048_583);
    const id = await target.createAndWrite(whole);
    sameBytes(await target.read(id, 0, whole.length), whole, 'the whole region');
    for (const offset of [4095, 65_535, 524_287, 1_000_000]) {
      const part = whole.slice(offset, offset + 48_583);
      sameBytes(await target.read(id, offset, 48_583), part, `a part at ${offset}`);
    }
  });

  rule('gives a copy that later writes do not change', async ({ target }) => {
    const id = await target.createAndWrite(pattern(4096, 1));
    const read = await target.read(id, 0, 4096);
    const vectored = await target.readv(id, [{ offset: 0, size: 4096 }]);
    await target.write(id, 0, pattern(4096, 2), { persist: true });
    sameBytes(read, pattern(4096, 1), 'what was read before the write');
    sameBytes(vectored, pattern(4096, 1), 'what was read before the write, by readv');
  });

  rule('gives a copy that outlives its region', async ({ target }) => {
    const id = await target.createAndWrite(pattern(4096, 1));
    const read = await target.read(id, 0, 4096);
    await target.erase(id);
    for (let count = 0; count < 5; count++) await target.createAndWrite(pattern(4096, 2));
    sameBytes(read, pattern(4096, 1), 'what was read before the erase');
  });

  rule('gives a copy whose changes reach neither the region nor another copy', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    const [first, second] = await Promise.all([target.read(id, 0, 64), target.read(id, 0, 64)]);
    first.fill(0);
    sameBytes(second, pattern(64), 'the other copy');
    sameBytes(await target.read(id, 0, 64), pattern(64), 'the region');
  });

  rule('fills a buffer with readInto, and no byte beside it', async ({ target }) => {
    const whole = pattern(100);
    const id = await target.createAndWrite(whole);
    for (const [offset, size] of [
      [0, 100],
      [0, 1],
      [33, 34],
      [99, 1],
      [40, 0],
      [100, 0],
    ] as const) {
      const around = Buffer.alloc(size + 20, 0xee);
      await target.readInto(id, offset, around.subarray(10, 10 + size));
      const expected = Buffer.alloc(size + 20, 0xee);
      expected.set(whole.subarray(offset, offset + size), 10);
      sameBytes(around, expected, `the memory around a read of ${size} bytes at ${offset}`);
    }
  });

  rule('reads into any Uint8Array, wherever it lies in its memory', async ({ target }) => {
    const id = await target.createAndWrite(pattern(48));
    const buffers = [
      new Uint8Array(48),
      Buffer.alloc(48),
      Buffer.from('x'.repeat(48)),
      new Uint8Array(new ArrayBuffer(64), 7, 48),
      new Uint8Array(new SharedArrayBuffer(48)),
    ];
    for (const buffer of buffers) {
      await target.readInto(id, 0, buffer);
      sameBytes(buffer, pattern(48), 'the buffer that readInto has filled');
    }
  });

  rule('rejects a buffer that is no Uint8Array with INVALID_ARGUMENT', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    for (const buffer of NOT_BUFFERS) {
      const call = target.readInto(id, 0, buffer as Uint8Array);
      await rejects(
        call,
        'INVALID_ARGUMENT',
        `readInto(${types.isAnyArrayBuffer(buffer) ? 'ArrayBuffer' : String(buffer)})`,
      );
    }
    await counts(target, 1, 'after the calls');
  });
};
