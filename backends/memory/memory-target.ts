/**
 * Regions in the process's own memory: as fast as possible, gone when the target closes.
 *
 * A small region is a cell of a slab and a row of a table. An object for it is created when it is
 * used, so that a million idle ones cost the garbage collector nothing. A larger region is a buffer
 * of its own, or, above 1 GiB, a list of 1 GiB segments, as a single buffer may hold at most 4 GiB
 * on Node.js 20. Buffers start zeroed, and the system allocates their pages when they are first
 * written. Every hook is synchronous, so no operation sees half of another.
 *
 * Cells are reused by other regions, so no view into a slab leaves this file: bytes do not arrive
 * in cells directly, and a small region that is mapped moves to its own buffer for good, as its
 * views may be used later than they should be.
 */
import {
  BedrockError,
  DEFAULT_MAX_TRANSACTION_BYTES,
  ImportableTarget,
  RegionDirectory,
  messageOf,
  type BackendContext,
  type Capabilities,
  type Clock,
  type ListedRegion,
  type NameEntry,
  type Naming,
  type RegionId,
  type Transaction,
  type Usage,
  type TargetMode,
} from '../../core/index.js';
import type { MemoryConfig } from '../../schemas/generated/memory.js';
import { MemoryRegion, partsOf, Segments, segmentsOf } from './memory-region.js';
import { processMemory, type ProcessMemory } from './process-memory.js';
import { MAX_CELL_BYTES, NO_CELL, SlabHeap } from './slab-heap.js';

export const MEMORY_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: true,
  growable: false,
  importable: true,
  snapshots: false,
  named: true,
  transactional: true,
};

const NO_BYTES = new Uint8Array(0);

/** Up to here, copying by a loop takes less time than by a call. */
const LOOP_BYTES = 128;

export class MemoryTarget extends ImportableTarget<MemoryRegion> {
  readonly type = 'memory';
  readonly capabilities = MEMORY_CAPABILITIES;

  readonly #clock: Clock;
  /** The configured limit. Undefined: as much memory as there is. */
  readonly #maxBytes: number | undefined;
  readonly #maxTransactionBytes: number;
  /** Shared by all targets of the process. */
  readonly #memory: ProcessMemory;
  #regions: RegionDirectory<MemoryRegion>;
  readonly #cells: SlabHeap;
  /** The segments of regions without a cell, by slot. */
  readonly #segments = new Map<number, Segments>();
  /** Includes regions that are being created, as their space is already taken. */
  #usedBytes = 0;
  /** Memory of names that was noted. */
  #nameBytes = 0;
  #isFilling = false;

  constructor(
    config: MemoryConfig,
    context: Pick<BackendContext, 'logger' | 'clock' | 'poolId'>,
    memory = processMemory,
  ) {
    super(context.logger);
    this.#clock = context.clock;
    this.#regions = this.#newTable(context.poolId);
    this.#maxBytes = config.max_bytes;
    this.#maxTransactionBytes = config.max_transaction_bytes ?? DEFAULT_MAX_TRANSACTION_BYTES;
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
    this.#isFilling = false;
    // A new table has a new pool id, so that IDs from before a reopen stay invalid.
    this.#empty(this.#newTable());
  }

  #empty(table: RegionDirectory<MemoryRegion>): void {
    for (const segments of this.#segments.values()) this.#dropSegments(segments);
    this.#segments.clear();
    this.#cells.clear();
    this.#regions = table;
    this.#noteNames();
    this.#usedBytes = 0;
  }

  #newTable(poolId?: Uint8Array): RegionDirectory<MemoryRegion> {
    return new RegionDirectory({
      poolId,
      make: (id, size, createdAt, cell) => this.#regionOf(id, size, createdAt, cell),
    });
  }

  protected destroyStorage(): void {
    // Closing has left nothing behind.
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

  /** The rest of `max_bytes`, or of the memory that all targets of the process share. */
  #freeBytes(): number {
    return Math.min(this.#allowedBytes, this.#memory.roomBytes);
  }

  /** The rest of `max_bytes`. */
  get #allowedBytes(): number {
    return this.#maxBytes === undefined ? Infinity : this.#maxBytes - this.#usedBytes;
  }

  protected lookUp(id: RegionId): MemoryRegion | undefined {
    return this.#regions.get(id);
  }

  protected regionsAfter(after: RegionId | undefined): Iterable<ListedRegion> {
    return this.#regions.after(after);
  }

  protected override lookUpName(name: string): MemoryRegion | undefined {
    return this.#regions.lookUpName(name);
  }

  protected override lookUpNameIn(bytes: Buffer, start: number, end: number): MemoryRegion | undefined {
    return this.#regions.lookUpNameIn(bytes, start, end);
  }

  protected override nameOf(region: ListedRegion): string | undefined {
    return this.#regions.nameOf(region);
  }

  protected override namesFrom(from: Uint8Array | undefined): Iterable<NameEntry> {
    return this.#regions.namesFrom(from);
  }

  protected allocate(size: number, nameBytes = 0): MemoryRegion {
    this.#checkNameRoom(nameBytes);
    return this.#newRegion(size, this.#clock.now(), undefined);
  }

  /** `max_bytes` does not count names, but they take memory of the process. */
  #checkNameRoom(bytes: number): void {
    if (bytes > 0 && !this.#memory.hasRoomFor(bytes)) throw this.#outOfSpace(bytes);
  }

  #noteNames(): void {
    const { nameBytes } = this.#regions;
    if (nameBytes === this.#nameBytes) return;
    this.#memory.note(nameBytes - this.#nameBytes);
    this.#nameBytes = nameBytes;
  }

  protected get poolId(): Uint8Array {
    return this.#regions.poolId;
  }

  protected allocateAs(id: RegionId, size: number, createdAt: number, nameBytes = 0): MemoryRegion {
    this.#checkNameRoom(nameBytes);
    return this.#newRegion(size, createdAt, id);
  }

  protected override emptyFor(poolId: Uint8Array): void {
    this.#empty(this.#newTable(poolId));
    this.#isFilling = true;
  }

  protected override setFilled(): void {
    this.#isFilling = false;
  }

  override get isFilling(): boolean {
    return this.#isFilling;
  }

  protected takeErased(ids: readonly RegionId[]): void {
    this.#regions.takeErased(ids);
  }

  protected erasedAfter(after: RegionId | undefined): Iterable<RegionId> {
    return this.#regions.erasedAfter(after);
  }

  /** @param wanted its ID, if it is imported */
  #newRegion(size: number, createdAt: number, wanted: RegionId | undefined): MemoryRegion {
    if (size > this.#allowedBytes) throw this.#outOfSpace(size);
    let cell = NO_CELL;
    let segments: Segments | undefined;
    if (size > MAX_CELL_BYTES) segments = this.#allocateSegments(size);
    else if (size > 0) cell = this.#allocateCell(size);
    const id = this.#idFor(wanted, cell);
    if (segments !== undefined) this.#setSegments(id.slot, segments);
    this.#usedBytes += size;
    return this.#regionOf(id, size, createdAt, cell);
  }

  #allocateCell(size: number): number {
    try {
      const cell = this.#cells.allocate(size);
      if (cell !== NO_CELL) return cell;
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

  #idFor(wanted: RegionId | undefined, cell: number): RegionId {
    try {
      if (wanted === undefined) return this.#regions.reserve();
      this.#regions.take(wanted);
      return wanted;
    } catch (error) {
      if (cell !== NO_CELL) this.#cells.free(cell);
      throw error;
    }
  }

  #regionOf(id: RegionId, size: number, createdAt: number, cell: number): MemoryRegion {
    if (cell !== NO_CELL) {
      const cells = this.#cells;
      return new MemoryRegion(id, size, createdAt, cell, cells.bytesAt(cell), cells.startAt(cell), undefined);
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

  /** Records that bytes of a region are written or may be, possibly the same ones as before. */
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
      `a region of ${requested} bytes does not fit, with ${used} already used by this target: ${limit}${why}; ${cure}`,
      {
        details: { requested, used, free, largestFree: free },
        ...(cause !== undefined && { cause }),
      },
    );
  }

  protected publish(region: MemoryRegion, naming?: Naming<MemoryRegion>): void {
    this.#regions.set(region, region.cell, naming);
    if (naming !== undefined) this.#noteNames();
  }

  protected override renameRegion(
    region: MemoryRegion,
    name: string | undefined,
    replaced: MemoryRegion | undefined,
  ): void {
    if (name !== undefined) this.#checkNameRoom(Buffer.byteLength(name));
    this.#regions.rename(region, name, replaced);
    this.#noteNames();
  }

  protected override get maxTransactionBytes(): number {
    return this.#maxTransactionBytes;
  }

  protected override commit({ writes, published, renamed, erased }: Transaction<MemoryRegion>): void {
    // All that may fail, and it changes nothing then.
    this.#regions.setNames([...renamed, ...published]);
    this.#noteNames();
    for (const region of erased) this.#regions.delete(region);
    for (const { region } of published) this.#regions.set(region, region.cell);
    for (const { region, offset, bytes } of writes) this.writeBytes(region, offset, bytes);
  }

  protected unpublish(region: MemoryRegion): void {
    this.#regions.delete(region);
    this.#noteNames();
  }

  protected release(region: MemoryRegion): void {
    if (region.cell !== NO_CELL) this.#cells.free(region.cell);
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

  protected override copyBytesNow(region: MemoryRegion, into: Buffer, at: number): boolean {
    const { bytes, start, size } = region;
    if (size > LOOP_BYTES) return super.copyBytesNow(region, into, at);
    for (let index = 0; index < size; index++) into[at + index] = bytes[start + index] as number;
    return true;
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
    // Volatile: there is nothing to make durable.
  }

  override get isDirect(): boolean {
    return true;
  }

  protected override get putsInOneStep(): boolean {
    return true;
  }

  protected override placeOf(region: MemoryRegion, offset: number, size: number): Uint8Array | undefined {
    if (region.segments.length !== 1) return undefined;
    this.#noteWritten(region, size);
    return region.bytes.subarray(offset, offset + size);
  }

  protected override mapRegion(region: MemoryRegion): { views: readonly Uint8Array[] } {
    if (region.cell !== NO_CELL) this.#moveOut(region);
    this.#noteWritten(region, region.size);
    return { views: [...region.segments] };
  }

  /** Moves a region from its cell to its own buffer. */
  #moveOut(region: MemoryRegion): void {
    const { cell, bytes, start, size } = region;
    const own = bytes.slice(start, start + size);
    const store = new Segments([own], size);
    this.#setSegments(region.id.slot, store);
    this.#regions.move(region, NO_CELL);
    region.cell = NO_CELL;
    region.bytes = own;
    region.start = 0;
    region.store = store;
    this.#cells.free(cell);
  }
}
