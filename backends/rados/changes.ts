/**
 * Changes of regions that exist: erasures, and other names. Each is one change of the catalog. It
 * is planned with what the catalog has; if that has changed meanwhile, it is planned again.
 */
import type { RenameOptions } from '../../core/index.js';
import type { Change, Outcome } from './catalog.js';
import {
  type Entry,
  idOf,
  KINDS,
  namedOf,
  namedValue,
  nameKey,
  regionKey,
  regionOf,
  regionValue,
  slotKey,
  type Vacancy,
  vacantValue,
} from './catalog-entries.js';
import { notFound, type Storage, taken } from './storage.js';

/** A region that a change erases, and the slot that this leaves. */
export interface Erasure {
  readonly entry: Pick<Entry, 'key' | 'size'>;
  readonly vacancy: Vacancy;
}

/** A change that was planned, and what it erases. */
export interface Plan {
  readonly change: Change;
  readonly erasure?: Erasure | undefined;
}

export class Changes {
  constructor(private readonly storage: Storage) {}

  /**
   * Makes a planned change. The bytes of what it erases are removed.
   * @param onOutcome as for the catalog; also called if the plan fails
   * @returns whether there was a plan
   */
  async make(
    plan: () => Promise<Plan | undefined>,
    onOutcome: (outcome: Outcome) => void = () => undefined,
  ): Promise<boolean> {
    const { catalog } = this.storage;
    for (;;) {
      const planned = await plan().catch((error: unknown) => {
        onOutcome(false);
        throw error;
      });
      if (planned === undefined) return false;
      if (!(await catalog.change(planned.change, onOutcome))) continue;
      if (planned.erasure !== undefined) await this.discard(planned.erasure);
      return true;
    }
  }

  /** What a change needs that erases a region beside what else it does. */
  erasing(
    set: Map<string, string>,
    old: Entry | undefined,
    { regions, bytes }: { regions: number; bytes: number },
  ): { remove: string[]; regions: number; bytes: number; erasure?: Erasure } {
    if (old === undefined) return { remove: [], regions, bytes };
    const vacancy = this.storage.slots.vacated(old.key);
    set.set(KINDS.garbage + old.key, String(old.size));
    set.set(slotKey('x', vacancy.slot), vacantValue(vacancy));
    const erasure = { entry: old, vacancy };
    return { remove: [regionKey(old.key)], regions: regions - 1, bytes: bytes - old.size, erasure };
  }

  /** Removes the objects of a region that is erased in the catalog, after the last call on it. */
  async discard({ entry: { key, size }, vacancy }: Erasure, ownCalls = 0): Promise<void> {
    const { calls, keeper, slots, changed, catalog } = this.storage;
    calls.setErased(key, true);
    try {
      await calls.atMost(key, ownCalls);
      await keeper.discard(key, size);
      slots.give(vacancy);
    } finally {
      calls.setErased(key, false);
      changed(idOf(key, catalog.settings.poolId));
    }
  }

  /** @param ownCalls calls on the region that the erasure does not wait for @throws REGION_NOT_FOUND, OVERLOADED */
  async erase(key: string, ownCalls = 0): Promise<void> {
    const { calls, within } = this.storage;
    let erasure: Erasure | undefined;
    const plan = async (): Promise<Plan> => {
      const { entry, value } = await this.entryOf(key);
      const set = new Map<string, string>();
      const more = this.erasing(set, entry, { regions: 0, bytes: 0 });
      erasure = more.erasure;
      const { name } = entry;
      return {
        change: {
          expect: new Map([[regionKey(key), value]]),
          set,
          remove: [...more.remove, ...(name === undefined ? [] : [nameKey(name)])],
          regions: more.regions,
          bytes: more.bytes,
        },
      };
    };
    await this.make(plan, (outcome) => {
      // The call has failed, and the region may have been erased all the same.
      const gone = erasure;
      if (outcome === true && gone !== undefined) within(() => this.discard(gone));
      else calls.setErased(key, false);
    });
    if (erasure !== undefined) await this.discard(erasure, ownCalls);
  }

  /** @throws REGION_NOT_FOUND, NAME_TAKEN, OVERLOADED */
  async rename(key: string, name: string | null, { replace }: RenameOptions): Promise<void> {
    const { catalog, changed } = this.storage;
    const { poolId } = catalog.settings;
    await this.make(async () => {
      const named = name === null ? undefined : nameKey(name);
      const region = regionKey(key);
      const found = await catalog.get([region, ...(named === undefined ? [] : [named])]);
      const value = found.get(region);
      const entry = value === undefined ? undefined : regionOf(region, value);
      if (entry?.key !== key) throw notFound(key);
      if (entry.name === (name ?? undefined)) return undefined;
      const expect = new Map<string, string | undefined>([[region, value]]);
      const { name: oldName, ...rest } = entry;
      const remove = oldName === undefined ? [] : [nameKey(oldName)];
      if (name === null || named === undefined)
        return { change: { expect, remove, set: new Map([[region, regionValue(rest)]]) } };
      const other = found.get(named);
      if (other !== undefined && replace !== true) throw taken(name);
      const replaced = other === undefined ? undefined : namedOf(named, other);
      expect.set(named, other);
      const renamed = { ...rest, name };
      const set = new Map([
        [region, regionValue(renamed)],
        [named, namedValue(renamed)],
      ]);
      const { erasure, ...more } = this.erasing(set, replaced, { regions: 0, bytes: 0 });
      return { erasure, change: { expect, set, ...more, remove: [...remove, ...more.remove] } };
    });
    changed(idOf(key, poolId));
  }

  /** The entry of a region, and its value in the catalog. @throws REGION_NOT_FOUND */
  async entryOf(key: string): Promise<{ entry: Entry; value: string }> {
    const region = regionKey(key);
    const value = await this.storage.catalog.value(region);
    const entry = value === undefined ? undefined : regionOf(region, value);
    if (value === undefined || entry?.key !== key) throw notFound(key);
    return { entry, value };
  }

  /** @throws REGION_NOT_FOUND */
  async named(name: string): Promise<Entry & { readonly name: string }> {
    const key = nameKey(name);
    const value = await this.storage.catalog.value(key);
    if (value === undefined) throw notFound(name);
    return namedOf(key, value);
  }
}
