/**
 * Recovery: from the header and the bytes of the descriptor chunks to the table of slots and the
 * free extents. It has no input or output of its own: the caller reads the medium, and feeds the
 * bytes in pieces, in any order.
 *
 * | found | becomes |
 * |---|---|
 * | a free descriptor | a free slot, or a retired one if it has the last generation |
 * | a live one whose extent is in the pool, aligned, and claimed by no other | a region |
 * | anything else | a quarantined slot; its extent stays reserved if it can be one |
 *
 * Damage costs no other region. The extent in a damaged descriptor is kept out of the free space,
 * but takes nothing from a valid region. If two valid descriptors claim the same bytes, one of them
 * is wrong, and nothing tells which. So neither is served. A descriptor that cannot be read now may
 * be readable tomorrow, and then claims its bytes. So there is no free space until it has been
 * overwritten.
 *
 * What recovery finds may be in a cache only. Before anything that builds on it is served or
 * written, the caller ends with a barrier over headers and chunks, whether it has written or not.
 * Otherwise a power failure could undo an erase that was trusted.
 */
import { BedrockError } from '../base/errors.js';
import { SlotState, SlotTable } from '../targets/slot-table.js';
import { chunkLength, slotsOf } from './chunk-directory.js';
import { decodeDescriptor, DESCRIPTOR_BYTES, DescriptorFields, MAX_GENERATION } from './descriptor.js';
import { orderByOffset } from '../base/offset-order.js';
import { alignDown, alignUp, extentFault, firstExtentOffset } from './extent.js';
import { FreeExtents } from './free-extents.js';
import { hasNames, type PoolHeader } from './header.js';
import { extentOfName, isNamePossible, NamedSlots } from './named-slots.js';
import { type QuarantineReason, QuarantinedSlots } from './quarantine.js';

export interface RecoveryResult {
  /** Live regions. */
  readonly regions: number;
  /** Bytes of live regions. */
  readonly bytes: number;
  readonly quarantined: QuarantinedSlots;
  /**
   * Space that no region, chunk, header or reserved extent covers, in the order of offsets, with
   * neighbours joined. Empty if a descriptor could not be read: its extent may be anywhere.
   */
  readonly free: FreeExtents;
  /**
   * Whether a valid descriptor has an extent beyond freshFrom, where nothing was ever written. Then
   * both header copies are older than it, as in a restored backup, and no free space is known to be
   * zeros.
   */
  readonly isHeaderOld: boolean;
  /** The names in descriptors, still to be read (name-recovery.ts). */
  readonly names: NamedSlots;
  /** Slots of live regions with impossible name fields in their descriptors, in the order of feeding. */
  readonly impossibleNames: readonly number[];
}

export class Recovery {
  /** Filled step by step; complete after `finish`. */
  readonly table = new SlotTable(MAX_GENERATION);
  readonly #header: PoolHeader;
  readonly #poolSize: number;
  readonly #quarantined = new QuarantinedSlots(this.table);
  readonly #fields = new DescriptorFields();
  readonly #names = new NamedSlots();
  readonly #impossibleNames: number[] = [];
  readonly #hasNames: boolean;
  #isHeaderOld = false;

  /** @param fileSize bytes of the medium; what is beyond is not served, and nothing is placed there */
  constructor(header: PoolHeader, fileSize: number) {
    this.#header = header;
    this.#poolSize = Math.min(header.capacity, fileSize);
    this.#hasNames = hasNames(header);
    this.table.addUnreadSlots(slotsOf(header.chunks));
  }

  /**
   * Adds descriptors.
   * @param bytes the descriptors of the slots from `slotFrom` on; each slot once
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

  /**
   * Reports that the descriptors of these slots cannot be read. Slots that are never fed count as
   * unreadable too.
   */
  unreadable(slotFrom: number, count: number): void {
    this.#expectUnread(slotFrom, count);
    for (let slot = slotFrom; slot < slotFrom + count; slot++) this.#quarantine(slot, 'unreadable');
  }

  /**
   * Ends recovery: finds overlaps and the free space.
   * @param options.unreadableAreLost the caller has overwritten the unreadable descriptors with
   *   retired ones, followed by a barrier, so that they never claim anything again. Then the free
   *   space is what the others leave
   */
  finish(options: { readonly unreadableAreLost?: boolean } = {}): RecoveryResult {
    const { table } = this;
    if (table.count(SlotState.unread) > 0)
      for (let slot = 0; slot < table.slots; slot++)
        if (table.state(slot) === SlotState.unread) this.#quarantine(slot, 'unreadable');
    const hidesExtents = this.#quarantined.has('unreadable');
    const swept = this.#sweep();
    const free = hidesExtents && options.unreadableAreLost !== true ? new FreeExtents(0) : swept;
    return {
      regions: table.live,
      bytes: table.liveBytes,
      quarantined: this.#quarantined,
      free,
      isHeaderOld: this.#isHeaderOld,
      names: this.#names,
      impossibleNames: this.#impossibleNames,
    };
  }

  #takeRegion(slot: number, fields: DescriptorFields): void {
    const { generation, offset, size, createdAt } = fields;
    this.table.setLive(slot, generation, offset, size, createdAt);
    if (this.#hasNames && fields.nameLength > 0) this.#takeName(slot, fields);
    if (size === 0) return;
    if (offset + size > this.#header.freshFrom) this.#isHeaderOld = true;
    const fault = extentFault(this.#header, offset, size);
    if (fault !== undefined) this.#quarantine(slot, fault, fields);
    else if (offset + size > this.#poolSize) this.#quarantine(slot, 'truncated', fields);
  }

  /** Also for a region that is set aside: the bytes of its name stay reserved like the others. */
  #takeName(slot: number, fields: DescriptorFields): void {
    if (!isNamePossible(this.#header, fields)) {
      this.#impossibleNames.push(slot);
      return;
    }
    this.#names.add(slot, fields);
    if (fields.nameOffset + fields.nameLength > this.#header.freshFrom) this.#isHeaderOld = true;
  }

  #quarantine(slot: number, reason: QuarantineReason, fields?: DescriptorFields): void {
    const isExtent =
      fields !== undefined &&
      fields.size > 0 &&
      extentFault(this.#header, fields.offset, fields.size) !== 'outside';
    this.#quarantined.add(slot, reason, fields, isExtent);
  }

  /**
   * Goes through all extents in the order of offsets. An extent that begins before the end of the
   * previous claims overlaps one of them, and so does the extent that began the stretch. So a
   * stretch of more than one is quarantined as a whole. For each, one overlapping extent is
   * recorded: the one that extends farthest so far. For that one, the first that meets it is
   * recorded.
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
    for (let rank = 0; rank < order.length; rank++) {
      const index = order[rank] as number;
      const from = (units[rank] as number) * alignment;
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

  /**
   * The regions, then the other claims, then reserved extents. A chunk has slot -1, as have an area
   * of the journal and the log.
   */
  #collect(): { starts: Float64Array; ends: Float64Array; slots: Int32Array; claims: number } {
    const { table } = this;
    const { alignment, chunks, journal, log } = this.#header;
    const quarantined = this.#quarantined;
    const names = this.#names;
    const length = table.live + chunks.length + 3 + quarantined.extents + names.length;
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
    for (const offset of journal?.offsets ?? []) push(-1, offset, journal?.length ?? 0);
    if (log !== undefined) push(-1, log.offset, log.length);
    const pushNames = (state: SlotState): void => {
      for (let index = 0; index < names.length; index++) {
        const slot = names.slotAt(index);
        if (table.state(slot) !== state) continue;
        const place = names.offsetAt(index);
        const taken = extentOfName(
          table.offset(slot),
          table.size(slot),
          place,
          names.lengthAt(index),
          alignment,
        );
        if (taken.length > 0) push(slot, taken.offset, taken.length);
      }
    };
    pushNames(SlotState.live);
    for (const slot of quarantined.slotsOfExtents(true)) push(slot, table.offset(slot), table.size(slot));
    const claims = count;
    pushNames(SlotState.quarantined);
    for (const slot of quarantined.slotsOfExtents(false)) push(slot, table.offset(slot), table.size(slot));
    return { starts: starts.subarray(0, count), ends: ends.subarray(0, count), slots, claims };
  }

  #overlap(slot: number, overlaps: number): void {
    if (slot >= 0 && this.table.state(slot) === SlotState.live) this.#quarantined.addOverlap(slot, overlaps);
  }

  #expectUnread(slotFrom: number, count: number): void {
    const isWhole = Number.isInteger(count) && slotFrom >= 0 && slotFrom + count <= this.table.slots;
    const isUnread = (slot: number): boolean => this.table.state(slot) === SlotState.unread;
    if (isWhole && (count === 0 || (isUnread(slotFrom) && isUnread(slotFrom + count - 1)))) return;
    throw new BedrockError('INTERNAL', `recovery was fed ${count} descriptors from slot ${slotFrom} on`);
  }
}
