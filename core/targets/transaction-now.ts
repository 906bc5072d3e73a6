/**
 * A transaction in one step of the event loop, for targets whose hooks end at once: without a
 * promise for each region and each change, which would cost several times as much as the changes.
 * It does what `Transactions` does, in the same order: plan, make the regions of the puts,
 * `commit`. Nobody else runs meanwhile, so nothing is locked.
 *
 * A hook that has to wait after all, for example for more space, is waited for. The caller then
 * holds the locks until the end.
 */
import { copyBytes } from '../base/allocation.js';
import type { Change, TransactionResult } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Eventually } from './lifecycle.js';
import { movedBytes, ofChange } from './name-arguments.js';
import type { NamedStore, SeenBytes } from './named-store.js';
import type { Region } from './region.js';
import { type NewRegion, type Plan, planTransaction } from './transaction-plan.js';

/** The most that is done in one step. */
const MOST_CHANGES = 256;
const MOST_BYTES = 2 ** 16;

/** A region of a put. */
interface Made<R extends Region> {
  readonly region: R;
  readonly put: NewRegion;
}

/** Whether the changes may be made in one step. A write in place may have to wait for calls in flight. */
export function isOneStep(changes: readonly Change[]): boolean {
  if (changes.length > MOST_CHANGES || movedBytes(changes) > MOST_BYTES) return false;
  return changes.every(({ type }) => type !== 'write');
}

/**
 * Makes the changes, which are `isOneStep`. Nobody holds the lock of one of their names. The bytes
 * are the caller's again when it returns.
 * @param seen what must not have been changed in place; no call is in flight on these regions, and
 *   none begins until it has ended
 * @returns a promise if a hook returned one
 * @throws as `transact`, then or by the promise
 */
export function transactNow<R extends Region>(
  changes: readonly Change[],
  store: NamedStore<R>,
  seen: readonly SeenBytes[] = [],
): Eventually<TransactionResult> {
  const plan = planTransaction(changes, store, seen);
  const { puts } = plan;
  const made: Made<R>[] = [];
  try {
    for (const [at, put] of puts.entries()) {
      const pending = makeRegion(put, store, made);
      if (pending === undefined) continue;
      // Only the bytes of those that follow are still needed.
      const rest = puts.slice(at + 1).map((each) => ({ ...each, contents: copyBytes([each.contents]) }));
      return later(changes.length, plan, made, store, pending, rest);
    }
    const committed = commit(plan, made, store);
    if (committed !== undefined) return later(changes.length, plan, made, store, committed);
  } catch (error) {
    return undo(plan, made, store, error);
  }
  return end(changes.length, plan, made, store);
}

/**
 * Waits for a hook, and continues.
 * @param rest regions that are still to be made; undefined if the commit is waited for
 */
async function later<R extends Region>(
  changes: number,
  plan: Plan<R>,
  made: Made<R>[],
  store: NamedStore<R>,
  pending: Promise<void>,
  rest?: readonly NewRegion[],
): Promise<TransactionResult> {
  try {
    await pending;
    if (rest !== undefined) {
      // Safe: the regions of the plan are pinned, and the caller holds the locks of all names.
      for (const put of rest) await makeRegion(put, store, made);
      await commit(plan, made, store);
    }
  } catch (error) {
    return undo(plan, made, store, error);
  }
  return end(changes, plan, made, store);
}

/** A region that is erased again gets no bytes: only its ID is left. */
function makeRegion<R extends Region>(
  put: NewRegion,
  store: NamedStore<R>,
  made: Made<R>[],
): Eventually<void> {
  const { name, isErased, change } = put;
  const failed = (error: unknown): never => {
    throw ofChange(error, change);
  };
  try {
    const size = isErased ? 0 : put.contents.length;
    const allocated = store.allocate(size, name === undefined ? 0 : Buffer.byteLength(name));
    if (!(allocated instanceof Promise)) {
      made.push({ region: allocated, put });
      return isErased ? undefined : store.fill(allocated, put.contents)?.catch(failed);
    }
    // The bytes are the caller's again when this returns.
    const contents = copyBytes([put.contents]);
    return allocated
      .then((region) => {
        made.push({ region, put });
        return isErased ? undefined : store.fill(region, contents);
      })
      .catch(failed);
  } catch (error) {
    return failed(error);
  }
}

function commit<R extends Region>(
  { renamed, erased }: Plan<R>,
  made: readonly Made<R>[],
  store: NamedStore<R>,
): Eventually<void> {
  const published = [];
  for (const { region, put } of made) if (!put.isErased) published.push({ region, name: put.name });
  if (published.length + renamed.length + erased.length === 0) return undefined;
  return store.commit({ writes: [], published, renamed, erased });
}

/** Removes the plan's pins after the changes were made. */
function end<R extends Region>(
  changes: number,
  { pinned, erased }: Plan<R>,
  made: readonly Made<R>[],
  store: NamedStore<R>,
): Eventually<TransactionResult> {
  const gone = new Set(erased);
  for (const region of pinned)
    if (gone.has(region)) store.retire(region);
    else store.unpin(region);
  const ids = new Array<RegionId | null>(changes).fill(null);
  for (const { region, put } of made) ids[put.change] = region.id;
  const released = giveBack(
    made.filter(({ put }) => put.isErased),
    store,
  );
  return released === undefined ? { ids } : released.then(() => ({ ids }));
}

/** Gives everything back after a failure, and throws it. */
function undo<R extends Region>(
  { pinned }: Plan<R>,
  made: readonly Made<R>[],
  store: NamedStore<R>,
  error: unknown,
): Promise<never> {
  for (const region of pinned) store.unpin(region);
  const released = giveBack(made, store);
  if (released === undefined) throw error;
  return released.then(() => {
    throw error;
  });
}

function giveBack<R extends Region>(made: readonly Made<R>[], store: NamedStore<R>): Eventually<void> {
  let pending: Promise<void>[] | undefined;
  for (const { region } of made) {
    const released = store.giveBack(region);
    if (released !== undefined) (pending ??= []).push(released);
  }
  return pending && Promise.all(pending).then(() => undefined);
}
