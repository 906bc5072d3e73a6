/**
 * A view of a target's names for commands, before anything is changed: the present target, with the
 * changes so far on top. What was seen becomes a condition of the change: `commit` makes all
 * changes at once, if every name that was looked at still means the same region, and if no region
 * whose bytes were used was changed in place. Targets that do not extend BaseTarget cannot tell the
 * latter.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BedrockError } from '../base/errors.js';
import type { Change, RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { BaseTarget } from '../targets/base-target.js';
import { DirectTarget } from '../targets/direct-target.js';
import type { SeenBytes } from '../targets/named-store.js';
import { Contents } from './contents.js';
import { changesOf, isMissing, lookUp } from './look-up.js';

/** Contents up to this size go into a transaction, unless the target says that they are too many. */
const TRANSACTION_BYTES = 2 ** 20;

/** Names that are looked up in one turn: about a millisecond of work. */
const LOOKS = 256;

/** A region as it is after the changes so far. */
class Entry {
  isErased = false;
  /** Its name, as far as it is known here. */
  name: string | undefined;

  constructor(
    /** The ID of a region that already exists. */
    readonly id: RegionId | undefined,
    public contents: Contents,
    /** How often the region had been changed in place before anything was read of it. */
    readonly changes: number,
  ) {}
}

type Planned =
  | Exclude<Change, { type: 'put' }>
  | { readonly type: 'put'; readonly name: string; contents: Contents };

/** Names, and the regions that they must still have, unchanged; null for none. */
export type Watched = ReadonlyMap<string, SeenBytes | null>;

/** Something else has changed what was seen. Whoever looked must look again. */
export class Outdated extends Error {}

export class Overlay {
  readonly #names = new Map<string, Entry | null>();
  readonly #regions = new Map<string, Entry>();
  #looks = 0;
  /** Which regions names had when they were looked at. */
  readonly #seen = new Map<string, RegionId | null>();
  /** Regions whose bytes were used, by ID. */
  readonly #read = new Map<string, SeenBytes>();
  readonly #changes: Planned[] = [];
  /** Puts that no later change depends on. */
  readonly #puts = new Map<string, Planned & { type: 'put' }>();

  constructor(private readonly target: Target) {}

  /**
   * The contents of the region that has a name; nothing if no region has it.
   * @throws REGION_NOT_FOUND for an ID
   */
  async contents(ref: RegionRef): Promise<Contents | undefined> {
    return (await this.#entry(ref))?.contents;
  }

  async #entry(ref: RegionRef): Promise<Entry | undefined> {
    if (typeof ref !== 'string') return this.#region(ref);
    let entry = this.#names.get(ref);
    if (entry === undefined) {
      // Safe: what is seen here becomes a condition, and commands of an overlay run one after another.
      entry = await this.#look(ref);
      this.#names.set(ref, entry);
    }
    return entry === null || entry.isErased ? undefined : entry;
  }

  async #look(name: string): Promise<Entry | null> {
    await this.#pause();
    const looked = lookUp(this.target, name);
    const found = looked instanceof Promise ? await looked : looked;
    this.#seen.set(name, found?.id ?? null);
    if (found === undefined) return null;
    const entry = this.#known(found.id, found.size);
    entry.name = name;
    return entry;
  }

  /** Lets others run after many look-ups. Safe: what was seen is compared in the end. */
  async #pause(): Promise<void> {
    if (++this.#looks % LOOKS === 0) await nextTurn();
  }

  #known(id: RegionId, size: number): Entry {
    const hex = id.toString();
    let entry = this.#regions.get(hex);
    if (entry === undefined) {
      entry = new Entry(id, Contents.ofRegion(id, size), changesOf(this.target, id));
      this.#regions.set(hex, entry);
    }
    return entry;
  }

  async #region(id: RegionId): Promise<Entry> {
    await this.#pause();
    const { size, name } = await this.target.stat(id);
    const entry = this.#known(id, size);
    if (name !== undefined && entry.name === undefined) this.#rememberName(entry, name);
    if (!entry.isErased) return entry;
    throw new BedrockError(
      'REGION_NOT_FOUND',
      `the region ${id.toString()} was erased before in the transaction`,
    );
  }

  /**
   * Records the name of a region that was looked up by ID. If the name was given to another region
   * meanwhile, that is known here.
   */
  #rememberName(entry: Entry, name: string): void {
    const holder = this.#names.get(name);
    if (holder === undefined) {
      this.#names.set(name, entry);
      this.#seen.set(name, entry.id ?? null);
    } else if (holder !== entry) entry.isErased = true;
    entry.name = name;
  }

  /** Reads the bytes of contents that were found here. @throws OVERLOADED, Outdated */
  async read(contents: Contents): Promise<Uint8Array> {
    this.#use(contents);
    try {
      return await contents.read(this.target);
    } catch (error) {
      throw isMissing(error) ? new Outdated() : error;
    }
  }

  /** What depends on these contents depends on the bytes of their regions. */
  #use({ regions }: Contents): void {
    for (const id of regions) {
      const hex = id.toString();
      this.#read.set(hex, { id, changes: this.#regions.get(hex)?.changes ?? 0 });
    }
  }

  // ---- changes ----

  put(name: string, contents: Contents): void {
    const before = this.#names.get(name);
    if (before) before.isErased = true;
    const entry = new Entry(undefined, contents, 0);
    entry.name = name;
    this.#names.set(name, entry);
    const planned = this.#puts.get(name);
    if (planned !== undefined) {
      planned.contents = contents;
      return;
    }
    const change = { type: 'put' as const, name, contents };
    this.#changes.push(change);
    this.#puts.set(name, change);
  }

  /** @param ref of a region that was looked at, and exists */
  async erase(ref: RegionRef): Promise<void> {
    const entry = await this.#entry(ref);
    if (entry !== undefined) entry.isErased = true;
    this.#settle({ type: 'erase', ref });
  }

  /** @param ref of a region that was looked at, and exists; the region that has the name is erased */
  async rename(ref: RegionRef, to: string): Promise<void> {
    const entry = await this.#entry(ref);
    const replaced = this.#names.get(to);
    if (replaced && replaced !== entry) replaced.isErased = true;
    if (entry !== undefined) {
      if (entry.name !== undefined) this.#names.set(entry.name, null);
      entry.name = to;
      this.#names.set(to, entry);
    }
    this.#settle({ type: 'rename', ref, to, replace: true });
  }

  /** @param id of a region that was looked at; the bytes are within it */
  async write(id: RegionId, offset: number, bytes: Uint8Array): Promise<void> {
    const entry = await this.#region(id);
    entry.contents = entry.contents.overwritten(offset, Contents.of(bytes));
    this.#settle({ type: 'write', ref: id, offset, bytes });
  }

  /** Keeps earlier changes before this one. */
  #settle(change: Planned): void {
    this.#changes.push(change);
    this.#puts.clear();
  }

  // ---- commit ----

  /**
   * Makes the changes, if everything that was seen is still so.
   * @param watched further names, and the regions that they must still have, unchanged
   * @throws Outdated, OUT_OF_SPACE, READ_ONLY, TRANSACTION_TOO_LARGE, NOT_SUPPORTED
   */
  async commit(watched: Watched = NOTHING_WATCHED): Promise<void> {
    try {
      await this.#commit(watched);
    } catch (error) {
      if (error instanceof BedrockError && OUTDATED.has(error.code)) throw new Outdated();
      throw error;
    }
  }

  async #commit(watched: Watched): Promise<void> {
    const seen = this.#seen;
    for (const [name, region] of watched) this.#watched(name, region);
    for (const change of this.#changes) if (change.type === 'put') this.#use(change.contents);
    const [change] = this.#changes;
    // No transaction is needed to look at one name, or for one change that depends only on its own
    // name.
    if (change === undefined && watched.size === 0) {
      // A target without transactions cannot tell whether several names had those regions at the
      // same moment.
      if ((seen.size <= 1 && this.#read.size <= 1) || !this.target.capabilities.transactional) return;
    }
    if (change !== undefined && this.#changes.length === 1 && (await this.#alone(change, watched.size > 0)))
      return;
    await this.#transact();
  }

  #watched(name: string, region: SeenBytes | null): void {
    const id = region?.id ?? null;
    const other = this.#seen.get(name);
    if (other !== undefined && !isSame(other, id)) throw new Outdated();
    this.#seen.set(name, id);
    if (region === null) return;
    const hex = region.id.toString();
    const read = this.#read.get(hex);
    if (read !== undefined && read.changes !== region.changes) throw new Outdated();
    this.#read.set(hex, region);
  }

  /** @returns whether the change was made */
  async #alone(change: Planned, isWatched: boolean): Promise<boolean> {
    const { target } = this;
    const seen = this.#seen;
    if (change.type === 'put') {
      const { name, contents } = change;
      const id = seen.get(name);
      if (
        seen.size > (id === undefined ? 0 : 1) ||
        (this.#isOtherRead(id) && target.capabilities.transactional)
      )
        return this.#largeCopy(name, contents);
      const read = id && this.#read.get(id.toString());
      if (read && target instanceof BaseTarget) {
        await target.putUnchanged(name, contents.source(target), read);
        return true;
      }
      const condition = id === undefined ? undefined : { if: id ?? ('absent' as const) };
      await target.put(name, contents.source(target), condition);
      return true;
    }
    if (isWatched || this.#read.size > 0) return false;
    if (change.type === 'rename' && typeof change.to === 'string') {
      // The call itself checks that the region exists, and that no other has the name.
      const { ref, to } = change;
      const others = [...seen].filter(([name, id]) => name !== ref && !(name === to && id === null));
      if (others.length > 0) return false;
      await target.rename(ref, to, { replace: !seen.has(to) });
      return true;
    }
    return false;
  }

  /** Whether bytes of other regions than this one were used. */
  #isOtherRead(id: RegionId | null | undefined): boolean {
    return this.#read.size > (id && this.#read.has(id.toString()) ? 1 : 0);
  }

  /**
   * A put that depends on other names, and is too large for a transaction: the region is made
   * first, and the transaction names it.
   */
  async #largeCopy(name: string, contents: Contents): Promise<boolean> {
    if (contents.size <= TRANSACTION_BYTES) return false;
    const { target } = this;
    const id = await target.createAndWrite(contents.source(target), { persist: true });
    try {
      await this.#make([...this.#conditions(), { type: 'rename', ref: id, to: name, replace: true }]);
    } catch (error) {
      await target.erase(id).catch(() => undefined);
      throw error;
    }
    return true;
  }

  #conditions(): Change[] {
    return [...this.#seen].map(([name, id]) => ({ type: 'expect', name, id }));
  }

  async #transact(): Promise<void> {
    const { target } = this;
    let bytes = 0;
    for (const change of this.#changes) if (change.type === 'put') bytes += change.contents.size;
    if (bytes > MOST_BYTES)
      throw new BedrockError(
        'TRANSACTION_TOO_LARGE',
        `the transaction has contents of ${bytes} bytes, too many`,
        {
          details: { bytes, limit: MOST_BYTES },
        },
      );
    const changes = this.#conditions();
    for (const change of this.#changes) {
      // Safe: they are read by ID, and what was seen is a condition.
      changes.push(
        change.type === 'put' ? { ...change, contents: await change.contents.read(target) } : change,
      );
    }
    await this.#make(changes);
  }

  async #make(changes: readonly Change[]): Promise<void> {
    const { target } = this;
    const read = [...this.#read.values()];
    const made = target instanceof DirectTarget ? target.transactNow(changes, read) : undefined;
    await (made ??
      (target instanceof BaseTarget ? target.transactUnchanged(changes, read) : target.transact(changes)));
  }
}

/**
 * The most that is read into memory for a transaction. Targets take less, unless configured
 * otherwise.
 */
const MOST_BYTES = 2 ** 28;

const NOTHING_WATCHED: Watched = new Map();

/** Codes by which a target reports that something has changed. */
const OUTDATED: ReadonlySet<string> = new Set(['CONDITION_FAILED', 'NAME_TAKEN', 'REGION_NOT_FOUND']);

function isSame(one: RegionId | null, other: RegionId | null): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}
