/**
 * A backend for tests: regions lie side by side in one array of bytes, whose space is used again,
 * and every hook takes turns of the event loop, half way through its bytes too. So what a slow
 * medium makes possible happens: calls in flight on a region that is erased, space that is given
 * away too early, old bytes in new regions.
 *
 * The arena outlives the target, as a pool file would: another target over it recovers its regions.
 */
import { setImmediate as turn } from 'node:timers/promises';
import {
  BaseTarget,
  BedrockError,
  type Capabilities,
  type Logger,
  type RecoveryReport,
  Region,
  type RegionId,
  RegionDirectory,
  type TargetMode,
  type Usage,
} from '../../core/index.js';

/** Space is given out in multiples of this. */
const ALIGNMENT = 64;

export const ARENA_CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: false,
  transactional: false,
};

/** Bytes of space that a region takes. */
export function arenaSpaceOf(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

export class ArenaRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    /** First byte in the arena. */
    readonly start: number,
  ) {
    super(id, size, createdAt);
  }
}

interface Extent {
  start: number;
  end: number;
}

/** The bytes, the regions in them, and the space that they take. */
export class Arena {
  readonly capacityBytes: number;
  /** As far as space was ever given out; do not keep it over an `await`. */
  bytes = new Uint8Array(0);
  regions = new RegionDirectory<ArenaRegion>();
  /** Who has it open. */
  holder: unknown;
  /** In order of their places. */
  #taken: Extent[] = [];

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes - (capacityBytes % ALIGNMENT);
  }

  clear(): void {
    this.regions = new RegionDirectory();
    this.#taken = [];
  }

  /** What a kill leaves: the bytes, and the regions that are published. */
  copy(): Arena {
    const copy = new Arena(this.capacityBytes);
    copy.bytes = this.bytes.slice();
    const poolId = this.regions.reserve().toBytes().subarray(8);
    copy.regions = new RegionDirectory({ poolId, slots: this.regions.slots });
    for (const { id, size, createdAt, start } of this.listed()) {
      copy.adopt(new ArenaRegion(id, size, createdAt, start));
    }
    return copy;
  }

  /** In order of their slots. */
  *listed(after?: RegionId): Generator<ArenaRegion> {
    for (const { id } of this.regions.after(after)) yield this.regions.get(id) as ArenaRegion;
  }

  /** Takes a region in with its space. */
  adopt(region: ArenaRegion): void {
    this.regions.adopt(region);
    if (region.size === 0) return;
    this.#taken.push({ start: region.start, end: region.start + arenaSpaceOf(region.size) });
    this.#taken.sort((a, b) => a.start - b.start);
  }

  get usedBytes(): number {
    return this.#taken.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  get largestFreeBytes(): number {
    return Math.max(0, ...this.#gaps().map(({ start, end }) => end - start));
  }

  /** The first place that a size fits into, if there is one. */
  take(size: number): number | undefined {
    const space = arenaSpaceOf(size);
    if (space === 0) return 0;
    const gap = this.#gaps().find(({ start, end }) => end - start >= space);
    if (gap === undefined) return undefined;
    this.#reach(gap.start + space);
    this.#taken.push({ start: gap.start, end: gap.start + space });
    this.#taken.sort((a, b) => a.start - b.start);
    return gap.start;
  }

  give({ start, size }: ArenaRegion): void {
    if (size > 0) this.#taken = this.#taken.filter((extent) => extent.start !== start);
  }

  #reach(end: number): void {
    if (end <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.min(this.capacityBytes, Math.max(end, 2 * this.bytes.length)));
    bytes.set(this.bytes);
    this.bytes = bytes;
  }

  #gaps(): Extent[] {
    const starts = [0, ...this.#taken.map(({ end }) => end)];
    const ends = [...this.#taken.map(({ start }) => start), this.capacityBytes];
    return starts
      .map((start, at) => ({ start, end: ends[at] ?? start }))
      .filter(({ start, end }) => start < end);
  }
}

export class ArenaTarget extends BaseTarget<ArenaRegion> {
  readonly type: string = 'arena';
  readonly capabilities = ARENA_CAPABILITIES;

  constructor(
    readonly arena: Arena,
    logger: Logger,
  ) {
    super(logger);
  }

  protected get mode(): TargetMode {
    return 'unsynced';
  }

  /** What is left of the arena if the process is killed now. */
  killed(): Arena {
    return this.arena.copy();
  }

  protected async openStorage(): Promise<RecoveryReport> {
    await turn();
    this.lock();
    const sizes = [...this.arena.listed()].map(({ size }) => size);
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    return { regions: sizes.length, bytes, quarantined: 0, durationMs: 0 };
  }

  protected lock(): void {
    const { arena } = this;
    if (arena.holder !== undefined)
      throw new BedrockError('POOL_IN_USE', 'another target has the arena open');
    arena.holder = this;
  }

  protected async closeStorage(): Promise<void> {
    await turn();
    if (this.arena.holder === this) this.arena.holder = undefined;
  }

  protected async destroyStorage(): Promise<void> {
    await turn();
    this.arena.clear();
  }

  protected async usage(): Promise<Usage> {
    await turn();
    const { regions, usedBytes, capacityBytes, largestFreeBytes } = this.arena;
    return { regions: regions.size, usedBytes, capacityBytes, largestFreeBytes };
  }

  protected lookUp(id: RegionId): ArenaRegion | undefined {
    return this.arena.regions.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<ArenaRegion> {
    return this.arena.listed(after);
  }

  protected async allocate(size: number): Promise<ArenaRegion> {
    await turn();
    const start = this.arena.take(size);
    if (start === undefined) {
      const { usedBytes: used, largestFreeBytes: largestFree, capacityBytes } = this.arena;
      throw new BedrockError('OUT_OF_SPACE', `a region of ${size} bytes does not fit`, {
        details: { requested: size, used, free: capacityBytes - used, largestFree },
      });
    }
    const region = new ArenaRegion(this.arena.regions.reserve(), size, Date.now(), start);
    await this.zero(region);
    return region;
  }

  protected async zero({ start, size }: ArenaRegion): Promise<void> {
    this.arena.bytes.fill(0, start, start + size);
    await turn();
  }

  protected async publish(region: ArenaRegion): Promise<void> {
    await turn();
    this.arena.regions.set(region);
  }

  protected async unpublish(region: ArenaRegion): Promise<void> {
    await turn();
    this.arena.regions.delete(region);
    await turn();
  }

  protected async release(region: ArenaRegion): Promise<void> {
    await turn();
    this.arena.give(region);
    this.arena.regions.free(region.id);
  }

  protected async readBytes({ start }: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    const half = into.length >> 1;
    const from = start + offset;
    await turn();
    into.set(this.arena.bytes.subarray(from, from + half));
    await turn();
    into.set(this.arena.bytes.subarray(from + half, from + into.length), half);
  }

  protected async writeBytes({ start }: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    const half = bytes.length >> 1;
    await turn();
    this.arena.bytes.set(bytes.subarray(0, half), start + offset);
    await turn();
    this.arena.bytes.set(bytes.subarray(half), start + offset + half);
  }

  protected async persistRanges(): Promise<void> {
    await turn();
  }
}
