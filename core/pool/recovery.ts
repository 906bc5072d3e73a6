/**
 * Recovery: from the header and the bytes of the descriptor chunks to the table of slots and the free extents. Pure: whoever has
 * the medium feeds the bytes in, in pieces and in any order.
 *
 * | found | becomes |
 * |---|---|
 * | a free descriptor | a free slot, or a retired one if it has the last generation |
 * | a live one, its extent in the pool, aligned, and its own alone | a region |
 * | anything else | a quarantined slot; its extent stays reserved if it can be one |
 *
 * Damage costs no other region: the extent that a damaged descriptor names is kept out of the free space, but takes nothing from
 * a region that is whole. Where two whole descriptors claim the same bytes one of them lies, and nothing tells which; neither is
 * served. A descriptor that cannot be read now may be readable tomorrow, and then claims its bytes; so there is no free space until
 * it was written over.
 *
 * What recovery finds may still be in a cache only. Before anything that builds on it is served or written, the caller ends with a
 * barrier over headers and chunks, whether it has written or not: otherwise a power cut can revive an erase that was believed.
 */
import { BedrockError } from '../base/errors.js';
import { SlotState, SlotTable } from '../targets/slot-table.js';
import { chunkLength, slotsOf } from './chunk-directory.js';
import { decodeDescriptor, DESCRIPTOR_BYTES, DescriptorFields, MAX_GENERATION } from './descriptor.js';
import { orderByOffset } from './extent-order.js';
import { alignDown, alignUp, extentFault, firstExtentOffset } from './extent.js';
import { FreeExtents } from './free-extents.js';
import type { PoolHeader } from './header.js';

/** Why a slot is quarantined. */
export const QUARANTINE_REASONS = {
  damaged: 'its descriptor does not match its checksum, or says what no descriptor can',
  zeros: 'its descriptor is zeros, as of a page that was lost',
  unreadable: 'its descriptor cannot be read',
  outside: 'its extent does not lie between the headers and the capacity',
  misaligned: 'its extent does not lie at the alignment',
  truncated: 'the pool ends before its extent does',
  overlap: 'its extent overlaps another one',
} as const;

export type QuarantineReason = keyof typeof QUARANTINE_REASONS;

export interface QuarantinedSlot {
  readonly slot: number;
  readonly reason: QuarantineReason;
  /** Of a descriptor that could be read, the generation that stands there, and whether it says that the region lives; of a
   * damaged one both may be wrong. */
  readonly generation?: number;
  readonly isLive?: boolean;
  /** Offset and size of the extent that stays reserved, as they stand in the descriptor; absent if they cannot be ones. */
  readonly offset?: number;
  readonly size?: number;
  /** Of an overlap, the slot of one that it overlaps; -1 for a descriptor chunk. */
  readonly overlaps?: number;
}

export interface RecoveryResult {
  /** Live regions. */
  readonly regions: number;
  /** Bytes of them. */
  readonly bytes: number;
  /** In order of slots. */
  readonly quarantined: readonly QuarantinedSlot[];
  /**
   * What no region, chunk, header or reserved extent covers, in order of offsets; neighbours are one. Empty if a descriptor
   * could not be read: its extent may be anywhere.
   */
  readonly free: FreeExtents;
  /**
   * Whether a whole descriptor has an extent beyond freshFrom, where nothing was ever written: both header copies are older than it,
   * as of a restored backup. Then no free space is known to be zeros.
   */
  readonly isHeaderOld: boolean;
}

export class Recovery {
  /** Filled by and by; complete after `finish`. */
  readonly table = new SlotTable(MAX_GENERATION);
  readonly #header: PoolHeader;
  readonly #poolSize: number;
  readonly #quarantined: QuarantinedSlot[] = [];
  readonly #fields = new DescriptorFields();
  #isHeaderOld = false;

  /** @param fileSize bytes that the medium has; what lies beyond is not served, and nothing is placed there */
  constructor(header: PoolHeader, fileSize: number) {
    this.#header = header;
    this.#poolSize = Math.min(header.capacity, fileSize);
    this.table.addUnreadSlots(slotsOf(header.chunks));
  }

  /**
   * Takes descriptors in.
   * @param bytes those of the slots from `slotFrom` on; each slot once
   */
  feed(slotFrom: number, bytes: Uint8Array): void {
    const count = bytes.length / DESCRIPTOR_BYTES;
    this.#expectUnread(slotFrom, count);
    const fields = this.#fields;
    for (let index = 0; index < count; index++) {
      const slot = slotFrom + index;
      const state = decodeDescriptor(bytes, index * DESCRIPTOR_BYTES, slot, this.#header, fields);
      if (state === 'free') this.table.setFree(slot, fields.generation);
      else if (state === 'live') this.#takeRegion(slot, fields);
      else this.#quarantine(slot, state, fields);
    }
  }

  /** Tells that the descriptors of these slots cannot be read. Slots that are never fed count as such too. */
  unreadable(slotFrom: number, count: number): void {
    this.#expectUnread(slotFrom, count);
    for (let slot = slotFrom; slot < slotFrom + count; slot++) this.#quarantine(slot, 'unreadable');
  }

  /**
   * Ends recovery: finds overlaps and the free space.
   * @param options.unreadableAreLost the caller has written retired descriptors over those that could not be read, with a barrier, so
   *   that they never claim anything again: the free space is then what the others leave
   */
  finish(options: { readonly unreadableAreLost?: boolean } = {}): RecoveryResult {
    const { table } = this;
    if (table.count(SlotState.unread) > 0)
      for (let slot = 0; slot < table.slots; slot++)
        if (table.state(slot) === SlotState.unread) this.#quarantine(slot, 'unreadable');
    const hidesExtents = this.#quarantined.some(({ reason }) => reason === 'unreadable');
    const swept = this.#sweep();
    const free = hidesExtents && options.unreadableAreLost !== true ? new FreeExtents(0) : swept;
    this.#quarantined.sort((one, other) => one.slot - other.slot);
    return {
      regions: table.live,
      bytes: table.liveBytes,
      quarantined: this.#quarantined,
      free,
      isHeaderOld: this.#isHeaderOld,
    };
  }

  #takeRegion(slot: number, fields: DescriptorFields): void {
    const { generation, offset, size, createdAt } = fields;
    this.table.setLive(slot, generation, offset, size, createdAt);
    if (size === 0) return;
    if (offset + size > this.#header.freshFrom) this.#isHeaderOld = true;
    const fault = extentFault(this.#header, offset, size);
    if (fault !== undefined) this.#quarantine(slot, fault, fields);
    else if (offset + size > this.#poolSize) this.#quarantine(slot, 'truncated', fields);
  }

  #quarantine(slot: number, reason: QuarantineReason, fields?: DescriptorFields): void {
    this.table.quarantine(slot);
    if (fields === undefined) {
      this.#quarantined.push({ slot, reason });
      return;
    }
    const { generation, isLive, offset, size } = fields;
    const isPlausible = size > 0 && extentFault(this.#header, offset, size) !== 'outside';
    this.#quarantined.push({
      slot,
      reason,
      generation,
      isLive,
      ...(isPlausible ? { offset, size } : {}),
    });
  }

  /**
   * Goes through all extents in order of offsets. Those that begin before the end of what was claimed so far overlap something,
   * and so does the one that began the stretch; so a stretch of more than one is quarantined as a whole. Each is told one that it
   * overlaps: the one that reaches farthest so far, and that one the first that it meets.
   */
  #sweep(): FreeExtents {
    const { alignment } = this.#header;
    const extents = this.#collect();
    const free = new FreeExtents(extents.ends.length + 1);
    const end = alignDown(this.#poolSize, alignment);
    let usedEnd = firstExtentOffset(alignment);
    let claimedEnd = 0;
    let farthest = -1;
    const { units, order } = orderByOffset(extents.starts, alignment);
    for (let place = 0; place < order.length; place++) {
      const index = order[place] as number;
      const from = (units[place] as number) * alignment;
      const to = extents.ends[index] as number;
      if (from > usedEnd && usedEnd < end) free.push(usedEnd, Math.min(from, end) - usedEnd);
      if (to > usedEnd) usedEnd = to;
      if (index >= extents.claims) continue;
      if (from < claimedEnd) {
        const [one, other] = [extents.slots[farthest] as number, extents.slots[index] as number];
        this.#overlap(one, other);
        this.#overlap(other, one);
      }
      if (to > claimedEnd) {
        claimedEnd = to;
        farthest = index;
      }
    }
    if (usedEnd < end) free.push(usedEnd, end - usedEnd);
    return free;
  }

  /** The regions, then the other claims, then what is merely reserved. A chunk has the slot -1. */
  #collect(): { starts: Float64Array; ends: Float64Array; slots: Int32Array; claims: number } {
    const { table } = this;
    const { alignment, chunks } = this.#header;
    const reserved = this.#quarantined.filter(({ offset }) => offset !== undefined);
    const length = table.live + chunks.length + reserved.length;
    const starts = new Float64Array(length);
    const ends = new Float64Array(length);
    const slots = new Int32Array(length);
    let count = 0;
    const push = (slot: number, offset: number, size: number): void => {
      starts[count] = alignDown(offset, alignment);
      ends[count] = alignUp(offset + size, alignment);
      slots[count++] = slot;
    };
    for (let slot = table.nextLive(-1); slot >= 0; slot = table.nextLive(slot)) {
      const size = table.size(slot);
      if (size > 0) push(slot, table.offset(slot), size);
    }
    for (const chunk of chunks) push(-1, chunk.offset, chunkLength(chunk.count, alignment));
    for (const { slot, reason, offset = 0, size = 0 } of reserved)
      if (reason === 'truncated') push(slot, offset, size);
    const claims = count;
    for (const { slot, reason, offset = 0, size = 0 } of reserved)
      if (reason !== 'truncated') push(slot, offset, size);
    return { starts: starts.subarray(0, count), ends: ends.subarray(0, count), slots, claims };
  }

  #overlap(slot: number, overlaps: number): void {
    if (slot < 0 || this.table.state(slot) !== SlotState.live) return;
    this.table.quarantine(slot);
    this.#quarantined.push({
      slot,
      reason: 'overlap',
      generation: this.table.generation(slot),
      isLive: true,
      offset: this.table.offset(slot),
      size: this.table.size(slot),
      overlaps,
    });
  }

  #expectUnread(slotFrom: number, count: number): void {
    const isWhole = Number.isInteger(count) && slotFrom >= 0 && slotFrom + count <= this.table.slots;
    const isUnread = (slot: number): boolean => this.table.state(slot) === SlotState.unread;
    if (isWhole && (count === 0 || (isUnread(slotFrom) && isUnread(slotFrom + count - 1)))) return;
    throw new BedrockError('INTERNAL', `recovery was fed ${count} descriptors from slot ${slotFrom} on`);
  }
}
