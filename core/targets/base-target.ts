/**
 * What all backends share. Each class adds a subject to the one before it, and calls the hooks of the first:
 *
 * | class | what it adds |
 * |---|---|
 * | `Lifecycle` | open, close, calls in flight |
 * | `TargetHooks` | what a backend implements |
 * | `PinnedTarget` | regions that stay in place while calls are in flight on them |
 * | `BytesTarget` | reads, writes, mappings |
 * | `RegionsTarget` | create, erase, list, stats |
 * | `BaseTarget` | names and transactions |
 */
import { types } from 'node:util';
import { BedrockError } from '../base/errors.js';
import type {
  Change,
  MapNamesOptions,
  MappedName,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionRef,
  RenameOptions,
  TransactionResult,
} from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type {
  ErasedPage,
  ImportOptions,
  ListOptions,
  RegionMapping,
  RegionSource,
  Target,
} from '../contract/target.js';
import { checkName } from './arguments.js';
import { sourceOf } from './contents.js';
import { isUsed } from './holding.js';
import type { Eventually } from './lifecycle.js';
import { MappedNames } from './mapped-names.js';
import {
  checkChanges,
  checkNamesOptions,
  checkNewName,
  checkPutOptions,
  checkRef,
  checkRenameOptions,
} from './name-arguments.js';
import { namedRegion, pageOfNames } from './name-pages.js';
import type { NameWish } from './named-regions.js';
import type { SeenBytes } from './named-store.js';
import type { Region } from './region.js';
import { RegionsTarget } from './regions-target.js';
import type { TargetFigures } from './target-figures.js';
import { checkTransactionSize } from './transaction-size.js';
import { Transactions } from './transactions.js';

/** The most bytes that a put handles in one step. */
const ONE_STEP_BYTES = 2 ** 20;

/**
 * What all backends share: the checks of arguments and bounds, regions that stay in place while
 * calls are in flight on them, and contents that appear completely or not at all. A backend
 * implements the protected hooks.
 *
 * The hooks for regions and bytes are called only while the target is open, with checked arguments.
 * They return nothing or a promise. What they throw goes to the caller, except for `release`.
 */
export abstract class BaseTarget<R extends Region = Region> extends RegionsTarget<R> implements Target {
  #allTransactions: Transactions<R> | undefined;

  /**
   * `Target.put`: like `createAndWrite`, always durable, then `publish` with the name.
   * @throws INVALID_ARGUMENT, NAME_TAKEN, CONDITION_FAILED, NOT_SUPPORTED, TARGET_CLOSED, what the
   *   source or the hooks throw
   */
  async put(name: string, contents: Uint8Array | RegionSource, options: PutOptions = {}): Promise<RegionId> {
    checkName(name);
    this.checkNamed();
    const wish: NameWish = { name, if: checkPutOptions(options) };
    if (wish.if === undefined && this.putsInOneStep && types.isUint8Array(contents)) {
      const done = contents.length > ONE_STEP_BYTES ? undefined : this.#putInOneStep(name, contents);
      if (done !== undefined) return done;
    }
    return this.createFilled(sourceOf(contents), this.capabilities.persistent, wish);
  }

  /**
   * @internal
   * Like `put` with `if`, for contents that depend on the bytes of the region that has the name:
   * these bytes were not changed in place since they were read, and are not until that region is
   * replaced.
   * @throws as `put`; CONDITION_FAILED also if the bytes were changed
   */
  async putUnchanged(
    name: string,
    contents: Uint8Array | RegionSource,
    { id, changes }: SeenBytes,
  ): Promise<RegionId> {
    checkName(name);
    this.checkNamed();
    return this.createFilled(sourceOf(contents), this.capabilities.persistent, { name, if: id, changes });
  }

  /** @internal What metrics tell of its inside. */
  get figures(): TargetFigures {
    return {};
  }

  /** Whether `putInOneStep` may be called; see there. */
  protected get putsInOneStep(): boolean {
    return false;
  }

  /**
   * `put` of contents in memory, for targets whose `writeBytes` and `fillBytes` have copied the
   * bytes when they return. It returns no promise if no hook returns one. The bytes are the
   * caller's again when it returns.
   * @param found the region that has the name, if the bytes depend on its own, or null if they
   *   depend on there being none; it was read in the step of this call
   * @returns nothing, with nothing done, if others are changing the name or the region that has it
   * @throws as `put`
   */
  protected putInOneStep(
    name: string,
    bytes: Uint8Array,
    found?: RegionId | null,
  ): Eventually<RegionId> | undefined {
    checkName(name);
    this.checkNamed();
    if (found === undefined) return this.#putInOneStep(name, bytes);
    if (found === null) return this.#putInOneStep(name, bytes, { name, if: 'absent' });
    const region = this.lookUp(found);
    if (region === undefined || isUsed(region)) return undefined;
    return this.#putInOneStep(name, bytes, { name, if: found, changes: this.changesOf(found) });
  }

  #putInOneStep(
    name: string,
    bytes: Uint8Array,
    wish: NameWish = { name, if: undefined },
  ): Eventually<RegionId> | undefined {
    this.checkOpen();
    const { locks } = this.namedRegions;
    if (this.gate.isShut || (!locks.isIdle && locks.isHeld(name))) return undefined;
    const isFree = wish.if === undefined;
    const allocated = this.allocate(bytes.length, Buffer.byteLength(name));
    if (allocated instanceof Promise) {
      if (!isFree) return this.#giveUp(allocated);
      // The space is not there yet, and the bytes are the caller's again as soon as this returns.
      return this.#putLater(allocated, Uint8Array.prototype.slice.call(bytes), wish);
    }
    const region = this.checkedRegion(allocated);
    let durable: Eventually<void>;
    try {
      durable = this.fillNew(region, bytes)?.catch((error: unknown) => this.endWith(region, error));
    } catch (error) {
      durable = this.endWith(region, error);
    }
    if (durable !== undefined && !isFree) return this.#giveUp(durable.then(() => region));
    const published =
      durable === undefined
        ? this.publishOrRelease(region, wish, true)
        : durable.then(() => this.publishOrRelease(region, wish));
    if (published === undefined) return region.id;
    this.enter();
    return published.then(() => region.id).finally(() => this.leave());
  }

  /**
   * Gives a region back that is not ready in one step. What the caller has read may not be true any
   * more by then.
   */
  #giveUp(allocated: Promise<R>): undefined {
    this.enter();
    // What went wrong is told to the one who tries again.
    const end = (): void => this.leave();
    void allocated.then((region) => this.giveBack(region)).then(end, end);
    return undefined;
  }

  async #putLater(allocated: Promise<R>, bytes: Uint8Array, wish: NameWish): Promise<RegionId> {
    this.enter();
    try {
      const region = this.checkedRegion(await allocated);
      await this.fillAndPublish(region, [bytes], this.capabilities.persistent, wish);
      return region.id;
    } finally {
      this.leave();
    }
  }

  /**
   * `Target.find`, of what `lookUpName` gives.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, NOT_SUPPORTED, TARGET_CLOSED
   */
  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async find(name: string): Promise<NamedRegion> {
    checkName(name);
    return namedRegion(name, this.regionOf(name));
  }

  /**
   * `Target.rename`: calls `renameRegion`, unless the region already has the name.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND, NAME_TAKEN, NOT_SUPPORTED, TARGET_CLOSED, what the
   *   hook throws
   */
  async rename(ref: RegionRef, name: string | null, options: RenameOptions = {}): Promise<void> {
    checkRef(ref);
    checkNewName(name);
    const mayReplace = checkRenameOptions(options);
    this.checkNamed();
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      this.enter();
      try {
        await this.namedRegions.rename(ref, name ?? undefined, mayReplace);
      } finally {
        this.leave();
      }
    } finally {
      this.gate.leave();
    }
  }

  /**
   * `Target.names`: the entries of `namesFrom`, without regions that are being erased.
   * @throws INVALID_ARGUMENT, NOT_SUPPORTED, TARGET_CLOSED
   */
  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async names(options: NamesOptions = {}): Promise<NamesPage> {
    const checked = checkNamesOptions(options);
    this.checkOpen();
    this.checkNamed();
    return pageOfNames(checked, (from) => this.namesFrom(from));
  }

  /**
   * `Target.mapNames`: at each step it takes the next of `namesFrom` and maps its region. So it
   * skips names that were removed.
   * @throws INVALID_ARGUMENT, NOT_SUPPORTED, TARGET_CLOSED (also if it is closed meanwhile), what
   *   `mapRegion` throws
   */
  mapNames(options: MapNamesOptions = {}): AsyncIterableIterator<MappedName> {
    return new MappedNames<R>({
      begin: () => {
        const { prefix } = checkNamesOptions(options);
        this.checkOpen();
        this.checkNamed();
        if (!this.capabilities.mappable)
          throw new BedrockError(
            'NOT_SUPPORTED',
            `a ${this.type} target cannot map regions; read them instead`,
          );
        return { prefix, names: this.namesFrom(Buffer.from(prefix))[Symbol.iterator]() };
      },
      checkOpen: () => this.checkOpen(),
      regionOf: ({ region: { id } }) => this.lookUp(id),
      lookUpName: (name) => this.lookUpName(name),
      // A mapping may be stored to.
      busy: ({ hold }) => hold?.ended ?? (this.gate.isShut ? this.#changesGoOn() : undefined),
      map: (region) => this.#mapPinned(region),
      release: (region) => {
        this.gate.unmapped(region);
        this.unpinView(region);
      },
    });
  }

  async #changesGoOn(): Promise<void> {
    await this.gate.enter();
    this.gate.leave();
  }

  /** Maps a region that is not busy. */
  #mapPinned(region: R): Eventually<MappedName['views']> {
    this.pin(region);
    this.gate.begin();
    const mapped = ({ views }: Pick<RegionMapping, 'views'>): MappedName['views'] => {
      this.gate.mapped();
      this.gate.leave();
      this.becomeView(region);
      return views;
    };
    const failed = (error: unknown): never => {
      this.gate.leave();
      this.unpin(region);
      throw error;
    };
    let mapping: ReturnType<typeof this.mapRegion>;
    try {
      mapping = this.mapRegion(region);
    } catch (error) {
      return failed(error);
    }
    return mapping instanceof Promise ? mapping.then(mapped, failed) : mapped(mapping);
  }

  /**
   * `Target.transact`: for each put, calls `allocate`, `writeBytes` and, if the target is
   * persistent, `persistRanges`. Then calls `commit` with the net effect of all changes. On
   * failure, new regions are released.
   * @throws INVALID_ARGUMENT, CONDITION_FAILED, TRANSACTION_TOO_LARGE, what the calls of the
   *   changes throw, NOT_SUPPORTED, TARGET_CLOSED
   */
  async transact(changes: readonly Change[]): Promise<TransactionResult> {
    return this.transactUnchanged(changes, []);
  }

  /**
   * @internal
   * Like `transact`, for changes that depend on bytes of regions: these were not changed in place
   * since they were read, and are not until the transaction has ended.
   * @throws as `transact`; CONDITION_FAILED also if the bytes were changed, or their region was erased
   */
  async transactUnchanged(
    changes: readonly Change[],
    seen: readonly SeenBytes[],
  ): Promise<TransactionResult> {
    this.checkOpen();
    if (!this.capabilities.transactional)
      throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target has no transactions`);
    const checked = checkChanges(changes);
    checkTransactionSize(checked, this.maxTransactionBytes);
    const entered = this.gate.enter();
    if (entered !== undefined) await entered;
    try {
      this.enter();
      try {
        const done = this.#transactions.transact(checked, seen);
        return done instanceof Promise ? await done : done;
      } finally {
        this.leave();
      }
    } finally {
      this.gate.leave();
    }
  }

  /**
   * @internal
   * Like `transactUnchanged`, for targets with `putsInOneStep`. The bytes are the caller's again
   * when it returns.
   * @returns nothing, with nothing done, if others must end first, or if it is too much for one step
   * @throws as `transact`
   */
  protected transactInOneStep(
    changes: readonly Change[],
    seen: readonly SeenBytes[] = [],
  ): Eventually<TransactionResult> | undefined {
    this.checkOpen();
    const checked = checkChanges(changes);
    checkTransactionSize(checked, this.maxTransactionBytes);
    const done = this.gate.isShut ? undefined : this.#transactions.now(checked, seen);
    if (!(done instanceof Promise)) return done;
    this.gate.begin();
    this.enter();
    return done.finally(() => {
      this.leave();
      this.gate.leave();
    });
  }

  get #transactions(): Transactions<R> {
    return (this.#allTransactions ??= new Transactions(this.namedStore(), this.namedRegions));
  }

  // ---- import: what ImportableTarget overrides ----

  /**
   * `Target.importRegion`, which `ImportableTarget` overrides.
   * @throws NOT_SUPPORTED, TARGET_CLOSED
   */
  importRegion(_id: RegionId, _contents: Uint8Array | RegionSource, _options: ImportOptions): Promise<void> {
    return this.#refuse('hands no IDs over and takes none');
  }

  /**
   * `Target.importErased`, which `ImportableTarget` overrides.
   * @throws NOT_SUPPORTED, TARGET_CLOSED
   */
  importErased(_ids: readonly RegionId[]): Promise<void> {
    return this.#refuse('hands no IDs over and takes none');
  }

  /**
   * `Target.listErased`, which `ImportableTarget` overrides.
   * @throws NOT_SUPPORTED, TARGET_CLOSED
   */
  listErased(_options?: ListOptions): Promise<ErasedPage> {
    return this.#refuse('hands no IDs over and takes none');
  }

  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  async #refuse(why: string): Promise<never> {
    this.checkOpen();
    throw new BedrockError('NOT_SUPPORTED', `a ${this.type} target ${why}`);
  }
}
