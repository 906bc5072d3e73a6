/**
 * A target whose regions are objects of a Ceph pool. It keeps nothing that another daemon would
 * have to know: which regions there are is in the catalog (catalog.ts), their bytes are in objects
 * (region-objects.ts), and several daemons serve one namespace.
 *
 * Here are the calls of the contract: their arguments, their counting, and those that need little.
 * New regions are made in creations.ts, erased and renamed in changes.ts, imported in imports.ts.
 *
 * A call by a name looks the name up, and then goes to the region. If that was replaced or erased
 * between the two, by whichever daemon, the call begins again with what the name means then.
 */
import {
  allocateBuffer,
  BedrockError,
  checkBytes,
  checkCreatedAt,
  checkId,
  checkIds,
  checkListOptions,
  checkName,
  checkNamesOptions,
  checkNewName,
  checkOptions,
  checkPersist,
  checkPutOptions,
  checkRange,
  checkRanges,
  checkRef,
  checkRenameOptions,
  checkSize,
  checkTotal,
  type CreateAndWriteOptions,
  type CreateOptions,
  type DurabilityMode,
  type ErasedPage,
  type ImportOptions,
  type ListOptions,
  type MappedName,
  type NamedRegion,
  type NamesOptions,
  type NamesPage,
  type PutOptions,
  type RegionId,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionRef,
  type RegionSource,
  type RegionStat,
  type RenameOptions,
  sourceOf,
  type Target,
  type TargetStats,
  type TransactionResult,
  type WriteOptions,
} from '../../core/index.js';
import { RADOS_CAPABILITIES } from './capabilities.js';
import { idOf } from './catalog-entries.js';
import { OpenTarget } from './open-target.js';
import { namesPage, regionsPage } from './pages.js';
import { notFound, statOf } from './storage.js';

const NO_OPTIONS = {};

export class RadosTarget extends OpenTarget implements Target {
  readonly capabilities = RADOS_CAPABILITIES;
  // ---- regions ----

  async create(size: number, options: CreateOptions = NO_OPTIONS): Promise<RegionId> {
    checkSize('size', size);
    const name = nameIn(options);
    return this.call(() => this.parts.creations.create(size, { name }));
  }

  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: CreateAndWriteOptions = NO_OPTIONS,
  ): Promise<RegionId> {
    const source = sourceOf(contents);
    const name = nameIn(options);
    checkPersist(options);
    return this.call(() => this.parts.creations.createFilled(source, contents, { name }));
  }

  async put(
    name: string,
    contents: Uint8Array | RegionSource,
    options: PutOptions = NO_OPTIONS,
  ): Promise<RegionId> {
    checkName(name);
    const source = sourceOf(contents);
    const condition = checkPutOptions(options);
    return this.call(() =>
      this.parts.creations.createFilled(source, contents, { name, isPut: true, condition }),
    );
  }

  async erase(ref: RegionRef): Promise<void> {
    return this.with(ref, async (key) => {
      const { calls, changes } = this.parts;
      if (calls.isErased(key)) throw notFound(key);
      calls.setErased(key, true);
      await this.changing(key, () => changes.erase(key, 1));
    });
  }

  async stat(ref: RegionRef): Promise<RegionStat> {
    return this.with(ref, async (key) => {
      const { catalog, changes } = this.parts;
      return statOf((await changes.entryOf(key)).entry, catalog.settings.poolId);
    });
  }

  async list(options: ListOptions = NO_OPTIONS): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    return this.call(() => {
      const { catalog, calls } = this.parts;
      if (after !== undefined) this.keyOf(after);
      return regionsPage(catalog, after, limit, (key) => calls.isErased(key));
    });
  }

  async stats(): Promise<TargetStats> {
    return this.call(async () => {
      const { regions, bytes } = await this.parts.catalog.total();
      const mode: DurabilityMode = 'fdatasync';
      return {
        type: this.type,
        mode,
        state: this.state,
        regions,
        capacityBytes: null,
        usedBytes: bytes,
        freeBytes: null,
        largestFreeBytes: null,
        pendingBytes: 0,
        failedGiveBacks: 0,
        fragmentation: 0,
        recovery: this.recovery,
      };
    });
  }

  // ---- bytes: a write is on all replicas when it is acknowledged, so that `persist` has nothing to add ----

  async write(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<void> {
    return this.#write(ref, bytes, options, (size) => {
      checkRange('write', offset, bytes.length, size);
      return [{ offset, size: bytes.length }];
    });
  }

  async writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options: WriteOptions = NO_OPTIONS,
  ): Promise<void> {
    const given = copied(ranges);
    return this.#write(ref, bytes, options, (size) => {
      const { ranges: checked, total } = checkRanges('write', given, size);
      checkTotal(total, bytes);
      return checked;
    });
  }

  /** @param rangesIn the ranges, checked against the size of the region */
  async #write(
    ref: RegionRef,
    bytes: Uint8Array,
    options: WriteOptions,
    rangesIn: (size: number) => readonly RegionRange[],
  ): Promise<void> {
    checkBytes('bytes', bytes);
    checkPersist(options);
    return this.with(ref, async (key) => {
      const { regions, keeper, catalog } = this.parts;
      const size = await regions.knownSize(key);
      const ranges = rangesIn(size);
      const { gate } = this.copying;
      await this.copying.changing(async () => {
        try {
          // Who was taken for dead must not write: others may serve alone by now.
          await keeper.showSign();
          await regions.write(key, size, ranges, bytes);
        } finally {
          const { poolId } = catalog.settings;
          if (gate.listener !== undefined)
            for (const range of ranges) gate.wrote(idOf(key, poolId), range.offset, range.size);
        }
      });
    });
  }

  async read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array> {
    return this.#read(ref, (regionSize) => {
      checkRange('read', offset, size, regionSize);
      return { ranges: [{ offset, size }], into: allocateBuffer(size) };
    });
  }

  async readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void> {
    checkBytes('buffer', buffer);
    await this.#read(ref, (regionSize) => {
      checkRange('read', offset, buffer.length, regionSize);
      return { ranges: [{ offset, size: buffer.length }], into: buffer };
    });
  }

  async readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const given = copied(ranges);
    return this.#read(ref, (regionSize) => {
      const { ranges: checked, total } = checkRanges('read', given, regionSize);
      return { ranges: checked, into: allocateBuffer(total) };
    });
  }

  async #read<B extends Uint8Array>(
    ref: RegionRef,
    wanted: (regionSize: number) => { readonly ranges: readonly RegionRange[]; readonly into: B },
  ): Promise<B> {
    return this.with(ref, async (key) => {
      const { regions } = this.parts;
      const { ranges, into } = wanted(await regions.knownSize(key));
      await regions.read(key, ranges, into);
      return into;
    });
  }

  async persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void> {
    const given = ranges && copied(ranges);
    return this.with(ref, async (key) => {
      const size = await this.parts.regions.sizeOf(key);
      if (given !== undefined) checkRanges('persist', given, size);
    });
  }

  // ---- names ----

  async find(name: string): Promise<NamedRegion> {
    checkName(name);
    return this.call(async () => {
      const { changes, calls, catalog } = this.parts;
      const { key, size, createdAt } = await changes.named(name);
      if (calls.isErased(key)) throw notFound(name);
      return { name, id: idOf(key, catalog.settings.poolId), size, createdAt };
    });
  }

  async rename(ref: RegionRef, name: string | null, options: RenameOptions = NO_OPTIONS): Promise<void> {
    checkRef(ref);
    checkNewName(name);
    const replace = checkRenameOptions(options);
    return this.with(ref, (key) =>
      this.changing(key, () => this.parts.changes.rename(key, name, { replace })),
    );
  }

  async names(options: NamesOptions = NO_OPTIONS): Promise<NamesPage> {
    const checked = checkNamesOptions(options);
    return this.call(() => {
      const { catalog, calls } = this.parts;
      return namesPage(catalog, checked, (key) => calls.isErased(key));
    });
  }

  // ---- what there is not ----

  async map(_ref: RegionRef): Promise<RegionMapping> {
    return this.#refuse('cannot map regions; read them instead');
  }

  // oxlint-disable-next-line require-yield -- there is nothing to give
  async *mapNames(): AsyncGenerator<MappedName> {
    await this.#refuse('cannot map regions; read them instead');
  }

  async transact(): Promise<TransactionResult> {
    return this.#refuse('has no transactions; a put replaces one region atomically');
  }

  #refuse(what: string): Promise<never> {
    this.checkOpen();
    return Promise.reject(new BedrockError('NOT_SUPPORTED', `a rados target ${what}`));
  }

  // ---- imports, and copies of this target ----

  async importRegion(
    id: RegionId,
    contents: Uint8Array | RegionSource,
    options: ImportOptions,
  ): Promise<void> {
    checkId(id);
    const source = sourceOf(contents);
    const createdAt = checkCreatedAt(options);
    const name = nameIn(options);
    return this.call(() =>
      this.parts.imports.importRegion(id, source, { createdAt, ...(name !== undefined && { name }) }),
    );
  }

  async importErased(ids: readonly RegionId[]): Promise<void> {
    checkIds(ids);
    const given = [...ids];
    return this.call(() => this.parts.imports.importErased(given));
  }

  async listErased(options: ListOptions = NO_OPTIONS): Promise<ErasedPage> {
    const { after, limit } = checkListOptions(options);
    return this.call(async () => {
      await this.copying.check();
      return this.parts.imports.listErased(after, limit);
    });
  }
}

function nameIn(options: CreateOptions): string | undefined {
  const { name } = checkOptions(options) as CreateOptions;
  if (name !== undefined) checkName(name);
  return name;
}

/** The caller's ranges as they are now; what is none is refused later. */
function copied(ranges: readonly RegionRange[]): readonly RegionRange[] {
  return Array.isArray(ranges)
    ? ranges.map((one: RegionRange) => (Object(one) === one ? { ...one } : one))
    : ranges;
}
