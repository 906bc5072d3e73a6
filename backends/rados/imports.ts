/**
 * Regions of another target under their IDs, and what another target asks to take over ours.
 *
 * Who imports serves alone (exclusive.ts), until the target closes or is no longer being filled: so
 * no two daemons make objects for one ID. An imported region is made like a new one, and known by
 * one change of the catalog.
 */
import { BedrockError, type ErasedPage, type RegionId, type RegionSource } from '../../core/index.js';
import {
  type Entry,
  idOf,
  KINDS,
  keyOfParts,
  namedValue,
  nameKey,
  regionOf,
  regionValue,
  slotKey,
  vacancyOf,
  vacantValue,
} from './catalog-entries.js';
import type { Creations } from './creations.js';
import { fillRegion } from './fill-region.js';
import { idOfObject } from './region-objects.js';
import { invalid, type Storage, taken } from './storage.js';

/** Erased IDs that are recorded in one operation. */
const MOST_ERASED = 1000;

/** What the catalog has of a slot. */
interface SlotState {
  /** The value of its `i` key, and of its `x` key. */
  readonly region: string | undefined;
  readonly vacant: string | undefined;
  /** The generation of the region that lives. */
  readonly live: number | undefined;
  /** The last generation; 0: none. */
  readonly last: number;
}

export class Imports {
  constructor(
    private readonly storage: Storage,
    private readonly creations: Creations,
  ) {}

  async importRegion(
    id: RegionId,
    { size, source }: RegionSource,
    { createdAt, name }: Pick<Entry, 'createdAt' | 'name'>,
  ): Promise<void> {
    const { slots, regions, changed } = this.storage;
    this.#checkPool(id);
    if (id.generation === 0)
      throw invalid(`${id.toString()} is of generation 0, which no region of a rados target has`);
    this.creations.checkSize(size);
    await this.#beAlone();
    const key = keyOfParts(id.slot, id.generation);
    if (!slots.reserve(id.slot)) throw idTaken(id);
    try {
      await this.#checkFree(id, name);
      const progress = { stripes: 0 };
      try {
        const region = { key, size, onLeft: () => this.#checkAlone() };
        await fillRegion(regions, region, this.#whileAlone(source), progress);
        await this.#publish(id, { key, size, createdAt, ...(name !== undefined && { name }) });
      } catch (error) {
        await this.#unmake(id, key, progress.stripes);
        throw error;
      }
    } finally {
      slots.leave(id);
      changed(id);
    }
  }

  /** @throws ID_TAKEN, NAME_TAKEN */
  async #checkFree(id: RegionId, name: string | undefined): Promise<SlotState> {
    const { catalog } = this.storage;
    const named = name === undefined ? [] : [nameKey(name)];
    const found = await catalog.get([...keysOf(id.slot), ...named]);
    const state = stateOf(id.slot, found);
    if (state.live !== undefined || state.last >= id.generation) throw idTaken(id);
    if (name !== undefined && found.has(nameKey(name))) throw taken(name);
    return state;
  }

  async #publish(id: RegionId, entry: Entry): Promise<void> {
    const { catalog, exclusive } = this.storage;
    const mark = exclusive.mark;
    for (;;) {
      const { vacant } = await this.#checkFree(id, entry.name);
      const [region, slot] = keysOf(id.slot) as [string, string];
      const expect = new Map<string, string | undefined>([[region, undefined], [slot, vacant], mark]);
      const set = new Map([[region, regionValue(entry)]]);
      if (entry.name !== undefined) {
        expect.set(nameKey(entry.name), undefined);
        set.set(nameKey(entry.name), namedValue(entry));
      }
      if (await catalog.change({ expect, set, remove: [slot], regions: 1, bytes: entry.size })) return;
      await this.#checkAlone();
    }
  }

  /** Ends when this daemon no longer serves alone: another one may import the same ID by now. */
  async *#whileAlone(source: RegionSource['source']): AsyncGenerator<Uint8Array> {
    const { keeper, exclusive } = this.storage;
    for await (const piece of source) {
      await keeper.showSign();
      if (!exclusive.isHeld) throw lostAlone();
      yield piece;
    }
  }

  /** @throws CONFLICT if this daemon no longer serves alone */
  async #checkAlone(): Promise<void> {
    const [mark, value] = this.storage.exclusive.mark;
    if ((await this.storage.catalog.value(mark)) !== value) throw lostAlone();
  }

  /**
   * Removes the objects of a failed import, unless the region is known by now, as the answer may
   * have been lost, or others may be making it.
   */
  async #unmake(id: RegionId, key: string, stripes: number): Promise<void> {
    const { catalog, regions, exclusive } = this.storage;
    const [mark, value] = exclusive.mark;
    try {
      const found = await catalog.get([...keysOf(id.slot), mark]);
      if (stateOf(id.slot, found).live === id.generation) return;
      if (found.get(mark) === value) await regions.removeMade(key, stripes);
      else catalog.hasLeftovers = true;
    } catch {
      catalog.hasLeftovers = true;
    }
  }

  /** Records the IDs of one list in operations of `MOST_ERASED`, after all were looked at. */
  async importErased(ids: readonly RegionId[]): Promise<void> {
    for (const id of ids) this.#checkPool(id);
    if (ids.length === 0) return;
    const { exclusive, catalog, slots } = this.storage;
    await this.#beAlone();
    const last = new Map<number, RegionId>();
    for (const id of ids) if (id.generation > (last.get(id.slot)?.generation ?? -1)) last.set(id.slot, id);
    const reserved: number[] = [];
    try {
      for (const [slot, id] of last) {
        if (!slots.reserve(slot)) throw idTaken(id);
        reserved.push(slot);
      }
      const all = [...last.values()];
      const parts = Array.from({ length: Math.ceil(all.length / MOST_ERASED) }, (_, at) =>
        all.slice(at * MOST_ERASED, (at + 1) * MOST_ERASED),
      );
      for (const part of parts) await this.#planErased(part);
      for (const part of parts) {
        for (;;) {
          const mark = exclusive.mark;
          const { expect, set } = await this.#planErased(part);
          if (set.size === 0 || (await catalog.change({ expect: expect.set(...mark), set }))) break;
          await this.#checkAlone();
        }
      }
    } finally {
      for (const slot of reserved) slots.leave({ slot });
    }
  }

  /** @throws ID_TAKEN */
  async #planErased(
    ids: readonly RegionId[],
  ): Promise<{ expect: Map<string, string | undefined>; set: Map<string, string> }> {
    const found = await this.storage.catalog.get(ids.flatMap(({ slot }) => keysOf(slot)));
    const expect = new Map<string, string | undefined>();
    const set = new Map<string, string>();
    for (const id of ids) {
      const { slot, generation } = id;
      const { live, last, vacant } = stateOf(slot, found);
      if (live !== undefined && generation >= live) throw idTaken(id);
      if (live !== undefined || last >= generation) continue;
      expect.set(slotKey('i', slot), undefined);
      expect.set(slotKey('x', slot), vacant);
      set.set(slotKey('x', slot), vacantValue({ generation, epoch: 0 }));
    }
    return { expect, set };
  }

  async listErased(after: RegionId | undefined, limit: number): Promise<ErasedPage> {
    const { catalog } = this.storage;
    if (after !== undefined) this.#checkPool(after);
    const poolId = new Uint8Array(Buffer.from(catalog.settings.poolId, 'hex'));
    let from = Buffer.from(after === undefined ? KINDS.vacant : slotKey('x', after.slot));
    const ids: RegionId[] = [];
    for (;;) {
      const { entries, more } = await catalog.page(KINDS.vacant, from, 1000);
      for (const [key, value] of entries) {
        const { slot, generation } = vacancyOf(key, value);
        if (generation === 0) continue;
        const next = ids.at(-1);
        if (ids.length === limit && next !== undefined) return { poolId, ids, next };
        ids.push(idOf(keyOfParts(slot, generation), catalog.settings.poolId));
      }
      const last = entries.at(-1);
      if (!more || last === undefined) return { poolId, ids };
      from = Buffer.from(last[0]);
    }
  }

  // ---- filling ----

  /** @throws TARGET_NOT_EMPTY, CONFLICT */
  async checkEmpty(): Promise<void> {
    const { catalog } = this.storage;
    await this.#beAlone();
    if (catalog.settings.isFilling === true) return;
    const [first] = (await catalog.page(KINDS.region, Buffer.from(KINDS.region), 1)).entries;
    if (first === undefined) return;
    const id = idOf(regionOf(...first).key, catalog.settings.poolId);
    throw new BedrockError(
      'TARGET_NOT_EMPTY',
      `the rados target holds regions, such as ${id.toString()}; only an empty one can be filled with those of another`,
    );
  }

  /**
   * Drops all regions and erased IDs, in one step, and takes a pool id. No call is in flight.
   * @param poolId 16 hexadecimal digits
   */
  async empty(poolId: string): Promise<void> {
    const { catalog, exclusive, objects, regions, slots } = this.storage;
    const { regions: count, bytes } = await catalog.total();
    const isMade = await catalog.changeSettings(
      { ...catalog.settings, poolId, isFilling: true },
      {
        expect: new Map([exclusive.mark]),
        removeKinds: [KINDS.region, KINDS.vacant, KINDS.slots, KINDS.name, KINDS.garbage],
        regions: -count,
        bytes: -bytes,
      },
    );
    if (!isMade) throw lostAlone();
    slots.forget();
    regions.changePool(poolId);
    // Nothing that is made from now on may be taken for what is left of before.
    await objects.removeAll((name) => idOfObject(name) !== undefined);
  }

  /** Ends what `empty` has begun; other daemons may join. */
  async setFilled(): Promise<void> {
    const { catalog, exclusive } = this.storage;
    const { isFilling, ...settings } = catalog.settings;
    if (isFilling !== true) return;
    const isMade = await catalog.changeSettings(settings, { expect: new Map([exclusive.mark]) });
    if (!isMade) throw lostAlone();
    await exclusive.release('import');
  }

  /** What clears up must not take what is being imported for garbage: it looks at the mark first. */
  async #beAlone(): Promise<void> {
    const { exclusive, keeper } = this.storage;
    if (await exclusive.acquire('import')) await keeper.idle();
  }

  #checkPool(id: RegionId): void {
    const { poolId } = this.storage.catalog.settings;
    const text = id.toString();
    if (text.endsWith(poolId)) return;
    throw invalid(
      `${text} is of the pool id ${text.slice(16)}, and this rados target was made with ${poolId}; make it with the pool id of the IDs it is to take`,
    );
  }
}

function keysOf(slot: number): string[] {
  return [slotKey('i', slot), slotKey('x', slot)];
}

function stateOf(slot: number, found: ReadonlyMap<string, string>): SlotState {
  const [regionAt, vacantAt] = keysOf(slot) as [string, string];
  const [region, vacant] = [found.get(regionAt), found.get(vacantAt)];
  const live = region === undefined ? undefined : generationOf(regionOf(regionAt, region));
  const last = live ?? (vacant === undefined ? 0 : vacancyOf(vacantAt, vacant).generation);
  return { region, vacant, live, last };
}

function generationOf({ key }: Entry): number {
  return Buffer.from(key, 'hex').readUInt32LE(4);
}

function idTaken(id: RegionId): BedrockError {
  return new BedrockError(
    'ID_TAKEN',
    `${id.toString()} cannot be imported: a region has or had this ID, or a later ID of its slot`,
    { details: { id: id.toString() } },
  );
}

function lostAlone(): BedrockError {
  return new BedrockError(
    'CONFLICT',
    'the import was not made: another daemon took this one for dead, and serves the namespace; import when it has ended',
  );
}
