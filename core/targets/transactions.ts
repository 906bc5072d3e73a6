/**
 * `Target.transact`: all changes or none. Transactions run one after another, and none is ever seen
 * half done.
 *
 * 1. Wait for earlier transactions. Lock every name that the changes mention, and every region that
 *    they end or rename, so that what is found then stays so.
 * 2. Plan: anything that refuses the transaction does so here, before anything is done.
 * 3. Make the regions of the puts. They are not visible yet, and a failure gives them back.
 * 4. Hold the regions that are written to, or whose bytes were read for the changes: calls that
 *    would pin them wait, and calls in flight end first. It does not wait for views that others
 *    hold, since they may keep them as long as they like.
 * 5. `commit`, the backend's one step.
 *
 * What has nothing to wait for is done in one step, without locks: nobody else runs meanwhile.
 * Locks and holds begin in the step in which something has to be waited for.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BedrockError } from '../base/errors.js';
import type { Change, RegionRef, TransactionResult } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import { holding, isQuiet, isUsed } from './holding.js';
import type { Eventually } from './lifecycle.js';
import { ofChange } from './name-arguments.js';
import type { Release } from './name-locks.js';
import type { NamedRegions } from './named-regions.js';
import type { NamedStore, SeenBytes, Transaction } from './named-store.js';
import type { Region } from './region.js';
import { isOneStep, transactNow } from './transaction-now.js';
import { checkSeen, type NewRegion, type Plan, planTransaction } from './transaction-plan.js';

/** Regions that are made before others can run. */
const TURN_REGIONS = 256;

/** A region of a put. */
interface Made<R extends Region> {
  readonly region: R;
  readonly put: NewRegion;
}

export class Transactions<R extends Region> {
  /** Resolves when the last requested transaction has ended; undefined if it has. */
  #last: Promise<void> | undefined;

  constructor(
    private readonly store: NamedStore<R>,
    private readonly named: NamedRegions<R>,
  ) {}

  /**
   * @param changes checked; nobody else changes them
   * @param seen what must not have been changed in place
   * @returns no promise if there was nothing to wait for
   */
  transact(changes: readonly Change[], seen: readonly SeenBytes[] = []): Eventually<TransactionResult> {
    const done =
      this.#last === undefined ? this.#next(changes, seen) : this.#last.then(() => this.#next(changes, seen));
    return done instanceof Promise ? this.#following(done) : done;
  }

  /** Makes later transactions wait for this one. */
  #following(done: Promise<TransactionResult>): Promise<TransactionResult> {
    const last = done.then(noResult, noResult);
    this.#last = last;
    void last.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return done;
  }

  /**
   * Like `transact`, in one step also if regions are made, unless a hook has to wait; see `transactNow`.
   * @returns nothing, with nothing done, if others must end first, or if it is too much for one step
   */
  now(changes: readonly Change[], seen: readonly SeenBytes[]): Eventually<TransactionResult> | undefined {
    const { locks } = this.named;
    if (this.#last !== undefined || !locks.isIdle || !isOneStep(changes)) return undefined;
    const read = new Set<R>();
    for (const { id } of seen) {
      const region = this.store.lookUp(id);
      if (region === undefined) continue;
      if (isUsed(region)) return undefined;
      read.add(region);
    }
    const done = transactNow(changes, this.store, seen);
    if (!(done instanceof Promise)) return done;
    // Safe: the locks are granted at once, since nobody held one, and nothing else has run since
    // the plan was made.
    const release = locks.acquire([...this.#keysOf(changes, seen)]) as Release;
    // Safe: the plan has pinned them, and nobody else uses them, so they are held at once.
    if (read.size > 0) void holding(read, () => done.then(noResult, noResult));
    return this.#following(done.finally(release));
  }

  #next(changes: readonly Change[], seen: readonly SeenBytes[]): Eventually<TransactionResult> {
    const { locks } = this.named;
    if (!locks.isIdle) return this.#nextAfterOthers(changes, seen);
    const done = this.#make(changes, planTransaction(changes, this.store, seen));
    if (!(done instanceof Promise)) return done;
    // Safe: the locks are granted at once, since nobody held one, and nothing else has run since
    // the plan was made.
    const release = locks.acquire([...this.#keysOf(changes, seen)]) as Release;
    return done.finally(release);
  }

  async #nextAfterOthers(changes: readonly Change[], seen: readonly SeenBytes[]): Promise<TransactionResult> {
    const release = await this.#lock(changes, seen);
    try {
      return await this.#make(changes, planTransaction(changes, this.store, seen));
    } finally {
      release();
    }
  }

  // ---- locks ----

  async #lock(changes: readonly Change[], seen: readonly SeenBytes[]): Promise<Release> {
    for (;;) {
      const keys = this.#keysOf(changes, seen);
      const acquired = this.named.locks.acquire([...keys]);
      if (!(acquired instanceof Promise)) return acquired;
      const release = await acquired;
      // The region may have got another name during the wait.
      if ([...this.#keysOf(changes, seen)].every((key) => keys.has(key))) return release;
      release();
    }
  }

  #keysOf(changes: readonly Change[], seen: readonly SeenBytes[]): Set<string> {
    const refs = new Set<RegionRef>();
    for (const { id } of seen) refs.add(id);
    for (const change of changes) {
      if ('ref' in change) refs.add(change.ref);
      if ('name' in change) refs.add(change.name);
      if (change.type === 'rename' && change.to !== null) refs.add(change.to);
    }
    const keys = new Set<string>();
    for (const ref of refs) keys.add(this.#keyOf(ref));
    // A region that loses its name has its ID as key afterwards. Only the plan can tell which region that is.
    if (changes.some((change) => change.type === 'rename' && change.to === null))
      for (const name of [...keys]) {
        const region = this.store.lookUpName(name);
        if (region !== undefined) keys.add(region.id.toString());
      }
    return keys;
  }

  #keyOf(ref: RegionRef): string {
    if (typeof ref === 'string') return ref;
    const region = this.store.lookUp(ref);
    return region === undefined ? ref.toString() : this.named.keyOf(region);
  }

  // ---- changes ----

  /**
   * Makes the plan's changes, and removes its pins. The caller has the locks, or gets them in the
   * step in which this returns.
   */
  #make(changes: readonly Change[], plan: Plan<R>): Eventually<TransactionResult> {
    const made: Made<R>[] = [];
    let committed: Eventually<void>;
    try {
      committed =
        plan.puts.length === 0
          ? this.#commit(plan, made)
          : this.#makeRegions(plan.puts, made).then(() => this.#commit(plan, made));
    } catch (error) {
      return this.#undo(plan, made, error);
    }
    if (committed === undefined) return this.#finish(changes, plan, made);
    return committed.then(
      () => this.#finish(changes, plan, made),
      (error: unknown) => this.#undo(plan, made, error),
    );
  }

  async #undo({ pinned }: Plan<R>, made: readonly Made<R>[], error: unknown): Promise<never> {
    for (const region of pinned) this.store.unpin(region);
    for (const { region } of made) await this.store.giveBack(region);
    throw error;
  }

  #finish(
    { length }: readonly Change[],
    { pinned, erased }: Plan<R>,
    made: readonly Made<R>[],
  ): Eventually<TransactionResult> {
    const { store } = this;
    const ended = erased.length === 0 ? undefined : new Set(erased);
    for (const region of pinned)
      if (ended?.has(region) === true) store.retire(region);
      else store.unpin(region);
    const ids = new Array<RegionId | null>(length).fill(null);
    const result = { ids };
    let released: Promise<void> | undefined;
    for (const { region, put } of made) {
      ids[put.change] = region.id;
      if (!put.isErased) continue;
      const pending = store.giveBack(region);
      if (pending !== undefined) released = released === undefined ? pending : released.then(() => pending);
    }
    return released === undefined ? result : released.then(() => result);
  }

  /**
   * Stores the contents of all regions together. When it ends, nothing is being stored any more,
   * even if it fails.
   */
  async #makeRegions(puts: readonly NewRegion[], made: Made<R>[]): Promise<void> {
    const { store } = this;
    const storing: Promise<void>[] = [];
    let failure: BedrockError | undefined;
    for (const [at, put] of puts.entries()) {
      const failed = (error: unknown): void => void (failure ??= ofChange(error, put.change));
      try {
        const nameBytes = put.name === undefined ? 0 : Buffer.byteLength(put.name);
        // A region that is erased again gets no bytes: only its ID is left.
        const taken = store.allocate(put.isErased ? 0 : put.contents.length, nameBytes);
        const region = taken instanceof Promise ? await taken : taken;
        made.push({ region, put });
        const stored = put.isErased ? undefined : store.fill(region, put.contents);
        if (stored !== undefined) storing.push(stored.catch(failed));
      } catch (error) {
        failed(error);
      }
      if (failure !== undefined) break;
      // Synchronous hooks would let nobody else run.
      if (at % TURN_REGIONS === TURN_REGIONS - 1) await nextTurn();
    }
    await Promise.all(storing);
    if (failure !== undefined) throw failure;
  }

  #commit(plan: Plan<R>, made: readonly Made<R>[]): Eventually<void> {
    const { store } = this;
    const { writes, renamed, erased, seen } = plan;
    const published: Transaction<R>['published'][number][] = [];
    for (const { region, put } of made) if (!put.isErased) published.push({ region, name: put.name });
    const held = new Set<R>();
    for (const { region } of writes) held.add(region);
    for (const { region } of seen) held.add(region);
    const commit = (): Eventually<void> => {
      checkSeen(plan, store);
      if (writes.length + published.length + renamed.length + erased.length === 0) return undefined;
      return store.commit({ writes, published, renamed, erased });
    };
    if (!isQuiet(held)) return holding(held, commit);
    const committed = commit();
    // Safe: nothing else has run since the hook was called.
    return committed === undefined ? undefined : holding(held, () => committed);
  }
}

function noResult(): void {}
