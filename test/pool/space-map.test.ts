/** The map of a pool's space, of many extents and rows, without holding up others. */
import { expect, it } from '@jest/globals';
import { ExtentAllocator } from '../../core/pool/extent-allocator.js';
import { FreeExtents } from '../../core/pool/free-extents.js';
import { mapSpace, SLICE } from '../../core/pool/space-map.js';
import { SlotTable } from '../../core/targets/slot-table.js';

const UNIT = 64;

/** Every second unit is used by a region; the rest is free, and so is the end. */
function combOf(pairs: number, endUnits: number) {
  const table = new SlotTable(2 ** 31);
  table.addUnreadSlots(pairs);
  const space = new ExtentAllocator(UNIT);
  for (let pair = 0; pair < pairs; pair++) {
    table.setLive(pair, 1, 2 * pair * UNIT, 1, 0);
    space.add((2 * pair + 1) * UNIT, UNIT);
  }
  space.add(2 * pairs * UNIT, endUnits * UNIT);
  const freeAfter = (offset: number): FreeExtents => {
    const list = new FreeExtents(SLICE);
    space.after(offset, SLICE, list);
    return list;
  };
  return { capacity: (2 * pairs + endUnits) * UNIT, alignment: UNIT, table, freeAfter };
}

it('adds up, whatever the number of buckets', async () => {
  const comb = combOf(10, 12);
  for (const buckets of [1, 3, 7, 16, 32, 1000]) {
    const map = await mapSpace(comb, buckets);
    expect(map.freeBytes.length).toBeLessThanOrEqual(buckets);
    expect(map.freeBytes.reduce((sum, each) => sum + each)).toBe((9 + 13) * UNIT);
    expect(map.regions.reduce((sum, each) => sum + each)).toBe(10);
    // The last free unit of the comb and the end are one extent, of 13 units.
    expect([map.freeExtents, map.freeExtentsBySize[6], map.freeExtentsBySize[9]]).toEqual([10, 9, 1]);
  }
  const { freeBytes, regions } = await mapSpace(comb, 1000);
  expect(freeBytes.slice(0, 4)).toEqual([0, UNIT, 0, UNIT]);
  expect(regions.slice(0, 4)).toEqual([1, 0, 1, 0]);
});

it('lets others work between its slices', async () => {
  const comb = combOf(3 * SLICE, 1);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const map = await mapSpace(comb, 1024);
  isOver = true;
  expect(map.freeExtents).toBe(3 * SLICE);
  expect(turns).toBeGreaterThanOrEqual(5);
});
