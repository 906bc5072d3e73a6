/**
 * Runs commands that look at names and then change them, as if nothing else happened meanwhile.
 * What they see becomes a condition of the change (`Overlay`): the regions of the names, and their
 * bytes. If the condition fails, they look again. Whoever wins has made progress, so all of them
 * together always do.
 *
 * Commands of this door that share a name take turns. Otherwise long queues of them would undo each
 * other's work.
 */
import { BedrockError } from '../base/errors.js';
import type { Target } from '../contract/target.js';
import { NameLocks } from '../targets/name-locks.js';
import type { SeenBytes } from '../targets/named-store.js';
import { changesOf, lookUp } from './look-up.js';
import { Outdated, Overlay, type Watched } from './overlay.js';

/** Tries before the client gets an error. Each fails because somebody else has changed a name. */
const MAX_TRIES = 1000;

/**
 * For each target, the locks of the names that its commands wait for. Only this door uses them: the
 * target has its own.
 */
const locksOf = new WeakMap<Target, NameLocks>();

/**
 * @param names the names that it will look at, as far as known
 * @param step looks and changes; it may be called again
 * @throws what the step throws, OVERLOADED, what the target throws
 */
export async function atomically<T>(
  target: Target,
  names: readonly string[],
  step: (view: Overlay) => Promise<T>,
  watched?: Watched,
): Promise<T> {
  let locks = locksOf.get(target);
  if (locks === undefined) locksOf.set(target, (locks = new NameLocks()));
  const release = await locks.acquire([...new Set(names)]);
  try {
    return await tried(target, step, watched);
  } finally {
    release();
  }
}

async function tried<T>(
  target: Target,
  step: (view: Overlay) => Promise<T>,
  watched: Watched | undefined,
): Promise<T> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const view = new Overlay(target);
    try {
      const result = await step(view);
      await view.commit(watched);
      return result;
    } catch (error) {
      if (!(error instanceof Outdated)) throw error;
      if (watched !== undefined && (await isChanged(target, watched))) throw new WatchedChanged();
    }
  }
  throw new BedrockError(
    'OVERLOADED',
    `others changed the names meanwhile, ${MAX_TRIES} times; try again later`,
  );
}

/** A watched name means another region now, or its region was changed in place. */
export class WatchedChanged extends Error {}

async function isChanged(target: Target, watched: Watched): Promise<boolean> {
  for (const [name, seen] of watched) {
    const found = await seenNow(target, name);
    if (found === null || seen === null ? found !== seen : !found.id.equals(seen.id)) return true;
    if (found?.changes !== seen?.changes) return true;
  }
  return false;
}

/** The region that has a name, as it is now; null if no region has it. */
export async function seenNow(target: Target, name: string): Promise<SeenBytes | null> {
  const looked = lookUp(target, name);
  const found = looked instanceof Promise ? await looked : looked;
  // Safe: the caller reads no bytes before this.
  return found === undefined ? null : { id: found.id, changes: changesOf(target, found.id) };
}
