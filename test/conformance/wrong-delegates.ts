/** Targets that are wrong in one point, each a wrapper around a right one. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  BedrockError,
  RegionId,
  type ListOptions,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionSource,
  type RegionStat,
  type TargetState,
  type TargetStats,
  type WriteOptions,
} from '../../core/index.js';
import { Delegate } from './delegate.js';

export class TakesTheLowWordOfOffsets extends Delegate {
  override async write(...[id, offset, bytes, options]: Parameters<Delegate['write']>): Promise<void> {
    await this.inner.read(id, offset, bytes.length);
    await this.inner.write(id, offset % 2 ** 32, bytes, options);
  }
  override async read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    await this.inner.read(id, offset, size);
    return this.inner.read(id, offset % 2 ** 32, size);
  }
}

export class ShowsErasedBytes extends Delegate {
  #old: Uint8Array = new Uint8Array(0);

  override async create(size: number): Promise<RegionId> {
    const id = await this.inner.create(size);
    await this.inner.write(id, 0, this.#old.subarray(0, size));
    return id;
  }
  override async erase(id: RegionId): Promise<void> {
    const { size } = await this.inner.stat(id);
    this.#old = await this.inner.read(id, 0, Math.min(size, 100_000));
    await this.inner.erase(id);
  }
}

/** Gives the ID of an erased region to the next one. */
export class ReusesIds extends Delegate {
  readonly #erased: RegionId[] = [];
  readonly #regions = new Map<string, RegionId>();

  protected override regionOf(id: RegionId): RegionId {
    return this.#regions.get(String(id)) ?? id;
  }
  override async create(size: number): Promise<RegionId> {
    const region = await this.inner.create(size);
    const id = this.#erased.pop() ?? region;
    this.#regions.set(id.toString(), region);
    return id;
  }
  override async erase(id: RegionId): Promise<void> {
    await super.erase(id);
    this.#erased.push(id);
  }
}

export class ClampsReads extends Delegate {
  override async read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    const region = await this.inner.stat(id);
    if (!(offset >= 0 && size >= 0)) return this.inner.read(id, offset, size);
    const from = Math.min(offset, region.size);
    return this.inner.read(id, from, Math.min(size, region.size - from));
  }
}

export class ResolvesWritesTooEarly extends Delegate {
  override async write(...[id, offset, bytes, options]: Parameters<Delegate['write']>): Promise<void> {
    // What is wrong with the arguments shows in time.
    await this.inner.read(id, offset, bytes.length);
    void turn().then(() => this.inner.write(id, offset, bytes, options).catch(() => undefined));
  }
}

export class ReadsLiveViews extends Delegate {
  override async read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    const copy = await this.inner.read(id, offset, size);
    const mapping = await this.inner.map(id);
    mapping.release();
    return mapping.views[0]?.subarray(offset, offset + size) ?? copy;
  }
}

export class KeepsTheCallersBuffer extends Delegate {
  override async write(...[id, offset, bytes, options]: Parameters<Delegate['write']>): Promise<void> {
    await this.inner.write(id, offset, bytes, options);
    void turn().then(() => this.inner.write(id, offset, bytes).catch(() => undefined));
  }
}

export class WritesOneByteTooMany extends Delegate {
  override async write(...[id, offset, bytes, options]: Parameters<Delegate['write']>): Promise<void> {
    await this.inner.write(id, offset, bytes, options);
    const { size } = await this.inner.stat(id);
    if (offset + bytes.length < size) await this.inner.write(id, offset + bytes.length, Buffer.of(0xff));
  }
}

export class ErasesTwice extends Delegate {
  override async erase(id: RegionId): Promise<void> {
    await this.inner.erase(id).catch((error: unknown) => {
      if ((error as BedrockError).code !== 'REGION_NOT_FOUND') throw error;
    });
  }
}

export class RefusesErasedIdsTooLate extends Delegate {
  override async erase(id: RegionId): Promise<void> {
    await turn();
    await this.inner.erase(id);
  }
}

/** Takes any ID whose slot and generation fit for its own. */
export class IgnoresThePoolInIds extends Delegate {
  #own: RegionId | undefined;

  protected override regionOf(id: RegionId): RegionId {
    if (this.#own === undefined || !(id instanceof RegionId)) return id;
    return RegionId.of(id.slot, id.generation, this.#own.poolLow, this.#own.poolHigh);
  }
  override async createAndWrite(...contents: Parameters<Delegate['createAndWrite']>): Promise<RegionId> {
    return (this.#own = await this.inner.createAndWrite(...contents));
  }
}

export class OmitsARegionWhenPaging extends Delegate {
  override async list(options?: ListOptions): Promise<RegionPage> {
    const page = await this.inner.list(options);
    return options?.after === undefined ? page : { ...page, regions: page.regions.slice(1) };
  }
}

export class ListsInChangingOrder extends Delegate {
  #isTurned = false;

  override async list(options?: ListOptions): Promise<RegionPage> {
    const page = await this.inner.list(options);
    this.#isTurned = !this.#isTurned;
    return this.#isTurned ? page : { ...page, regions: page.regions.toReversed() };
  }
}

/** Makes the region first, then fills it. */
export class ShowsUnfinishedRegions extends Delegate {
  override async createAndWrite(contents: Uint8Array | RegionSource): Promise<RegionId> {
    if (!('source' in contents)) return this.inner.createAndWrite(contents);
    const id = await this.inner.create(contents.size);
    try {
      await this.fill(id, contents);
    } catch (error) {
      await this.inner.erase(id);
      throw error;
    }
    return id;
  }
  protected async fill(id: RegionId, { size, source }: RegionSource): Promise<void> {
    let offset = 0;
    for await (const bytes of source) {
      if (offset + bytes.length > size) throw new BedrockError('INVALID_ARGUMENT', 'too much');
      await this.inner.write(id, offset, bytes);
      offset += bytes.length;
    }
    if (offset < size) throw new BedrockError('INVALID_ARGUMENT', 'too little');
  }
}

export class LeavesRegionsOfFailedSources extends ShowsUnfinishedRegions {
  override async createAndWrite(contents: Uint8Array | RegionSource): Promise<RegionId> {
    if (!('source' in contents)) return this.inner.createAndWrite(contents);
    const id = await this.inner.create(contents.size);
    await this.fill(id, contents);
    return id;
  }
}

export class HidesWhatASourceThrew extends Delegate {
  override async createAndWrite(...contents: Parameters<Delegate['createAndWrite']>): Promise<RegionId> {
    return this.inner.createAndWrite(...contents).catch((cause: unknown) => {
      if (cause instanceof BedrockError) throw cause;
      throw new BedrockError('INTERNAL', 'the source failed', { cause });
    });
  }
}

export class ChecksRangesAsItGoes extends Delegate {
  override async writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void> {
    let from = 0;
    for (const { offset, size } of ranges) {
      await this.inner.write(id, offset, bytes.subarray(from, from + size), options);
      from += size;
    }
  }
}

/** Takes what is not true for false: its caller believes that the bytes are durable. */
export class IgnoresWrongOptions extends Delegate {
  override write(...[id, offset, bytes, options]: Parameters<Delegate['write']>): Promise<void> {
    const persist = (options as WriteOptions | null)?.persist === true;
    return this.inner.write(id, offset, bytes, { persist });
  }
}

export class LosesSpaceWhenOutOfSpace extends Delegate {
  override async create(size: number): Promise<RegionId> {
    return this.inner.create(size).catch(async (error: unknown) => {
      if ((error as BedrockError).code === 'OUT_OF_SPACE') await this.inner.create(1);
      throw error;
    });
  }
}

export class PromisesMoreThanIsFree extends Delegate {
  override async stats(): Promise<TargetStats> {
    const stats = await this.inner.stats();
    const largestFreeBytes = stats.largestFreeBytes === null ? null : stats.largestFreeBytes + 1;
    return { ...stats, largestFreeBytes };
  }
}

export class ForgetsToCountRegions extends Delegate {
  override async stats(): Promise<TargetStats> {
    const stats = await this.inner.stats();
    return { ...stats, regions: Math.min(stats.regions, 3) };
  }
}

export class TellsTimeInSeconds extends Delegate {
  override async stat(id: RegionId): Promise<RegionStat> {
    const stat = await this.inner.stat(id);
    return { ...stat, createdAt: Math.floor(stat.createdAt / 1000) };
  }
}

export class TellsTheTimeOfTheCall extends Delegate {
  override async stat(id: RegionId): Promise<RegionStat> {
    return { ...(await this.inner.stat(id)), createdAt: Date.now() };
  }
}

export class DoesNotWaitInClose extends Delegate {
  #isClosing = false;

  override get state(): TargetState {
    return this.#isClosing ? 'closed' : this.inner.state;
  }
  override async open(): Promise<void> {
    await this.inner.open();
    this.#isClosing = false;
  }
  override async close(): Promise<void> {
    this.#isClosing = true;
    void this.inner.close();
    await turn();
  }
}

export class ServesUntilCloseEnds extends Delegate {
  override async close(): Promise<void> {
    await turn();
    await this.inner.close();
  }
}

export class FailsToCloseTwice extends Delegate {
  override async close(): Promise<void> {
    if (this.inner.state !== 'open') throw new BedrockError('TARGET_CLOSED', 'already closed');
    await this.inner.close();
  }
}

export class MapsCopies extends Delegate {
  override async map(id: RegionId): Promise<RegionMapping> {
    const mapping = await super.map(id);
    const views = mapping.views.map((view) => view.slice());
    return { views, release: () => mapping.release() };
  }
}

export class DoesNotHoldMappedRegions extends Delegate {
  override async map(id: RegionId): Promise<RegionMapping> {
    const mapping = await super.map(id);
    mapping.release();
    return { views: mapping.views, release: () => undefined };
  }
}

/** A place that was used and freed in the original begins with its first ID again. */
export class ForgetsErasedIds extends Delegate {
  override async importErased(): Promise<void> {
    await turn();
  }
}

export class DatesImportsAnew extends Delegate {
  override importRegion(...[id, contents]: Parameters<Delegate['importRegion']>): Promise<void> {
    // Never the time of the original, however short ago that was.
    return this.inner.importRegion(id, contents, { createdAt: Date.now() + 1 });
  }
}

export class KeepsHalfAnImport extends Delegate {
  override async importRegion(
    ...[id, contents, options]: Parameters<Delegate['importRegion']>
  ): Promise<void> {
    try {
      await this.inner.importRegion(id, contents, options);
    } catch (error) {
      const hasBegun = !(error instanceof BedrockError);
      if (hasBegun) await this.inner.importRegion(id, Buffer.alloc(32), options);
      throw error;
    }
  }
}
