/**
 * The slots that recovery has set aside, and what is known of each. It is all in the rows of the
 * slot table, which exist anyway: damage may have hit millions of slots, so the facts about one are
 * put together when they are needed.
 *
 * In place of the time of creation, a row has a note: the reason in bits 0 to 2; then one bit each
 * for `isLive`, for a generation and for an extent; above them the slot of the overlap plus 2, or 0
 * if there is none.
 */
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import type { DescriptorFields } from './descriptor.js';

/** Why a slot is quarantined. */
export const QUARANTINE_REASONS = {
  damaged: 'its descriptor does not match its checksum, or has impossible values',
  zeros: 'its descriptor is all zeros, as after the loss of a page',
  unreadable: 'its descriptor cannot be read',
  outside: 'its extent is not between the headers and the capacity',
  misaligned: 'its extent is not aligned',
  truncated: 'the pool ends before its extent does',
  overlap: 'its extent overlaps another one',
} as const;

export type QuarantineReason = keyof typeof QUARANTINE_REASONS;

export interface QuarantinedSlot {
  readonly slot: number;
  readonly reason: QuarantineReason;
  /**
   * The generation in a readable descriptor, and whether it says that the region lives. In a
   * damaged one both may be wrong.
   */
  readonly generation?: number;
  readonly isLive?: boolean;
  /**
   * Offset and size of the extent that stays reserved, as in the descriptor; absent if they are
   * impossible.
   */
  readonly offset?: number;
  readonly size?: number;
  /** For an overlap, the slot of a region that it overlaps; -1 for a descriptor chunk. */
  readonly overlaps?: number;
}

const REASONS = Object.keys(QUARANTINE_REASONS) as QuarantineReason[];
const REASON_BITS = 7;
const IS_LIVE = 8;
const HAS_GENERATION = 16;
const HAS_EXTENT = 32;
/** The slot of an overlap is multiplied by this. */
const OVERLAP_UNIT = 64;

/** Quarantined slots, in order. */
export class QuarantinedSlots implements Iterable<QuarantinedSlot> {
  readonly #table: SlotTable;
  readonly #reasons = new Set<QuarantineReason>();
  #extents = 0;

  constructor(table: SlotTable) {
    this.#table = table;
  }

  get length(): number {
    return this.#table.count(SlotState.quarantined);
  }

  /** How many have an extent that stays reserved. */
  get extents(): number {
    return this.#extents;
  }

  /** Whether a slot is quarantined for this reason. */
  has(reason: QuarantineReason): boolean {
    return this.#reasons.has(reason);
  }

  /** The first slot after `after`; -1 for the first of all. */
  next(after: number): QuarantinedSlot | undefined {
    return this.at(this.#table.next(SlotState.quarantined, after));
  }

  /** Accepts any number. */
  at(slot: number): QuarantinedSlot | undefined {
    const table = this.#table;
    if (slot < 0 || table.state(slot) !== SlotState.quarantined) return undefined;
    const note = table.createdAt(slot);
    const overlap = Math.floor(note / OVERLAP_UNIT);
    return {
      slot,
      reason: REASONS[note & REASON_BITS] as QuarantineReason,
      ...((note & HAS_GENERATION) !== 0 && {
        generation: table.generation(slot),
        isLive: (note & IS_LIVE) !== 0,
      }),
      ...((note & HAS_EXTENT) !== 0 && { offset: table.offset(slot), size: table.size(slot) }),
      ...(overlap > 0 && { overlaps: overlap - 2 }),
    };
  }

  *[Symbol.iterator](): Generator<QuarantinedSlot> {
    for (let found = this.next(-1); found !== undefined; found = this.next(found.slot)) yield found;
  }

  /**
   * Slots with an extent that stays reserved: those beyond the end of the pool, or the others. The
   * table has the extents.
   */
  *slotsOfExtents(isTruncated: boolean): Generator<number> {
    const table = this.#table;
    const truncated = REASONS.indexOf('truncated');
    for (let slot = -1; (slot = table.next(SlotState.quarantined, slot)) >= 0;) {
      const note = table.createdAt(slot);
      if ((note & HAS_EXTENT) !== 0 && ((note & REASON_BITS) === truncated) === isTruncated) yield slot;
    }
  }

  /**
   * Takes a slot out of use.
   * @param fields its descriptor, if it could be read
   * @param isExtent whether the extent in it is possible
   */
  add(slot: number, reason: QuarantineReason, fields?: DescriptorFields, isExtent = false): void {
    const note = (fields?.isLive === true ? IS_LIVE : 0) | (isExtent ? HAS_EXTENT : 0);
    if (fields === undefined) this.#add(slot, reason, note, 0, 0, 0);
    else {
      const { generation, offset, size } = fields;
      this.#add(slot, reason, note | HAS_GENERATION, generation, offset, size);
    }
  }

  /**
   * Takes a live region's slot out of use.
   * @param overlaps the slot of a region that it overlaps, -1 for a descriptor chunk
   */
  addOverlap(slot: number, overlaps: number): void {
    const table = this.#table;
    const note = IS_LIVE + HAS_GENERATION + HAS_EXTENT + (overlaps + 2) * OVERLAP_UNIT;
    this.#add(slot, 'overlap', note, table.generation(slot), table.offset(slot), table.size(slot));
  }

  #add(
    slot: number,
    reason: QuarantineReason,
    note: number,
    generation: number,
    offset: number,
    size: number,
  ): void {
    this.#table.quarantine(slot, generation, offset, size, note + REASONS.indexOf(reason));
    this.#reasons.add(reason);
    if ((note & HAS_EXTENT) !== 0) this.#extents++;
  }
}
