/**
 * Rules of sizes and offsets: whole numbers from 0 to 2^53 - 1, else INVALID_ARGUMENT; within the
 * region, else OUT_OF_RANGE. A sum that rounds beyond 2^53 must not be taken for one that fits.
 */
import { inspect } from 'node:util';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { changesNothing, pattern, rejects, sameBytes } from './assertions.js';
import { is } from './findings.js';
import type { Rules } from './rules.js';

const SIZE = 4096;
const MAX = Number.MAX_SAFE_INTEGER;

/** Values that are neither a size nor an offset. */
const NOT_SIZES: readonly unknown[] = [
  -1,
  -SIZE,
  -MAX,
  0.5,
  1.000001,
  -0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 53,
  2 ** 53 + 2,
  2 ** 64,
  1e300,
  '1',
  '',
  1n,
  true,
  null,
  undefined,
  [1],
  {},
  { valueOf: () => 1 },
];

/** Ranges that exceed a region of SIZE bytes. */
const BEYOND: readonly (readonly [offset: number, size: number])[] = [
  [0, SIZE + 1],
  [1, SIZE],
  [SIZE - 1, 2],
  [SIZE, 1],
  [SIZE + 1, 0],
  [SIZE + 1, 1],
  [2 ** 31, 1],
  [2 ** 32, 0],
  [2 ** 32, 1],
  [2 ** 32 + 1, SIZE - 1],
  [MAX, 0],
  [MAX, 1],
  [MAX - SIZE + 1, SIZE],
];

/** As above, with sizes that no buffer can have. */
const FAR_BEYOND: readonly (readonly [offset: number, size: number])[] = [
  [0, 2 ** 32],
  [0, 2 ** 32 + SIZE],
  [0, MAX],
  [1, MAX],
  [SIZE, MAX - SIZE + 1],
  [2, MAX - 1],
  [MAX, MAX],
  [MAX - 1, 2],
];

function makeRegion(target: Target): Promise<RegionId> {
  return target.createAndWrite(pattern(SIZE));
}

export const boundsRules: Rules = (rule) => {
  rule('rejects a size that is not a whole number of bytes with INVALID_ARGUMENT', async ({ target }) => {
    const id = await makeRegion(target);
    await changesNothing(target, async () => {
      for (const wrong of NOT_SIZES) {
        const size = wrong as number;
        await rejects(target.create(size), 'INVALID_ARGUMENT', `create(${inspect(wrong)})`);
        await rejects(target.read(id, 0, size), 'INVALID_ARGUMENT', `read of size ${inspect(wrong)}`);
      }
    });
  });

  rule('rejects an offset that is not a whole number of bytes with INVALID_ARGUMENT', async ({ target }) => {
    const id = await makeRegion(target);
    await changesNothing(target, async () => {
      for (const wrong of NOT_SIZES) {
        const offset = wrong as number;
        const at = `at ${inspect(wrong)}`;
        await rejects(target.read(id, offset, 1), 'INVALID_ARGUMENT', `read ${at}`);
        await rejects(target.read(id, offset, 0), 'INVALID_ARGUMENT', `read of no bytes ${at}`);
        await rejects(target.readInto(id, offset, new Uint8Array(1)), 'INVALID_ARGUMENT', `readInto ${at}`);
        await rejects(target.write(id, offset, pattern(1, 2)), 'INVALID_ARGUMENT', `write ${at}`);
        await rejects(target.write(id, offset, new Uint8Array(0)), 'INVALID_ARGUMENT', `empty write ${at}`);
        const call = target.write(id, offset, pattern(1, 2), { persist: true });
        await rejects(call, 'INVALID_ARGUMENT', `write with persist ${at}`);
      }
    });
  });

  rule('rejects a read past the end with OUT_OF_RANGE', async ({ target }) => {
    const id = await makeRegion(target);
    for (const [offset, size] of [...BEYOND, ...FAR_BEYOND]) {
      await rejects(target.read(id, offset, size), 'OUT_OF_RANGE', `read of ${size} bytes at ${offset}`);
    }
    for (const [offset, size] of BEYOND) {
      const call = target.readInto(id, offset, new Uint8Array(size));
      await rejects(call, 'OUT_OF_RANGE', `readInto of ${size} bytes at ${offset}`);
    }
  });

  for (const options of [{}, { persist: true }]) {
    rule(
      `rejects a write past the end with OUT_OF_RANGE, writing no byte of it: ${JSON.stringify(options)}`,
      async ({ target }) => {
        const id = await makeRegion(target);
        await changesNothing(target, async () => {
          for (const [offset, size] of BEYOND) {
            const call = target.write(id, offset, pattern(size, 2), options);
            await rejects(call, 'OUT_OF_RANGE', `write of ${size} bytes at ${offset}`);
          }
        });
      },
    );
  }

  rule('rejects ranges past the end with OUT_OF_RANGE in readv, writev and persist', async ({ target }) => {
    const id = await makeRegion(target);
    await changesNothing(target, async () => {
      for (const [offset, size] of [...BEYOND, ...FAR_BEYOND]) {
        const ranges = [{ offset, size }];
        const name = `of ${size} bytes at ${offset}`;
        await rejects(target.readv(id, ranges), 'OUT_OF_RANGE', `readv ${name}`);
        await rejects(target.persist(id, ranges), 'OUT_OF_RANGE', `persist ${name}`);
      }
      for (const [offset, size] of BEYOND) {
        const call = target.writev(id, [{ offset, size }], pattern(size, 2));
        await rejects(call, 'OUT_OF_RANGE', `writev of ${size} bytes at ${offset}`);
      }
    });
  });

  rule('reads and writes up to the last byte of a region', async ({ target }) => {
    const id = await makeRegion(target);
    const expected = pattern(SIZE);
    for (const [offset, size] of [
      [0, SIZE],
      [1, SIZE - 1],
      [SIZE - 1, 1],
      [SIZE - 64, 64],
    ] as const) {
      const bytes = pattern(size, offset + 2);
      await target.write(id, offset, bytes);
      expected.set(bytes, offset);
      sameBytes(await target.read(id, offset, size), bytes, `the last ${size} bytes`);
      sameBytes(await target.read(id, 0, SIZE), expected, 'the region');
    }
  });

  rule('reads and writes no bytes at every offset up to the end', async ({ target }) => {
    const id = await makeRegion(target);
    await changesNothing(target, async () => {
      for (const offset of [0, 1, SIZE - 1, SIZE]) {
        const none = await target.read(id, offset, 0);
        is(none.length, 0, `the bytes that a read of none at ${offset} gives`);
        await target.readInto(id, offset, new Uint8Array(0));
        await target.write(id, offset, new Uint8Array(0));
        await target.write(id, offset, new Uint8Array(0), { persist: true });
        await target.persist(id, [{ offset, size: 0 }]);
      }
    });
  });

  rule(
    'has no byte in a region of zero bytes: reads and writes of one are OUT_OF_RANGE',
    async ({ target }) => {
      const neighbour = await makeRegion(target);
      const id = await target.create(0);
      await makeRegion(target);
      await changesNothing(target, async () => {
        for (const offset of [0, 1]) {
          await rejects(target.read(id, offset, 1), 'OUT_OF_RANGE', `read at ${offset}`);
          await rejects(
            target.readInto(id, offset, new Uint8Array(1)),
            'OUT_OF_RANGE',
            `readInto at ${offset}`,
          );
          await rejects(target.write(id, offset, pattern(1, 2)), 'OUT_OF_RANGE', `write at ${offset}`);
          await rejects(target.persist(id, [{ offset, size: 1 }]), 'OUT_OF_RANGE', `persist at ${offset}`);
        }
        await rejects(target.read(id, 1, 0), 'OUT_OF_RANGE', 'read of no bytes at 1');
      });
      sameBytes(await target.read(neighbour, 0, SIZE), pattern(SIZE), 'the region beside it');
    },
  );
};
