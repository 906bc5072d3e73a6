/**
 * The rules for names of regions, for `put`, `rename`, `erase` and a creation with a name, with any
 * backend. The backend makes each change in one step, by its hooks. This class decides whether a
 * change may be made, and makes changes of one name run one after another.
 *
 * A change holds the lock of each name that it gives or takes, and of the region that it changes.
 * The key of a region is its name, or its ID if it has none. A change that removes a name holds
 * both. Calls that only read need no lock: they see one region or the other, in the step in which
 * they look. Nobody waits for a lock with a region pinned.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import { holding } from './holding.js';
import type { Eventually } from './lifecycle.js';
import { NameLocks, type Release } from './name-locks.js';
import type { NamedStore } from './named-store.js';
import type { ListedRegion, Region } from './region.js';

/** A name that a new region shall have. */
export interface NameWish {
  readonly name: string;
  /** Which region may have it until then; any by default. */
  readonly if: 'absent' | RegionId | undefined;
  /** With an ID: how often that region may have been changed in place; any number by default. */
  readonly changes?: number | undefined;
}

export class NamedRegions<R extends Region> {
  readonly locks = new NameLocks();

  constructor(private readonly store: NamedStore<R>) {}

  /**
   * Refuses a wish that cannot be granted now.
   * @throws NAME_TAKEN, CONDITION_FAILED
   */
  check({ name, if: condition, changes }: NameWish): R | undefined {
    const holder = this.store.lookUpName(name);
    if (condition === 'absent' && holder !== undefined) throw nameTaken(name, holder);
    if (condition instanceof RegionId && holder?.id.equals(condition) !== true)
      throw conditionFailed(name, condition, holder);
    if (changes !== undefined && holder !== undefined && this.store.changesOf(holder.id) !== changes)
      throw contentsChanged(holder.id);
    return holder;
  }

  /** Publishes a region under its wished name. @throws NAME_TAKEN, CONDITION_FAILED, what the hook throws */
  async publish(region: R, wish: NameWish): Promise<void> {
    const { store } = this;
    const { name } = wish;
    const release = await this.locks.acquire([name]);
    try {
      const replaced = this.check(wish);
      const publish = (): Eventually<void> => store.publish(region, { name, replaced });
      if (replaced === undefined || wish.changes === undefined)
        return await this.#replacing(replaced, publish);
      // Nobody writes to the region in place from the last look until it is replaced.
      await this.#replacing(replaced, () =>
        holding(new Set([replaced]), () => {
          this.check(wish);
          return publish();
        }),
      );
    } finally {
      release();
    }
  }

  /**
   * Like `publish`, if nobody holds the lock of the name, and, for a wish with `changes`, no call
   * is in flight on the region that has it. One step if the hook is synchronous.
   */
  publishNow(region: R, wish: NameWish): Eventually<void> {
    const { store } = this;
    const { name } = wish;
    const replaced = this.check(wish);
    if (replaced !== undefined) store.pin(replaced);
    let published: Eventually<void>;
    try {
      published = store.publish(region, { name, replaced });
    } catch (error) {
      if (replaced !== undefined) store.unpin(replaced);
      throw error;
    }
    if (published !== undefined) return this.#published(wish, replaced, published);
    if (replaced !== undefined) store.retire(replaced);
  }

  async #published(
    { name, changes }: NameWish,
    replaced: R | undefined,
    published: Promise<void>,
  ): Promise<void> {
    // Safe: the lock is granted at once, since nobody held it, and nothing else has run since that check.
    const release = this.locks.acquire([name]) as Release;
    try {
      if (replaced === undefined || changes === undefined) await published;
      else await holding(new Set([replaced]), () => published);
      if (replaced !== undefined) this.store.retire(replaced);
    } catch (error) {
      if (replaced !== undefined) this.store.unpin(replaced);
      throw error;
    } finally {
      release();
    }
  }

  /** `Target.rename`, its arguments checked. @throws REGION_NOT_FOUND, NAME_TAKEN, what the hook throws */
  async rename(ref: RegionRef, name: string | undefined, mayReplace: boolean): Promise<void> {
    const { store } = this;
    const release = await this.#lockWith(ref, (region) => name ?? region.id.toString());
    try {
      // Looked up only now: the object of a region that is not pinned must not be kept over a wait.
      const region = store.regionOf(ref);
      if (store.nameOf(region) === name) return;
      const replaced = name === undefined ? undefined : store.lookUpName(name);
      if (replaced !== undefined && !mayReplace) throw nameTaken(name as string, replaced);
      store.pin(region);
      try {
        await this.#replacing(replaced, () => store.renameRegion(region, name, replaced));
      } finally {
        store.unpin(region);
      }
    } finally {
      release();
    }
  }

  /**
   * Keeps others from renaming or ending a region until the lock is released.
   * @returns nothing if no lock is needed: it has no name, and nobody is about to change it
   * @throws REGION_NOT_FOUND
   */
  lock(ref: RegionRef): Eventually<Release | undefined> {
    const region = this.store.regionOf(ref);
    const name = this.store.nameOf(region);
    if (name === undefined && (this.locks.isIdle || !this.locks.isHeld(region.id.toString())))
      return undefined;
    return this.#lockWith(ref);
  }

  /** The key of a region in the locks. */
  keyOf(region: ListedRegion): string {
    return this.store.nameOf(region) ?? region.id.toString();
  }

  /**
   * Locks a region. Until the release, the reference means the same region.
   * @param beside the key that the region will have
   */
  async #lockWith(ref: RegionRef, beside: (region: R) => string = this.keyOf.bind(this)): Promise<Release> {
    const keysNow = (): Set<string> => {
      const region = this.store.regionOf(ref);
      return new Set([this.keyOf(region), beside(region)]);
    };
    for (;;) {
      const keys = keysNow();
      const release = await this.locks.acquire([...keys]);
      try {
        // During the wait the region may have got another name, and the name another region.
        if ([...keysNow()].every((key) => keys.has(key))) return release;
      } catch (error) {
        release();
        throw error;
      }
      release();
    }
  }

  /** Runs a step that ends a region. The region stays in place until then. */
  async #replacing(replaced: R | undefined, step: () => Eventually<void>): Promise<void> {
    if (replaced === undefined) return step();
    this.store.pin(replaced);
    try {
      await step();
    } catch (error) {
      this.store.unpin(replaced);
      throw error;
    }
    this.store.retire(replaced);
  }
}

/** The error for a name that another region has. */
export function nameTaken(name: string, { id }: ListedRegion): BedrockError {
  return new BedrockError(
    'NAME_TAKEN',
    `region ${id.toString()} already has the name ${JSON.stringify(name)}; put or rename with replace takes it over`,
    { details: { name, id: id.toString() } },
  );
}

/** The error for a change that depends on bytes which are not the same any more. */
export function contentsChanged(id: RegionId): BedrockError {
  return new BedrockError(
    'CONDITION_FAILED',
    `the bytes of region ${id.toString()} were changed since they were read; nothing was done`,
    { details: { id: id.toString() } },
  );
}

/**
 * The error for a change whose condition does not hold.
 * @param expected null: no region shall have the name
 */
export function conditionFailed(
  name: string,
  expected: RegionId | null,
  holder: ListedRegion | undefined,
): BedrockError {
  const shown = (id: RegionId | undefined | null): string => id?.toString() ?? 'no region';
  return new BedrockError(
    'CONDITION_FAILED',
    `the name ${JSON.stringify(name)} is expected to be that of ${shown(expected)}, but ${shown(holder?.id)} has it; nothing was done`,
    { details: { name, expected: expected?.toString() ?? null, id: holder?.id.toString() ?? null } },
  );
}
