/**
 * Changes of several regions of a pool that are made together or not at all, even after a crash.
 * They go through the journal. So does a change of a name, as the new name may overwrite the old
 * one.
 *
 * | step | if the power fails there |
 * |---|---|
 * | 1. the contents of new regions, into space that belongs to nobody; barrier | nothing has happened |
 * | 2. the record of everything else: bytes of regions, names, descriptors, first words; barrier | nothing has happened, or everything: the record is applied again |
 * | 3. the same to their places; barrier; the record is void; barrier | everything has happened |
 * | 4. space of old names becomes zeros, then free | the space belongs to nobody |
 *
 * Step 1 also makes the ends of replaced regions durable (ended-regions.ts). Changes come one at a
 * time. On a direct medium each is one step of the event loop. On other media they take turns with
 * each other and with everything else that changes the header.
 */
import type { Eventually } from '../targets/lifecycle.js';
import type { SlotTable } from '../targets/slot-table.js';
import { descriptorOffset } from './chunk-directory.js';
import { DESCRIPTOR_BYTES, encodeDescriptor, encodeWordZero, type NameFields } from './descriptor.js';
import type { EndedRegions } from './ended-regions.js';
import type { HeaderStore } from './header-store.js';
import { hasNames, JOURNAL, type JournalAreas, NAMES, type PoolHeader } from './header.js';
import type { JournalFigures } from '../targets/target-figures.js';
import type { RecordEntry } from './record-parts.js';
import { areaLength, Journal } from './journal.js';
import type { PoolMedium } from './medium.js';
import type { NamePlaces } from './name-places.js';
import type { PoolSpace } from './pool-space.js';
import { isOutOfSpace } from './read-back.js';
import type { Extent, NewSlot, RegionExtents } from './region-extents.js';

const WORD_BYTES = 8;

/**
 * First size of a journal's areas, if the pool has that much free space. Later sizes are the next
 * power of two.
 */
const FIRST_JOURNAL_BYTES = 2 ** 16;

/** Changes that are made together or not at all. */
export interface PoolChange {
  /** Bytes for regions that live and stay, in order. Offsets count from the start of the pool. */
  readonly writes: readonly RecordEntry[];
  /** Regions that become findable, with or without a name. Their contents are staged. */
  readonly published: readonly (NewSlot & {
    readonly name: Uint8Array | undefined;
    readonly createdAt: number;
  })[];
  /** Regions that live and stay, and get another name or none. */
  readonly renamed: readonly { readonly slot: number; readonly name: Uint8Array | undefined }[];
  /** Regions that end. */
  readonly erased: readonly { readonly slot: number }[];
}

/** The places for the names of a change. */
interface PlacedNames {
  /** By slot, offsets in the pool. */
  readonly places: Map<number, number>;
  /** Extents that were taken for some of the names. */
  readonly taken: Extent[];
}

/** The parts of a pool that a change uses. */
export interface ChangedPool {
  readonly medium: PoolMedium;
  readonly headers: HeaderStore;
  readonly table: SlotTable;
  readonly space: PoolSpace;
  readonly places: NamePlaces;
  readonly extents: RegionExtents;
  readonly ended: EndedRegions;
  /** Runs work on space, slots or header while nothing else does so. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>;
  /** The higher done of the journal's areas. */
  readonly journalDone: number;
}

export class PoolChanges {
  readonly #medium: PoolMedium;
  readonly #headers: HeaderStore;
  readonly #table: SlotTable;
  readonly #space: PoolSpace;
  readonly #places: NamePlaces;
  readonly #extents: RegionExtents;
  readonly #ended: EndedRegions;
  readonly #inTurn: ChangedPool['inTurn'];
  readonly #journal: Journal;

  get journalFigures(): JournalFigures {
    return this.#journal.figures;
  }

  constructor(pool: ChangedPool) {
    this.#medium = pool.medium;
    this.#headers = pool.headers;
    this.#table = pool.table;
    this.#space = pool.space;
    this.#places = pool.places;
    this.#extents = pool.extents;
    this.#ended = pool.ended;
    this.#inTurn = pool.inTurn;
    this.#journal = new Journal(pool.medium, pool.headers.current.journal, pool.journalDone);
  }

  /**
   * Makes changes together, even if there is a crash; they are durable when this ends.
   * @param made called in the step that makes them in the table of slots
   * @throws OUT_OF_SPACE, and nothing has changed; READ_ONLY, and what the medium throws
   */
  commit(change: PoolChange, made: () => void): Eventually<void> {
    if (this.#medium.isDirect === true) {
      const names = this.#placeNow(change);
      if (names !== undefined) {
        const entries = this.#entriesOf(change, names);
        if (this.#journal.fits(entries)) return this.#carryOut(change, names, entries, made);
        this.#giveBackTaken(names);
      }
    }
    return this.#inTurn(async () => {
      const names = await this.#place(change);
      const stored = this.#medium.storeTogether?.(this.#entriesOf(change, names));
      if (stored !== undefined) return this.#finishAfter(stored, change, names, made);
      try {
        const entries = this.#entriesOf(change, names);
        if (!this.#journal.fits(entries)) await this.#makeJournal(areaLength(entries));
      } catch (error) {
        this.#giveBackTaken(names);
        throw error;
      }
      // Built again: the orders of names must come after those given meanwhile.
      await this.#carryOut(change, names, this.#entriesOf(change, names), made);
    });
  }

  /** Places for the names, if all are available at once and nothing else must be done first. */
  #placeNow(change: PoolChange): PlacedNames | undefined {
    const wanted = this.#wantedNames(change);
    if (wanted.length > 0 && !hasNames(this.#headers.current)) return undefined;
    if (this.#prepare(change) !== undefined) return undefined;
    const names: PlacedNames = { places: new Map(), taken: [] };
    for (const { region, name } of wanted) {
      let place = this.#placeThere(region, name.length);
      if (place < 0) {
        const length = this.#extents.lengthFor(name.length);
        place = this.#space.takeNow(length);
        if (place < 0) {
          this.#giveBackTaken(names);
          return undefined;
        }
        names.taken.push({ offset: place, length });
      }
      names.places.set(region.slot, place);
    }
    return names;
  }

  async #place(change: PoolChange): Promise<PlacedNames> {
    const wanted = this.#wantedNames(change);
    if (wanted.length > 0) await this.enableNames();
    await this.#prepare(change);
    const names: PlacedNames = { places: new Map(), taken: [] };
    try {
      for (const { region, name } of wanted) {
        let place = this.#placeThere(region, name.length);
        if (place < 0) {
          const length = this.#extents.lengthFor(name.length);
          place = await this.#space.take(length, name.length);
          names.taken.push({ offset: place, length });
        }
        names.places.set(region.slot, place);
      }
    } catch (error) {
      this.#giveBackTaken(names);
      throw error;
    }
    return names;
  }

  /**
   * Makes durable what must be so before the record: the contents of new regions, and the ends of
   * replaced ones.
   */
  #prepare({ published }: PoolChange): Eventually<void> {
    const hasContents = published.some(({ size }) => size > 0);
    return hasContents ? this.#ended.endWithBarrier() : this.#ended.end();
  }

  /** The regions that get a name. */
  #wantedNames({ published, renamed }: PoolChange): { region: NewSlot; name: Uint8Array }[] {
    const wanted: { region: NewSlot; name: Uint8Array }[] = [];
    for (const region of published) if (region.name !== undefined) wanted.push({ region, name: region.name });
    for (const { slot, name } of renamed)
      if (name !== undefined) wanted.push({ region: this.#extents.rowOf(slot), name });
    return wanted;
  }

  /** Frees the places of names that were never stored. */
  #giveBackTaken({ taken }: PlacedNames): void {
    for (const { offset, length } of taken.splice(0)) this.#space.free(offset, length);
  }

  /**
   * A place for a name in its region's own space: after the contents, or where a name is or was planned.
   * @returns -1 if there is none
   */
  #placeThere({ slot, offset, size }: NewSlot, length: number): number {
    const apart = this.#places.apartOf(slot);
    if (size > 0 && size + length <= this.#extents.lengthFor(size + this.#places.behindOf(slot)))
      return offset + size;
    if (apart !== undefined && length <= this.#extents.lengthFor(this.#places.lengthOf(slot))) return apart;
    return -1;
  }

  /**
   * Everything that a change stores, except the names of new regions, which are in space that
   * belongs to nobody yet.
   */
  #entriesOf(change: PoolChange, { places }: PlacedNames): RecordEntry[] {
    const table = this.#table;
    const header = this.#headers.current;
    const entries = [...change.writes];
    // A name is part of the record. Its place may be that of the old name, which counts until
    // everything is committed. A name elsewhere would have to be durable before the record.
    const add = ({ slot, offset, size }: NewSlot, createdAt: number, name: Uint8Array | undefined): void => {
      const fields = name && this.#places.fieldsFor(places.get(slot) as number, name);
      if (name !== undefined && fields !== undefined)
        entries.push({ offset: fields.nameOffset, bytes: name });
      entries.push(this.#descriptorEntry(slot, offset, size, createdAt, fields));
    };
    for (const region of change.published) add(region, region.createdAt, region.name);
    for (const { slot, name } of change.renamed) add(this.#extents.rowOf(slot), table.createdAt(slot), name);
    for (const { slot } of change.erased) {
      const bytes = new Uint8Array(WORD_BYTES);
      encodeWordZero(bytes, 0, slot, header, table.generation(slot), false);
      entries.push({ offset: this.#descriptorOffset(slot), bytes });
    }
    return entries;
  }

  #descriptorEntry(
    slot: number,
    offset: number,
    size: number,
    createdAt: number,
    fields: NameFields | undefined,
  ): RecordEntry {
    const bytes = new Uint8Array(DESCRIPTOR_BYTES);
    const generation = this.#table.generation(slot);
    encodeDescriptor(bytes, 0, slot, this.#headers.current, generation, offset, size, createdAt, fields);
    return { offset: this.#descriptorOffset(slot), bytes };
  }

  #carryOut(
    change: PoolChange,
    names: PlacedNames,
    entries: readonly RecordEntry[],
    made: () => void,
  ): Eventually<void> {
    const refused = (error: unknown): never => {
      this.#giveBackTaken(names);
      throw error;
    };
    let committed: Eventually<void>;
    try {
      committed = this.#journal.commit(entries, this.#headers.current);
    } catch (error) {
      return refused(error);
    }
    if (committed === undefined) return this.#finish(change, names, made);
    return committed.then(() => this.#finish(change, names, made), refused);
  }

  /** For a change that the medium makes by itself. */
  async #finishAfter(
    stored: Promise<void>,
    change: PoolChange,
    names: PlacedNames,
    made: () => void,
  ): Promise<void> {
    try {
      await stored;
    } catch (error) {
      this.#giveBackTaken(names);
      throw error;
    }
    this.#journal.figures.records++;
    await this.#finish(change, names, made);
  }

  /**
   * The change is durable, and everybody sees it from here on. Gives back the space that it no
   * longer needs.
   */
  #finish(change: PoolChange, { places }: PlacedNames, made: () => void): Eventually<void> {
    const table = this.#table;
    for (const { slot, offset, size, createdAt } of change.published)
      table.setLive(slot, table.generation(slot), offset, size, createdAt);
    for (const { slot } of change.erased) table.setErasing(slot);
    const left: Extent[] = [];
    for (const { slot, name } of [...change.published, ...change.renamed])
      this.#moveName(slot, name, places.get(slot), left);
    made();
    return left.length === 0 ? undefined : this.#extents.clearAndFree(left);
  }

  /** Records the new place of a region's name, and the space that the old name leaves. */
  #moveName(slot: number, name: Uint8Array | undefined, place: number | undefined, left: Extent[]): void {
    const places = this.#places;
    const region = this.#extents.rowOf(slot);
    const before = this.#extents.of(region);
    if (name === undefined) places.delete(slot);
    else {
      const isBehind = region.size > 0 && place === region.offset + region.size;
      places.set(slot, name.length, isBehind ? undefined : place);
    }
    const after = this.#extents.of(region);
    for (const { offset, length } of before) {
      const kept = after.find((extent) => extent.offset === offset)?.length ?? 0;
      if (kept < length) left.push({ offset: offset + kept, length: length - kept });
    }
  }

  /** Durably gives the pool the feature for names, before the first name is stored. */
  async enableNames(): Promise<void> {
    if (hasNames(this.#headers.current)) return;
    await this.#headers.change(this.#withFeature(NAMES));
  }

  #withFeature(flag: number): Pick<PoolHeader, 'features'> {
    const { features } = this.#headers.current;
    return { features: { ...features, incompatible: (features.incompatible | flag) >>> 0 } };
  }

  /** Makes the areas of the journal, or replaces them with larger ones. @param needed bytes of one area */
  async #makeJournal(needed: number): Promise<void> {
    const wanted = Math.max(FIRST_JOURNAL_BYTES, 2 ** Math.ceil(Math.log2(needed)));
    const least = this.#extents.lengthFor(needed);
    try {
      await this.#addJournal(this.#extents.lengthFor(wanted));
    } catch (error) {
      // A small pool may only have room for less.
      if (!isOutOfSpace(error) || least >= wanted) throw error;
      await this.#addJournal(least);
    }
  }

  async #addJournal(length: number): Promise<void> {
    await this.#space.giveBackWithheld();
    const first = await this.#space.take(length);
    let second: number;
    try {
      second = await this.#space.take(length);
    } catch (error) {
      this.#space.free(first, length);
      throw error;
    }
    const areas: JournalAreas = { offsets: [first, second], length };
    const before = this.#headers.current.journal;
    try {
      await this.#headers.change({ ...this.#withFeature(JOURNAL), journal: areas }, () =>
        this.#journal.use(areas),
      );
    } catch (error) {
      for (const offset of areas.offsets) {
        // If a header that failed may name them after all, they stay taken.
        if (this.#headers.isUncertain) this.#space.withhold(offset, length);
        else this.#space.free(offset, length);
      }
      throw error;
    }
    if (before !== undefined)
      await this.#extents.clearAndFree(before.offsets.map((offset) => ({ offset, length: before.length })));
  }

  #descriptorOffset(slot: number): number {
    return descriptorOffset(this.#headers.current.chunks, slot);
  }
}
