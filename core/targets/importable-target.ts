/**
 * A target that can take another one's place: it takes regions in under their old IDs, knows which IDs must never come again, and
 * tells both to its own successor. A backend fills in the hooks of import beside those of BaseTarget.
 *
 * What must hold is that an ID names one region for ever, also across a copy. So a copy is told of the erased IDs as well as of the
 * live ones: a place that had generations 1 to 7 in the original does not begin with 1 again.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { ErasedPage, ImportOptions, ListOptions, RegionSource } from '../contract/target.js';
import { checkCreatedAt, checkId, checkIds, checkListOptions } from './arguments.js';
import type { Region } from './base-target.js';
import { sourceOf } from './contents.js';
import { DirectTarget } from './direct-target.js';
import type { Eventually } from './lifecycle.js';

export abstract class ImportableTarget<R extends Region = Region> extends DirectTarget<R> {
  // ---- hooks; what they throw is that of the calls below ----

  /** Bytes 8 to 15 of all IDs. */
  protected abstract get poolId(): Uint8Array;
  /** As `allocate` does, but the place of an ID of this pool id, which is then that region's alone. */
  protected abstract allocateAs(id: RegionId, size: number, createdAt: number): Eventually<R>;
  /** Marks places as having had these IDs, of this pool id, durably; all of them or, if it throws ID_TAKEN, none. */
  protected abstract takeErased(ids: readonly RegionId[]): Eventually<void>;
  /** See `listErased`. `after` is as in `regionsAfter`. */
  protected abstract erasedAfter(after: RegionId | undefined): Iterable<RegionId>;

  override async importRegion(
    id: RegionId,
    contents: Uint8Array | RegionSource,
    options: ImportOptions,
  ): Promise<void> {
    checkId(id);
    const { size, source } = sourceOf(contents);
    const createdAt = checkCreatedAt(options);
    this.enter();
    try {
      this.#checkPool(id);
      const region = await this.allocateAs(id, size, createdAt);
      await this.fillAndPublish(region, source, true);
    } finally {
      this.leave();
    }
  }

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
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `${id.toString()} is of the pool id ${id.toString().slice(16)}, and this ${this.type} target was made with ` +
        `${Buffer.from(this.poolId).toString('hex')}; make it with the pool id of the IDs it is to take`,
    );
  }
}

/** The refusal of an ID whose place is not free for it. */
export function idTaken(id: RegionId): BedrockError {
  return new BedrockError(
    'ID_TAKEN',
    `${id.toString()} cannot be taken in: a region has that ID, or had it, or a later one of its place`,
    { details: { id: id.toString() } },
  );
}
