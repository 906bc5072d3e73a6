/** Rules of `readv` and `writev`: ranges in their order, all bounds checked before the first byte. */
import type { RegionRange } from '../contract/target.js';
import { changesNothing, inFlight, pattern, rejects, sameBytes } from './assertions.js';
import type { Rules } from './rules.js';

const SIZE = 10_000;

/** Ranges that do not overlap, in no particular order. */
const SCATTERED: readonly RegionRange[] = [
  { offset: 9000, size: 1000 },
  { offset: 0, size: 1 },
  { offset: 5000, size: 0 },
  { offset: 4095, size: 2 },
  { offset: 1, size: 99 },
  { offset: 6000, size: 2999 },
  { offset: 10_000, size: 0 },
];

const NOT_RANGES: readonly unknown[] = [
  undefined,
  null,
  7,
  'ranges',
  { offset: 0, size: 8 },
  [null],
  [undefined],
  [8],
  [[0, 8]],
  [{}],
  [{ offset: 0 }],
  [{ size: 8 }],
  [{ offset: '0', size: 8 }],
  [{ offset: 0, size: '8' }],
  [{ offset: -1, size: 8 }],
  [{ offset: 0, size: -8 }],
  [{ offset: 0.5, size: 8 }],
  [{ offset: 0, size: NaN }],
  [{ offset: 2 ** 53, size: 8 }],
];

/** Each begins with a valid range. */
const BEYOND_THE_END: readonly (readonly RegionRange[])[] = [
  [
    { offset: 0, size: 4 },
    { offset: SIZE, size: 4 },
  ],
  [
    { offset: 0, size: 4 },
    { offset: SIZE - 3, size: 4 },
  ],
  [
    { offset: 0, size: 8 },
    { offset: SIZE + 1, size: 0 },
  ],
  [
    { offset: 0, size: 4 },
    { offset: Number.MAX_SAFE_INTEGER, size: 4 },
  ],
];

export const vectoredRules: Rules = (rule, { isRemote, isThorough }) => {
  rule('reads ranges one after another into one buffer', async ({ target }) => {
    const whole = pattern(SIZE);
    const id = await target.createAndWrite(whole);
    const overlapping = [...SCATTERED, { offset: 4000, size: 3000 }, { offset: 0, size: SIZE }];
    for (const ranges of [SCATTERED, SCATTERED.toReversed(), overlapping]) {
      const expected = Buffer.concat(ranges.map(({ offset, size }) => whole.subarray(offset, offset + size)));
      sameBytes(await target.readv(id, ranges), expected, 'what readv gives');
    }
  });

  for (const persist of [false, true]) {
    rule(`writes ranges from one buffer, ${persist ? 'with' : 'without'} persist`, async ({ target }) => {
      const id = await target.createAndWrite(pattern(SIZE, 1));
      const expected = pattern(SIZE, 1);
      const bytes = pattern(4101, 2);
      let from = 0;
      for (const { offset, size } of SCATTERED) {
        expected.set(bytes.subarray(from, from + size), offset);
        from += size;
      }
      await target.writev(id, SCATTERED, bytes, { persist });
      sameBytes(await target.read(id, 0, SIZE), expected, 'the region after writev');
    });
  }

  // Each may be a separate request.
  const many = isRemote && !isThorough ? 200 : 1000;
  rule(`reads and writes ${many} ranges at once`, async ({ target }) => {
    const id = await target.create(many * 8);
    const ranges = Array.from({ length: many }, (_, at) => ({ offset: ((at * 7) % many) * 8, size: 5 }));
    await target.writev(id, ranges, pattern(many * 5));
    sameBytes(await target.readv(id, ranges), pattern(many * 5), 'what readv gives after writev');
    const gaps = Array.from({ length: many }, (_, at) => ({ offset: at * 8 + 5, size: 3 }));
    sameBytes(await target.readv(id, gaps), new Uint8Array(many * 3), 'the bytes between the ranges');
  });

  rule('takes no ranges for what they are', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16));
    await changesNothing(target, async () => {
      sameBytes(await target.readv(id, []), new Uint8Array(0), 'what readv of no ranges gives');
      await target.writev(id, [], new Uint8Array(0), { persist: true });
      await target.writev(id, [{ offset: 16, size: 0 }], new Uint8Array(0));
    });
  });

  rule('rejects a range past the end with OUT_OF_RANGE before the first byte', async ({ target }) => {
    const id = await target.createAndWrite(pattern(SIZE));
    await changesNothing(target, async () => {
      for (const ranges of BEYOND_THE_END) {
        await rejects(target.readv(id, ranges), 'OUT_OF_RANGE', `readv ${JSON.stringify(ranges)}`);
        await rejects(target.persist(id, ranges), 'OUT_OF_RANGE', `persist ${JSON.stringify(ranges)}`);
        const call = target.writev(id, ranges, pattern(8, 2));
        await rejects(call, 'OUT_OF_RANGE', `writev ${JSON.stringify(ranges)}`);
      }
    });
  });

  rule(
    'rejects bytes that the ranges do not add up to with INVALID_ARGUMENT, changing nothing',
    async ({ target }) => {
      const id = await target.createAndWrite(pattern(SIZE));
      const ranges = [
        { offset: 0, size: 8 },
        { offset: 100, size: 8 },
      ];
      await changesNothing(target, async () => {
        for (const size of [0, 8, 15, 17]) {
          await rejects(
            target.writev(id, ranges, pattern(size, 2)),
            'INVALID_ARGUMENT',
            `writev of ${size} bytes`,
          );
        }
        await rejects(target.writev(id, [], pattern(1)), 'INVALID_ARGUMENT', 'writev of a byte to no ranges');
      });
    },
  );

  rule('rejects what are not ranges with INVALID_ARGUMENT, changing nothing', async ({ target }) => {
    const id = await target.createAndWrite(pattern(SIZE));
    await changesNothing(target, async () => {
      for (const wrong of NOT_RANGES) {
        const ranges = wrong as RegionRange[];
        const name = JSON.stringify(wrong);
        await rejects(target.readv(id, ranges), 'INVALID_ARGUMENT', `readv ${name}`);
        await rejects(target.writev(id, ranges, pattern(8, 2)), 'INVALID_ARGUMENT', `writev ${name}`);
        // Without ranges, persist means the whole region.
        if (wrong !== undefined) {
          await rejects(target.persist(id, ranges), 'INVALID_ARGUMENT', `persist ${name}`);
        }
      }
    });
  });

  rule('goes by the ranges as they are when it is called', async ({ target }) => {
    const before = await target.createAndWrite(pattern(SIZE, 1));
    const id = await target.create(16);
    const behind = await target.createAndWrite(pattern(SIZE, 2));
    // A caller that refills the same array meanwhile: the bounds that were checked must be those
    // that are used.
    const spoil = (ranges: { offset: number; size: number }[]): void => {
      for (const range of ranges) Object.assign(range, { offset: 4096, size: 64 });
    };
    const fourRanges = (): { offset: number; size: number }[] =>
      [0, 4, 8, 12].map((offset) => ({ offset, size: 4 }));
    let ranges = fourRanges();
    const writing = inFlight(target.writev(id, ranges, pattern(16)));
    spoil(ranges);
    await writing;
    ranges = fourRanges();
    const reading = inFlight(target.readv(id, ranges));
    spoil(ranges);
    sameBytes(await reading, pattern(16), 'what was read');
    sameBytes(await target.read(id, 0, 16), pattern(16), 'the region');
    sameBytes(await target.read(before, 0, SIZE), pattern(SIZE, 1), 'the region made before');
    sameBytes(await target.read(behind, 0, SIZE), pattern(SIZE, 2), 'the region made after');
  });
};
