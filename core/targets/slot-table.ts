/**
 * A table of slots, for targets that keep a row of numbers for each region instead of an object. A
 * row holds what is known of the slot's region, and what is being done with it. It is in memory
 * only; a pool rebuilds it from its descriptors at start.
 *
 *     unread -> free -> taken -> live -> erasing -> free
 *        |       |  <- giveBack               (retired, if its generations are used up)
 *        +-> live, quarantined, retired
 *
 * The arrays by slot are in slabs, 29 bytes for each slot, and two bits in sets. Growing moves
 * nothing. Looking up an ID is a few array reads. The lowest free slot is taken first, which keeps
 * live descriptors together. A call in the wrong state gets INTERNAL: otherwise one ID might name
 * two regions.
 */
import { BedrockError } from '../base/errors.js';
import { nextGeneration } from './generation-step.js';
import { SlotSet } from './slot-set.js';

export const SlotState = {
  /** Its descriptor has not been read yet, or there is no such slot. */
  unread: 0,
  free: 1,
  /** A region is being created in it. None of its IDs was given out. */
  taken: 2,
  live: 3,
  /** Its ID is refused. The erase is not durable yet, or operations on the region are still in flight. */
  erasing: 4,
  /** Its descriptor cannot be trusted, or claims the same as another one. Never used again until repaired. */
  quarantined: 5,
  /** Free, but with no generation left for another region. */
  retired: 6,
} as const;

export type SlotState = (typeof SlotState)[keyof typeof SlotState];

const SLAB_BITS = 10;
const SLAB_SLOTS = 2 ** SLAB_BITS;

class Slab {
  readonly offset = new Float64Array(SLAB_SLOTS);
  readonly size = new Float64Array(SLAB_SLOTS);
  /** While a slot is taken: its previous generation. */
  readonly createdAt = new Float64Array(SLAB_SLOTS);
  readonly generation = new Uint32Array(SLAB_SLOTS);
  readonly state = new Uint8Array(SLAB_SLOTS);
}

export class SlotTable {
  /**
   * A slab is made when the first of its slots leaves `unread`. There may be millions of slots that
   * an earlier run used up.
   */
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #free = new SlotSet();
  readonly #live = new SlotSet();
  /** Slots in each state. */
  readonly #counts = new Uint32Array(7);
  #slots = 0;
  #liveBytes = 0;
  /** No free slot is below it. */
  #lowestFree = 0;

  /**
   * @param maxGeneration the last generation of an ID: a slot whose region had it is never used again
   * @param step gives the generation after a slot's last one, at most `most`
   */
  constructor(
    readonly maxGeneration: number,
    private readonly step: (last: number, most: number) => number = nextGeneration,
  ) {}

  /** Slots in the table, whatever their state: 0 to `slots - 1`. */
  get slots(): number {
    return this.#slots;
  }

  /** Live regions. */
  get live(): number {
    return this.count(SlotState.live);
  }

  /** Bytes of live regions, by their sizes, without alignment. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** How many slots are in a state. */
  count(state: SlotState): number {
    return this.#counts[state] as number;
  }

  /** Adds the free slots of a new chunk. */
  addSlots(count: number): void {
    const first = this.#slots;
    this.addUnreadSlots(count);
    for (let slot = first; slot < first + count; slot++) this.setFree(slot, 0);
  }

  /** Adds the slots of a chunk whose descriptors have not been read yet. */
  addUnreadSlots(count: number): void {
    this.#slots += count;
    this.#counts[SlotState.unread] = this.count(SlotState.unread) + count;
    while (this.#slabs.length * SLAB_SLOTS < this.#slots) this.#slabs.push(undefined);
    this.#free.reserve(this.#slots);
    this.#live.reserve(this.#slots);
  }

  /** Whether an ID of this pool names a live region. Accepts any two 32-bit words. */
  isLive(slot: number, generation: number): boolean {
    const slab = this.#slabs[slot >>> SLAB_BITS];
    const index = slot & (SLAB_SLOTS - 1);
    return slab?.state[index] === SlotState.live && slab.generation[index] === generation;
  }

  /** The state of a slot. A slot that the table does not have is `unread`. */
  state(slot: number): SlotState {
    return (this.#slabs[slot >>> SLAB_BITS]?.state[slot & (SLAB_SLOTS - 1)] ?? 0) as SlotState;
  }

  /** For a free slot, its last generation; for a taken slot, the generation of the region to come. */
  generation(slot: number): number {
    return this.#slabOf(slot).generation[slot & (SLAB_SLOTS - 1)] as number;
  }

  /**
   * Where the region's bytes are, such as the start of its extent. It stays until the slot is live
   * again, as size and creation time do.
   */
  offset(slot: number): number {
    return this.#slabOf(slot).offset[slot & (SLAB_SLOTS - 1)] as number;
  }

  size(slot: number): number {
    return this.#slabOf(slot).size[slot & (SLAB_SLOTS - 1)] as number;
  }

  createdAt(slot: number): number {
    return this.#slabOf(slot).createdAt[slot & (SLAB_SLOTS - 1)] as number;
  }

  /**
   * Takes the lowest free slot, with its next generation; -1 if no slot is free. Follow it with
   * `setLive`, or with `giveBack` if nothing was published.
   */
  takeFree(): number {
    const slot = this.#free.next(this.#lowestFree);
    if (slot < 0) return -1;
    this.#lowestFree = slot + 1;
    this.#take(slot, this.step(this.generation(slot), this.maxGeneration));
    return slot;
  }

  /**
   * Takes a given slot with a given generation, for a region that comes with its ID.
   * @returns false if the slot is not free, or has already had that generation
   */
  take(slot: number, generation: number): boolean {
    if (this.state(slot) !== SlotState.free) return false;
    if (generation <= this.generation(slot) || generation > this.maxGeneration) return false;
    this.#take(slot, generation);
    return true;
  }

  /**
   * Takes a slot whose region has ended, with its next generation, as if it had been freed before:
   * its erase is durable, and nothing uses the region any more.
   */
  takeAgain(slot: number): void {
    const last = this.generation(slot);
    const isThere = this.state(slot) === SlotState.erasing && last < this.maxGeneration;
    this.#expect(slot, 'taken again', isThere);
    this.#take(slot, this.step(last, this.maxGeneration));
  }

  #take(slot: number, generation: number): void {
    this.#move(slot, SlotState.taken);
    const slab = this.#slabOf(slot);
    const index = slot & (SLAB_SLOTS - 1);
    slab.createdAt[index] = slab.generation[index] as number;
    slab.generation[index] = generation;
  }

  /**
   * Makes a taken slot free again, or retires it.
   * @param generation its last generation; by default the one before it was taken, and then no
   *   descriptor with the new generation may have reached the medium
   */
  giveBack(slot: number, generation?: number): void {
    this.#expect(slot, 'given back', this.state(slot) === SlotState.taken);
    this.#setFree(slot, generation ?? this.createdAt(slot));
  }

  /** A region is there: its descriptor was read, or the descriptor written for its taken slot is durable. */
  setLive(slot: number, generation: number, offset: number, size: number, createdAt: number): void {
    const from = this.state(slot);
    const isNext = from === SlotState.taken && this.generation(slot) === generation;
    this.#expect(slot, 'made live', from === SlotState.unread || isNext);
    const slab = this.#slabOf(slot);
    const index = slot & (SLAB_SLOTS - 1);
    slab.generation[index] = generation;
    slab.offset[index] = offset;
    slab.size[index] = size;
    slab.createdAt[index] = createdAt;
    this.#move(slot, SlotState.live);
  }

  /** The bytes of a live region have moved. */
  setOffset(slot: number, offset: number): void {
    this.#expect(slot, 'moved', this.state(slot) === SlotState.live);
    this.#slabOf(slot).offset[slot & (SLAB_SLOTS - 1)] = offset;
  }

  /** Ends the life of a region's ID. Its slot and extent stay taken until `setFree`. */
  setErasing(slot: number): void {
    this.#expect(slot, 'erased', this.state(slot) === SlotState.live);
    this.#move(slot, SlotState.erasing);
  }

  /**
   * A slot is free: its descriptor was read, or its erase is durable and nothing uses the region
   * any more. After the last generation, the slot is retired.
   */
  setFree(slot: number, generation: number): void {
    const from = this.state(slot);
    const isErased = from === SlotState.erasing || from === SlotState.live;
    const isSame = isErased && this.generation(slot) === generation;
    this.#expect(slot, 'freed', from === SlotState.unread || isSame);
    this.#setFree(slot, generation);
  }

  /**
   * Takes a slot out of use, from any state.
   * @param generation reported from now on, as are `offset` and `size`, whether true or not
   * @param note a number of the caller, stored instead of the time of creation
   */
  quarantine(slot: number, generation: number, offset: number, size: number, note: number): void {
    this.#move(slot, SlotState.quarantined);
    const slab = this.#slabOf(slot);
    const index = slot & (SLAB_SLOTS - 1);
    slab.generation[index] = generation;
    slab.offset[index] = offset;
    slab.size[index] = size;
    slab.createdAt[index] = note;
  }

  /**
   * The last generation of a slot without a region that may have been given out, or that must not
   * be; 0 if there is none.
   */
  lastErased(slot: number): number {
    switch (this.state(slot)) {
      case SlotState.free:
      case SlotState.erasing:
        return this.generation(slot);
      case SlotState.taken:
        return this.createdAt(slot);
      case SlotState.quarantined:
      case SlotState.retired:
        return this.maxGeneration;
      default:
        return 0;
    }
  }

  /** The lowest live slot above `after`; -1 if there is none. With -1, the lowest of all. */
  nextLive(after: number): number {
    return this.#live.next(after + 1);
  }

  /**
   * The lowest slot above `after` in a state other than `unread`; -1 if there is none. It checks
   * every slot on the way.
   */
  next(state: SlotState, after: number): number {
    for (let slot = after + 1; slot < this.#slots;) {
      const index = slot & (SLAB_SLOTS - 1);
      const found = this.#slabs[slot >>> SLAB_BITS]?.state.indexOf(state, index) ?? -1;
      if (found >= 0) return slot - index + found;
      slot += SLAB_SLOTS - index;
    }
    return -1;
  }

  #setFree(slot: number, generation: number): void {
    this.#slabOf(slot).generation[slot & (SLAB_SLOTS - 1)] = generation;
    this.#move(slot, generation >= this.maxGeneration ? SlotState.retired : SlotState.free);
  }

  /** Changes a state, and updates the sets and counts. */
  #move(slot: number, to: SlotState): void {
    this.#expect(slot, 'used', slot < this.#slots);
    const slab = this.#slabOf(slot);
    const index = slot & (SLAB_SLOTS - 1);
    const from = slab.state[index] as number;
    if (from === SlotState.free) this.#free.delete(slot);
    else if (from === SlotState.live) {
      this.#live.delete(slot);
      this.#liveBytes -= slab.size[index] as number;
    }
    if (to === SlotState.free) {
      this.#free.add(slot);
      if (slot < this.#lowestFree) this.#lowestFree = slot;
    } else if (to === SlotState.live) {
      this.#live.add(slot);
      this.#liveBytes += slab.size[index] as number;
    }
    slab.state[index] = to;
    (this.#counts[from] as number)--;
    (this.#counts[to] as number)++;
  }

  #slabOf(slot: number): Slab {
    const slab = this.#slabs[slot >>> SLAB_BITS];
    if (slab !== undefined) return slab;
    if (slot >= this.#slots) throw new BedrockError('INTERNAL', `there is no slot ${slot}`);
    return (this.#slabs[slot >>> SLAB_BITS] = new Slab());
  }

  #expect(slot: number, change: string, holds: boolean): void {
    if (holds) return;
    const state = Object.entries(SlotState).find(([, value]) => value === this.state(slot))?.[0] ?? '';
    throw new BedrockError('INTERNAL', `slot ${slot} is ${state} and cannot be ${change}`);
  }
}
