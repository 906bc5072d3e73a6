/**
 * A target whose regions are objects of a Ceph pool. It keeps nothing that another daemon would
 * have to know: which regions there are is in the catalog (catalog.ts), their bytes are in objects
 * (region-objects.ts), and several daemons serve one namespace.
 *
 * A region is made in this order: further stripes, first stripe, entry in the catalog. It is erased
 * in the other: its entry, with a record of what is to be removed; first stripe; further stripes.
 * The entry is what counts: after a crash the region is there, whole, or it is not.
 *
 * A call by a name looks the name up, and then goes to the region. If that was replaced or erased
 * between the two, by whichever daemon, the call begins again with what the name means then.
 */
import {
  allocateBuffer,
  type BackendContext,
  BedrockError,
  type Capabilities,
  checkBytes,
  checkListOptions,
  checkName,
  checkNamesOptions,
  checkNewName,
  checkOptions,
  checkPersist,
  checkPutOptions,
  checkRange,
  checkRanges,
  checkRef,
  checkRenameOptions,
  checkSize,
  checkTotal,
  type CreateAndWriteOptions,
  type CreateOptions,
  type ErasedPage,
  type DurabilityMode,
  explain,
  Lifecycle,
  type ListOptions,
  type MappedName,
  type NamedRegion,
  type NamesOptions,
  type NamesPage,
  type PutOptions,
  type RecoveryReport,
  type RegionId,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionRef,
  type RegionSource,
  type RegionStat,
  type RenameOptions,
  sourceOf,
  type Target,
  type TargetStats,
  type TransactionResult,
  type WriteOptions,
} from '../../core/index.js';
import { CallsInFlight } from './calls-in-flight.js';
import { Catalog, type Change, type Outcome } from './catalog.js';
import {
  type Entry,
  idOf,
  KINDS,
  keyOf,
  namedOf,
  namedValue,
  nameKey,
  regionOf,
  regionValue,
} from './catalog-entries.js';
import { ClusterHealth } from './cluster-health.js';
import { Objects, type RadosSettings } from './cluster.js';
import { fillRegion } from './fill-region.js';
import { Keeper } from './keeper.js';
import { namesPage } from './name-page.js';
import { RegionObjects } from './region-objects.js';

export const RADOS_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: false,
};

const NO_OPTIONS = {};
/** How often a call by a name may find that the name has moved on. */
const MOST_LOOKS = 1000;
const MAX_SEQUENCE = 0xffff_ffff;

/** What is there while the target is open. */
interface Storage {
  readonly objects: Objects;
  readonly catalog: Catalog;
  readonly regions: RegionObjects;
  readonly keeper: Keeper;
  readonly health: ClusterHealth;
}

export class RadosTarget extends Lifecycle implements Target {
  readonly type = 'rados';
  readonly capabilities = RADOS_CAPABILITIES;
  #storage: Storage | undefined;
  #calls = new CallsInFlight();
  #sequence = 0;
  #epoch = 0;

  constructor(
    private readonly config: RadosSettings,
    private readonly context: Pick<BackendContext, 'logger' | 'clock' | 'metrics'>,
    private readonly leaseMs?: number,
  ) {
    super(context.logger);
  }

  // ---- lifecycle ----

  protected async openStorage(): Promise<RecoveryReport> {
    const begun = performance.now();
    const objects = await Objects.open(this.config);
    const catalog = new Catalog(objects, this.config.op_timeout_ms, this.logger);
    try {
      const health = new ClusterHealth(objects, this.config.pool, this.context);
      await health.checkPool();
      await catalog.open(this.config.stripe_bytes);
      const { stripeBytes } = catalog.settings;
      if (stripeBytes !== this.config.stripe_bytes)
        this.logger.warning(
          `stripe_bytes is ${this.config.stripe_bytes}, and the namespace was made with ${stripeBytes}, which it keeps`,
        );
      const regions = new RegionObjects(objects, stripeBytes);
      const keeper = new Keeper(catalog, objects, regions, this.logger, this.leaseMs);
      const total = await catalog.total();
      keeper.start();
      health.start();
      this.#storage = { objects, catalog, regions, keeper, health };
      return {
        regions: total.regions,
        bytes: total.bytes,
        quarantined: 0,
        durationMs: performance.now() - begun,
      };
    } catch (error) {
      await objects.close();
      throw error;
    }
  }

  protected async closeStorage(): Promise<void> {
    const storage = this.#storage;
    this.#storage = undefined;
    this.#calls = new CallsInFlight();
    if (storage === undefined) return;
    storage.health.stop();
    await storage.keeper.stop();
    try {
      await storage.catalog.close();
    } catch (error) {
      this.logger.warning(`the other daemons will take this one for dead: ${explain(error)}`);
    } finally {
      await storage.objects.close();
    }
  }

  protected async destroyStorage(): Promise<void> {
    const objects = await Objects.open(this.config);
    try {
      // The catalog first: without it no daemon makes a region known any more.
      await objects.write('catalog', [['remove']]);
      const names = await objects.list();
      for (let at = 0; at < names.length; at += 64)
        await Promise.all(names.slice(at, at + 64).map((name) => objects.write(name, [['remove']])));
    } finally {
      await objects.close();
    }
  }

  get #open(): Storage {
    if (this.#storage === undefined) throw new BedrockError('TARGET_CLOSED', 'the rados target is not open');
    return this.#storage;
  }

  // ---- regions ----

  async create(size: number, options: CreateOptions = NO_OPTIONS): Promise<RegionId> {
    checkSize('size', size);
    const name = nameIn(options);
    return this.#call(async () => {
      const { regions } = this.#open;
      const key = this.#newKey(size);
      await this.#made(key, size, () => regions.make(key, size));
      return this.#publish(key, size, { name });
    });
  }

  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: CreateAndWriteOptions = NO_OPTIONS,
  ): Promise<RegionId> {
    const source = sourceOf(contents);
    const name = nameIn(options);
    checkPersist(options);
    return this.#call(() => this.#createFilled(source, contents, { name }));
  }

  async put(
    name: string,
    contents: Uint8Array | RegionSource,
    options: PutOptions = NO_OPTIONS,
  ): Promise<RegionId> {
    checkName(name);
    const source = sourceOf(contents);
    const condition = checkPutOptions(options);
    return this.#call(() => this.#createFilled(source, contents, { name, isPut: true, condition }));
  }

  async #createFilled(source: RegionSource, contents: unknown, wish: Wish): Promise<RegionId> {
    const { regions } = this.#open;
    const { size } = source;
    const key = this.#newKey(size);
    const bytes = ArrayBuffer.isView(contents) ? (contents as Uint8Array) : undefined;
    await this.#made(key, size, () => fillRegion(regions, key, size, bytes ?? source.source));
    return this.#publish(key, size, wish);
  }

  /** Makes the objects of a region. If that fails, they are removed. */
  async #made(key: string, size: number, make: () => Promise<void>): Promise<void> {
    try {
      await make();
    } catch (error) {
      await this.#unmake(key, size);
      throw error;
    }
  }

  async #unmake(key: string, size: number): Promise<void> {
    const { regions, catalog } = this.#open;
    try {
      await regions.remove(key, size);
    } catch {
      catalog.hasLeftovers = true;
    }
  }

  #newKey(size: number): string {
    const { catalog, regions } = this.#open;
    if (size > regions.maxBytes) {
      const text = `a region of ${size} bytes is larger than any can be here, ${regions.maxBytes} bytes`;
      throw new BedrockError('OUT_OF_SPACE', text, {
        details: { requested: size, largest: regions.maxBytes },
      });
    }
    if (this.#epoch !== catalog.epoch) [this.#epoch, this.#sequence] = [catalog.epoch, 0];
    if (this.#sequence === MAX_SEQUENCE)
      throw new BedrockError('OUT_OF_SPACE', 'all IDs of this run are used up; restart the daemon');
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(++this.#sequence, 0);
    bytes.writeUInt32LE(this.#epoch, 4);
    return bytes.toString('hex');
  }

  /**
   * Makes a region known whose objects are there. If that fails, they are removed, as soon as it is
   * certain that nobody knows it.
   */
  async #publish(key: string, size: number, { name, isPut = false, condition }: Wish): Promise<RegionId> {
    const { catalog } = this.#open;
    const { poolId } = catalog.settings;
    const epoch = this.#epoch;
    const createdAt = this.context.clock.now();
    const entry = { key, size, createdAt, ...(name !== undefined && { name }) };
    const settle = (outcome: Outcome): void => {
      // While the target closes, nothing is removed any more: others do it.
      if (outcome === false && this.#storage === undefined) catalog.hasLeftovers = true;
      else if (outcome === false) this.#within(() => this.#unmake(key, size));
      // Nobody has its ID, unless it has a name.
      else if (outcome === true && name === undefined) this.#within(() => this.#eraseKey(key));
    };
    const plan = async (): Promise<Plan> => {
      const set = new Map([[KINDS.region + key, regionValue(entry)]]);
      if (name === undefined) return { change: { set, regions: 1, bytes: size, epoch } };
      const named = nameKey(name);
      const value = (await catalog.get([named])).get(named);
      const old = value === undefined ? undefined : namedOf(named, value);
      if (old !== undefined && (!isPut || condition === 'absent')) throw taken(name);
      if (
        condition !== undefined &&
        condition !== 'absent' &&
        (old === undefined || !idOf(old.key, poolId).equals(condition))
      )
        throw new BedrockError(
          'CONDITION_FAILED',
          `the name ${JSON.stringify(name)} has not the region that is expected`,
        );
      set.set(named, namedValue(entry));
      return {
        replaced: old,
        change: {
          set,
          expect: new Map([[named, value]]),
          epoch,
          ...replacing(set, old, { regions: 1, bytes: size }),
        },
      };
    };
    await this.#change(plan, settle);
    return idOf(key, poolId);
  }

  /** Work that outlives the call that has begun it; close waits for it. */
  #within(work: () => Promise<unknown>): void {
    if (this.#storage === undefined) return;
    this.enterWithin();
    work()
      .catch((error: unknown) => this.logger.warning(`clearing up after a failed call: ${explain(error)}`))
      .finally(() => this.leave());
  }

  /**
   * Makes a planned change. If what it was planned with has changed meanwhile, it is planned again.
   * The bytes of what it replaces are removed.
   * @param onOutcome as for the catalog; also called if the plan fails
   */
  async #change(
    plan: () => Promise<Plan | undefined>,
    onOutcome: (outcome: Outcome) => void = () => undefined,
  ): Promise<void> {
    const { catalog } = this.#open;
    for (;;) {
      const planned = await plan().catch((error: unknown) => {
        onOutcome(false);
        throw error;
      });
      if (planned === undefined) return;
      const { change, replaced } = planned;
      if (!(await catalog.change(change, onOutcome))) continue;
      if (replaced !== undefined) await this.#discard(replaced);
      return;
    }
  }

  /** Removes the objects of a region that is erased in the catalog, after the last call on it. */
  async #discard({ key, size }: Pick<Entry, 'key' | 'size'>, ownCalls = 0): Promise<void> {
    this.#calls.setErased(key, true);
    try {
      await this.#calls.atMost(key, ownCalls);
      await this.#open.keeper.discard(key, size);
    } finally {
      this.#calls.setErased(key, false);
    }
  }

  async erase(ref: RegionRef): Promise<void> {
    return this.#with(ref, async (key) => {
      if (this.#calls.isErased(key)) throw notFound(key);
      this.#calls.setErased(key, true);
      await this.#eraseKey(key, 1);
    });
  }

  async #eraseKey(key: string, ownCalls = 0): Promise<void> {
    const { catalog } = this.#open;
    let entry: Entry | undefined;
    const plan = async (): Promise<Plan> => {
      const region = KINDS.region + key;
      const value = (await catalog.get([region])).get(region);
      if (value === undefined) throw notFound(key);
      entry = regionOf(region, value);
      const { size, name } = entry;
      return {
        change: {
          expect: new Map([[region, value]]),
          set: new Map([[KINDS.garbage + key, String(size)]]),
          remove: [region, ...(name === undefined ? [] : [nameKey(name)])],
          regions: -1,
          bytes: -size,
        },
      };
    };
    await this.#change(plan, (outcome) => {
      // The call has failed, and the region may have been erased all the same.
      const gone = entry;
      if (outcome === true && gone !== undefined) this.#within(() => this.#discard(gone));
      else this.#calls.setErased(key, false);
    });
    if (entry !== undefined) await this.#discard(entry, ownCalls);
  }

  async stat(ref: RegionRef): Promise<RegionStat> {
    return this.#with(ref, async (key) => {
      const { catalog } = this.#open;
      const region = KINDS.region + key;
      const value = (await catalog.get([region])).get(region);
      if (value === undefined) throw notFound(key);
      return statOf(regionOf(region, value), catalog.settings.poolId);
    });
  }

  async list(options: ListOptions = NO_OPTIONS): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    return this.#call(async () => {
      const { catalog } = this.#open;
      const { poolId } = catalog.settings;
      let from = Buffer.from(after === undefined ? KINDS.region : KINDS.region + this.#keyOf(after));
      const regions: RegionStat[] = [];
      for (;;) {
        const { entries, more } = await catalog.page(KINDS.region, from, limit - regions.length + 1);
        for (const [key, value] of entries) {
          if (this.#calls.isErased(key.slice(1))) continue;
          const next = regions.at(-1)?.id;
          if (regions.length === limit) return { regions, ...(next && { next }) };
          regions.push(statOf(regionOf(key, value), poolId));
        }
        const last = entries.at(-1);
        if (!more || last === undefined) return { regions };
        from = Buffer.from(last[0]);
      }
    });
  }

  async stats(): Promise<TargetStats> {
    return this.#call(async () => {
      const { regions, bytes } = await this.#open.catalog.total();
      const mode: DurabilityMode = 'fdatasync';
      return {
        type: this.type,
        mode,
        state: this.state,
        regions,
        capacityBytes: null,
        usedBytes: bytes,
        freeBytes: null,
        largestFreeBytes: null,
        pendingBytes: 0,
        failedGiveBacks: 0,
        fragmentation: 0,
        recovery: this.recovery,
      };
    });
  }

  // ---- bytes: a write is on all replicas when it is acknowledged, so that `persist` has nothing to add ----

  async write(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<void> {
    checkBytes('bytes', bytes);
    checkPersist(options);
    checkRef(ref);
    return this.#with(ref, async (key) => {
      const size = await this.#open.regions.knownSize(key);
      checkRange('write', offset, bytes.length, size);
      await this.#open.regions.write(key, size, [{ offset, size: bytes.length }], bytes);
    });
  }

  async writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<void> {
    checkBytes('bytes', bytes);
    checkPersist(options);
    checkRef(ref);
    const given = copied(ranges);
    return this.#with(ref, async (key) => {
      const { regions } = this.#open;
      const size = await regions.knownSize(key);
      const { ranges: checked, total } = checkRanges('write', given, size);
      checkTotal(total, bytes);
      await regions.write(key, size, checked, bytes);
    });
  }

  async read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array> {
    return this.#with(ref, async (key) => {
      const { regions } = this.#open;
      checkRange('read', offset, size, await regions.knownSize(key));
      const buffer = allocateBuffer(size);
      await regions.read(key, [{ offset, size }], buffer);
      return buffer;
    });
  }

  async readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void> {
    checkBytes('buffer', buffer);
    return this.#with(ref, async (key) => {
      const { regions } = this.#open;
      checkRange('read', offset, buffer.length, await regions.knownSize(key));
      await regions.read(key, [{ offset, size: buffer.length }], buffer);
    });
  }

  async readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const given = copied(ranges);
    return this.#with(ref, async (key) => {
      const { regions } = this.#open;
      const { ranges: checked, total } = checkRanges('read', given, await regions.knownSize(key));
      const buffer = allocateBuffer(total);
      await regions.read(key, checked, buffer);
      return buffer;
    });
  }

  async persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void> {
    const given = ranges && copied(ranges);
    return this.#with(ref, async (key) => {
      const size = await this.#open.regions.sizeOf(key);
      if (given !== undefined) checkRanges('persist', given, size);
    });
  }

  // ---- names ----

  async find(name: string): Promise<NamedRegion> {
    checkName(name);
    return this.#call(async () => {
      const entry = await this.#named(name);
      if (this.#calls.isErased(entry.key)) throw notFound(name);
      const { size, createdAt } = entry;
      return { name, id: idOf(entry.key, this.#open.catalog.settings.poolId), size, createdAt };
    });
  }

  async rename(ref: RegionRef, name: string | null, options: RenameOptions = NO_OPTIONS): Promise<void> {
    checkRef(ref);
    checkNewName(name);
    const mayReplace = checkRenameOptions(options);
    return this.#with(ref, async (key) => {
      const { catalog } = this.#open;
      await this.#change(async () => {
        const region = KINDS.region + key;
        const keys = [region, ...(name === null ? [] : [nameKey(name)])];
        const found = await catalog.get(keys);
        const value = found.get(region);
        if (value === undefined) throw notFound(key);
        const entry = regionOf(region, value);
        if (entry.name === (name ?? undefined)) return undefined;
        const expect = new Map<string, string | undefined>([[region, value]]);
        const { name: oldName, ...rest } = entry;
        const remove = oldName === undefined ? [] : [nameKey(oldName)];
        if (name === null) return { change: { expect, remove, set: new Map([[region, regionValue(rest)]]) } };
        const other = found.get(nameKey(name));
        if (other !== undefined && !mayReplace) throw taken(name);
        const replaced = other === undefined ? undefined : namedOf(nameKey(name), other);
        expect.set(nameKey(name), other);
        const renamed = { ...rest, name };
        const set = new Map([
          [region, regionValue(renamed)],
          [nameKey(name), namedValue(renamed)],
        ]);
        const more = replacing(set, replaced, { regions: 0, bytes: 0 });
        return { replaced, change: { expect, set, ...more, remove: [...remove, ...more.remove] } };
      });
    });
  }

  async names(options: NamesOptions = NO_OPTIONS): Promise<NamesPage> {
    const checked = checkNamesOptions(options);
    return this.#call(() => namesPage(this.#open.catalog, checked, (key) => this.#calls.isErased(key)));
  }

  // ---- what there is not ----

  async map(_ref: RegionRef): Promise<RegionMapping> {
    return this.#refuse('cannot map regions; read them instead');
  }

  // oxlint-disable-next-line require-yield -- there is nothing to give
  async *mapNames(): AsyncGenerator<MappedName> {
    await this.#refuse('cannot map regions; read them instead');
  }

  async transact(): Promise<TransactionResult> {
    return this.#refuse('has no transactions; a put replaces one region atomically');
  }

  async importRegion(): Promise<void> {
    return this.#refuse('hands no IDs over and takes none');
  }

  async importErased(): Promise<void> {
    return this.#refuse('hands no IDs over and takes none');
  }

  async listErased(): Promise<ErasedPage> {
    return this.#refuse('hands no IDs over and takes none');
  }

  #refuse(what: string): Promise<never> {
    this.checkOpen();
    return Promise.reject(new BedrockError('NOT_SUPPORTED', `a rados target ${what}`));
  }

  // ---- calls ----

  async #call<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** A call on a region, which an erasure by this daemon waits for. By an ID it counts from this step on. */
  async #with<T>(ref: RegionRef, work: (key: string) => Promise<T>): Promise<T> {
    checkRef(ref);
    return this.#call(async () => {
      if (typeof ref !== 'string') return this.#on(this.#keyOf(ref), work);
      let { key } = await this.#named(ref);
      for (let look = 0; ; look++) {
        try {
          return await this.#on(key, work);
        } catch (error) {
          if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND' || look > MOST_LOOKS)
            throw error;
          const now = await this.#named(ref);
          if (now.key === key) throw error;
          ({ key } = now);
        }
      }
    });
  }

  async #on<T>(key: string, work: (key: string) => Promise<T>): Promise<T> {
    this.#calls.begin(key);
    try {
      return await work(key);
    } finally {
      this.#calls.end(key);
    }
  }

  /** @throws REGION_NOT_FOUND */
  async #named(name: string): Promise<Entry & { readonly name: string }> {
    const key = nameKey(name);
    const value = (await this.#open.catalog.get([key])).get(key);
    if (value === undefined) throw notFound(name);
    return namedOf(key, value);
  }

  /** @throws REGION_NOT_FOUND for an ID of another namespace */
  #keyOf(id: RegionId): string {
    const text = id.toString();
    if (!text.endsWith(this.#open.catalog.settings.poolId)) throw notFound(text);
    return keyOf(id);
  }
}

/** A change that was planned, and the region that it erases. */
interface Plan {
  readonly change: Change;
  readonly replaced?: Entry | undefined;
}

/** How a new region is to be named. */
interface Wish {
  readonly name?: string | undefined;
  readonly isPut?: boolean;
  readonly condition?: PutOptions['if'];
}

/** What a change needs that erases a region beside what else it does. */
function replacing(
  set: Map<string, string>,
  old: Entry | undefined,
  { regions, bytes }: { regions: number; bytes: number },
): { remove: string[]; regions: number; bytes: number } {
  if (old === undefined) return { remove: [], regions, bytes };
  set.set(KINDS.garbage + old.key, String(old.size));
  return { remove: [KINDS.region + old.key], regions: regions - 1, bytes: bytes - old.size };
}

function nameIn(options: CreateOptions): string | undefined {
  const { name } = checkOptions(options) as CreateOptions;
  if (name !== undefined) checkName(name);
  return name;
}

function statOf({ key, size, createdAt, name }: Entry, poolId: string): RegionStat {
  return { id: idOf(key, poolId), size, createdAt, ...(name !== undefined && { name }) };
}

/** The caller's ranges as they are now; what is none is refused later. */
function copied(ranges: readonly RegionRange[]): readonly RegionRange[] {
  return Array.isArray(ranges)
    ? ranges.map((one: RegionRange) => (Object(one) === one ? { ...one } : one))
    : ranges;
}

function notFound(what: string): BedrockError {
  return new BedrockError('REGION_NOT_FOUND', `no region ${what} in this rados target`);
}

function taken(name: string): BedrockError {
  return new BedrockError('NAME_TAKEN', `another region has the name ${JSON.stringify(name)}`);
}
