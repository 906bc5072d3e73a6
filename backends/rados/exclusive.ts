/**
 * Serving alone: what one daemon does while no other one may serve the namespace. Imports need it,
 * and the end of a copy that is to show one moment.
 *
 * The mark is in the catalog, set in one operation that expects that nobody has joined since the
 * others were looked for. Who joins waits (joining.ts). The mark ends with its owner: by `close`,
 * or when it is taken for dead.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, explain, type Logger } from '../../core/index.js';
import type { Catalog } from './catalog.js';
import { epochKey, KINDS, SUM_EPOCH } from './catalog-entries.js';

/** Why a daemon serves alone. */
export type Reason = 'import' | 'copy';

export class Exclusive {
  readonly #reasons = new Set<Reason>();
  #epoch = 0;
  /** One step at a time. */
  #steps: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly catalog: Catalog,
    private readonly logger: Logger,
  ) {
    // Who joins a namespace that is being filled is alone.
    if (catalog.settings.isFilling === true) this.#hold('import');
  }

  /** The mark, as a change expects it that needs it. */
  get mark(): readonly [key: string, value: string] {
    return [KINDS.alone, String(this.#epoch)];
  }

  /** Whether this daemon serves alone, as far as it knows. */
  get isHeld(): boolean {
    return this.#reasons.size > 0 && this.#epoch === this.catalog.epoch;
  }

  #hold(reason: Reason): void {
    this.#reasons.add(reason);
    this.#epoch = this.catalog.epoch;
  }

  /** The epoch that the next daemon will have. @throws CONFLICT */
  async #next(): Promise<string> {
    // In this order: who joins later changes the epoch.
    const epoch = (await this.catalog.value(KINDS.epoch)) ?? '';
    const counts = await this.catalog.all(KINDS.count);
    counts.delete(epochKey('c', SUM_EPOCH));
    counts.delete(epochKey('c', this.catalog.epoch));
    if (counts.size === 0) return epoch;
    throw new BedrockError(
      'CONFLICT',
      `${counts.size} other daemons serve this namespace; imports, snapshots and migrations need one that serves it alone: ` +
        'stop the others, and wait 45 s if they were killed',
    );
  }

  /** Number of daemons that have joined so far: it changes with each. @throws CONFLICT */
  joined(): Promise<string> {
    return this.#next();
  }

  /** Keeps others from joining, until `release`. @returns whether it has begun with this @throws CONFLICT */
  acquire(reason: Reason): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.isHeld) {
        const isNew = !this.#reasons.has(reason);
        this.#reasons.add(reason);
        return isNew;
      }
      this.#reasons.clear();
      for (;;) {
        const next = await this.#next();
        // It may be left of a release that has failed.
        if ((await this.catalog.value(KINDS.alone)) === String(this.catalog.epoch)) break;
        const isMarked = await this.catalog.change({
          expect: new Map([
            [KINDS.epoch, next],
            [KINDS.alone, undefined],
          ]),
          set: new Map([[KINDS.alone, String(this.catalog.epoch)]]),
        });
        if (isMarked) break;
        await delay(10);
      }
      this.#hold(reason);
      return true;
    });
  }

  /** Lets others join, unless there is another reason. */
  release(reason: Reason): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#reasons.delete(reason) || this.#reasons.size > 0) return;
      const [key, value] = this.mark;
      await this.catalog.change({ expect: new Map([[key, value]]), remove: [key] });
    }).catch((error: unknown) =>
      this.logger.warning(`other daemons cannot join until this one is closed: ${explain(error)}`),
    );
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#steps.then(step);
    this.#steps = done.catch(() => undefined);
    return done;
  }
}
