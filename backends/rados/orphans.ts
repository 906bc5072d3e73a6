/**
 * Objects that belong to no region, and never will. An object of a region that lives, or that a
 * daemon may be making, is none of them. Before another one counts, its generation is ruled out in
 * the catalog, so that nobody makes it later.
 */
import type { Catalog } from './catalog.js';
import { epochOfKey, KINDS, partsOf, regionOf, slotKey, vacancyOf, vacantValue } from './catalog-entries.js';
import { idOfObject } from './region-objects.js';

const MOST_IDS = 400;

/** @param objects names, listed before this is called */
export async function orphansAmong(objects: readonly string[], catalog: Catalog): Promise<string[]> {
  const ids = [...new Set(objects.map(idOfObject))].filter((id): id is string => id !== undefined);
  const orphans = new Set<string>();
  for (let at = 0; at < ids.length; at += MOST_IDS)
    for (const id of await orphanIds(ids.slice(at, at + MOST_IDS), catalog)) orphans.add(id);
  return objects.filter((object) => orphans.has(idOfObject(object) ?? ''));
}

async function orphanIds(ids: readonly string[], catalog: Catalog): Promise<string[]> {
  const { poolId } = catalog.settings;
  const found = await catalog.get(
    ids.flatMap((id) => {
      const { slot } = partsOf(id.slice(0, 16));
      return [slotKey('i', slot), slotKey('x', slot)];
    }),
  );
  // Later than the claims were read: who is not there has ended, and comes back under another epoch.
  const live = new Set([...(await catalog.all(KINDS.count)).keys()].map(epochOfKey));
  const orphans: string[] = [];
  for (const id of ids) {
    const { slot, generation } = partsOf(id.slice(0, 16));
    const [regionAt, vacantAt] = [slotKey('i', slot), slotKey('x', slot)];
    const [region, vacant] = [found.get(regionAt), found.get(vacantAt)];
    if (!id.endsWith(poolId)) orphans.push(id);
    else if (region !== undefined) {
      if (partsOf(regionOf(regionAt, region).key).generation > generation) orphans.push(id);
    } else {
      const vacancy = vacant === undefined ? undefined : vacancyOf(vacantAt, vacant);
      if (vacancy !== undefined && vacancy.generation >= generation) orphans.push(id);
      else if (vacancy !== undefined && live.has(vacancy.epoch)) continue;
      else {
        const isRuledOut = await catalog.change({
          expect: new Map([
            [regionAt, undefined],
            [vacantAt, vacant],
          ]),
          set: new Map([[vacantAt, vacantValue({ generation, epoch: 0 })]]),
        });
        if (isRuledOut) orphans.push(id);
      }
    }
  }
  return orphans;
}
