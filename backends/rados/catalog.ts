/**
 * The catalog of a namespace, in the keys of one object: which regions there are, and which of them
 * has which name.
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
import { ABSENT, CONDITION, type Objects, type Pairs } from './cluster.js';
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
import type { WriteStep } from './addon.js';

/** A change, made as a whole or not at all. */
export interface Change {
  /** Values that keys must have; undefined: the key is absent. */
  readonly expect?: ReadonlyMap<string, string | undefined>;
  readonly set?: ReadonlyMap<string, string>;
  readonly remove?: readonly string[];
  /** What it adds to the regions and their bytes. */
  readonly regions?: number;
  readonly bytes?: number;
  /**
   * The epoch of the region that it makes known. If that was taken for dead, the region's objects
   * may be gone, and it is refused.
   */
  readonly epoch?: number;
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

const OBJECT = 'catalog';
/** Changes in one operation. */
const BATCH_CHANGES = 64;
const BATCH_BYTES = 2 ** 18;
const PAGE_KEYS = 1000;
const RETRY_MS = 250;
/** The first epoch of a namespace is below this, and the last one is 2^32 - 1. */
const FIRST_EPOCHS = 2 ** 30;
const NOTHING = Buffer.alloc(0);

export class Catalog {
  /** What this daemon has in common with all others. */
  settings: Settings = { format: FORMAT, poolId: '', stripeBytes: 0 };
  epoch = 0;
  /** The settings as they are stored. */
  #settings: string | undefined;
  #count: Count = { regions: 0, bytes: 0, change: 0 };
  #queue: Queued[] = [];
  #running: Promise<void> | undefined;
  #isClosing = false;
  /** Whether something of this epoch may be left that no entry tells of. */
  hasLeftovers = false;

  constructor(
    private readonly objects: Objects,
    private readonly patienceMs: number,
    private readonly logger: Logger,
  ) {}

  /** Makes the catalog if there is none, and joins those who serve it. */
  async open(stripeBytes: number): Promise<void> {
    const settings = { format: FORMAT, poolId: randomBytes(8).toString('hex'), stripeBytes };
    const entries = new Map([
      [KINDS.settings, JSON.stringify(settings)],
      // Where a namespace was destroyed and made again, what is left of the old one has other epochs.
      [KINDS.epoch, String(randomInt(1, FIRST_EPOCHS))],
    ]);
    await this.objects.write(OBJECT, [['create'], ['omapSet', pairsOf(entries)]]);
    // It is there: it was made now, or had its settings before.
    this.#settings = (await this.get([KINDS.settings])).get(KINDS.settings);
    this.settings = settingsOf(this.#settings ?? '');
    await this.#join();
  }

  /** Takes an epoch that nobody has had. @throws POOL_NOT_FOUND if this is no longer the namespace that was opened */
  async #join(): Promise<void> {
    for (;;) {
      const found = await this.get([KINDS.epoch, KINDS.settings]);
      if (found.get(KINDS.settings) !== this.#settings) throw gone();
      const text = found.get(KINDS.epoch);
      const epoch = Number(text);
      const count: Count = { regions: 0, bytes: 0, change: 0 };
      const expect = new Map([
        [KINDS.epoch, text],
        [KINDS.settings, this.#settings],
      ]);
      const set = new Map([
        [KINDS.epoch, String(epoch + 1)],
        [epochKey('c', epoch), countValue(count)],
      ]);
      const status = await this.#write(expect, set, []);
      if (status === CONDITION) continue;
      if (status === ABSENT) throw gone();
      this.epoch = epoch;
      this.#count = count;
      return;
    }
  }

  /** Ends what is queued, and adds this daemon's count to those of others that ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    while (this.#running !== undefined) await this.#running;
    const own = epochKey('c', this.epoch);
    const sum = epochKey('c', SUM_EPOCH);
    for (let attempt = 0; attempt < 100; attempt++) {
      const found = await this.get([own, sum]);
      // Others have done it, or the namespace is gone.
      if (found.get(own) !== countValue(this.#count)) return;
      const set = new Map([[sum, countValue(added(countOf(sum, found.get(sum)), this.#count))]]);
      if (this.hasLeftovers) set.set(epochKey('d', this.epoch), '1');
      const expect = new Map([own, sum].map((key) => [key, found.get(key)]));
      if ((await this.#write(expect, set, [own])) !== CONDITION) return;
    }
  }

  /** The values of those keys that are there. @throws OVERLOADED */
  async get(keys: readonly string[]): Promise<Map<string, string>> {
    const { status, results } = await this.objects.read(OBJECT, [
      ['omapGet', keys.map((key) => Buffer.from(key))],
    ]);
    if (status === ABSENT) throw gone();
    return mapOf(results[0] as Pairs);
  }

  /** Keys of a kind or prefix after another, in the order of their bytes. @throws OVERLOADED */
  async page(
    prefix: string,
    after: Buffer,
    limit: number,
  ): Promise<{ entries: [key: string, value: string][]; more: boolean }> {
    const most = Math.min(limit, PAGE_KEYS);
    const step = ['omapPage', after, Buffer.from(prefix), most] as const;
    const { status, results } = await this.objects.read(OBJECT, [step]);
    if (status === ABSENT) throw gone();
    const found = results[0] as Pairs;
    return { entries: [...mapOf(found)], more: found.more };
  }

  /** All keys of a kind. */
  async all(kind: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    let after = NOTHING;
    for (;;) {
      const { entries, more } = await this.page(kind, after, PAGE_KEYS);
      for (const [key, value] of entries) found.set(key, value);
      const last = entries.at(-1);
      if (!more || last === undefined) return found;
      after = Buffer.from(last[0]);
    }
  }

  /** Regions and bytes of all daemons. */
  async total(): Promise<Count> {
    let total: Count = { regions: 0, bytes: 0, change: 0 };
    for (const [key, value] of await this.all(KINDS.count)) total = added(total, countOf(key, value));
    return total;
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
        await this.#make(batch);
      } catch (error) {
        for (const queued of batch) fail(queued, error);
      }
    }
    // In this step: a change that is asked for in the next one begins a run of its own.
    this.#running = undefined;
  }

  /** Changes that do not touch what another one of them touches. */
  #nextBatch(): Queued[] {
    const batch: Queued[] = [];
    const later: Queued[] = [];
    const touched = new Set<string>();
    let bytes = 0;
    for (const queued of this.#queue) {
      const isApart = ![...queued.keys].some((key) => touched.has(key));
      for (const key of queued.keys) touched.add(key);
      if (isApart && batch.length < BATCH_CHANGES && bytes < BATCH_BYTES) {
        batch.push(queued);
        for (const key of queued.keys) bytes += key.length + 64;
      } else later.push(queued);
    }
    this.#queue = later;
    return batch;
  }

  async #make(given: readonly Queued[]): Promise<void> {
    const isOld = ({ change: { epoch = this.epoch } }: Queued): boolean => epoch !== this.epoch;
    for (const queued of given.filter(isOld)) fail(queued, contended());
    const batch = given.filter((queued) => !isOld(queued));
    if (batch.length === 0) return;
    const own = epochKey('c', this.epoch);
    const before = this.#count;
    const expect = new Map<string, string | undefined>([[own, countValue(before)]]);
    const set = new Map<string, string>();
    const remove: string[] = [];
    let after: Count = { ...before, change: before.change + 1 };
    for (const { change } of batch) {
      for (const [key, value] of change.expect ?? []) expect.set(key, value);
      for (const [key, value] of change.set ?? []) set.set(key, value);
      remove.push(...(change.remove ?? []));
      after = added(after, { regions: change.regions ?? 0, bytes: change.bytes ?? 0, change: 0 });
    }
    set.set(own, countValue(after));
    let status: number;
    try {
      status = await this.#write(expect, set, remove);
    } catch (error) {
      for (const { reject } of batch) reject(error);
      const outcome = isUnsure(error) ? await this.#settle(before, after) : false;
      for (const { onOutcome } of batch) onOutcome(outcome);
      return;
    }
    if (status === ABSENT) throw gone();
    if (status === CONDITION) return this.#sortOut(batch);
    this.#count = after;
    for (const { resolve } of batch) resolve(true);
  }

  /** Something was not as expected. Whose expectation that was is told; the others are tried again. */
  async #sortOut(batch: readonly Queued[]): Promise<void> {
    const own = epochKey('c', this.epoch);
    const keys = new Set([own, ...batch.flatMap(({ change }) => [...(change.expect?.keys() ?? [])])]);
    const found = await this.get([...keys]);
    if (found.get(own) !== countValue(this.#count)) {
      this.logger.warning(`epoch ${this.epoch} was taken for dead by another daemon; joining again`);
      this.hasLeftovers = false;
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
        const status = await this.#write(
          new Map([[own, countValue(before)]]),
          new Map([[own, countValue(fence)]]),
          [],
        );
        if (status === ABSENT) return undefined;
        if (status === CONDITION) {
          const found = (await this.get([own])).get(own);
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

  #write(
    expect: ReadonlyMap<string, string | undefined>,
    set: ReadonlyMap<string, string>,
    remove: readonly string[],
  ): Promise<number> {
    const steps: WriteStep[] = [['assertExists']];
    for (const [key, value] of expect)
      steps.push(['omapCompare', Buffer.from(key), value === undefined ? NOTHING : Buffer.from(value)]);
    if (remove.length > 0) steps.push(['omapRemove', remove.map((key) => Buffer.from(key))]);
    if (set.size > 0) steps.push(['omapSet', pairsOf(set)]);
    return this.objects.write(OBJECT, steps);
  }
}

/** Whether a failed operation may have been made. */
export function isUnsure(error: unknown): boolean {
  return error instanceof BedrockError && ['OVERLOADED', 'UNREACHABLE', 'INTERNAL'].includes(error.code);
}

export function added(one: Count, other: Count): Count {
  return {
    regions: one.regions + other.regions,
    bytes: one.bytes + other.bytes,
    change: one.change + other.change,
  };
}

/** Ends a change that was not made. */
function fail({ reject, onOutcome }: Queued, error: unknown): void {
  reject(error);
  onOutcome(false);
}

function pairsOf(entries: ReadonlyMap<string, string>): Buffer[] {
  return [...entries].flatMap(([key, value]) => [Buffer.from(key), Buffer.from(value)]);
}

function mapOf({ pairs }: Pairs): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < pairs.length; at += 2) found.set(String(pairs[at]), String(pairs[at + 1]));
  return found;
}

function gone(): BedrockError {
  return new BedrockError(
    'POOL_NOT_FOUND',
    'the namespace has no catalog: it was destroyed, or its pool was emptied',
  );
}

function contended(): BedrockError {
  return new BedrockError(
    'OVERLOADED',
    'the change was not made: the catalog of the namespace did not take it in time; try again',
  );
}
