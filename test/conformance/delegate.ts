/** A target that hands every call on to another one: what wrong targets differ from in one point. */
import type {
  ErasedPage,
  ImportOptions,
  ListOptions,
  RegionId,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  Target,
  TargetState,
  TargetStats,
  WriteOptions,
} from '../../core/index.js';

export class Delegate implements Target {
  constructor(protected readonly inner: Target) {}

  /** The region that a call on an ID goes to. */
  protected regionOf(id: RegionId): RegionId {
    return id;
  }

  get type(): string {
    return this.inner.type;
  }
  get capabilities(): Target['capabilities'] {
    return this.inner.capabilities;
  }
  get state(): TargetState {
    return this.inner.state;
  }

  open(): Promise<void> {
    return this.inner.open();
  }
  close(): Promise<void> {
    return this.inner.close();
  }
  destroy(): Promise<void> {
    return this.inner.destroy();
  }
  create(size: number): Promise<RegionId> {
    return this.inner.create(size);
  }
  createAndWrite(contents: Uint8Array | RegionSource, options?: WriteOptions): Promise<RegionId> {
    return this.inner.createAndWrite(contents, options);
  }
  write(id: RegionId, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.inner.write(this.regionOf(id), offset, bytes, options);
  }
  writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void> {
    return this.inner.writev(this.regionOf(id), ranges, bytes, options);
  }
  read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    return this.inner.read(this.regionOf(id), offset, size);
  }
  readInto(id: RegionId, offset: number, buffer: Uint8Array): Promise<void> {
    return this.inner.readInto(this.regionOf(id), offset, buffer);
  }
  readv(id: RegionId, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    return this.inner.readv(this.regionOf(id), ranges);
  }
  persist(id: RegionId, ranges?: readonly RegionRange[]): Promise<void> {
    return this.inner.persist(this.regionOf(id), ranges);
  }
  erase(id: RegionId): Promise<void> {
    return this.inner.erase(this.regionOf(id));
  }
  stat(id: RegionId): Promise<RegionStat> {
    return this.inner.stat(this.regionOf(id));
  }
  list(options?: ListOptions): Promise<RegionPage> {
    return this.inner.list(options);
  }
  stats(): Promise<TargetStats> {
    return this.inner.stats();
  }
  map(id: RegionId): Promise<RegionMapping> {
    return this.inner.map(this.regionOf(id));
  }
  importRegion(id: RegionId, contents: Uint8Array | RegionSource, options: ImportOptions): Promise<void> {
    return this.inner.importRegion(id, contents, options);
  }
  importErased(ids: readonly RegionId[]): Promise<void> {
    return this.inner.importErased(ids);
  }
  listErased(options?: ListOptions): Promise<ErasedPage> {
    return this.inner.listErased(options);
  }
}
