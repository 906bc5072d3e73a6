/**
 * The slots in which this daemon may make regions. It claims some at a time in the catalog, so that
 * no two daemons make objects of the same names, and keeps those whose regions it has erased.
 *
 * In a slot that it has claimed, the daemon makes the region of the next generation. While the
 * catalog has the claim unchanged, nobody else touches the objects of that region, even if this
 * daemon is taken for dead meanwhile. Whoever takes a slot over from a daemon that has ended passes
 * over that generation.
 */
import { BedrockError } from '../../core/index.js';
import type { Catalog } from './catalog.js';
import {
  epochOfKey,
  keyOfParts,
  KINDS,
  partsOf,
  slotKey,
  type Vacancy,
  vacancyOf,
  vacantValue,
} from './catalog-entries.js';

/** Slots that are claimed at a time. */
const CLAIM = 128;
const MAX_GENERATION = 0xffff_ffff;
const MAX_SLOTS = 2 ** 32;
const MOST_TRIES = 100;

export class Slots {
  #free: Vacancy[] = [];
  /** Slots in which a region is being made, or imported. */
  readonly #busy = new Set<number>();
  #claiming: Promise<void> | undefined;
  /** Where the search for slots of daemons that ended goes on. */
  #searched = Buffer.alloc(0);

  constructor(private readonly catalog: Catalog) {}

  /** A slot to make a region in. @throws OVERLOADED, OUT_OF_SPACE */
  async take(): Promise<Vacancy> {
    for (;;) {
      const vacancy = this.#free.pop();
      if (vacancy !== undefined && !this.#busy.has(vacancy.slot)) {
        this.#busy.add(vacancy.slot);
        return vacancy;
      }
      if (vacancy !== undefined) continue;
      this.#claiming ??= this.#claim().finally(() => (this.#claiming = undefined));
      await this.#claiming;
    }
  }

  /** Ends what `take` or `reserve` has begun. */
  leave({ slot }: Pick<Vacancy, 'slot'>): void {
    this.#busy.delete(slot);
  }

  /** Takes a slot that may be anybody's. @returns false if a region is being made in it here */
  reserve(slot: number): boolean {
    if (this.#busy.has(slot)) return false;
    this.#free = this.#free.filter((vacancy) => vacancy.slot !== slot);
    this.#busy.add(slot);
    return true;
  }

  /** Takes back a slot whose claim is in the catalog, and nothing was made there since. */
  give(vacancy: Vacancy): void {
    if (vacancy.generation < MAX_GENERATION) this.#free.push(vacancy);
  }

  /** All claims are void: others know of none. */
  forget(): void {
    this.#free = [];
  }

  /** What the catalog is told of the slot of a region that is erased: this daemon may use it again. */
  vacated(key: string): Vacancy {
    const { slot, generation } = partsOf(key);
    return { slot, generation, epoch: this.catalog.epoch };
  }

  /** Gives up a generation of which there may be objects. */
  async retire(vacancy: Vacancy): Promise<void> {
    const { slot, generation } = vacancy;
    const next = { slot, generation: generation + 1, epoch: this.catalog.epoch };
    const key = slotKey('x', slot);
    const isMade = await this.catalog.change({
      expect: new Map([[key, vacantValue(vacancy)]]),
      set: new Map([[key, vacantValue(next)]]),
    });
    if (isMade) this.give(next);
  }

  async #claim(): Promise<void> {
    for (let tries = 0; this.#free.length === 0; tries++) {
      if (tries === MOST_TRIES)
        throw new BedrockError('OVERLOADED', 'other daemons took all slots that were found; try again');
      if (!(await this.#claimLeft())) await this.#claimNew();
    }
  }

  /** Claims slots of daemons that have ended. @returns whether it has some */
  async #claimLeft(): Promise<boolean> {
    const { entries, more } = await this.catalog.page(KINDS.vacant, this.#searched, 1000);
    this.#searched = Buffer.from(more ? (entries.at(-1)?.[0] ?? '') : '');
    if (entries.length === 0) return false;
    const live = new Set([...(await this.catalog.all(KINDS.count)).keys()].map(epochOfKey));
    const left = entries
      .map(([key, value]) => vacancyOf(key, value))
      // An epoch that has ended never comes back.
      .filter(({ epoch, generation }) => !live.has(epoch) && generation < MAX_GENERATION - 1)
      .slice(0, CLAIM);
    return this.#take(
      left,
      left.map((vacancy) => ({ ...vacancy, generation: vacancy.generation + 1 })),
    );
  }

  /** Claims slots that nobody has had. */
  async #claimNew(): Promise<void> {
    const text = await this.catalog.value(KINDS.slots);
    const first = Number(text ?? 0);
    const behind = Math.min(first + CLAIM, MAX_SLOTS);
    if (first === behind) throw new BedrockError('OUT_OF_SPACE', 'all slots of the namespace are in use');
    const slots = Array.from({ length: behind - first }, (_, at) => first + at);
    // Some may have been imported.
    const there = await this.catalog.get(slots.flatMap((slot) => [slotKey('i', slot), slotKey('x', slot)]));
    const free = slots
      .filter((slot) => !there.has(slotKey('i', slot)) && !there.has(slotKey('x', slot)))
      .map((slot) => ({ slot, generation: 0, epoch: 0 }));
    await this.#take(
      free.map(({ slot }) => ({ slot })),
      free,
      [[KINDS.slots, text, String(behind)]],
    );
  }

  /** @param found the slots as they are; without a generation: not in the catalog */
  async #take(
    found: readonly (Pick<Vacancy, 'slot'> & Partial<Vacancy>)[],
    claimed: readonly Vacancy[],
    more: readonly (readonly [key: string, before: string | undefined, after: string])[] = [],
  ): Promise<boolean> {
    if (claimed.length === 0 && more.length === 0) return false;
    const { epoch } = this.catalog;
    const mine = claimed.map((vacancy) => ({ ...vacancy, epoch }));
    const expect = new Map<string, string | undefined>(more.map(([key, before]) => [key, before]));
    for (const { slot, generation, epoch: of = 0 } of found) {
      const value = generation === undefined ? undefined : vacantValue({ generation, epoch: of });
      expect.set(slotKey('x', slot), value);
      if (value === undefined) expect.set(slotKey('i', slot), undefined);
    }
    const set = new Map(more.map(([key, , after]) => [key, after]));
    for (const vacancy of mine) set.set(slotKey('x', vacancy.slot), vacantValue(vacancy));
    if (!(await this.catalog.change({ expect, set }))) return false;
    // The last one is taken first.
    this.#free.push(...mine.toReversed());
    return true;
  }
}

/** The region that is made in a slot. */
export function keyIn({ slot, generation }: Vacancy): string {
  return keyOfParts(slot, generation + 1);
}
