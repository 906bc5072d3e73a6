/** Finds the changes of a table for IDs that were erased elsewhere. */
import type { RegionId } from '../contract/region-id.js';
import { idTaken } from './importable-target.js';
import { SlotState, type SlotTable } from './slot-table.js';

export interface ErasedSlot {
  readonly slot: number;
  /** The generation of the slot's last region. */
  readonly generation: number;
}

/**
 * The slots to change, in order, so that these IDs are never given out. A generation above the
 * table's maximum retires its slot.
 * @throws ID_TAKEN if a slot is in use with the generation of its ID or an earlier one, or had an
 *   earlier one before it was taken for a region that is being made
 */
export function erasedSlots(ids: readonly RegionId[], table: SlotTable): ErasedSlot[] {
  const generations = new Map<number, number>();
  for (const id of ids) {
    const { slot } = id;
    const generation = Math.min(id.generation, table.maxGeneration);
    const state = table.state(slot);
    if (state === SlotState.retired || state === SlotState.quarantined) continue;
    // The generation of a taken slot does not count yet: the slot may be given back with the
    // generation before.
    const last = state === SlotState.taken ? table.lastErased(slot) : table.generation(slot);
    const ahead = generation - last;
    if (ahead > 0 ? state !== SlotState.free : ahead === 0 && state === SlotState.live) throw idTaken(id);
    if (ahead > 0) generations.set(slot, Math.max(generation, generations.get(slot) ?? 0));
  }
  return [...generations]
    .map(([slot, generation]) => ({ slot, generation }))
    .sort((one, other) => one.slot - other.slot);
}
