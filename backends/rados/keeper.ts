/**
 * What a daemon does beside its calls: it shows the others that it lives, removes what was erased,
 * and clears up after daemons that died.
 *
 * Each daemon changes its own count in the catalog now and then. If the count of another one stays
 * the same for the time of a lease, by this daemon's own clock, it is taken for dead: its count is
 * added to the sum of those that ended, and without a count it can change nothing any more. Then
 * objects are removed that belong to no region: what it had begun to create, and nobody knew of.
 *
 * Removals are recorded in the catalog with the erasure. So if a daemon dies in the middle of one,
 * the next daemon that looks finishes it.
 */
import { explain, type Logger } from '../../core/index.js';
import type { Catalog } from './catalog.js';
import { epochKey, epochOfKey, KINDS, SUM_EPOCH } from './catalog-entries.js';
import type { Objects } from './cluster.js';
import { LEASE_MS, takeOut } from './joining.js';
import { orphansAmong } from './orphans.js';
import type { RegionObjects } from './region-objects.js';
import { inWindows } from './windows.js';

/** What was seen of an entry, and when first. */
interface Seen {
  readonly value: string;
  readonly since: number;
}

export class Keeper {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #seen = new Map<string, Seen>();
  /** Erased regions whose objects this daemon is removing. */
  readonly #removing = new Set<string>();
  #isStopped = false;

  constructor(
    private readonly catalog: Catalog,
    private readonly objects: Objects,
    private readonly regions: RegionObjects,
    private readonly logger: Logger,
    private readonly leaseMs = LEASE_MS,
  ) {}

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.#round().finally(() => (this.#running = undefined));
    }, this.leaseMs / 3);
    this.#timer.unref();
  }

  /**
   * Shows the others that this daemon lives, unless they have seen it lately.
   * @throws OVERLOADED, POOL_IN_USE (it was taken for dead, and another one serves alone)
   */
  async showSign(): Promise<void> {
    if (performance.now() - this.catalog.seenAt > (this.leaseMs * 2) / 3) await this.catalog.change({});
  }

  /** Waits for what it is doing now. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Ends what it does. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  /**
   * Removes the objects of a region whose erasure the catalog has.
   * @throws OVERLOADED; then it is tried again later
   */
  async discard(key: string, size: number): Promise<void> {
    this.#removing.add(key);
    try {
      await this.regions.remove(key, size);
    } finally {
      this.#removing.delete(key);
    }
    // Not awaited: nothing depends on it. If it fails, the removal is made again.
    this.catalog.change({ remove: [KINDS.garbage + key] }).catch(() => undefined);
  }

  async #round(): Promise<void> {
    try {
      await this.catalog.change({});
      await this.#endTheDead();
      await this.#removeGarbage();
      await this.#sweep();
    } catch (error) {
      if (!this.#isStopped)
        this.logger.warning(`clearing up did not end, and begins again: ${explain(error)}`);
    }
  }

  /** Those entries that have been as they are for the time of a lease. */
  #overdue(entries: ReadonlyMap<string, string>, kind: string): Map<string, string> {
    const now = performance.now();
    const overdue = new Map<string, string>();
    for (const key of this.#seen.keys())
      if (key.startsWith(kind) && !entries.has(key)) this.#seen.delete(key);
    for (const [key, value] of entries) {
      const seen = this.#seen.get(key);
      if (seen?.value !== value) this.#seen.set(key, { value, since: now });
      else if (now - seen.since >= this.leaseMs) overdue.set(key, value);
    }
    return overdue;
  }

  async #endTheDead(): Promise<void> {
    const counts = await this.catalog.all(KINDS.count);
    const own = epochKey('c', this.catalog.epoch);
    const sum = epochKey('c', SUM_EPOCH);
    for (const [key, value] of this.#overdue(counts, KINDS.count)) {
      if (key === own || key === sum) continue;
      const isEnded = await takeOut(this.catalog, key, value, (keys) => this.catalog.change(keys));
      if (isEnded)
        this.logger.warning(
          `the daemon of epoch ${epochOfKey(key)} shows no sign of life, and was taken out`,
        );
    }
  }

  async #removeGarbage(): Promise<void> {
    const garbage = await this.catalog.all(KINDS.garbage);
    for (const [entry, size] of this.#overdue(garbage, KINDS.garbage)) {
      const key = entry.slice(1);
      if (!this.#isStopped && !this.#removing.has(key)) await this.discard(key, Number(size));
    }
  }

  /** Removes objects that belong to no region, after a daemon has died. */
  async #sweep(): Promise<void> {
    const dead = await this.catalog.all(KINDS.dead);
    // What is being imported has no entry before it is complete.
    if (dead.size === 0 || (await this.catalog.value(KINDS.alone)) !== undefined) return;
    let removed = 0;
    for await (const objects of this.objects.list()) {
      const orphans = await orphansAmong(objects, this.catalog);
      await inWindows(orphans, async (object) => {
        if (this.#isStopped) return;
        await this.objects.write(object, [['remove']]);
        removed++;
      });
      if (this.#isStopped) return;
    }
    await this.catalog.change({ remove: [...dead.keys()] });
    if (removed > 0) this.logger.info(`removed ${removed} objects that unfinished creations had left behind`);
  }
}
