/** Long pages, taken from a target piece by piece. */
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { listInPieces, PIECE_REGIONS } from '../../core/runtime/list-pieces.js';
import type { RegionStat, Target } from '../../core/index.js';
import { closeDaemons, runDaemon } from '../http/running-daemon.js';

afterEach(closeDaemons);

async function storeOf(regions: number): Promise<Target> {
  const { daemon } = await runDaemon();
  const target = daemon.target('store');
  for (let made = 0; made < regions; made++) await target.create(made);
  return target;
}

describe('a long page', () => {
  const COUNT = 3 * PIECE_REGIONS + 7;

  it('has what one call would give, in its order, and the place where the next begins', async () => {
    const target = await storeOf(COUNT);
    const all = await target.list({ limit: COUNT });
    for (const limit of [1, PIECE_REGIONS, PIECE_REGIONS + 1, COUNT - 1, COUNT, COUNT + 1]) {
      const regions: RegionStat[] = [];
      const next = await listInPieces(target, { after: undefined, limit }, (piece) => regions.push(...piece));
      expect(regions.map(({ id }) => id.toString())).toEqual(
        all.regions.slice(0, limit).map(({ id }) => id.toString()),
      );
      expect(next?.toString()).toBe(limit < COUNT ? all.regions[limit - 1]?.id.toString() : undefined);
    }
  });

  it('lets the event loop go round between pieces of bounded length', async () => {
    const target = await storeOf(COUNT);
    const list = jest.spyOn(target, 'list');
    let turns = 0;
    const seen: number[] = [];
    const count = (): void => void (turns++, (counting = setImmediate(count)));
    let counting = setImmediate(count);
    await listInPieces(target, { after: undefined, limit: COUNT }, () => seen.push(turns));
    clearImmediate(counting);
    expect(list.mock.calls.map(([options]) => options?.limit)).toEqual([
      ...[PIECE_REGIONS, PIECE_REGIONS, PIECE_REGIONS],
      7,
    ]);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('ends with what a piece cannot be taken for', async () => {
    const target = await storeOf(COUNT);
    const list = jest.spyOn(target, 'list');
    const refused = new Error('refused');
    const listing = listInPieces(target, { after: undefined, limit: COUNT }, () => {
      throw refused;
    });
    await expect(listing).rejects.toBe(refused);
    expect(list).toHaveBeenCalledTimes(1);
  });
});
