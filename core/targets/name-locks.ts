/**
 * Makes changes of one name run one after another.
 *
 * A lock covers a set of keys: names, or, for a region without a name, its ID in hex, which cannot
 * be a name. A caller queues for all its keys at the same moment, and gets the lock when it is
 * first in all the queues. So nobody waits forever: a caller never waits for later ones. If nobody
 * is queued, the lock is granted at once.
 *
 * A caller that had to wait must check again everything that it had checked before.
 */
import type { Eventually } from './lifecycle.js';

/** Releases a lock. Call it once. */
export type Release = () => void;

interface Waiting {
  /** Queues in which others are ahead. */
  ahead: number;
  grant: () => void;
}

export class NameLocks {
  /** For each key, its holder and those who wait for it. */
  readonly #lines = new Map<string, Waiting[]>();

  /** Whether a key is held. */
  isHeld(key: string): boolean {
    return this.#lines.has(key);
  }

  /** Whether no key is held. */
  get isIdle(): boolean {
    return this.#lines.size === 0;
  }

  /** @param keys each once */
  acquire(keys: readonly string[]): Eventually<Release> {
    const waiting: Waiting = { ahead: 0, grant: () => undefined };
    for (const key of keys) {
      const line = this.#lines.get(key);
      if (line === undefined) this.#lines.set(key, [waiting]);
      else {
        line.push(waiting);
        waiting.ahead++;
      }
    }
    const release = (): void => this.#release(keys);
    if (waiting.ahead === 0) return release;
    return new Promise((resolve) => (waiting.grant = () => resolve(release)));
  }

  #release(keys: readonly string[]): void {
    for (const key of keys) {
      const line = this.#lines.get(key) as Waiting[];
      line.shift();
      const next = line[0];
      if (next === undefined) this.#lines.delete(key);
      else if (--next.ahead === 0) next.grant();
    }
  }
}
