/**
 * Free descriptors for slots whose regions lived and were erased in another pool. They have the
 * generation of the ID there, so that the slot's next region comes after it.
 *
 * They are written only over free descriptors, 64 bytes each, with one write for neighbours. A
 * crash leaves each with the old or the new generation: only word 0 of a free descriptor counts,
 * and it is stored atomically.
 */
import type { ErasedSlot } from '../targets/erased-slots.js';
import { DESCRIPTOR_BYTES, encodeWordZero } from './descriptor.js';
import type { PoolId } from './extent.js';

/** The descriptors for such slots. @param offsetOf gives the offset of a slot's descriptor in the pool */
export function erasedDescriptors(
  slots: readonly ErasedSlot[],
  pool: PoolId,
  offsetOf: (slot: number) => number,
): { offset: number; bytes: Uint8Array }[] {
  const runs: { offset: number; slots: ErasedSlot[] }[] = [];
  for (const erased of slots) {
    const offset = offsetOf(erased.slot);
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
