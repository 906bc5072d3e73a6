/**
 * Turns the changes of a transaction into its net effect. Each change is judged as if the changes
 * before it were already made. The backend gets only the result. Nothing is changed here, and
 * nothing waits.
 */
import { copyBytes } from '../base/allocation.js';
import { BedrockError } from '../base/errors.js';
import type { Change, RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import { checkRange } from './arguments.js';
import { ofChange } from './name-arguments.js';
import type { NamedStore, SeenBytes } from './named-store.js';
import { conditionFailed, contentsChanged, nameTaken } from './named-regions.js';
import type { Region } from './region.js';

/** A region that a `put` of the transaction will make. */
export interface NewRegion {
  /** The index of its change. */
  readonly change: number;
  readonly contents: Uint8Array;
  /** undefined: a later change removes its name. */
  readonly name: string | undefined;
  /** A later change erases it, so only its ID is made. */
  readonly isErased: boolean;
}

/** The net effect of a transaction. */
export interface Plan<R extends Region> {
  readonly writes: readonly {
    readonly region: R;
    readonly offset: number;
    readonly bytes: Uint8Array;
  }[];
  readonly puts: readonly NewRegion[];
  readonly renamed: readonly { readonly region: R; readonly name: string | undefined }[];
  readonly erased: readonly R[];
  /** All regions that the changes name, and those of `seen`, pinned. */
  readonly pinned: readonly R[];
  /** Regions whose bytes must not have been changed in place. */
  readonly seen: readonly { readonly region: R; readonly changes: number }[];
}

/** A region as it is after the changes so far. */
class Planned<R extends Region> {
  isErased = false;
  /** Its name, if a change gave it one or took it away. Only then is the old one looked up. */
  name: string | undefined;
  isNamed = false;
  /** The caller's bytes, unless `isOwn`. */
  contents: Uint8Array | undefined;
  isOwn = false;

  constructor(
    /** None for a region that is still to be made. */
    readonly region: R | undefined,
    readonly change: number,
    readonly size: number,
  ) {}
}

/**
 * Pins each region that the changes name, or of which bytes were seen, once. If it succeeds, the
 * regions of the plan stay pinned.
 * @throws what the calls of the changes throw, with `details.change`
 */
export function planTransaction<R extends Region>(
  changes: readonly Change[],
  store: NamedStore<R>,
  seen: readonly SeenBytes[] = [],
): Plan<R> {
  const planning = new Planning(store);
  try {
    for (const each of seen) planning.expectUnchanged(each);
  } catch (error) {
    for (const region of planning.pinned) store.unpin(region);
    throw error;
  }
  for (const [index, change] of changes.entries()) {
    try {
      planning.add(change, index);
    } catch (error) {
      for (const region of planning.pinned) store.unpin(region);
      throw ofChange(error, index);
    }
  }
  return planning.plan;
}

class Planning<R extends Region> {
  readonly #writes: { to: Planned<R>; offset: number; bytes: Uint8Array }[] = [];
  /** Regions that changes have named, in that order. They are pinned, so that each has one object only. */
  readonly #regions = new Map<R, Planned<R>>();
  readonly #puts: Planned<R>[] = [];
  readonly #seen: { region: R; changes: number }[] = [];
  /** Which region has a name now, for names that may have changed. */
  readonly #names = new Map<string, Planned<R> | undefined>();

  constructor(private readonly store: NamedStore<R>) {}

  add(change: Change, index: number): void {
    switch (change.type) {
      case 'write':
        return this.#write(this.#regionOf(change.ref), change.offset, change.bytes);
      case 'put':
        return this.#put(change.name, change.contents, index);
      case 'erase':
        return this.#erase(this.#regionOf(change.ref));
      case 'rename':
        return this.#rename(this.#regionOf(change.ref), change.to ?? undefined, change.replace === true);
      case 'expect':
        return this.#expect(change.name, change.id);
    }
  }

  /** @throws CONDITION_FAILED */
  expectUnchanged({ id, changes }: SeenBytes): void {
    const region = this.store.lookUp(id);
    if (region === undefined || region.isErased || this.store.changesOf(id) !== changes)
      throw contentsChanged(id);
    this.#known(region);
    this.#seen.push({ region, changes });
  }

  get pinned(): R[] {
    return [...this.#regions.keys()];
  }

  get plan(): Plan<R> {
    const { store, pinned } = this;
    const writes = [];
    for (const { to, offset, bytes } of this.#writes)
      if (to.region !== undefined && !to.isErased) writes.push({ region: to.region, offset, bytes });
    const erased: R[] = [];
    const renamed = [];
    for (const { region, isErased, isNamed, name } of this.#regions.values()) {
      if (region === undefined) continue;
      if (isErased) erased.push(region);
      else if (isNamed && name !== store.nameOf(region)) renamed.push({ region, name });
    }
    const puts = this.#puts.map(({ change, contents, name, isErased }): NewRegion => ({
      change,
      contents: contents as Uint8Array,
      name,
      isErased,
    }));
    return { writes, puts, renamed, erased, pinned, seen: this.#seen };
  }

  // ---- changes ----

  #write(to: Planned<R>, offset: number, bytes: Uint8Array): void {
    checkRange('write', offset, bytes.length, to.size);
    // Nothing to store, and a region of 0 bytes has no place where it could be stored.
    if (bytes.length === 0) return;
    if (to.contents === undefined) {
      this.#writes.push({ to, offset, bytes });
      return;
    }
    if (!to.isOwn) {
      to.contents = copyBytes([to.contents]);
      to.isOwn = true;
    }
    to.contents.set(bytes, offset);
  }

  #put(name: string, contents: Uint8Array, index: number): void {
    const replaced = this.#named(name);
    if (replaced !== undefined) this.#erase(replaced);
    const made = new Planned<R>(undefined, index, contents.length);
    made.contents = contents;
    this.#setName(made, name);
    this.#puts.push(made);
  }

  #erase(region: Planned<R>): void {
    region.isErased = true;
    const name = this.#nameOf(region);
    if (name !== undefined) this.#names.set(name, undefined);
  }

  #rename(region: Planned<R>, to: string | undefined, mayReplace: boolean): void {
    const before = this.#nameOf(region);
    if (before === to) return;
    const holder = to === undefined ? undefined : this.#named(to);
    if (holder !== undefined) {
      if (!mayReplace) throw this.#taken(to as string, holder);
      this.#erase(holder);
    }
    if (before !== undefined) this.#names.set(before, undefined);
    this.#setName(region, to);
  }

  #setName(region: Planned<R>, name: string | undefined): void {
    region.name = name;
    region.isNamed = true;
    if (name !== undefined) this.#names.set(name, region);
  }

  /** The name of a region after the changes so far. */
  #nameOf({ region, isNamed, name }: Planned<R>): string | undefined {
    return isNamed || region === undefined ? name : this.store.nameOf(region);
  }

  #expect(name: string, id: RegionId | null): void {
    const holder = this.#named(name);
    const isAsExpected =
      id === null ? holder === undefined : holder?.region !== undefined && holder.region.id.equals(id);
    if (!isAsExpected) throw conditionFailed(name, id, holder?.region);
  }

  #taken(name: string, { region, change }: Planned<R>): BedrockError {
    if (region !== undefined) return nameTaken(name, region);
    return new BedrockError('NAME_TAKEN', `change ${change} puts the name ${JSON.stringify(name)}`, {
      details: { name },
    });
  }

  // ---- regions as they are after the changes so far ----

  #regionOf(ref: RegionRef): Planned<R> {
    if (typeof ref !== 'string') {
      const region = this.#known(this.store.regionOf(ref));
      if (region.isErased)
        throw new BedrockError('REGION_NOT_FOUND', `an earlier change erases region ${ref.toString()}`);
      return region;
    }
    const region = this.#named(ref);
    if (region === undefined)
      throw new BedrockError('REGION_NOT_FOUND', `no region has the name ${JSON.stringify(ref)}`);
    return region;
  }

  #named(name: string): Planned<R> | undefined {
    if (this.#names.has(name)) return this.#names.get(name);
    const region = this.store.lookUpName(name);
    return region === undefined ? undefined : this.#known(region);
  }

  #known(region: R): Planned<R> {
    let known = this.#regions.get(region);
    if (known === undefined) {
      this.store.pin(region);
      known = new Planned<R>(region, -1, region.size);
      this.#regions.set(region, known);
    }
    return known;
  }
}

/**
 * Checks, in the step that makes the changes, that bytes which were read are still the same.
 * @throws CONDITION_FAILED
 */
export function checkSeen<R extends Region>({ seen }: Plan<R>, store: NamedStore<R>): void {
  for (const { region, changes } of seen)
    if (store.changesOf(region.id) !== changes) throw contentsChanged(region.id);
}
