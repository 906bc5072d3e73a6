/**
 * The catalog of a namespace, in the keys of one object: which regions there are, and which of them
 * has which name. Here are its changes; the object itself is in catalog-object.ts.
 *
 * A change is one write operation of the cluster, so it is made as a whole or not at all, even if a
 * process dies. It states what it expects to find; if that is no longer so, nothing is written, and
 * the caller looks again. No daemon keeps a copy, so each sees the changes of all others at once.
 *
 * Changes of this daemon that wait for each other go in one operation. Each also changes the
 * daemon's own count of regions and bytes, whose sum over all daemons is what `stats` tell. The
 * count has a number that rises with each change:
 *
 * - Lost answers. After a time-out it is not known whether an operation was made. The count says
 *   it. If it was not, the number is raised first, and the old operation, which expects the old
 *   number, can never be made later.
 * - Fencing. A daemon that is taken for dead loses its count. It can make no change any more until
 *   it has joined again, with a new epoch.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, explain, type Logger } from '../../core/index.js';
import { ABSENT, CONDITION, type Objects } from './cluster.js';
import { added, CatalogObject, gone, type Keys } from './catalog-object.js';
import {
  type Count,
  countOf,
  countValue,
  epochKey,
  FORMAT,
  KINDS,
  type Settings,
  settingsOf,
  SUM_EPOCH,
} from './catalog-entries.js';
import { join, LEASE_MS, NO_COUNT } from './joining.js';

/** A change, made as a whole or not at all. */
export interface Change extends Keys {
  /** What it adds to the regions and their bytes. */
  readonly regions?: number;
  readonly bytes?: number;
}

/**
 * Whether a change was made whose caller has been told OVERLOADED. undefined: that will never be
 * known here.
 */
export type Outcome = boolean | undefined;

interface Queued {
  readonly change: Change;
  readonly keys: ReadonlySet<string>;
  readonly since: number;
  readonly resolve: (isMade: boolean) => void;
  readonly reject: (error: unknown) => void;
  /** Called if the call fails, as soon as the outcome is known. */
  readonly onOutcome: (outcome: Outcome) => void;
}

/** Changes in one operation. */
const BATCH_CHANGES = 64;
const BATCH_BYTES = 2 ** 18;
const RETRY_MS = 250;
/** The first epoch of a namespace is below this, and the last one is 2^32 - 1. */
const FIRST_EPOCHS = 2 ** 30;

export class Catalog extends CatalogObject {
  /** What this daemon has in common with all others. */
  settings: Settings = { format: FORMAT, poolId: '', stripeBytes: 0 };
  epoch = 0;
  /** When the last change was sent that was made: others have seen this daemon live since then. */
  seenAt = 0;
  /** The settings as they are stored. */
  #settings: string | undefined;
  #count: Count = NO_COUNT;
  #queue: Queued[] = [];
  #running: Promise<void> | undefined;
  #isClosing = false;
  /** Whether there may be objects that belong to no region. */
  hasLeftovers = false;

  constructor(
    objects: Objects,
    private readonly patienceMs: number,
    private readonly logger: Logger,
    private readonly leaseMs = LEASE_MS,
  ) {
    super(objects);
  }

  /**
   * Makes the catalog if there is none, and joins those who serve it.
   * @param poolId 16 hexadecimal digits, for a new namespace
   */
  async open(stripeBytes: number, poolId = randomBytes(8).toString('hex')): Promise<void> {
    const settings = { format: FORMAT, poolId, stripeBytes };
    await this.make(
      new Map([
        [KINDS.settings, JSON.stringify(settings)],
        [KINDS.epoch, String(randomInt(1, FIRST_EPOCHS))],
      ]),
    );
    // It is there: it was made now, or had its settings before.
    this.#settings = await this.value(KINDS.settings);
    this.settings = settingsOf(this.#settings ?? '');
    await this.#join();
  }

  /** @throws POOL_NOT_FOUND, POOL_IN_USE */
  async #join(): Promise<void> {
    const { patienceMs, leaseMs } = this;
    const sent = performance.now();
    this.epoch = await join(this, { settings: this.#settings ?? '', patienceMs, leaseMs });
    this.seenAt = sent;
    this.#count = NO_COUNT;
  }

  /** Sets settings with other changes. This daemon serves alone. @returns false: nothing was changed */
  async changeSettings(settings: Settings, change: Change): Promise<boolean> {
    const text = JSON.stringify(settings);
    const isMade = await this.change({
      ...change,
      expect: new Map([...(change.expect ?? []), [KINDS.settings, this.#settings]]),
      set: new Map([...(change.set ?? []), [KINDS.settings, text]]),
    });
    if (isMade) [this.#settings, this.settings] = [text, settings];
    return isMade;
  }

  /** Ends what is queued, and adds this daemon's count to those of others that ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    while (this.#running !== undefined) await this.#running;
    const own = epochKey('c', this.epoch);
    const sum = epochKey('c', SUM_EPOCH);
    for (let attempt = 0; attempt < 100; attempt++) {
      const found = await this.get([own, sum, KINDS.alone]);
      // Others have done it, or the namespace is gone.
      if (found.get(own) !== countValue(this.#count)) return;
      const set = new Map([[sum, countValue(added(countOf(sum, found.get(sum)), this.#count))]]);
      if (this.hasLeftovers) set.set(epochKey('d', this.epoch), '1');
      const expect = new Map([own, sum].map((key) => [key, found.get(key)]));
      const isAlone = found.get(KINDS.alone) === String(this.epoch);
      if ((await this.write({ expect, set, remove: isAlone ? [own, KINDS.alone] : [own] })) !== CONDITION)
        return;
    }
  }

  /**
   * Makes a change.
   * @param onOutcome called once if the call fails, as soon as it is known whether the change was made
   * @returns whether all was found as expected; if not, nothing was changed
   * @throws OVERLOADED
   */
  change(change: Change, onOutcome: (outcome: Outcome) => void = () => undefined): Promise<boolean> {
    const keys = new Set([
      ...(change.expect?.keys() ?? []),
      ...(change.set?.keys() ?? []),
      ...(change.remove ?? []),
    ]);
    return new Promise((resolve, reject) => {
      this.#queue.push({ change, keys, since: performance.now(), resolve, reject, onOutcome });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    // In a later step, so that what is asked for in this one goes in one operation.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#makeAll(batch);
      } catch (error) {
        for (const queued of batch) fail(queued, error);
      }
    }
    // In this step: a change that is asked for in the next one begins a run of its own.
    this.#running = undefined;
  }

  /** Changes of which none touches what another one changes. */
  #nextBatch(): Queued[] {
    const batch: Queued[] = [];
    const later: Queued[] = [];
    const written = new Set<string>();
    const expected = new Map<string, string | undefined>();
    let bytes = 0;
    for (const queued of this.#queue) {
      const { keys, change } = queued;
      const expect = change.expect ?? new Map<string, string | undefined>();
      const isApart =
        ![...keys].some((key) => written.has(key)) &&
        ![...expect].some(([key, value]) => expected.has(key) && expected.get(key) !== value) &&
        ![...writtenBy(change)].some((key) => expected.has(key));
      for (const key of writtenBy(change)) written.add(key);
      for (const [key, value] of expect) expected.set(key, value);
      if (isApart && batch.length < BATCH_CHANGES && bytes < BATCH_BYTES) {
        batch.push(queued);
        for (const key of keys) bytes += key.length + 64;
      } else later.push(queued);
    }
    this.#queue = later;
    return batch;
  }

  async #makeAll(batch: readonly Queued[]): Promise<void> {
    const own = epochKey('c', this.epoch);
    const before = this.#count;
    const expect = new Map<string, string | undefined>([[own, countValue(before)]]);
    const set = new Map<string, string>();
    const remove: string[] = [];
    const removeKinds: string[] = [];
    let after: Count = { ...before, change: before.change + 1 };
    for (const { change } of batch) {
      for (const [key, value] of change.expect ?? []) expect.set(key, value);
      for (const [key, value] of change.set ?? []) set.set(key, value);
      remove.push(...(change.remove ?? []));
      removeKinds.push(...(change.removeKinds ?? []));
      after = added(after, { regions: change.regions ?? 0, bytes: change.bytes ?? 0, change: 0 });
    }
    set.set(own, countValue(after));
    let status: number;
    const sent = performance.now();
    try {
      status = await this.write({ expect, set, remove, removeKinds });
    } catch (error) {
      for (const { reject } of batch) reject(error);
      const outcome = isUnsure(error) ? await this.#settle(before, after) : false;
      for (const { onOutcome } of batch) onOutcome(outcome);
      return;
    }
    if (status === ABSENT) throw gone();
    if (status === CONDITION) return this.#sortOut(batch);
    this.#count = after;
    this.seenAt = sent;
    for (const { resolve } of batch) resolve(true);
  }

  /** Something was not as expected. Whose expectation that was is told; the others are tried again. */
  async #sortOut(batch: readonly Queued[]): Promise<void> {
    const own = epochKey('c', this.epoch);
    const keys = new Set([own, ...batch.flatMap(({ change }) => [...(change.expect?.keys() ?? [])])]);
    const found = await this.get([...keys]);
    if (found.get(own) !== countValue(this.#count)) {
      this.logger.warning(`epoch ${this.epoch} was taken for dead by another daemon; joining again`);
      await this.#join();
    }
    const again: Queued[] = [];
    for (const queued of batch) {
      const isExpected = [...(queued.change.expect ?? [])].every(([key, value]) => found.get(key) === value);
      if (!isExpected) queued.resolve(false);
      else if (performance.now() - queued.since > this.patienceMs) fail(queued, contended());
      else again.push(queued);
    }
    this.#queue.unshift(...again);
  }

  /** Learns whether an operation was made whose answer was lost, and sees to it that it is not made later. */
  async #settle(before: Count, after: Count): Promise<Outcome> {
    const own = epochKey('c', this.epoch);
    // Beyond the one that may have been made.
    const fence = { ...before, change: after.change + 1 };
    for (;;) {
      this.#refuseOverdue();
      try {
        const status = await this.write({
          expect: new Map([[own, countValue(before)]]),
          set: new Map([[own, countValue(fence)]]),
        });
        if (status === ABSENT) return undefined;
        if (status === CONDITION) {
          const found = await this.value(own);
          const reached = [after, fence].find((count) => countValue(count) === found);
          if (reached === undefined) {
            // Taken for dead. What this epoch has left behind is seen to by others.
            await this.#join();
            return undefined;
          }
          this.#count = reached;
          return reached === after;
        }
        this.#count = fence;
        return false;
      } catch (error) {
        const isGone = error instanceof BedrockError && error.code === 'POOL_NOT_FOUND';
        if (this.#isClosing || isGone) {
          this.hasLeftovers = true;
          return undefined;
        }
        this.logger.warning(`the outcome of a change is not known yet: ${explain(error)}`);
        await delay(RETRY_MS);
      }
    }
  }

  /** Nobody waits longer than an operation may take. What was never sent was not made. */
  #refuseOverdue(): void {
    const now = performance.now();
    const isOverdue = ({ since }: Queued): boolean => now - since > this.patienceMs;
    for (const queued of this.#queue.filter(isOverdue)) fail(queued, contended());
    this.#queue = this.#queue.filter((queued) => !isOverdue(queued));
  }
}

/** Whether a failed operation may have been made. */
export function isUnsure(error: unknown): boolean {
  return error instanceof BedrockError && ['OVERLOADED', 'UNREACHABLE', 'INTERNAL'].includes(error.code);
}

function* writtenBy({ set, remove }: Change): Generator<string> {
  yield* set?.keys() ?? [];
  yield* remove ?? [];
}

/** Ends a change that was not made. */
function fail({ reject, onOutcome }: Queued, error: unknown): void {
  reject(error);
  onOutcome(false);
}

function contended(): BedrockError {
  return new BedrockError(
    'OVERLOADED',
    'the change was not made: the catalog of the namespace did not take it in time; try again',
  );
}
