/** Backends that are wrong in one point, in what only a hook can get wrong. */
import { setImmediate as turn } from 'node:timers/promises';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { type RecoveryReport, RegionDirectory } from '../../core/index.js';
import { type Arena, ArenaRegion, ArenaTarget } from '../targets/arena-target.js';

export class NeverFreesSpace extends MemoryTarget {
  protected override release(): void {
    // Nothing is given back.
  }
}

export class ForgetsToZero extends ArenaTarget {
  protected override async zero(): Promise<void> {
    await turn();
  }
}

/**
 * Zeros stand for a region until something is written to it; then what was in its place shows
 * through beside that.
 */
export class ZeroesNothingAroundWrites extends ForgetsToZero {
  readonly #written = new WeakSet<ArenaRegion>();

  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    this.#written.add(region);
    await super.writeBytes(region, offset, bytes);
  }
  protected override async readBytes(region: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    await super.readBytes(region, offset, into);
    if (!this.#written.has(region)) into.fill(0);
  }
}

/** Gives space away as soon as a region is erased, whatever is in flight on it. */
export class ReleasesUnderCallsInFlight extends ArenaTarget {
  protected override async unpublish(region: ArenaRegion): Promise<void> {
    await super.unpublish(region);
    await super.release(region);
  }
  protected override async release(region: ArenaRegion): Promise<void> {
    // Those that were never published are not given back by unpublish.
    if (!region.isErased) await super.release(region);
  }
}

export class LosesUnpersistedWritesAtClose extends ArenaTarget {
  #unpersisted: (() => void)[] = [];

  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    const from = region.start + offset;
    const before = this.arena.bytes.slice(from, from + bytes.length);
    this.#unpersisted.push(() => this.arena.bytes.set(before, from));
    await super.writeBytes(region, offset, bytes);
  }
  protected override async persistRanges(): Promise<void> {
    this.#unpersisted = [];
    await super.persistRanges();
  }
  protected override async closeStorage(): Promise<void> {
    for (const undo of this.#unpersisted.toReversed()) undo();
    await super.closeStorage();
  }
}

/** What a recovery may get wrong: it makes the table of regions anew. */
abstract class RecoversWrongly extends ArenaTarget {
  protected abstract recover(regions: ArenaRegion[]): Iterable<ArenaRegion>;

  protected poolId(): Uint8Array | undefined {
    return this.arena.regions.reserve().toBytes().subarray(8);
  }
  protected override async openStorage(): Promise<RecoveryReport> {
    const regions = [...this.arena.listed()];
    this.arena.regions = new RegionDirectory({ poolId: this.poolId() });
    for (const region of this.recover(regions)) this.arena.regions.adopt(region);
    return super.openStorage();
  }
}

export class LosesARegion extends RecoversWrongly {
  protected recover(regions: ArenaRegion[]): ArenaRegion[] {
    return regions.slice(0, -1);
  }
}

export class ForgetsTheTimes extends RecoversWrongly {
  protected recover(regions: ArenaRegion[]): ArenaRegion[] {
    return regions.map(({ id, size, start }) => new ArenaRegion(id, size, 0, start));
  }
}

/** The generations of slots are lost, so the next regions get the IDs of erased ones. */
export class StartsWithIdsAnew extends RecoversWrongly {
  protected recover(regions: ArenaRegion[]): ArenaRegion[] {
    return regions;
  }
}

export class RevivesErasedRegions extends ArenaTarget {
  readonly #erased: ArenaRegion[] = [];

  protected override async unpublish(region: ArenaRegion): Promise<void> {
    await super.unpublish(region);
    this.#erased.push(region);
  }
  protected override async openStorage(): Promise<RecoveryReport> {
    const { regions: before } = this.arena;
    const living = [...this.arena.listed()];
    const { poolId, slots } = before;
    this.arena.regions = new RegionDirectory({ poolId, slots });
    for (const region of living) this.arena.regions.adopt(region);
    for (const { id, size, createdAt, start } of this.#erased) {
      if (living.every((region) => region.id.slot !== id.slot))
        this.arena.regions.adopt(new ArenaRegion(id, size, createdAt, start));
    }
    return super.openStorage();
  }
}

export class OpensWhatIsOpen extends ArenaTarget {
  protected override lock(): void {
    // Whoever comes is let in.
  }
}

/** Durable writes are shown at once, and stored when it is closed. */
export class StoresDurableWritesLate extends ArenaTarget {
  #late: (() => ArenaBytes)[] = [];

  override killed(): Arena {
    const left = super.killed();
    for (const before of this.#late.toReversed()) {
      const { from, bytes } = before();
      left.bytes.set(bytes, from);
    }
    return left;
  }
  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    const from = region.start + offset;
    const before = { from, bytes: this.arena.bytes.slice(from, from + bytes.length) };
    this.#late.push(() => before);
    await super.writeBytes(region, offset, bytes);
  }
  protected override async closeStorage(): Promise<void> {
    this.#late = [];
    await super.closeStorage();
  }
}

interface ArenaBytes {
  from: number;
  bytes: Uint8Array;
}

export class NotesErasesAtClose extends ArenaTarget {
  readonly #erased: ArenaRegion[] = [];

  override killed(): Arena {
    const left = super.killed();
    for (const { id, size, createdAt, start } of this.#erased) {
      left.adopt(new ArenaRegion(id, size, createdAt, start));
    }
    return left;
  }
  protected override async unpublish(region: ArenaRegion): Promise<void> {
    await super.unpublish(region);
    this.#erased.push(region);
  }
}

export class RecoversUnfinishedRegions extends ArenaTarget {
  readonly #begun = new Set<ArenaRegion>();

  override killed(): Arena {
    const left = super.killed();
    for (const { id, size, createdAt, start } of this.#begun) {
      left.adopt(new ArenaRegion(id, size, createdAt, start));
    }
    return left;
  }
  protected override async allocate(size: number): Promise<ArenaRegion> {
    const region = await super.allocate(size);
    this.#begun.add(region);
    return region;
  }
  protected override async publish(region: ArenaRegion): Promise<void> {
    await super.publish(region);
    this.#begun.delete(region);
  }
}

/** The highest slots are forgotten when the regions in them were erased. */
export class ForgetsTheLastIds extends ArenaTarget {
  override killed(): Arena {
    const left = super.killed();
    const regions = [...left.listed()];
    const poolId = left.regions.reserve().toBytes().subarray(8);
    left.regions = new RegionDirectory({ poolId });
    for (const region of regions) left.regions.adopt(region);
    return left;
  }
}

export class KeepsDataAfterDestroy extends ArenaTarget {
  protected override async destroyStorage(): Promise<void> {
    await turn();
  }
}

export class KeepsRegionsThoughVolatile extends MemoryTarget {
  protected override closeStorage(): void {
    // Nothing is forgotten.
  }
}
