/**
 * A target that can replace another one. It imports regions under their old IDs, knows which IDs
 * must never be used again, and can pass both on to its own successor. A backend implements the
 * hooks of import in addition to those of BaseTarget.
 *
 * An ID must name one region forever, also across a copy. So a copy gets the erased IDs as well as
 * the live ones: a slot that had generations 1 to 7 in the original does not begin with 1 again.
 */
import { types } from 'node:util';
import { BedrockError, invalid } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { ErasedPage, ImportOptions, ListOptions, RegionSource } from '../contract/target.js';
import { checkCreatedAt, checkId, checkIds, checkListOptions } from './arguments.js';
import type { Region } from './region.js';
import { sourceOf } from './contents.js';
import { DirectTarget } from './direct-target.js';
import type { Eventually } from './lifecycle.js';

const POOL_ID_BYTES = 8;

/**
 * A target that imports the regions of another one under their old IDs, and knows which IDs must
 * never be used again. A backend implements the hooks of import in addition to those of BaseTarget.
 */
export abstract class ImportableTarget<R extends Region = Region> extends DirectTarget<R> {
  // ---- hooks; the calls below throw what these throw ----

  /** Bytes 8 to 15 of all IDs. */
  protected abstract get poolId(): Uint8Array;
  /**
   * Like `allocate`, with the slot of this ID, which has this target's pool id. The slot is then
   * this region's alone.
   */
  protected abstract allocateAs(
    id: RegionId,
    size: number,
    createdAt: number,
    nameBytes?: number,
  ): Eventually<R>;
  /**
   * Durably marks slots as having had these IDs, of this pool id. Marks all of them or, if it
   * throws ID_TAKEN, none.
   */
  protected abstract takeErased(ids: readonly RegionId[]): Eventually<void>;
  /** See `listErased`. `after` is as in `regionsAfter`. */
  protected abstract erasedAfter(after: RegionId | undefined): Iterable<RegionId>;

  /**
   * Drops everything that the storage holds, in one durable step, and gives it this pool id. From
   * then on it is being filled: `isFilling` is true, also after the next open. No call is in
   * flight. If it throws, the storage is closed.
   */
  protected emptyFor(_poolId: Uint8Array): Eventually<void> {
    throw new BedrockError(
      'NOT_SUPPORTED',
      `a ${this.type} target cannot take the pool id of another one while it is open: its backend has no emptyFor`,
    );
  }

  /** Durably ends what `emptyFor` has begun: `isFilling` is false. */
  protected setFilled(): Eventually<void> {
    // Does nothing, since this target is never filled.
  }

  /** Whether it is being filled: `emptyFor` was called, and `setFilled` was not yet. */
  get isFilling(): boolean {
    return false;
  }

  /**
   * `Target.beginFilling`: calls `emptyFor` while no call is in flight.
   * @throws INVALID_ARGUMENT, TARGET_NOT_EMPTY, TARGET_CLOSED, what the hook throws
   */
  async beginFilling(poolId: Uint8Array): Promise<void> {
    if (!types.isUint8Array(poolId) || poolId.length !== POOL_ID_BYTES)
      throw invalid(`a pool id is ${POOL_ID_BYTES} bytes`);
    const bytes = Uint8Array.from(poolId);
    await this.alone(
      () => this.#checkEmpty(),
      () => this.emptyFor(bytes),
    );
  }

  #checkEmpty(): void {
    if (this.isFilling) return;
    for (const { id } of this.regionsAfter(undefined)) {
      throw new BedrockError(
        'TARGET_NOT_EMPTY',
        `the ${this.type} target holds regions, such as ${id.toString()}; only an empty one can be filled with those of another`,
      );
    }
  }

  /**
   * `Target.endFilling`: calls `setFilled`.
   * @throws TARGET_CLOSED, what the hook throws
   */
  async endFilling(): Promise<void> {
    this.enter();
    try {
      if (this.isFilling) await this.setFilled();
    } finally {
      this.leave();
    }
  }

  /**
   * `Target.importRegion`: like `createAndWrite`, always durable, with `allocateAs` in place of `allocate`.
   * @throws INVALID_ARGUMENT (also for an ID of another pool id), NAME_TAKEN, NOT_SUPPORTED (a
   *   name, and the target is not `named`), TARGET_CLOSED, what the source or the hooks throw
   */
  override async importRegion(
    id: RegionId,
    contents: Uint8Array | RegionSource,
    options: ImportOptions,
  ): Promise<void> {
    checkId(id);
    const { size, source } = sourceOf(contents);
    const createdAt = checkCreatedAt(options);
    const wish = this.wishOf(options);
    this.enter();
    try {
      this.#checkPool(id);
      const nameBytes = wish === undefined ? undefined : this.checkWish(wish);
      const region = await this.allocateAs(id, size, createdAt, nameBytes);
      await this.fillAndPublish(region, source, true, wish);
    } finally {
      this.leave();
    }
  }

  /**
   * `Target.importErased`: calls `takeErased` once, with all IDs.
   * @throws INVALID_ARGUMENT (also for an ID of another pool id), TARGET_CLOSED, what `takeErased` throws
   */
  override async importErased(ids: readonly RegionId[]): Promise<void> {
    checkIds(ids);
    this.enter();
    try {
      for (const id of ids) this.#checkPool(id);
      await this.takeErased([...ids]);
    } finally {
      this.leave();
    }
  }

  /**
   * `Target.listErased`: the IDs of `erasedAfter`, in pages.
   * @throws INVALID_ARGUMENT, REGION_NOT_FOUND (`after` is of another target), TARGET_CLOSED
   */
  // oxlint-disable-next-line typescript/require-await -- what it throws must reject
  override async listErased(options: ListOptions = {}): Promise<ErasedPage> {
    const { after, limit } = checkListOptions(options);
    this.checkOpen();
    const { poolId } = this;
    const ids: RegionId[] = [];
    for (const id of this.erasedAfter(after)) {
      if (ids.length === limit) return { poolId, ids, next: ids[limit - 1] as RegionId };
      ids.push(id);
    }
    return { poolId, ids };
  }

  #checkPool(id: RegionId): void {
    if (Buffer.compare(id.toBytes().subarray(8), this.poolId) === 0) return;
    throw invalid(
      `${id.toString()} is of the pool id ${id.toString().slice(16)}, and this ${this.type} target was made with ` +
        `${Buffer.from(this.poolId).toString('hex')}; make it with the pool id of the IDs it is to take`,
    );
  }
}

/** The error for an ID whose slot is not free for it. */
export function idTaken(id: RegionId): BedrockError {
  return new BedrockError(
    'ID_TAKEN',
    `${id.toString()} cannot be imported: a region has or had this ID, or a later ID of its slot`,
    { details: { id: id.toString() } },
  );
}
