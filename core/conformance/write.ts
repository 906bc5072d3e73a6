/** Rules of `write` and `persist`: visible when the call resolves, and exactly in the given place. */
import type { WriteOptions } from '../contract/target.js';
import { changesNothing, pattern, rejects, sameBytes } from './assertions.js';
import type { Rules } from './rules.js';

const NOT_BYTES: readonly unknown[] = [
  undefined,
  null,
  8,
  'bytes',
  [1, 2, 3],
  new ArrayBuffer(8),
  new DataView(new ArrayBuffer(8)),
  new Uint16Array(4),
  { length: 8 },
];

/** A caller with wrong options must not believe that the bytes are durable. */
const NOT_OPTIONS: readonly unknown[] = [
  null,
  true,
  'persist',
  { persist: 'true' },
  { persist: 1 },
  { persist: null },
];

export const writeRules: Rules = (rule) => {
  for (const options of [{}, { persist: false }, { persist: true }]) {
    rule(`shows a write with ${JSON.stringify(options)} when it resolves`, async ({ target }) => {
      const id = await target.create(4096);
      for (let seed = 1; seed <= 20; seed++) {
        await target.write(id, 0, pattern(4096, seed), options);
        sameBytes(await target.read(id, 0, 4096), pattern(4096, seed), `the region after write ${seed}`);
      }
    });
  }

  rule('changes exactly the bytes of the range that is written', async ({ target }) => {
    const size = 19;
    const id = await target.create(size);
    const expected = new Uint8Array(size);
    let seed = 0;
    for (let offset = 0; offset <= size; offset++) {
      for (let length = 0; length <= size - offset; length++) {
        const bytes = pattern(length, ++seed);
        await target.write(id, offset, bytes);
        expected.set(bytes, offset);
        sameBytes(
          await target.read(id, 0, size),
          expected,
          `the region after a write of ${length} bytes at ${offset}`,
        );
      }
    }
  });

  rule('writes a MiB at once, at any offset', async ({ target }) => {
    const size = 1_048_576;
    const id = await target.create(size + 10_000);
    const expected = new Uint8Array(size + 10_000);
    for (const offset of [0, 1, 4095, 10_000]) {
      const bytes = pattern(size, offset + 1);
      await target.write(id, offset, bytes, { persist: true });
      expected.set(bytes, offset);
      sameBytes(await target.read(id, 0, expected.length), expected, `the region after a write at ${offset}`);
    }
  });

  rule('writes any Uint8Array, wherever it lies in its memory', async ({ target }) => {
    const id = await target.create(48);
    const shifted = new Uint8Array(new ArrayBuffer(64), 7, 48);
    const shared = new Uint8Array(new SharedArrayBuffer(48));
    for (const [seed, buffer] of [new Uint8Array(48), Buffer.alloc(48), shifted, shared].entries()) {
      buffer.set(pattern(48, seed + 1));
      await target.write(id, 0, buffer);
      sameBytes(await target.read(id, 0, 48), pattern(48, seed + 1), `the region after write ${seed + 1}`);
    }
  });

  rule('persists a region or parts of it without changing a byte', async ({ target }) => {
    const id = await target.createAndWrite(pattern(10_000));
    const whole = [{ offset: 0, size: 10_000 }];
    const parts = [
      { offset: 0, size: 1 },
      { offset: 4095, size: 2 },
      { offset: 9999, size: 1 },
      { offset: 10_000, size: 0 },
      { offset: 4000, size: 2000 },
    ];
    for (const ranges of [undefined, [], whole, parts]) {
      await target.write(id, 5000, pattern(7, 2));
      await target.persist(id, ranges);
      const expected = pattern(10_000);
      expected.set(pattern(7, 2), 5000);
      sameBytes(await target.read(id, 0, 10_000), expected, 'the region after persist');
    }
  });

  rule('rejects bytes that are no Uint8Array with INVALID_ARGUMENT, changing nothing', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    await changesNothing(target, async () => {
      for (const bytes of NOT_BYTES) {
        const name = bytes instanceof ArrayBuffer ? 'an ArrayBuffer' : String(bytes);
        await rejects(target.write(id, 0, bytes as Uint8Array), 'INVALID_ARGUMENT', `write of ${name}`);
        const call = target.writev(id, [{ offset: 0, size: 8 }], bytes as Uint8Array);
        await rejects(call, 'INVALID_ARGUMENT', `writev of ${name}`);
      }
    });
  });

  rule('rejects options of the wrong type with INVALID_ARGUMENT, changing nothing', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    await changesNothing(target, async () => {
      for (const wrong of NOT_OPTIONS) {
        const options = wrong as WriteOptions;
        const name = `with ${JSON.stringify(wrong)}`;
        const ranges = [{ offset: 0, size: 8 }];
        await rejects(target.write(id, 0, pattern(8, 2), options), 'INVALID_ARGUMENT', `write ${name}`);
        await rejects(
          target.writev(id, ranges, pattern(8, 2), options),
          'INVALID_ARGUMENT',
          `writev ${name}`,
        );
        await rejects(
          target.createAndWrite(pattern(8), options),
          'INVALID_ARGUMENT',
          `createAndWrite ${name}`,
        );
      }
    });
  });
};
