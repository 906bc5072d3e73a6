/**
 * Free descriptors for slots whose regions lived and were erased in another pool: with the generation that the ID had there, so that
 * the next region of the slot comes after it.
 *
 * Written over free descriptors only, 64 bytes each, one write for neighbours. A crash leaves each of them with the old generation or
 * the new one: word 0 is what counts of a free descriptor, and it arrives as a whole.
 */
import type { RegionId } from '../contract/region-id.js';
import { idTaken } from '../targets/importable-target.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { DESCRIPTOR_BYTES, encodeWordZero, MAX_GENERATION } from './descriptor.js';
import type { PoolId } from './extent.js';

export interface ErasedSlot {
  readonly slot: number;
  /** That of the last region it had. */
  readonly generation: number;
}

/**
 * The slots that have to change for these IDs never to be given out, in order. A generation beyond those of a pool retires its slot.
 * @throws ID_TAKEN if a slot is in use with the generation of its ID, or with an earlier one
 */
export function erasedSlots(ids: readonly RegionId[], table: SlotTable): ErasedSlot[] {
  const generations = new Map<number, number>();
  for (const id of ids) {
    const { slot } = id;
    const generation = Math.min(id.generation, MAX_GENERATION);
    const state = table.state(slot);
    if (state === SlotState.retired || state === SlotState.quarantined) continue;
    const ahead = generation - table.generation(slot);
    const isInUse = state === SlotState.live || state === SlotState.taken;
    if (ahead > 0 ? state !== SlotState.free : ahead === 0 && isInUse) throw idTaken(id);
    if (ahead > 0) generations.set(slot, Math.max(generation, generations.get(slot) ?? 0));
  }
  return [...generations]
    .map(([slot, generation]) => ({ slot, generation }))
    .sort((one, other) => one.slot - other.slot);
}

/** Their descriptors. @param placeOf where that of a slot stands in the pool */
export function erasedDescriptors(
  slots: readonly ErasedSlot[],
  pool: PoolId,
  placeOf: (slot: number) => number,
): { offset: number; bytes: Uint8Array }[] {
  const runs: { offset: number; slots: ErasedSlot[] }[] = [];
  for (const erased of slots) {
    const offset = placeOf(erased.slot);
    const run = runs.at(-1);
    if (run !== undefined && run.offset + run.slots.length * DESCRIPTOR_BYTES === offset)
      run.slots.push(erased);
    else runs.push({ offset, slots: [erased] });
  }
  return runs.map((run) => {
    const bytes = new Uint8Array(run.slots.length * DESCRIPTOR_BYTES);
    for (const [index, { slot, generation }] of run.slots.entries())
      encodeWordZero(bytes, index * DESCRIPTOR_BYTES, slot, pool, generation, false);
    return { offset: run.offset, bytes };
  });
}
