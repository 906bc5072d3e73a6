/**
 * Rules of `createAndWrite`: contents given as bytes or by a source, and that a region appears whole or not at all. A source that
 * fails, ends early, gives too much or gives something else leaves neither a region nor used space.
 */
import assert from 'node:assert/strict';
import type { RegionSource, Target } from '../target/index.js';
import { failureOf, listedIds, pattern, rejects, sameBytes, snapshotOf } from './assertions.js';
import type { Bench } from './bench.js';
import type { Rules } from './describe-target.js';

/** What is no source at all. */
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

/** What may come out of a source that is not a Uint8Array. */
const NOT_PIECES: readonly unknown[] = [
  'four',
  4,
  [1, 2, 3, 4],
  new ArrayBuffer(4),
  new Uint16Array(2),
  null,
  undefined,
];

/** Pieces that arrive a turn of the event loop apart. */
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
  /** Runs calls on a target with one region, which must be all that it holds afterwards. */
  const leavesNothing = async (bench: Bench, calls: (target: Target) => Promise<void>): Promise<void> => {
    const { target } = bench;
    await target.createAndWrite(pattern(100));
    const before = await snapshotOf(target);
    await calls(target);
    await bench.settled(async () => {
      assert.deepEqual(await snapshotOf(target), before, 'what a failed createAndWrite left behind');
    });
  };

  rule('makes a region that holds the given bytes', async ({ target }) => {
    for (const size of [0, 1, 100, 4096, 1_048_579]) {
      const id = await target.createAndWrite(pattern(size));
      assert.equal((await target.stat(id)).size, size);
      sameBytes(await target.read(id, 0, size), pattern(size));
    }
    assert.equal((await target.stats()).regions, 5);
  });

  rule('takes part of a buffer as contents, and no byte beside it', async ({ target }) => {
    const whole = pattern(100);
    const id = await target.createAndWrite(whole.subarray(33, 66));
    assert.equal((await target.stat(id)).size, 33);
    sameBytes(await target.read(id, 0, 33), whole.slice(33, 66));
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
        assert.equal((await target.stat(id)).size, whole.length);
        sameBytes(await target.read(id, 0, whole.length), whole);
      }
    });
  }

  rule('makes a region of zero bytes of a source that gives none', async ({ target }) => {
    for (const source of [[], slowly([]), [new Uint8Array(0)]]) {
      const id = await target.createAndWrite({ size: 0, source });
      assert.equal((await target.stat(id)).size, 0);
    }
  });

  rule('shows a region only when its source has ended', async (bench) => {
    const { target } = bench;
    const before = await target.create(8);
    const { created, finish } = bench.beginCreate(target, 64, pattern(64));
    // Some turns in which all bytes arrive, and still the source might give more.
    for (let turn = 0; turn < 5; turn++) {
      assert.deepEqual(await listedIds(target), [before.toString()], 'listed before its source ended');
      assert.equal((await target.stats()).regions, 1, 'counted before its source ended');
    }
    finish();
    const id = await created;
    assert.ok((await listedIds(target)).includes(id.toString()));
    assert.equal((await target.stats()).regions, 2);
    sameBytes(await target.read(id, 0, 64), pattern(64));
  });

  rule('goes on serving while a source is slow', async (bench) => {
    const { target } = bench;
    const { created, finish } = bench.beginCreate(target, 9, pattern(9));
    const other = await target.createAndWrite(pattern(32, 2));
    await target.write(other, 8, pattern(8, 3));
    sameBytes(await target.read(other, 8, 8), pattern(8, 3));
    await target.erase(other);
    finish();
    sameBytes(await target.read(await created, 0, 9), pattern(9));
  });

  rule('passes on what a source throws, and leaves no region and no used space behind', (bench) =>
    leavesNothing(bench, async (target) => {
      for (const given of [[], [pattern(10)], [pattern(64)]]) {
        const failure = new Error('the disk of the sender failed');
        const call = target.createAndWrite({ size: 64, source: failing(given, failure) });
        assert.equal(await failureOf(call, 'the call succeeded although its source threw'), failure);
      }
    }),
  );

  rule('rejects a source that ends early with INVALID_ARGUMENT, and leaves nothing behind', (bench) =>
    leavesNothing(bench, async (target) => {
      const sources = [[], [pattern(63)], slowly([pattern(30), pattern(33)])];
      for (const source of sources) {
        await rejects(target.createAndWrite({ size: 64, source }), 'INVALID_ARGUMENT');
      }
    }),
  );

  rule('rejects a source that gives too much with INVALID_ARGUMENT, and leaves nothing behind', (bench) =>
    leavesNothing(bench, async (target) => {
      const sources = [[pattern(65)], [pattern(64), pattern(1)], slowly([pattern(60), pattern(60)])];
      for (const source of sources) {
        await rejects(target.createAndWrite({ size: 64, source }), 'INVALID_ARGUMENT');
      }
      await rejects(target.createAndWrite({ size: 0, source: [pattern(1)] }), 'INVALID_ARGUMENT');
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
    await rejects(target.createAndWrite({ size: 64, source: endless() }), 'INVALID_ARGUMENT');
    assert.ok(isEnded, 'the source was left hanging, with whatever it holds open');
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
