/**
 * RegionCache: a region in use has one object, however many others are found meanwhile; of the rest
 * few are kept.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { RegionId } from '../../core/contract/region-id.js';
import { AllRegions, RegionCache } from '../../core/targets/region-cache.js';
import { Region } from '../../core/targets/region.js';

function regionOf(slot: number, generation = 1): Region {
  return new Region(RegionId.of(slot, generation, 1, 2), 64, 0);
}

describe('RegionCache', () => {
  test('keeps a few thousand regions that nobody uses, those that came last', () => {
    const cache = new RegionCache<Region>();
    for (let slot = 0; slot < 50_000; slot++) cache.keep(regionOf(slot));
    const kept = Array.from({ length: 50_000 }, (_, slot) => slot).filter((slot) => cache.get(slot));
    expect(kept.length).toBeGreaterThan(1000);
    expect(kept.length).toBeLessThan(10_000);
    expect(cache.get(49_999)).toBeDefined();
    expect(cache.get(0xffff_ffff)).toBeUndefined();
  });

  test('keeps the objects of all regions in use, and not for ever those that were', () => {
    const cache = new RegionCache<Region>();
    const used = Array.from({ length: 20_000 }, (_, slot) => regionOf(slot));
    for (const region of used) {
      cache.keep(region);
      region.pins++;
    }
    expect(used.filter((region) => cache.get(region.id.slot) !== region)).toEqual([]);
    for (const region of used) region.pins--;
    const late = Array.from({ length: 50_000 }, (_, index) => regionOf(100_000 + index));
    for (const region of late) {
      cache.keep(region);
      region.pins++;
    }
    expect(used.filter(({ id }) => cache.get(id.slot) !== undefined)).toEqual([]);
    expect(late.filter((region) => cache.get(region.id.slot) !== region)).toEqual([]);
  });

  test('refuses a second object of a slot, and goes on with the first', () => {
    const cache = new RegionCache<Region>();
    const region = regionOf(7);
    cache.keep(region);
    cache.keep(region);
    for (const second of [regionOf(7), regionOf(7, 2)])
      expect(() => cache.keep(second)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect(cache.get(7)).toBe(region);
    // Also where another region has its place.
    region.pins++;
    cache.keep(regionOf(7 + 65_536));
    expect(() => cache.keep(regionOf(7))).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    expect(cache.get(7)).toBe(region);
    cache.forget(region);
    cache.keep(regionOf(7, 2));
    expect(cache.get(7)?.id.generation).toBe(2);
  });

  test('agrees with a map about regions in use, and never gives one that has gone', () => {
    const step = fc.record({
      kind: fc.constantFrom('find', 'pin', 'unpin', 'forget'),
      // Slots that meet in one place, and others.
      slot: fc.oneof(
        fc.nat(8).map((index) => index * 65_536),
        fc.nat(20),
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const cache = new RegionCache<Region>();
        const used = new Map<number, Region>();
        const generations = new Map<number, number>();
        for (const { kind, slot } of steps) {
          let region = cache.get(slot);
          if (used.has(slot)) expect(region).toBe(used.get(slot));
          const generation = generations.get(slot) ?? 0;
          if (region === undefined) cache.keep((region = regionOf(slot, generation)));
          expect(region.id).toMatchObject({ slot, generation });
          if (kind === 'pin') {
            region.pins++;
            used.set(slot, region);
          } else if (kind === 'unpin' && region.pins > 0) {
            if (--region.pins === 0) used.delete(slot);
          } else if (kind === 'forget') {
            cache.forget(region);
            used.delete(slot);
            generations.set(slot, generation + 1);
            expect(cache.get(slot)).toBeUndefined();
          }
        }
      }),
    );
  });
});

describe('AllRegions', () => {
  test('keeps every object until it is forgotten, and refuses a second one of a slot', () => {
    const all = new AllRegions<Region>();
    const regions = Array.from({ length: 10_000 }, (_, slot) => regionOf(slot));
    for (const region of regions) all.keep(region);
    expect(regions.filter((region) => all.get(region.id.slot) !== region)).toEqual([]);
    const second = regionOf(7, 2);
    expect(() => all.keep(second)).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
    all.forget(second);
    expect(all.get(7)).toBe(regions[7]);
    all.forget(regions[7] as Region);
    all.keep(second);
    expect(all.get(7)).toBe(second);
  });
});
