/**
 * New regions. A region is made in this order: further stripes, first stripe, entry in the catalog.
 * The entry is what counts: after a crash the region is there, whole, or it is not.
 *
 * It is made in a slot that this daemon has claimed (slots.ts). If another daemon has taken the slot
 * over, because it took this one for dead, the region is made again in another slot.
 */
import {
  BedrockError,
  explain,
  type Logger,
  type PutOptions,
  type RegionId,
  type RegionSource,
} from '../../core/index.js';
import { isUnsure, type Outcome } from './catalog.js';
import {
  idOf,
  namedOf,
  namedValue,
  nameKey,
  regionKey,
  regionValue,
  slotKey,
  type Vacancy,
  vacantValue,
} from './catalog-entries.js';
import type { Changes, Plan } from './changes.js';
import { fillRegion, type Progress } from './fill-region.js';
import { keyIn } from './slots.js';
import { type Storage, taken } from './storage.js';

/** How a new region is to be named. */
export interface Wish {
  readonly name?: string | undefined;
  readonly isPut?: boolean;
  readonly condition?: PutOptions['if'];
}

/** Makes the objects of a region. */
type Maker = (key: string, progress: Progress) => Promise<void>;

/** A region whose objects are there, and that nobody knows. */
interface Made {
  readonly vacancy: Vacancy;
  readonly key: string;
  readonly size: number;
  readonly progress: Progress;
}

export class Creations {
  constructor(
    private readonly storage: Storage,
    private readonly changes: Changes,
    private readonly logger: Logger,
    /** Called around the change that makes a region known. */
    private readonly changing: (change: () => Promise<RegionId | undefined>) => Promise<RegionId | undefined>,
  ) {}

  create(size: number, wish: Wish): Promise<RegionId> {
    const { regions } = this.storage;
    return this.#create(size, wish, true, async (key, progress) => {
      progress.stripes = 1;
      await regions.make({ key, size });
    });
  }

  /** @param contents as the caller gave them */
  createFilled({ size, source }: RegionSource, contents: unknown, wish: Wish): Promise<RegionId> {
    const { regions } = this.storage;
    const bytes = ArrayBuffer.isView(contents) ? (contents as Uint8Array) : undefined;
    return this.#create(size, wish, bytes !== undefined, (key, progress) =>
      fillRegion(regions, { key, size }, bytes ?? source, progress),
    );
  }

  async #create(size: number, wish: Wish, isRepeatable: boolean, make: Maker): Promise<RegionId> {
    const { slots } = this.storage;
    this.checkSize(size);
    for (;;) {
      const vacancy = await slots.take();
      const made = { vacancy, key: keyIn(vacancy), size, progress: { stripes: 0 } };
      try {
        await make(made.key, made.progress);
      } catch (error) {
        await this.#unmake(made, isUnsure(error));
        throw error;
      }
      const id = await this.changing(() => this.#publish(made, wish));
      if (id !== undefined) return id;
      if (!isRepeatable)
        throw new BedrockError(
          'OVERLOADED',
          'the region was not made: another daemon took this one for dead, and its contents cannot be read again; try again',
        );
    }
  }

  /** @throws OUT_OF_SPACE */
  checkSize(size: number): void {
    const { maxBytes } = this.storage.regions;
    if (size <= maxBytes) return;
    const text = `a region of ${size} bytes is larger than any can be here, ${maxBytes} bytes`;
    throw new BedrockError('OUT_OF_SPACE', text, { details: { requested: size, largest: maxBytes } });
  }

  /** Removes what was made of a region that nobody knows. @param mayAppear whether more of it may appear later */
  async #unmake({ vacancy, key, progress }: Made, mayAppear: boolean): Promise<void> {
    const { regions, slots, catalog, within } = this.storage;
    let isClean = !mayAppear;
    try {
      await regions.removeMade(key, progress.stripes);
    } catch (error) {
      this.logger.warning(`clearing up after a failed creation: ${explain(error)}`);
      catalog.hasLeftovers = true;
      isClean = false;
    }
    slots.leave(vacancy);
    if (isClean) slots.give(vacancy);
    else within(() => slots.retire(vacancy));
  }

  /**
   * Makes a region known whose objects are there. If that fails, they are removed, as soon as it is
   * certain that nobody knows it.
   * @returns undefined if another daemon has taken the slot over
   */
  async #publish(made: Made, { name, isPut = false, condition }: Wish): Promise<RegionId | undefined> {
    const { catalog, slots, within, now, changed } = this.storage;
    const { vacancy, key, size } = made;
    const { poolId } = catalog.settings;
    const entry = { key, size, createdAt: now(), ...(name !== undefined && { name }) };
    const slot = slotKey('x', vacancy.slot);
    const claim = vacantValue(vacancy);
    const settle = (outcome: Outcome): void => {
      if (outcome === false) {
        if (!within(() => this.#unmake(made, false))) catalog.hasLeftovers = true;
      } else {
        slots.leave(vacancy);
        changed(idOf(key, poolId));
        // Nobody has its ID, unless it has a name.
        if (outcome === true && name === undefined) within(() => this.changes.erase(key));
      }
    };
    const plan = async (): Promise<Plan | undefined> => {
      const set = new Map([[regionKey(key), regionValue(entry)]]);
      const expect = new Map<string, string | undefined>([[slot, claim]]);
      if (name === undefined) return { change: { expect, set, remove: [slot], regions: 1, bytes: size } };
      const named = nameKey(name);
      const value = (await catalog.get([named])).get(named);
      const old = value === undefined ? undefined : namedOf(named, value);
      if (old !== undefined && (!isPut || condition === 'absent')) throw taken(name);
      if (
        condition !== undefined &&
        condition !== 'absent' &&
        (old === undefined || !idOf(old.key, poolId).equals(condition))
      )
        throw new BedrockError(
          'CONDITION_FAILED',
          `the name ${JSON.stringify(name)} has not the region that is expected`,
        );
      set.set(named, namedValue(entry));
      expect.set(named, value);
      const { erasure, ...more } = this.changes.erasing(set, old, { regions: 1, bytes: size });
      return { erasure, change: { expect, set, ...more, remove: [...more.remove, slot] } };
    };
    let attempts = 0;
    const isMade = await this.changes.make(async () => {
      // Something was not as expected.
      if (attempts++ > 0 && (await catalog.value(slot)) !== claim) return undefined;
      return plan();
    }, settle);
    if (!isMade) {
      await this.#unmake(made, true);
      return undefined;
    }
    slots.leave(vacancy);
    const id = idOf(key, poolId);
    changed(id);
    return id;
  }
}
