/**
 * A region pool on a medium: regions, slots and descriptors. This file decides what is stored in
 * which order, as docs/pool-format.md describes; the medium decides how. Work that may wait (more
 * space, more slots, a higher freshFrom) runs one at a time. Everything else ends at once if the
 * medium does.
 */
import { BedrockError, invalid } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import type { RegionId } from '../contract/region-id.js';
import { erasedSlots } from '../targets/erased-slots.js';
import { idTaken } from '../targets/importable-target.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { JournalFigures } from '../targets/target-figures.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { descriptorOffset } from './chunk-directory.js';
import {
  decodeDescriptor,
  DESCRIPTOR_BYTES,
  DescriptorFields,
  encodeDescriptor,
  encodeWordZero,
  MAX_GENERATION,
  type NameFields,
  wordZero,
} from './descriptor.js';
import { EndedRegions } from './ended-regions.js';
import { erasedDescriptors } from './erased-descriptors.js';
import { HEADERS_BYTES, type PoolId } from './extent.js';
import { HeaderStore } from './header-store.js';
import { BEING_FILLED, hasNames, JOURNAL, LOG, NAMES, type PoolHeader } from './header.js';
import { forEach, inOrder } from './in-order.js';
import type { LoggedMedium, LogSettings } from './logged-medium.js';
import type { MediumRange, PoolMedium } from './medium.js';
import { NamePlaces } from './name-places.js';
import { type PoolChange, PoolChanges } from './pool-changes.js';
import { PoolLog } from './pool-log.js';
import { PoolSpace } from './pool-space.js';
import { isOutOfSpace, readBack } from './read-back.js';
import { type Extent, type NewSlot, RegionExtents } from './region-extents.js';
import { SlotGrowth } from './slot-growth.js';
import { SpareRegions } from './spare-regions.js';

const WORD_BYTES = 8;

/** The checksum of a free descriptor's word covers no other words. */
const NO_BYTES = new Uint8Array(0);

/** A region that gets a name in the step that makes it findable. */
export interface Named {
  /** UTF-8. */
  readonly name: Uint8Array;
  /** The region that has the name until then, and ends in the same step. */
  readonly replaced: NewSlot | undefined;
}

export interface PoolState {
  medium: PoolMedium;
  header: PoolHeader;
  table: SlotTable;
  /** Gaps that recovery found. */
  free: Iterable<Extent>;
  /** The most bytes that the pool may grow to. */
  maxBytes: number;
  /** The header that copy 1 still lacks, because there was no room for it. */
  behind?: Uint8Array | undefined;
  logger?: Logger | undefined;
  /** The places of names that recovery found; none by default. */
  places?: NamePlaces | undefined;
  /** The higher done of the journal's areas. */
  journalDone?: number;
  /** The medium, if the pool can have a log. */
  logged?: LoggedMedium | undefined;
  log?: LogSettings | undefined;
}

export class RegionPool {
  readonly #medium: PoolMedium;
  readonly #headers: HeaderStore;
  /** A descriptor that is being stored. */
  #descriptor = new Uint8Array(DESCRIPTOR_BYTES);
  /** Work that waits for its turn to change space, slots or header. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #ended: EndedRegions;
  /** Regions that are being given back. */
  readonly #releasing = new Set<Promise<void>>();
  readonly #extents: RegionExtents;
  readonly #spares = new SpareRegions();
  readonly #slots: SlotGrowth;
  readonly #places: NamePlaces;
  readonly #changes: PoolChanges;
  readonly #logged: LoggedMedium | undefined;
  readonly #log: PoolLog | undefined;

  readonly table: SlotTable;
  readonly space: PoolSpace;

  constructor(state: PoolState) {
    const { medium, header, table, free, maxBytes, behind, logger } = state;
    this.#medium = medium;
    this.#headers = new HeaderStore(medium, header, behind);
    this.table = table;
    this.space = new PoolSpace({
      medium,
      headers: this.#headers,
      free,
      maxBytes,
      logger,
      giveBackSpares: () => this.#giveBackSpares(),
    });
    this.#logged = state.logged;
    if (state.logged !== undefined)
      this.#log = new PoolLog(state.logged, this.#headers, this.space, state.log?.bytes);
    this.#slots = new SlotGrowth(medium, this.#headers, table, this.space);
    const places = state.places ?? new NamePlaces();
    const extents = new RegionExtents(medium, table, this.space, places, header.alignment);
    this.#places = places;
    this.#extents = extents;
    const ended = new EndedRegions({
      storeEnds: (regions) => this.#storeEnds(regions),
      isBarrierCheap: medium.isDirect === true,
      barrier: () => medium.barrier(),
      giveBack: (regions) => {
        // Elsewhere a put takes as long as a disk, and the way through the allocator counts for nothing.
        const keepsSpares = medium.isDirect === true && medium.reclaims !== true;
        void this.#noteReleasing(extents.releaseTogether(regions, keepsSpares ? this.#spares : undefined));
      },
    });
    this.#ended = ended;
    this.#changes = new PoolChanges({
      medium,
      headers: this.#headers,
      table,
      space: this.space,
      places,
      extents,
      ended,
      inTurn: (work) => this.#inTurn(work),
      journalDone: state.journalDone ?? 0,
    });
  }

  get journalFigures(): JournalFigures {
    return this.#changes.journalFigures;
  }

  get header(): PoolHeader {
    return this.#headers.current;
  }

  // ---- regions ----

  /**
   * Takes a slot and zeroed space.
   * @param nameBytes bytes of the name that the region will have; 0 without one
   * @throws OUT_OF_SPACE; then nothing has changed
   */
  allocate(size: number, nameBytes = 0): Eventually<NewSlot> {
    const bytes = size + nameBytes;
    // This also keeps the sums within the safe integers.
    if (bytes > this.space.maxBytes) return this.space.refuse(bytes);
    if (nameBytes === 0 || (hasNames(this.header) && this.#log?.isWanted !== true)) {
      const length = this.#extents.lengthFor(bytes);
      if (length > 0 && this.#spares.take(length)) {
        const { slot, offset } = this.#spares;
        this.table.takeAgain(slot);
        return this.#taken(slot, offset, size, nameBytes);
      }
      const offset = length === 0 ? 0 : this.space.takeNow(length);
      if (offset >= 0) {
        const slot = this.table.takeFree();
        if (slot >= 0) return this.#taken(slot, offset, size, nameBytes);
        if (length > 0) this.space.free(offset, length);
      }
    }
    return this.#inTurn(() => this.#allocateSlowly(size, nameBytes));
  }

  /** A name is after the contents. For a region of no bytes, the name has the extent to itself. */
  #taken(slot: number, offset: number, size: number, nameBytes: number): NewSlot {
    if (nameBytes === 0) return { slot, offset, size };
    if (size > 0) {
      this.#places.set(slot, nameBytes);
      return { slot, offset, size };
    }
    this.#places.set(slot, nameBytes, offset);
    return { slot, offset: 0, size };
  }

  /**
   * Like `allocate`, in the slot of an imported ID, with its generation.
   * @throws ID_TAKEN, INVALID_ARGUMENT, OUT_OF_SPACE (also for the missing slots below that of the ID)
   */
  allocateAs(id: RegionId, size: number, nameBytes = 0): Promise<NewSlot> {
    const { slot, generation } = id;
    if (generation === 0 || generation > MAX_GENERATION) {
      throw invalid(
        `${id.toString()} has generation ${generation}; those of a pool go from 1 to ${MAX_GENERATION}`,
      );
    }
    const bytes = size + nameBytes;
    if (bytes > this.space.maxBytes) return this.space.refuse(bytes);
    return this.#inTurn(async () => {
      const length = this.#extents.lengthFor(bytes);
      // One of them may have the slot.
      this.#giveBackSpares();
      if (nameBytes > 0) await this.#changes.enableNames();
      await this.#slots.addTo(slot, length);
      if (!this.table.take(slot, generation)) throw idTaken(id);
      try {
        const offset = length === 0 ? 0 : await this.space.take(length, bytes);
        return this.#taken(slot, offset, size, nameBytes);
      } catch (error) {
        this.table.giveBack(slot);
        throw error;
      }
    });
  }

  /**
   * Ensures that IDs of erased regions are never given out; durable when this ends.
   * @throws ID_TAKEN, OUT_OF_SPACE
   */
  takeErased(ids: readonly RegionId[]): Promise<void> {
    const { table } = this;
    return this.#inTurn(async () => {
      this.#giveBackSpares();
      await this.#slots.addTo(ids.reduce((highest, { slot }) => Math.max(highest, slot), -1));
      const slots = erasedSlots(ids, table);
      for (const { slot, generation } of slots) table.take(slot, generation);
      try {
        const descriptors = erasedDescriptors(slots, this.header, (slot) => this.#descriptorOffset(slot));
        // All writes end before a slot is given back: a late one would overwrite the descriptor of
        // the slot's next region.
        const stored = await Promise.allSettled(
          descriptors.map(async ({ offset, bytes }) => this.#medium.writeDurably(offset, bytes)),
        );
        for (const each of stored) if (each.status === 'rejected') throw each.reason;
      } catch (error) {
        // With the previous generation: the new one was never stored, and must not be reported.
        for (const { slot } of slots) table.giveBack(slot);
        throw error;
      }
      for (const { slot, generation } of slots) table.giveBack(slot, generation);
    });
  }

  /**
   * Makes an allocated region, written or not, findable; durable when this ends.
   * @param becameLive called in the step that makes the row live: from then on the region can be
   *   found, so its object must exist
   * @param named a name with the length that room was taken for. Then staged contents are durable
   *   too when this ends
   */
  publish<S extends NewSlot, N extends Named>(
    region: S,
    size: number,
    createdAt: number,
    becameLive?: (region: S, named?: N) => void,
    named?: N,
  ): Eventually<void> {
    if (named === undefined) return this.#publish(region, size, createdAt, becameLive, undefined, undefined);
    const { slot, offset } = region;
    const { length } = named.name;
    if (this.#places.lengthOf(slot) !== length)
      throw new BedrockError('INTERNAL', `slot ${slot} has no room for a name of ${length} bytes`);
    const fields = this.#places.fieldsFor(this.#places.apartOf(slot) ?? offset + size, named.name);
    const medium = this.#medium;
    const staged = medium.stage(fields.nameOffset, named.name);
    if (staged === undefined && medium.publishesInOrder === true)
      return this.#publish(region, size, createdAt, becameLive, fields, named);
    this.#ended.endAlong();
    if (staged === undefined && medium.staysInOrder?.(size) === true)
      return this.#publish(region, size, createdAt, becameLive, fields, named);
    return inOrder([
      () => staged,
      () => medium.barrier(),
      () => this.#publish(region, size, createdAt, becameLive, fields, named),
    ]);
  }

  #publish<S extends NewSlot, N extends Named>(
    region: S,
    size: number,
    createdAt: number,
    becameLive: ((region: S, named?: N) => void) | undefined,
    fields: NameFields | undefined,
    named: N | undefined,
  ): Eventually<void> {
    const { slot, offset } = region;
    const generation = this.table.generation(slot);
    const descriptor = this.#descriptor;
    encodeDescriptor(descriptor, 0, slot, this.header, generation, offset, size, createdAt, fields);
    const replaced = named?.replaced;
    const together = replaced && this.#publishInPlaceOf(replaced, slot, descriptor);
    const stored = together ?? this.#medium.publish(this.#descriptorOffset(slot), descriptor);
    if (stored === undefined) return this.#becomeLive(region, size, createdAt, becameLive, named);
    return this.#published(stored, region, size, createdAt, becameLive, named, together !== undefined);
  }

  /** In a method of its own: a put that ends at once makes no closure. */
  #published<S extends NewSlot, N extends Named>(
    stored: Promise<void>,
    region: S,
    size: number,
    createdAt: number,
    becameLive: ((region: S, named?: N) => void) | undefined,
    named: N | undefined,
    isEnded: boolean,
  ): Promise<void> {
    const { slot } = region;
    // The medium may still be reading the old one.
    this.#descriptor = new Uint8Array(DESCRIPTOR_BYTES);
    return stored.then(
      () => this.#becomeLive(region, size, createdAt, becameLive, named, isEnded),
      (error: unknown) => this.#unchanged(slot, 'free', error),
    );
  }

  /** Publishes a region and ends another one in the same step, if the medium can do so. */
  #publishInPlaceOf(replaced: NewSlot, slot: number, descriptor: Uint8Array): Promise<void> | undefined {
    const medium = this.#medium;
    if (medium.storeTogether === undefined) return undefined;
    const end = new Uint8Array(WORD_BYTES);
    encodeWordZero(end, 0, replaced.slot, this.header, this.table.generation(replaced.slot), false);
    return medium.storeTogether([
      { offset: this.#descriptorOffset(slot), bytes: descriptor },
      { offset: this.#descriptorOffset(replaced.slot), bytes: end },
    ]);
  }

  #becomeLive<S extends NewSlot, N extends Named>(
    region: S,
    size: number,
    createdAt: number,
    becameLive: ((region: S, named?: N) => void) | undefined,
    named: N | undefined,
    isEnded = false,
  ): void {
    const { slot, offset } = region;
    const replaced = named?.replaced;
    this.table.setLive(slot, this.table.generation(slot), offset, size, createdAt);
    if (replaced !== undefined) this.table.setErasing(replaced.slot);
    becameLive?.(region, named);
    if (replaced !== undefined && !isEnded) this.#ended.add(replaced);
  }

  /**
   * Ends a region; durable when this ends. Its space stays taken until `release`.
   * @param becameErasing called in the step in which the row stops being live
   */
  unpublish<R extends { readonly id: RegionId }>(
    region: R,
    becameErasing?: (region: R) => void,
  ): Eventually<void> {
    // If the header is old, the existing regions prove it. Safe to wait: the caller has the region to itself.
    if (this.#headers.isOwed)
      return this.#inTurn(() => this.#headers.settle()).then(() => this.unpublish(region, becameErasing));
    const { slot, generation } = region.id;
    // A region that it has replaced must not come back when it goes.
    const ended = this.#places.lengthOf(slot) > 0 ? this.#ended.end() : undefined;
    if (ended !== undefined) return ended.then(() => this.unpublish(region, becameErasing));
    const word = wordZero(NO_BYTES, 0, slot, this.header, generation, false);
    const stored = this.#medium.publishWord(this.#descriptorOffset(slot), word);
    if (stored === undefined) {
      this.table.setErasing(slot);
      becameErasing?.(region);
      return undefined;
    }
    return stored.then(
      () => {
        this.table.setErasing(slot);
        becameErasing?.(region);
      },
      (error: unknown) => this.#unchanged(slot, 'live', error),
    );
  }

  /**
   * Called after a descriptor could not be stored. If the medium had no room, the descriptor is
   * unchanged, and the region lives or not as before. This is checked as recovery would read it. If
   * anything else is there, nobody knows what is durable.
   */
  async #unchanged(slot: number, before: 'free' | 'live', error: unknown): Promise<never> {
    if (!isOutOfSpace(error)) throw error;
    // Bytes that cannot be read back may be anything.
    const there = await readBack(this.#medium, this.#descriptorOffset(slot), DESCRIPTOR_BYTES);
    const state = there && decodeDescriptor(there, 0, slot, this.header, new DescriptorFields());
    if (state === before) throw error;
    throw this.#medium.fail?.(`the descriptor of slot ${slot} was stored in part`, error) ?? error;
  }

  /** Gives back slot and space of a region that is not published. Nobody may use it any more. */
  release(region: NewSlot): Eventually<void> {
    const { slot } = region;
    const state = this.table.state(slot);
    if (state !== SlotState.erasing && state !== SlotState.taken)
      throw new BedrockError('INTERNAL', `slot ${slot} is released, but no region has it`);
    if (this.#ended.release(slot)) return undefined;
    return this.#noteReleasing(this.#extents.release(region));
  }

  /** Lets `settleIfPossible` wait for space that is being given back. */
  #noteReleasing(released: Eventually<void>): Eventually<void> {
    if (released === undefined) return undefined;
    const noted = released.finally(() => this.#releasing.delete(noted));
    this.#releasing.add(noted);
    return noted;
  }

  /** Offset of a slot's descriptor. */
  #descriptorOffset(slot: number): number {
    return descriptorOffset(this.header.chunks, slot);
  }

  // ---- replaced regions ----

  /**
   * If the medium allows it, makes the ends of all replaced regions durable, and the space of those
   * that nobody uses free. It also waits for other space that is being given back now.
   */
  async settleIfPossible(): Promise<void> {
    try {
      await this.#ended.end();
    } catch {
      // They keep waiting.
    }
    if (this.#releasing.size > 0) await Promise.all(this.#releasing);
    this.#giveBackSpares();
  }

  #giveBackSpares(): void {
    this.#spares.takeAll((slot, offset, length) => this.#extents.giveBackSpare(slot, offset, length));
  }

  /**
   * Ends regions that recovery found replaced. What recovery has read is durable. If there is no
   * room, they wait, and nobody sees them.
   */
  async endReplaced(slots: readonly number[]): Promise<void> {
    if (slots.length === 0) return;
    for (const slot of slots) {
      const region = this.#extents.rowOf(slot);
      this.table.setErasing(slot);
      this.#ended.add(region);
      this.#ended.release(slot);
    }
    try {
      await this.#ended.end();
    } catch (error) {
      if (!isOutOfSpace(error)) throw error;
    }
  }

  #storeEnds(regions: readonly NewSlot[]): Eventually<void> {
    const { table, header } = this;
    return forEach(regions, ({ slot }) => {
      const word = wordZero(NO_BYTES, 0, slot, header, table.generation(slot), false);
      return this.#medium.stageWord(this.#descriptorOffset(slot), word);
    });
  }

  // ---- changes made together ----

  /**
   * Makes changes together, even if there is a crash; they are durable when this ends.
   * @param made called in the step that makes them in the table of slots
   * @throws OUT_OF_SPACE, and nothing has changed; READ_ONLY, and what the medium throws
   */
  commit(change: PoolChange, made: () => void): Eventually<void> {
    return this.#changes.commit(change, made);
  }

  // ---- one at a time ----

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #allocateSlowly(size: number, nameBytes: number): Promise<NewSlot> {
    if (nameBytes > 0) {
      await this.#changes.enableNames();
      await this.#log?.make();
    }
    const length = this.#extents.lengthFor(size + nameBytes);
    const offset = length === 0 ? 0 : await this.#takeSpace(length, size + nameBytes);
    // Replaced regions hold slots too. Ending them first would let regions that are often replaced
    // run out of slots again and again.
    let endsReplaced = !this.#slots.hasRoom;
    try {
      for (;;) {
        const slot = this.table.takeFree();
        if (slot >= 0) return this.#taken(slot, offset, size, nameBytes);
        if (endsReplaced) {
          endsReplaced = false;
          await this.settleIfPossible();
          continue;
        }
        // Creations that need not wait may take all its slots before this one continues. Then it
        // needs another chunk.
        await this.#slots.add();
      }
    } catch (error) {
      if (length > 0) this.space.free(offset, length);
      throw error;
    }
  }

  async #takeSpace(length: number, bytes: number): Promise<number> {
    const offset = this.space.takeNow(length);
    if (offset >= 0) return offset;
    // Replaced regions may hold all the space. If this fails, those who depend on it get the error.
    await this.settleIfPossible();
    return this.space.take(length, bytes);
  }

  /**
   * Makes the header durable, with the corrections of recovery. If there is no room, this is done
   * before a region ends.
   */
  storeHeader(): Promise<void> {
    return this.#inTurn(() => this.#headers.store());
  }

  /**
   * Drops everything that the pool holds: one change of the header takes all slots out of it, and
   * gives the pool another id. The descriptors that are left in the space count for nothing. This
   * object must not be used afterwards; the pool is recovered again.
   */
  empty(id: PoolId): Promise<void> {
    return this.#inTurn(async () => {
      await this.#logged?.leave();
      const { incompatible } = this.header.features;
      const features = {
        ...this.header.features,
        incompatible: ((incompatible & ~(JOURNAL | NAMES | LOG)) | BEING_FILLED) >>> 0,
      };
      await this.#headers.change({ ...id, chunks: [], journal: undefined, log: undefined, features });
    });
  }

  /** All regions are there that were to be brought in; durable when this ends. */
  setFilled(): Promise<void> {
    return this.#inTurn(async () => {
      const { features } = this.header;
      const incompatible = (features.incompatible & ~BEING_FILLED) >>> 0;
      await this.#headers.change({ features: { ...features, incompatible } });
    });
  }

  /** Makes durable what recovery has trusted, so that no crash undoes it. */
  makeRecoveredDurable(): Eventually<void> {
    const ranges: MediumRange[] = [{ offset: 0, size: HEADERS_BYTES }];
    for (const { offset, count } of this.header.chunks)
      ranges.push({ offset, size: count * DESCRIPTOR_BYTES });
    // A truncated file ends before some of them, or inside one.
    const { size: end } = this.#medium;
    return this.#medium.persist(
      ranges
        .filter(({ offset }) => offset < end)
        .map(({ offset, size }) => ({ offset, size: Math.min(size, end - offset) })),
    );
  }
}
