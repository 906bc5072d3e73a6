/**
 * Regions in the process's own memory: as fast as it gets, gone when the target closes.
 *
 * A region is one buffer, or a row of 1 GiB segments where it is larger than that, as a single buffer may hold no more than
 * 4 GiB on Node 20. Buffers start zeroed, and the system backs their pages only when they are first written. Every hook is
 * synchronous, so no operation sees half of another.
 */
import {
  BedrockError,
  ImportableTarget,
  Region,
  RegionTable,
  messageOf,
  type BackendContext,
  type Capabilities,
  type Clock,
  type RegionId,
  type Usage,
} from '../../core/index.js';
import type { MemoryConfig } from '../../schemas/generated/memory.js';
import { availableBytes, drop, machineBytes, noteHeld } from './process-memory.js';

/** Bytes of a segment; each but a region's last has exactly as many. */
const SEGMENT_BYTES = 2 ** 30;

export const MEMORY_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: true,
  growable: false,
  importable: true,
  snapshots: false,
};

class MemoryRegion extends Region {
  /** Emptied by release. */
  segments: Uint8Array[];

  constructor(id: RegionId, size: number, createdAt: number, segments: Uint8Array[]) {
    super(id, size, createdAt);
    this.segments = segments;
  }
}

export class MemoryTarget extends ImportableTarget<MemoryRegion> {
  readonly type = 'memory';
  readonly capabilities = MEMORY_CAPABILITIES;

  readonly #clock: Clock;
  /** What the configuration allows; null: as much as there is. */
  readonly #maxBytes: number | null;
  /** `max_bytes`, or the machine's memory if that is less: the system would promise more, and kill the process later. */
  readonly #limitBytes: number;
  #regions: RegionTable<MemoryRegion>;
  /** Regions being created included, as their space is taken. */
  #usedBytes = 0;

  constructor(config: MemoryConfig, context: Pick<BackendContext, 'logger' | 'clock' | 'poolId'>) {
    super(context.logger);
    this.#clock = context.clock;
    this.#regions = new RegionTable(context.poolId);
    this.#maxBytes = config.max_bytes ?? null;
    this.#limitBytes = Math.min(config.max_bytes ?? Infinity, machineBytes());
  }

  protected get mode(): string {
    return 'volatile';
  }

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    for (const { segments } of this.#regions.after()) drop(segments);
    // A new table has a new pool id: IDs of before stay invalid after a reopen.
    this.#regions = new RegionTable();
    this.#take(-this.#usedBytes);
  }

  protected destroyStorage(): void {
    // Closing left nothing behind.
  }

  protected usage(): Usage {
    const isUnlimited = this.#maxBytes === null;
    return {
      regions: this.#regions.size,
      usedBytes: this.#usedBytes,
      capacityBytes: isUnlimited ? null : this.#limitBytes,
      largestFreeBytes: isUnlimited ? null : this.#freeBytes(),
    };
  }

  /** Of the target's own limit, and of the memory that all targets of the process share. */
  #freeBytes(): number {
    return Math.max(0, Math.min(this.#limitBytes - this.#usedBytes, availableBytes()));
  }

  #take(bytes: number): void {
    this.#usedBytes += bytes;
    noteHeld(bytes);
  }

  protected find(id: RegionId): MemoryRegion | undefined {
    return this.#regions.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<MemoryRegion> {
    this.#checkOwn(after);
    return this.#regions.after(after);
  }

  #checkOwn(id: RegionId | undefined): void {
    if (id === undefined || this.#regions.owns(id)) return;
    throw new BedrockError('REGION_NOT_FOUND', `${id.toString()} was never a region of this memory target`);
  }

  protected allocate(size: number): MemoryRegion {
    const segments = this.#allocateSegments(size);
    const region = new MemoryRegion(this.#regions.reserve(), size, this.#clock.now(), segments);
    this.#take(size);
    return region;
  }

  protected get poolId(): Uint8Array {
    return this.#regions.poolId;
  }

  protected allocateAs(id: RegionId, size: number, createdAt: number): MemoryRegion {
    const segments = this.#allocateSegments(size);
    this.#regions.take(id);
    this.#take(size);
    return new MemoryRegion(id, size, createdAt, segments);
  }

  protected takeErased(ids: readonly RegionId[]): void {
    this.#regions.takeErased(ids);
  }

  protected erasedAfter(after: RegionId | undefined): Iterable<RegionId> {
    this.#checkOwn(after);
    return this.#regions.erasedAfter(after);
  }

  #allocateSegments(size: number): Uint8Array[] {
    if (size > this.#freeBytes()) throw this.#outOfSpace(size);
    const segments: Uint8Array[] = [];
    try {
      for (let left = size; left > 0; left -= SEGMENT_BYTES) {
        segments.push(new Uint8Array(Math.min(left, SEGMENT_BYTES)));
      }
    } catch (cause) {
      throw this.#outOfSpace(size, cause);
    }
    return segments;
  }

  #outOfSpace(requested: number, cause?: unknown): BedrockError {
    const free = this.#freeBytes();
    const [limit, cure] =
      this.#maxBytes === this.#limitBytes
        ? [`max_bytes ${this.#limitBytes}`, 'erase regions or raise max_bytes']
        : [`the machine's memory, ${this.#limitBytes} bytes`, 'erase regions'];
    const why = cause === undefined ? '' : ` (${messageOf(cause)})`;
    return new BedrockError(
      'OUT_OF_SPACE',
      `a region of ${requested} bytes does not fit: ${this.#usedBytes} used, ${free} free of ${limit}${why}; ${cure}`,
      {
        details: { requested, used: this.#usedBytes, free, largestFree: free },
        ...(cause !== undefined && { cause }),
      },
    );
  }

  protected publish(region: MemoryRegion): void {
    this.#regions.set(region);
  }

  protected unpublish(region: MemoryRegion): void {
    this.#regions.delete(region.id);
  }

  protected release(region: MemoryRegion): void {
    drop(region.segments);
    region.segments = [];
    this.#take(-region.size);
    this.#regions.free(region.id);
  }

  protected readBytes(region: MemoryRegion, offset: number, into: Uint8Array): void {
    const [only] = region.segments;
    if (region.segments.length === 1 && only !== undefined) {
      into.set(only.subarray(offset, offset + into.length));
      return;
    }
    for (const { segment, from, to, at } of partsOf(region, offset, into.length)) {
      into.set(segment.subarray(from, to), at);
    }
  }

  protected writeBytes(region: MemoryRegion, offset: number, bytes: Uint8Array): void {
    const [only] = region.segments;
    if (region.segments.length === 1 && only !== undefined) {
      only.set(bytes, offset);
      return;
    }
    for (const { segment, from, to, at } of partsOf(region, offset, bytes.length)) {
      segment.set(bytes.subarray(at, at + to - from), from);
    }
  }

  protected persistRanges(): void {
    // Volatile: there is nothing that bytes could survive on.
  }

  override get isDirect(): boolean {
    return true;
  }

  protected override placeOf(region: MemoryRegion, offset: number, size: number): Uint8Array | undefined {
    return region.segments.length === 1 ? region.segments[0]?.subarray(offset, offset + size) : undefined;
  }

  protected override mapRegion(region: MemoryRegion): { views: readonly Uint8Array[] } {
    return { views: [...region.segments] };
  }
}

interface Part {
  segment: Uint8Array;
  /** First byte within the segment. */
  from: number;
  /** End within the segment. */
  to: number;
  /** Where the part stands in the caller's buffer. */
  at: number;
}

/** The pieces of segments that a range of a region consists of. */
function* partsOf(region: MemoryRegion, offset: number, size: number): Generator<Part> {
  let index = Math.floor(offset / SEGMENT_BYTES);
  let from = offset - index * SEGMENT_BYTES;
  for (let at = 0; at < size; index++, from = 0) {
    const segment = region.segments[index];
    if (segment === undefined)
      throw new BedrockError('INTERNAL', `region ${region.id.toString()} has no segment ${index}`);
    const to = Math.min(segment.length, from + size - at);
    yield { segment, from, to, at };
    at += to - from;
  }
}
