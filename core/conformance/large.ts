/**
 * Rules of regions that are larger than a Buffer, or than 32 bits can address: every byte is
 * separate, up to the last one. Only a few pages are touched, so the region costs little if storage
 * is sparse.
 */
import type { RegionRange } from '../contract/target.js';
import { allZero, pattern, rejects, sameBytes } from './assertions.js';
import { is } from './findings.js';
import type { Rules } from './rules.js';

const GIB = 2 ** 30;
/** A little more than 4 GiB, and not a multiple of anything. */
export const LARGE_REGION_BYTES = 4 * GIB + 2 ** 20 + 13;
const SIZE = LARGE_REGION_BYTES;
/** Bytes of a mark; it straddles the position that it marks. */
const MARK = 64;

/** Positions where 31 or 32 bits, a segment or a window may end. */
const PLACES = [MARK, GIB, 2 * GIB, 3 * GIB, 4 * GIB - MARK, 4 * GIB, 4 * GIB + 2 ** 19];

const MARKS: readonly RegionRange[] = [
  ...PLACES.map((place) => ({ offset: place - MARK / 2, size: MARK })),
  { offset: SIZE - MARK, size: MARK },
];

export const largeRules: Rules = (rule, { maxRegionBytes, capabilities }) => {
  if (maxRegionBytes < SIZE) return;

  rule('gives every byte of a region of more than 4 GiB a place of its own', async ({ target }) => {
    const id = await target.create(SIZE);
    is((await target.stat(id)).size, SIZE, 'the size that stat gives');
    is((await target.list()).regions[0]?.size, SIZE, 'the size that list gives');
    for (const [at, { offset, size }] of MARKS.entries()) {
      allZero(await target.read(id, offset, size), `the bytes at ${offset}, not yet written`);
      await target.write(id, offset, pattern(size, at + 1));
    }
    for (const [at, { offset, size }] of MARKS.entries()) {
      sameBytes(await target.read(id, offset, size), pattern(size, at + 1), `the mark at ${offset}`);
      const around = [offset - MARK, offset + size].filter((from) => from >= 0 && from + MARK <= SIZE);
      for (const from of around) {
        if (MARKS.some((mark) => from < mark.offset + mark.size && mark.offset < from + MARK)) continue;
        allZero(await target.read(id, from, MARK), `the bytes at ${from}, beside a mark`);
      }
    }
    await target.erase(id);
  });

  rule('does not take offsets modulo 2^31 or 2^32', async ({ target }) => {
    const id = await target.create(SIZE);
    await target.write(id, 4 * GIB + 100, pattern(MARK, 1));
    await target.write(id, 2 * GIB + 300, pattern(MARK, 2), { persist: true });
    allZero(await target.read(id, 100, MARK), 'the bytes 4 GiB before the mark');
    allZero(await target.read(id, 300, MARK), 'the bytes 2 GiB before the mark');
    sameBytes(await target.read(id, 4 * GIB + 100, MARK), pattern(MARK, 1), 'the mark beyond 4 GiB');
    const into = new Uint8Array(MARK);
    await target.readInto(id, 2 * GIB + 300, into);
    sameBytes(into, pattern(MARK, 2), 'the mark beyond 2 GiB');
    await target.erase(id);
  });

  rule('reads, writes and persists ranges all over a region of more than 4 GiB', async ({ target }) => {
    const id = await target.create(SIZE);
    const bytes = pattern(MARKS.length * MARK);
    await target.writev(id, MARKS, bytes, { persist: true });
    await target.persist(id, MARKS);
    sameBytes(await target.readv(id, MARKS), bytes, 'what readv gives');
    const reversed = await target.readv(id, MARKS.toReversed());
    sameBytes(reversed.slice(-MARK), bytes.slice(0, MARK), 'the last of the ranges, read in reverse order');
    await target.erase(id);
  });

  rule('keeps the bounds of a region of more than 4 GiB exactly', async ({ target }) => {
    const id = await target.create(SIZE);
    for (const [offset, size] of [
      [SIZE - 1, 2],
      [SIZE, 1],
      [SIZE + 1, 0],
      [4 * GIB + 2 ** 20, 14],
      [2 ** 33, 1],
    ] as const) {
      const name = `of ${size} bytes at ${offset}`;
      await rejects(target.read(id, offset, size), 'OUT_OF_RANGE', `read ${name}`);
      await rejects(target.write(id, offset, pattern(size)), 'OUT_OF_RANGE', `write ${name}`);
    }
    allZero(await target.read(id, SIZE - 13, 13), 'the last bytes');
    is((await target.read(id, SIZE, 0)).length, 0, 'the bytes that a read of none at the end gives');
    await target.erase(id);
  });

  if (capabilities.mappable) {
    rule('maps a region of more than 4 GiB as views that follow one another', async (bench) => {
      const { target } = bench;
      const id = await target.create(SIZE);
      await target.writev(id, MARKS, pattern(MARKS.length * MARK));
      const mapping = await bench.map(target, id);
      let begin = 0;
      const found = new Uint8Array(MARKS.length * MARK);
      for (const view of mapping.views) {
        for (const [at, { offset, size }] of MARKS.entries()) {
          const from = Math.max(offset, begin);
          const to = Math.min(offset + size, begin + view.length);
          if (from < to) found.set(view.subarray(from - begin, to - begin), at * MARK + from - offset);
        }
        begin += view.length;
      }
      is(begin, SIZE, 'the length of all views together');
      sameBytes(found, pattern(MARKS.length * MARK), 'the marks as the views show them');
      mapping.release();
      await target.erase(id);
    });
  }
};
