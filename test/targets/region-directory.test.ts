/**
 * The table of regions: slots come back with a later generation, so no ID is ever given out twice
 * or found again once it is gone. It keeps the objects of all regions, or makes them of their rows.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RegionId } from '../../core/contract/region-id.js';
import { RegionDirectory } from '../../core/targets/region-directory.js';
import { Region } from '../../core/targets/region.js';

function regionWith(id: RegionId): Region {
  return new Region(id, 64, 1_700_000_000_000);
}

type Table = RegionDirectory<Region>;
type Make = (poolId?: Uint8Array) => Table;

function keepsObjects(poolId?: Uint8Array): Table {
  return new RegionDirectory({ poolId });
}

function makesObjects(poolId?: Uint8Array): Table {
  return new RegionDirectory({ poolId, make: (id, size, createdAt) => new Region(id, size, createdAt) });
}

/** Takes out the region that an ID finds, if it finds one. */
function remove(table: Table, id: RegionId): void {
  const region = table.get(id);
  if (region !== undefined) table.delete(region);
}

function tableOf(make: Make, count: number): { table: Table; regions: Region[] } {
  const table = make();
  const regions = Array.from({ length: count }, () => regionWith(table.reserve()));
  for (const region of regions) table.set(region);
  return { table, regions };
}

describe.each<{ name: string; make: Make }>([
  { name: 'a directory that keeps the objects of all regions', make: keepsObjects },
  { name: 'a directory that makes objects of rows', make: makesObjects },
])('$name', ({ make }) => {
  test('finds the region of an ID from set to delete, the same object each time', () => {
    const table = make();
    const region = regionWith(table.reserve());
    expect(table.get(region.id)).toBeUndefined();
    expect(table.size).toBe(0);
    table.set(region);
    expect(table.get(region.id)).toBe(region);
    expect(table.get(RegionId.parse(region.id.toString()))).toBe(region);
    expect(table.size).toBe(1);
    remove(table, region.id);
    expect(table.get(region.id)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  test('gives a freed slot out again, with the next generation', () => {
    const { table, regions } = tableOf(make, 3);
    const id = regions[1]?.id ?? RegionId.random();
    remove(table, id);
    expect(table.reserve().slot).toBe(3);
    table.free(id);
    const next = table.reserve();
    expect(next.slot).toBe(id.slot);
    expect(next.generation).toBeGreaterThan(id.generation);
    table.set(regionWith(next));
    expect(table.get(id)).toBeUndefined();
    expect(table.get(next)).toBeDefined();
  });

  test('takes back the slot of an ID whose region was never set', () => {
    const table = make();
    const id = table.reserve();
    table.free(id);
    const next = table.reserve();
    expect(next.slot).toBe(0);
    expect(table.size).toBe(0);
  });

  test('does not take out the region of a slot by a stale ID', () => {
    const { table, regions } = tableOf(make, 1);
    const stale = regions[0]?.id ?? RegionId.random();
    remove(table, stale);
    table.free(stale);
    const region = regionWith(table.reserve());
    table.set(region);
    table.delete(regionWith(stale));
    expect(table.get(region.id)).toBe(region);
    expect(table.size).toBe(1);
  });

  test('carries the pool id that it was given, and knows its own IDs by it', () => {
    const poolId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0xff);
    const table = make(poolId);
    const id = table.reserve();
    expect([...id.toBytes().subarray(8)]).toEqual([...poolId]);
    expect(table.owns(id)).toBe(true);
    expect(table.owns(RegionId.of(7, 7, id.poolLow, id.poolHigh))).toBe(true);
    expect(table.owns(RegionId.of(id.slot, id.generation, id.poolLow + 1, id.poolHigh))).toBe(false);
    expect(table.owns(RegionId.of(id.slot, id.generation, id.poolLow, id.poolHigh + 1))).toBe(false);
  });

  test('has a pool id of its own unless told: equal slots of two tables are different regions', () => {
    const [first, second] = [tableOf(make, 1), tableOf(make, 1)];
    const id = second.regions[0]?.id ?? RegionId.random();
    expect(first.regions[0]?.id.slot).toBe(id.slot);
    expect(first.table.get(id)).toBeUndefined();
    expect(first.table.owns(id)).toBe(false);
  });

  test('goes through its regions in the order of their slots, after any ID', () => {
    const { table, regions } = tableOf(make, 6);
    expect([...table.after()]).toEqual(regions);
    for (const [at, { id }] of regions.entries()) expect([...table.after(id)]).toEqual(regions.slice(at + 1));
    const gone = regions[3]?.id ?? RegionId.random();
    remove(table, gone);
    expect([...table.after(regions[1]?.id)]).toEqual([regions[2], regions[4], regions[5]]);
    expect([...table.after(gone)]).toEqual([regions[4], regions[5]]);
    expect([...table.after(RegionId.of(0xffff_ffff, 1, gone.poolLow, gone.poolHigh))]).toEqual([]);
  });

  test('can lose and gain regions while it is gone through', () => {
    const { table, regions } = tableOf(make, 4);
    const seen: number[] = [];
    for (const { id } of table.after()) {
      seen.push(id.slot);
      remove(table, id);
      const next = regions[id.slot + 1]?.id;
      if (id.slot === 1 && next !== undefined) remove(table, next);
    }
    expect(seen).toEqual([0, 1, 3]);
    expect(table.size).toBe(0);
  });

  test('agrees with a map through every history', () => {
    const step = fc.record({
      kind: fc.constantFrom('reserve', 'set', 'drop', 'delete', 'free'),
      which: fc.nat(50),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const table = make();
        const given = new Set<string>();
        const everGiven: RegionId[] = [];
        const reserved: RegionId[] = [];
        const live = new Map<string, Region>();
        const deleted: RegionId[] = [];
        const take = (from: RegionId[], which: number): RegionId | undefined =>
          from.splice(which % Math.max(1, from.length), 1)[0];
        for (const { kind, which } of steps) {
          if (kind === 'reserve') {
            const id = table.reserve();
            expect(given.has(id.toString())).toBe(false);
            given.add(id.toString());
            everGiven.push(id);
            reserved.push(id);
          } else if (kind === 'set') {
            const id = take(reserved, which);
            if (id === undefined) continue;
            live.set(id.toString(), regionWith(id));
            table.set(live.get(id.toString()) ?? regionWith(id));
          } else if (kind === 'drop') {
            const id = take(reserved, which);
            if (id !== undefined) table.free(id);
          } else if (kind === 'delete') {
            const id = [...live.values()][which % Math.max(1, live.size)]?.id;
            if (id === undefined) continue;
            remove(table, id);
            live.delete(id.toString());
            deleted.push(id);
          } else {
            const id = take(deleted, which);
            if (id !== undefined) table.free(id);
          }
          expect(table.size).toBe(live.size);
        }
        for (const id of everGiven) expect(table.get(id)).toBe(live.get(id.toString()));
        const inOrder = [...live.values()].sort((a, b) => a.id.slot - b.id.slot);
        expect([...table.after()]).toEqual(inOrder);
      }),
    );
  });

  test('takes the slot of an ID from elsewhere, and uses those below it once each', () => {
    const table = make();
    const own = table.reserve();
    const far = RegionId.of(4, 7, own.poolLow, own.poolHigh);
    table.take(far);
    table.set(regionWith(far));
    expect(() => table.take(far)).toThrow(expect.objectContaining({ code: 'ID_TAKEN' }));
    const slots = Array.from({ length: 5 }, () => table.reserve().slot);
    expect(slots).toEqual([1, 2, 3, 5, 6]);
    remove(table, far);
    table.free(far);
    const next = table.reserve();
    expect(next.slot).toBe(4);
    expect(next.generation).toBeGreaterThan(7);
  });

  test('never gives a slot to two, when it was taken by its ID between', () => {
    const table = make();
    const { poolLow, poolHigh } = table.reserve();
    const id = RegionId.of(1, 1, poolLow, poolHigh);
    for (let round = 0; round < 3; round++) {
      table.take(id);
      table.free(id);
    }
    expect([table.reserve().slot, table.reserve().slot, table.reserve().slot]).toEqual([1, 2, 3]);
  });

  test('refuses a slot far beyond all others, and adds none', () => {
    const table = make();
    const { poolLow, poolHigh } = table.reserve();
    const far = RegionId.of(0xffff_ffff, 1, poolLow, poolHigh);
    const full = expect.objectContaining({ code: 'OUT_OF_SPACE' });
    expect(() => table.take(far)).toThrow(full);
    expect(() => table.takeErased([far])).toThrow(full);
    expect(table.reserve().slot).toBe(1);
  });

  test('keeps the IDs of erased regions, and never gives them or those before them out', () => {
    const { table, regions } = tableOf(make, 2);
    const [first, second] = regions as [Region, Region];
    const { poolLow, poolHigh } = first.id;
    remove(table, first.id);
    expect([...table.erasedAfter()]).toEqual([first.id]);
    table.free(first.id);
    const later = first.id.generation + 4;
    const [next, far] = [RegionId.of(0, later, poolLow, poolHigh), RegionId.of(7, 3, poolLow, poolHigh)];
    table.takeErased([far, next, next]);
    expect([...table.erasedAfter()]).toEqual([next, far]);
    expect([...table.erasedAfter(next)]).toEqual([far]);
    const taken = expect.objectContaining({ code: 'ID_TAKEN' });
    const free = RegionId.of(9, 1, poolLow, poolHigh);
    expect(() => table.takeErased([free, second.id])).toThrow(taken);
    expect([...table.erasedAfter()]).toEqual([next, far]);
    expect(() => table.take(next)).toThrow(taken);
    table.take(RegionId.of(7, 9, poolLow, poolHigh));
    expect([...table.erasedAfter()]).toEqual([next, far]);
    table.takeErased([RegionId.of(0, 0xffff_ffff, poolLow, poolHigh)]);
    const slots = Array.from({ length: 20 }, () => table.reserve().slot);
    expect(slots.filter((slot) => slot === 0 || slot === 1 || slot === 7)).toEqual([]);
  });

  test('believes no erased ID kept by a slot that may still be given back with the generation before', () => {
    const table = make();
    const { poolLow, poolHigh } = table.reserve();
    const idOf = (generation: number): RegionId => RegionId.of(1, generation, poolLow, poolHigh);
    const taken = expect.objectContaining({ code: 'ID_TAKEN' });
    table.takeErased([idOf(3)]);
    table.take(idOf(9));
    for (const generation of [4, 8, 9, 10]) expect(() => table.takeErased([idOf(generation)])).toThrow(taken);
    table.takeErased([idOf(2), idOf(3)]);
    table.free(idOf(9));
    table.takeErased([idOf(8)]);
    expect(() => table.take(idOf(8))).toThrow(taken);
    expect([...table.erasedAfter()]).toEqual([idOf(8)]);
  });
});

describe('a directory', () => {
  test('makes the object of a region of its row, where it was told last that the bytes are', () => {
    const table = new RegionDirectory({
      make: (id, size, createdAt, place) => Object.assign(new Region(id, size, createdAt), { place }),
    });
    const placed = (place: number): Region & { place: number } =>
      Object.assign(new Region(table.reserve(), place + 1, place + 2), { place });
    const regions = Array.from({ length: 10_000 }, (_, index) => placed(index * 2 ** 20));
    for (const region of regions) table.set(region, region.place);
    const [first] = regions as [(typeof regions)[0]];
    expect(table.get(first.id)).not.toBe(first);
    expect(table.get(first.id)).toEqual(first);
    const numbers = regions.map(({ id, size, createdAt }) => ({ id, size, createdAt }));
    expect([...table.after()].map(({ id, size, createdAt }) => ({ id, size, createdAt }))).toEqual(numbers);
    table.move(first, 77);
    for (const { id } of regions.slice(1)) table.get(id);
    expect(table.get(first.id)).toMatchObject({ id: first.id, size: first.size, place: 77 });
  });

  test('adopts regions of an earlier run, and gives out no ID that run may have given out', () => {
    const table = keepsObjects();
    const regions = Array.from({ length: 4 }, () => regionWith(table.reserve()));
    for (const region of regions) table.set(region);
    for (const { id } of [regions[1], regions[3]] as Region[]) {
      remove(table, id);
      table.free(id);
    }
    const again = regionWith(table.reserve());
    table.set(again);
    const left = [...table.after()].map(({ id }) => table.get(id) ?? regionWith(id));
    const poolId = again.id.toBytes().subarray(8);
    const next = new RegionDirectory<Region>({ poolId, slots: table.slots });
    for (const region of left) next.adopt(region);
    expect([next.size, next.slots]).toEqual([3, table.slots]);
    for (const region of left) expect(next.get(region.id)).toBe(region);
    expect(next.reserve().slot).toBe(table.slots);
    next.delete(again);
    next.free(again.id);
    expect(next.reserve().generation).toBeGreaterThan(again.id.generation);
    expect(() => next.adopt(regionWith(RegionId.random()))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  test('never uses a slot again whose generation would wrap', () => {
    const table = keepsObjects();
    const { slot, poolLow, poolHigh } = table.reserve();
    const region = regionWith(RegionId.of(slot + 1, 0xffff_ffff, poolLow, poolHigh));
    table.take(region.id);
    table.set(region);
    table.delete(region);
    table.free(region.id);
    expect(table.reserve().slot).toBe(slot + 2);
  });

  test('takes little memory for slots that earlier runs used up', () => {
    const { arrayBuffers: before } = process.memoryUsage();
    const slots = 2 ** 26;
    const table = new RegionDirectory<Region>({ slots });
    const id = RegionId.of(slots / 2, 3, table.reserve().poolLow, table.reserve().poolHigh);
    table.adopt(regionWith(id));
    expect([...table.after()].map((region) => region.id)).toEqual([id]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(slots);
  });
});
