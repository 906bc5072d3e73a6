/**
 * The tables of regions: slots come back with the next generation, so no ID is ever given out twice or found again once it is gone.
 * RegionTable keeps the objects of all regions, RowTable a row of numbers each.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Region, RegionId, type RegionStat, RegionTable, RowTable } from '../../core/index.js';

function regionWith(id: RegionId): Region {
  return new Region(id, 64, 1_700_000_000_000);
}

type Table = Pick<
  RegionTable<Region>,
  'size' | 'reserve' | 'set' | 'get' | 'delete' | 'free' | 'take' | 'takeErased' | 'owns' | 'erasedAfter'
> & { after(after?: RegionId): Iterable<RegionStat> };
type Make = (poolId?: Uint8Array) => Table;

function makeRegionTable(poolId?: Uint8Array): RegionTable<Region> {
  return new RegionTable<Region>(poolId);
}

/** A RowTable as a RegionTable. */
function makeRowTable(poolId?: Uint8Array): Table {
  const rows = new RowTable((id, size, createdAt) => new Region(id, size, createdAt), poolId);
  return {
    get size() {
      return rows.size;
    },
    reserve: () => rows.reserve(),
    set: (region) => rows.set(region, 0),
    get: (id) => rows.get(id),
    delete: (id) => {
      const region = rows.get(id);
      if (region !== undefined) rows.delete(region);
    },
    free: (id) => rows.free(id),
    take: (id) => rows.take(id),
    takeErased: (ids) => rows.takeErased(ids),
    owns: (id) => rows.owns(id),
    after: (after) => rows.after(after),
    erasedAfter: (after) => rows.erasedAfter(after),
  };
}

function tableOf(make: Make, count: number): { table: Table; regions: Region[] } {
  const table = make();
  const regions = Array.from({ length: count }, () => regionWith(table.reserve()));
  for (const region of regions) table.set(region);
  return { table, regions };
}

describe.each<{ name: string; make: Make }>([
  { name: 'RegionTable', make: makeRegionTable },
  { name: 'RowTable', make: makeRowTable },
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
    table.delete(region.id);
    expect(table.get(region.id)).toBeUndefined();
    expect(table.size).toBe(0);
  });

  test('gives a freed slot out again, with the next generation', () => {
    const { table, regions } = tableOf(make, 3);
    const id = regions[1]?.id ?? RegionId.random();
    table.delete(id);
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
    table.delete(stale);
    table.free(stale);
    const region = regionWith(table.reserve());
    table.set(region);
    table.delete(stale);
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
    table.delete(gone);
    expect([...table.after(regions[1]?.id)]).toEqual([regions[2], regions[4], regions[5]]);
    expect([...table.after(gone)]).toEqual([regions[4], regions[5]]);
    expect([...table.after(RegionId.of(0xffff_ffff, 1, gone.poolLow, gone.poolHigh))]).toEqual([]);
  });

  test('can lose and gain regions while it is gone through', () => {
    const { table, regions } = tableOf(make, 4);
    const seen: number[] = [];
    for (const { id } of table.after()) {
      seen.push(id.slot);
      table.delete(id);
      const next = regions[id.slot + 1]?.id;
      if (id.slot === 1 && next !== undefined) table.delete(next);
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
            table.delete(id);
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
    table.delete(far);
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
    table.delete(first.id);
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
});

describe('RegionTable', () => {
  test('adopts regions of an earlier run, and gives out no ID that run may have given out', () => {
    const table = makeRegionTable();
    const regions = Array.from({ length: 4 }, () => regionWith(table.reserve()));
    for (const region of regions) table.set(region);
    for (const { id } of [regions[1], regions[3]] as Region[]) {
      table.delete(id);
      table.free(id);
    }
    const again = regionWith(table.reserve());
    table.set(again);
    const left = [...table.after()];
    const poolId = again.id.toBytes().subarray(8);
    const next = new RegionTable<Region>(poolId, table.slots);
    for (const region of left) next.adopt(region);
    expect([next.size, next.slots]).toEqual([3, 4]);
    for (const region of left) expect(next.get(region.id)).toBe(region);
    expect(next.reserve().slot).toBe(4);
    next.delete(again.id);
    next.free(again.id);
    expect(next.reserve().generation).toBeGreaterThan(again.id.generation);
    expect(() => next.adopt(regionWith(RegionId.random()))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  test('never uses a slot again whose generation would wrap', () => {
    const table = makeRegionTable();
    const region = regionWith(table.reserve());
    table.set(region);
    const { poolLow, poolHigh } = region.id;
    table.free(RegionId.of(0, 0xffff_ffff, poolLow, poolHigh));
    expect(table.reserve().slot).toBe(1);
  });
});

describe('RowTable', () => {
  test('makes the object of a region of its row, where it was told last that the bytes are', () => {
    const table = new RowTable((id, size, createdAt, place) =>
      Object.assign(new Region(id, size, createdAt), { place }),
    );
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
});
