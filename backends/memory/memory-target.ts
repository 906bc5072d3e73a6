/**
 * Regions in the process's own memory: as fast as it gets, gone when the target closes.
 *
 * A small region is a cell of a slab and a row of a table; an object for it is made when it is used, so that a million idle ones cost
 * the garbage collector nothing. A larger one is a buffer of its own, or a row of 1 GiB segments where it is larger than that, as a
 * single buffer may hold no more than 4 GiB on Node 20. Buffers start zeroed, and the system backs their pages only when they are
 * first written. Every hook is synchronous, so no operation sees half of another.
 *
 * Cells are used again by other regions, so no view into a slab leaves this file: bytes do not land in cells, and a small region that
 * is mapped moves to a buffer of its own, for good, as views may be in hands that use them later than they should.
 */
import {
  BedrockError,
  ImportableTarget,
  Region,
  RowTable,
  messageOf,
  type BackendContext,
  type Capabilities,
  type Clock,
  type ListedRegion,
  type RegionId,
  type Usage,
  type TargetMode,
} from '../../core/index.js';
import type { MemoryConfig } from '../../schemas/generated/memory.js';
import { processMemory, type ProcessMemory } from './process-memory.js';
import { MAX_CELL_BYTES, NO_CELL, SlabHeap } from './slab-heap.js';

/** Bytes of a segment; each but a region's last has exactly as many. */
const SEGMENT_BYTES = 2 ** 30;

export const MEMORY_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: true,
  growable: false,
  importable: true,
  snapshots: false,
};

const NO_BYTES = new Uint8Array(0);
const NO_SEGMENTS: readonly Uint8Array[] = [];

/** What a region without a cell has. */
class Segments {
  /** What nobody has written to, at least. */
  unwrittenBytes: number;

  constructor(
    readonly parts: readonly Uint8Array[],
    readonly sizeBytes: number,
  ) {
    this.unwrittenBytes = sizeBytes;
  }
}

class MemoryRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    /** That of its cell, or NO_CELL. */
    public place: number,
    /** Its slab or its first segment. */
    public bytes: Uint8Array,
    /** Where it starts there. */
    public start: number,
    /** If it has no cell; none for a region of no bytes. */
    public store: Segments | undefined,
  ) {
    super(id, size, createdAt);
  }

  get segments(): readonly Uint8Array[] {
    return this.store?.parts ?? NO_SEGMENTS;
  }
}

export class MemoryTarget extends ImportableTarget<MemoryRegion> {
  readonly type = 'memory';
  readonly capabilities = MEMORY_CAPABILITIES;

  readonly #clock: Clock;
  /** What the configuration allows. Without it, as much as there is. */
  readonly #maxBytes: number | undefined;
  /** What all targets of the process share. */
  readonly #memory: ProcessMemory;
  #regions: RowTable<MemoryRegion>;
  readonly #cells: SlabHeap;
  /** The segments of regions that have no cell, by slot. */
  readonly #segments = new Map<number, Segments>();
  /** Regions being created included, as their space is taken. */
  #usedBytes = 0;

  constructor(
    config: MemoryConfig,
    context: Pick<BackendContext, 'logger' | 'clock' | 'poolId'>,
    memory = processMemory,
  ) {
    super(context.logger);
    this.#clock = context.clock;
    this.#regions = this.#newTable(context.poolId);
    this.#maxBytes = config.max_bytes;
    this.#memory = memory;
    this.#cells = new SlabHeap(memory);
  }

  protected get mode(): TargetMode {
    return 'volatile';
  }

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    for (const segments of this.#segments.values()) this.#dropSegments(segments);
    this.#segments.clear();
    this.#cells.clear();
    // A new table has a new pool id: IDs of before stay invalid after a reopen.
    this.#regions = this.#newTable();
    this.#usedBytes = 0;
  }

  #newTable(poolId?: Uint8Array): RowTable<MemoryRegion> {
    return new RowTable((id, size, createdAt, place) => this.#regionOf(id, size, createdAt, place), poolId);
  }

  protected destroyStorage(): void {
    // Closing left nothing behind.
  }

  protected usage(): Usage {
    const freeBytes = this.#freeBytes();
    return {
      regions: this.#regions.size,
      usedBytes: this.#usedBytes,
      capacityBytes: this.#maxBytes ?? null,
      freeBytes,
      largestFreeBytes: freeBytes,
    };
  }

  /** Of `max_bytes`, and of the memory that all targets of the process share. */
  #freeBytes(): number {
    return Math.min(this.#allowedBytes, this.#memory.roomBytes);
  }

  /** What `max_bytes` leaves. */
  get #allowedBytes(): number {
    return this.#maxBytes === undefined ? Infinity : this.#maxBytes - this.#usedBytes;
  }

  protected find(id: RegionId): MemoryRegion | undefined {
    return this.#regions.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<ListedRegion> {
    this.#checkOwn(after);
    return this.#regions.after(after);
  }

  #checkOwn(id: RegionId | undefined): void {
    if (id === undefined || this.#regions.owns(id)) return;
    throw new BedrockError('REGION_NOT_FOUND', `${id.toString()} was never a region of this memory target`);
  }

  protected allocate(size: number): MemoryRegion {
    return this.#newRegion(size, this.#clock.now(), undefined);
  }

  protected get poolId(): Uint8Array {
    return this.#regions.poolId;
  }

  protected allocateAs(id: RegionId, size: number, createdAt: number): MemoryRegion {
    return this.#newRegion(size, createdAt, id);
  }

  protected takeErased(ids: readonly RegionId[]): void {
    this.#regions.takeErased(ids);
  }

  protected erasedAfter(after: RegionId | undefined): Iterable<RegionId> {
    this.#checkOwn(after);
    return this.#regions.erasedAfter(after);
  }

  /** @param wanted the ID that it is to have, if it has one elsewhere */
  #newRegion(size: number, createdAt: number, wanted: RegionId | undefined): MemoryRegion {
    if (size > this.#allowedBytes) throw this.#outOfSpace(size);
    let place = NO_CELL;
    let segments: Segments | undefined;
    if (size > MAX_CELL_BYTES) segments = this.#allocateSegments(size);
    else if (size > 0) place = this.#allocateCell(size);
    const id = this.#idFor(wanted, place);
    if (segments !== undefined) this.#setSegments(id.slot, segments);
    this.#usedBytes += size;
    return this.#regionOf(id, size, createdAt, place);
  }

  #allocateCell(size: number): number {
    try {
      const place = this.#cells.allocate(size);
      if (place !== NO_CELL) return place;
    } catch (cause) {
      throw this.#outOfSpace(size, cause);
    }
    throw this.#outOfSpace(size);
  }

  #allocateSegments(size: number): Segments {
    if (!this.#memory.hasRoomFor(size)) throw this.#outOfSpace(size);
    try {
      return new Segments(segmentsOf(size), size);
    } catch (cause) {
      throw this.#outOfSpace(size, cause);
    }
  }

  #idFor(wanted: RegionId | undefined, place: number): RegionId {
    try {
      if (wanted === undefined) return this.#regions.reserve();
      this.#regions.take(wanted);
      return wanted;
    } catch (error) {
      if (place !== NO_CELL) this.#cells.free(place);
      throw error;
    }
  }

  #regionOf(id: RegionId, size: number, createdAt: number, place: number): MemoryRegion {
    if (place !== NO_CELL) {
      const cells = this.#cells;
      return new MemoryRegion(
        id,
        size,
        createdAt,
        place,
        cells.bytesAt(place),
        cells.startAt(place),
        undefined,
      );
    }
    const segments = this.#segments.get(id.slot);
    return new MemoryRegion(id, size, createdAt, NO_CELL, segments?.parts[0] ?? NO_BYTES, 0, segments);
  }

  #setSegments(slot: number, segments: Segments): void {
    this.#segments.set(slot, segments);
    this.#memory.note(segments.sizeBytes);
    this.#memory.noteUnwritten(segments.unwrittenBytes);
  }

  #dropSegments(segments: Segments): void {
    this.#memory.noteUnwritten(-segments.unwrittenBytes);
    for (const segment of segments.parts) this.#memory.giveBack(segment);
  }

  /** Notes that so many bytes of a region are or may be written, the same ones perhaps as before. */
  #noteWritten({ store }: MemoryRegion, bytes: number): void {
    if (store === undefined || store.unwrittenBytes === 0) return;
    const written = Math.min(bytes, store.unwrittenBytes);
    store.unwrittenBytes -= written;
    this.#memory.noteUnwritten(-written);
  }

  #outOfSpace(requested: number, cause?: unknown): BedrockError {
    const used = this.#usedBytes;
    const free = this.#freeBytes();
    const [limit, cure] =
      requested > this.#allowedBytes
        ? [`max_bytes ${this.#maxBytes} allows ${free} more`, 'erase regions or raise max_bytes']
        : [
            `there is memory for ${free} more, as ${this.#memory.bound}`,
            'erase regions, or give the daemon more memory',
          ];
    const why = cause === undefined ? '' : ` (${messageOf(cause)})`;
    return new BedrockError(
      'OUT_OF_SPACE',
      `a region of ${requested} bytes does not fit beside the ${used} of this target: ${limit}${why}; ${cure}`,
      {
        details: { requested, used, free, largestFree: free },
        ...(cause !== undefined && { cause }),
      },
    );
  }

  protected publish(region: MemoryRegion): void {
    this.#regions.set(region, region.place);
  }

  protected unpublish(region: MemoryRegion): void {
    this.#regions.delete(region);
  }

  protected release(region: MemoryRegion): void {
    if (region.place !== NO_CELL) this.#cells.free(region.place);
    else if (region.store !== undefined) {
      this.#segments.delete(region.id.slot);
      this.#dropSegments(region.store);
      region.store = undefined;
    }
    region.bytes = NO_BYTES;
    this.#usedBytes -= region.size;
    this.#regions.free(region.id);
  }

  protected readBytes(region: MemoryRegion, offset: number, into: Uint8Array): void {
    if (region.segments.length <= 1) {
      const from = region.start + offset;
      into.set(region.bytes.subarray(from, from + into.length));
      return;
    }
    for (const { segment, from, to, at } of partsOf(region, offset, into.length)) {
      into.set(segment.subarray(from, to), at);
    }
  }

  protected writeBytes(region: MemoryRegion, offset: number, bytes: Uint8Array): void {
    this.#noteWritten(region, bytes.length);
    if (region.segments.length <= 1) {
      region.bytes.set(bytes, region.start + offset);
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
    if (region.segments.length !== 1) return undefined;
    this.#noteWritten(region, size);
    return region.bytes.subarray(offset, offset + size);
  }

  protected override mapRegion(region: MemoryRegion): { views: readonly Uint8Array[] } {
    if (region.place !== NO_CELL) this.#moveOut(region);
    this.#noteWritten(region, region.size);
    return { views: [...region.segments] };
  }

  /** Gives a region that has a cell a buffer of its own. */
  #moveOut(region: MemoryRegion): void {
    const { place, bytes, start, size } = region;
    const own = bytes.slice(start, start + size);
    const store = new Segments([own], size);
    this.#setSegments(region.id.slot, store);
    this.#regions.move(region, NO_CELL);
    region.place = NO_CELL;
    region.bytes = own;
    region.start = 0;
    region.store = store;
    this.#cells.free(place);
  }
}

/** @throws RangeError if the system refuses the memory */
function segmentsOf(size: number): Uint8Array[] {
  const segments: Uint8Array[] = [];
  for (let left = size; left > 0; left -= SEGMENT_BYTES)
    segments.push(new Uint8Array(Math.min(left, SEGMENT_BYTES)));
  return segments;
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
