/** A target that hands every call on to another one: what wrong targets differ from in one point. */
import type {
  Change,
  CreateAndWriteOptions,
  CreateOptions,
  ErasedPage,
  ImportOptions,
  ListOptions,
  MapNamesOptions,
  MappedName,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionId,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionRef,
  RegionSource,
  RegionStat,
  RenameOptions,
  Target,
  TargetState,
  TargetStats,
  TransactionResult,
  WriteOptions,
} from '../../core/index.js';

export class Delegate implements Target {
  constructor(protected readonly inner: Target) {}

  /** The region that a call goes to. */
  protected regionOf(ref: RegionRef): RegionRef {
    return ref;
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
  create(size: number, options?: CreateOptions): Promise<RegionId> {
    return this.inner.create(size, options);
  }
  createAndWrite(contents: Uint8Array | RegionSource, options?: CreateAndWriteOptions): Promise<RegionId> {
    return this.inner.createAndWrite(contents, options);
  }
  write(ref: RegionRef, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.inner.write(this.regionOf(ref), offset, bytes, options);
  }
  writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void> {
    return this.inner.writev(this.regionOf(ref), ranges, bytes, options);
  }
  read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array> {
    return this.inner.read(this.regionOf(ref), offset, size);
  }
  readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void> {
    return this.inner.readInto(this.regionOf(ref), offset, buffer);
  }
  readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    return this.inner.readv(this.regionOf(ref), ranges);
  }
  persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void> {
    return this.inner.persist(this.regionOf(ref), ranges);
  }
  erase(ref: RegionRef): Promise<void> {
    return this.inner.erase(this.regionOf(ref));
  }
  stat(ref: RegionRef): Promise<RegionStat> {
    return this.inner.stat(this.regionOf(ref));
  }
  list(options?: ListOptions): Promise<RegionPage> {
    return this.inner.list(options);
  }
  stats(): Promise<TargetStats> {
    return this.inner.stats();
  }
  map(ref: RegionRef): Promise<RegionMapping> {
    return this.inner.map(this.regionOf(ref));
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
  put(name: string, contents: Uint8Array | RegionSource, options?: PutOptions): Promise<RegionId> {
    return this.inner.put(name, contents, options);
  }
  find(name: string): Promise<NamedRegion> {
    return this.inner.find(name);
  }
  rename(ref: RegionRef, name: string | null, options?: RenameOptions): Promise<void> {
    return this.inner.rename(this.regionOf(ref), name, options);
  }
  names(options?: NamesOptions): Promise<NamesPage> {
    return this.inner.names(options);
  }
  mapNames(options?: MapNamesOptions): AsyncIterable<MappedName> {
    return this.inner.mapNames(options);
  }
  transact(changes: readonly Change[]): Promise<TransactionResult> {
    return this.inner.transact(changes);
  }
}
