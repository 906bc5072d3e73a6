/**
 * Rules of `createAndWrite`: contents as bytes or from a source; a region appears completely or not
 * at all. A source that fails, ends early, gives too much or gives something else leaves neither a
 * region nor used space.
 */
import type { RegionSource, Target } from '../contract/target.js';
import {
  counts,
  isUnchanged,
  listedIds,
  pattern,
  rejects,
  rejectsWith,
  sameBytes,
  snapshotOf,
} from './assertions.js';
import type { Bench } from './bench.js';
import { holds, is, sameItems, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Values that are not a source. */
const NOT_CONTENTS: readonly unknown[] = [
  undefined,
  null,
  'bytes',
  7,
  new ArrayBuffer(4),
  new DataView(new ArrayBuffer(4)),
  new Uint16Array(2),
  [1, 2, 3],
  {},
  { size: 4 },
  { source: [pattern(4)] },
  { size: 4, source: null },
  { size: 4, source: 'four' },
  { size: 4, source: {} },
  { size: -1, source: [] },
  { size: 1.5, source: [pattern(1)] },
  { size: NaN, source: [] },
  { size: '4', source: [pattern(4)] },
  { size: 2 ** 53, source: [] },
];

/** Values from a source that are not a Uint8Array. */
const NOT_PIECES: readonly unknown[] = [
  'four',
  4,
  [1, 2, 3, 4],
  new ArrayBuffer(4),
  new Uint16Array(2),
  null,
  undefined,
];

/** Pieces that arrive one turn of the event loop apart. */
async function* slowly(pieces: readonly unknown[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    await new Promise((resolve) => setImmediate(resolve));
    yield piece as Uint8Array;
  }
}

async function* failing(pieces: readonly Uint8Array[], failure: unknown): AsyncGenerator<Uint8Array> {
  yield* slowly(pieces);
  throw failure;
}

export const createAndWriteRules: Rules = (rule) => {
  /** Runs calls on a target with one region, which must be its only one afterwards. */
  const leavesNothing = async (bench: Bench, calls: (target: Target) => Promise<void>): Promise<void> => {
    const { target } = bench;
    await target.createAndWrite(pattern(100));
    const before = await snapshotOf(target);
    await calls(target);
    await bench.settled(() => isUnchanged(target, before, 'after a createAndWrite that failed'));
  };

  rule('makes a region that holds the given bytes', async ({ target }) => {
    for (const size of [0, 1, 100, 4096, 1_048_579]) {
      const id = await target.createAndWrite(pattern(size));
      is((await target.stat(id)).size, size, 'the size that stat gives');
      sameBytes(await target.read(id, 0, size), pattern(size), `the region of ${size} bytes`);
    }
    await counts(target, 5, 'after as many calls');
  });

  rule('takes part of a buffer as contents, and no byte beside it', async ({ target }) => {
    const whole = pattern(100);
    const id = await target.createAndWrite(whole.subarray(33, 66));
    is((await target.stat(id)).size, 33, 'the size that stat gives');
    sameBytes(await target.read(id, 0, 33), whole.slice(33, 66), 'the region');
  });

  for (const [kind, sourceOf] of [
    ['an iterable', (pieces: Uint8Array[]) => pieces],
    ['an async iterable', slowly],
  ] as const) {
    rule(`puts together what ${kind} gives, in order`, async ({ target }) => {
      const whole = pattern(200_001);
      const cuts = [0, 1, 1, 700, 4096, 4096, 100_000, 200_001];
      const pieces = cuts.slice(1).map((end, at) => whole.subarray(cuts[at], end));
      for (const persist of [false, true]) {
        const id = await target.createAndWrite({ size: whole.length, source: sourceOf(pieces) }, { persist });
        is((await target.stat(id)).size, whole.length, 'the size that stat gives');
        sameBytes(await target.read(id, 0, whole.length), whole, 'the region of the pieces');
      }
    });
  }

  rule('makes a region of zero bytes of a source that gives none', async ({ target }) => {
    for (const source of [[], slowly([]), [new Uint8Array(0)]]) {
      const id = await target.createAndWrite({ size: 0, source });
      is((await target.stat(id)).size, 0, 'the size that stat gives');
    }
  });

  rule('shows a region only when its source has ended', async (bench) => {
    const { target } = bench;
    const before = await target.create(8);
    const { created, finish } = bench.beginCreate(target, 64, pattern(64));
    // Some turns in which all bytes arrive, while the source might still give more.
    for (let turn = 0; turn < 5; turn++) {
      sameList(await listedIds(target), [before.toString()], 'the regions before the source has ended');
      await counts(target, 1, 'before the source has ended');
    }
    finish();
    const id = await created;
    sameItems(await listedIds(target), [before, id].map(String), 'the regions after the source has ended');
    await counts(target, 2, 'after the source has ended');
    sameBytes(await target.read(id, 0, 64), pattern(64), 'the region of the source');
  });

  rule('goes on serving while a source is slow', async (bench) => {
    const { target } = bench;
    const { created, finish } = bench.beginCreate(target, 9, pattern(9));
    const other = await target.createAndWrite(pattern(32, 2));
    await target.write(other, 8, pattern(8, 3));
    sameBytes(await target.read(other, 8, 8), pattern(8, 3), 'another region meanwhile');
    await target.erase(other);
    finish();
    sameBytes(await target.read(await created, 0, 9), pattern(9), 'the region of the source');
  });

  rule('passes on what a source throws, and leaves no region and no used space behind', (bench) =>
    leavesNothing(bench, async (target) => {
      for (const given of [[], [pattern(10)], [pattern(64)]]) {
        const failure = new Error('the disk of the sender failed');
        const call = target.createAndWrite({ size: 64, source: failing(given, failure) });
        await rejectsWith(call, failure, 'createAndWrite of a source that throws');
      }
    }),
  );

  rule('rejects a source that ends early with INVALID_ARGUMENT, and leaves nothing behind', (bench) =>
    leavesNothing(bench, async (target) => {
      const sources = [[], [pattern(63)], slowly([pattern(30), pattern(33)])];
      for (const source of sources) {
        const call = target.createAndWrite({ size: 64, source });
        await rejects(call, 'INVALID_ARGUMENT', 'createAndWrite of a source that ends early');
      }
    }),
  );

  rule('rejects a source that gives too much with INVALID_ARGUMENT, and leaves nothing behind', (bench) =>
    leavesNothing(bench, async (target) => {
      const sources = [[pattern(65)], [pattern(64), pattern(1)], slowly([pattern(60), pattern(60)])];
      const what = 'createAndWrite of a source that gives too much';
      for (const source of sources)
        await rejects(target.createAndWrite({ size: 64, source }), 'INVALID_ARGUMENT', what);
      await rejects(target.createAndWrite({ size: 0, source: [pattern(1)] }), 'INVALID_ARGUMENT', what);
    }),
  );

  rule('ends a source that it stops reading', async ({ target }) => {
    let isEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield* slowly([pattern(10)]);
      } finally {
        isEnded = true;
      }
    }
    const call = target.createAndWrite({ size: 64, source: endless() });
    await rejects(call, 'INVALID_ARGUMENT', 'createAndWrite of a source without end');
    holds(
      isEnded,
      'a source that is read no more',
      'it left hanging',
      'return called, which gives back what it holds',
    );
  });

  rule('rejects pieces that are no Uint8Array with INVALID_ARGUMENT, and leaves nothing behind', (bench) =>
    leavesNothing(bench, async (target) => {
      for (const piece of NOT_PIECES) {
        for (const source of [slowly([piece]), [pattern(2), piece]]) {
          const call = target.createAndWrite({ size: 4, source } as RegionSource);
          await rejects(call, 'INVALID_ARGUMENT', `a source of ${String(piece)}`);
        }
      }
    }),
  );

  rule('rejects what is neither bytes nor a source with INVALID_ARGUMENT', (bench) =>
    leavesNothing(bench, async (target) => {
      for (const contents of NOT_CONTENTS) {
        const call = target.createAndWrite(contents as RegionSource);
        await rejects(call, 'INVALID_ARGUMENT', `createAndWrite(${JSON.stringify(contents)})`);
      }
    }),
  );
};
