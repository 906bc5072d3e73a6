/** Long lists of ranges: the same as short ones, in pieces. */
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RegionRange, Target } from '../../core/index.js';
import { checkRanges } from '../../core/targets/arguments.js';
import { checkManyRanges, PIECE_RANGES, unionOfMany } from '../../core/targets/many-ranges.js';
import { unionOf } from '../../core/targets/range-union.js';
import { closeDaemons, runDaemon } from '../http/running-daemon.js';
import { closeDoors, RunningDoor } from '../resp/running-door.js';

const SIZE = 2 ** 16;
const MANY = 3 * PIECE_RANGES + 7;

afterEach(closeDaemons);
afterEach(closeDoors);

/** Ranges that lie in no order, and overlap, touch or do neither. */
function rangesOf(count: number, seed = 1): RegionRange[] {
  return Array.from({ length: count }, (_, at) => ({
    offset: (seed * at * 7919) % (SIZE - 8),
    size: (at * seed) % 8,
  }));
}

/** Rounds of the event loop while something is done. */
async function roundsDuring(work: () => Promise<unknown>): Promise<number> {
  let rounds = 0;
  const count = (): void => void (rounds++, (counting = setImmediate(count)));
  let counting = setImmediate(count);
  try {
    await work();
  } finally {
    clearImmediate(counting);
  }
  return rounds;
}

describe('a long list of ranges', () => {
  it('has the union that a short one has', async () => {
    const range = fc.record({ offset: fc.nat(200), size: fc.nat(5) });
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 40 }), fc.nat(100), async (few, shift) => {
        const many = Array.from({ length: PIECE_RANGES + 1 + few.length }, (_, at) => {
          const { offset, size } = few[at % few.length] as RegionRange;
          return { offset: offset + ((at * shift) % 3) * 300, size };
        });
        expect(await unionOfMany(many)).toEqual(unionOf(many));
      }),
      { numRuns: 20 },
    );
    expect(await unionOfMany(rangesOf(MANY).map(({ offset }) => ({ offset, size: 0 })))).toEqual([]);
  });

  it('is checked as a short one is', async () => {
    const ranges = rangesOf(MANY);
    expect(await checkManyRanges('read', ranges, SIZE)).toEqual(checkRanges('read', ranges, SIZE));
    ranges.push({ offset: SIZE, size: 1 });
    await expect(checkManyRanges('read', ranges, SIZE)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    ranges[MANY - 1] = null as never;
    await expect(checkManyRanges('read', ranges, SIZE)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each<[string, (target: Target, ranges: RegionRange[]) => Promise<unknown>]>([
    ['persist', async (target, ranges) => target.persist(await target.create(SIZE), ranges)],
    ['readv', async (target, ranges) => target.readv(await target.create(SIZE), ranges)],
    [
      'writev',
      async (target, ranges) => {
        const total = ranges.reduce((sum, { size }) => sum + size, 0);
        await target.writev(await target.create(SIZE), ranges, Buffer.alloc(total), { persist: true });
      },
    ],
  ])('leaves others their turns in %s', async (_call, work) => {
    const { daemon } = await runDaemon();
    const rounds = await roundsDuring(() => work(daemon.target('store'), rangesOf(MANY)));
    expect(rounds).toBeGreaterThanOrEqual(3);
  });

  it('is read and written over the Redis protocol', async () => {
    const door = await RunningDoor.start();
    const client = await door.client();
    const id = (await client.call('BLOB.CREATE', SIZE)) as string;
    const ranges = Array.from({ length: MANY }, (_, at) => ({ offset: 3 * at, text: `${at % 10}x` }));
    const written = ranges.flatMap(({ offset, text }) => [offset, text]);
    expect(await client.call('BLOB.WRITEV', id, ...written)).toBe('OK');
    const asked = ranges.flatMap(({ offset, text }) => [offset, text.length]);
    expect(await client.call('BLOB.READV', id, ...asked)).toEqual(ranges.map(({ text }) => text));
    expect(await client.call('BLOB.PERSIST', id, ...asked)).toBe('OK');
  });
});
