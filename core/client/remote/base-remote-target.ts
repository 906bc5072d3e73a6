/**
 * A target of another daemon, over either protocol. It implements the contract of targets: it checks
 * the arguments of each call before anything is sent, and refuses what a remote target cannot do.
 * Sending is up to `RemoteCalls`, which each protocol implements.
 */
import { asBedrockError, BedrockError } from '../../base/errors.js';
import type {
  Change,
  CreateOptions,
  MappedName,
  NamedRegion,
  NamesOptions,
  NamesPage,
  PutOptions,
  RegionRef,
  RenameOptions,
  TransactionResult,
} from '../../contract/names.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions, RemoteTarget } from '../../contract/remote-provider.js';
import type {
  CreateAndWriteOptions,
  ErasedPage,
  ListOptions,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  WriteOptions,
} from '../../contract/target.js';
import {
  allocateBuffer,
  checkBytes,
  checkId,
  checkListOptions,
  checkName,
  checkOptions,
  checkPersist,
  checkRange,
  checkRanges,
  checkSize,
} from '../../targets/arguments.js';
import { sourceOf } from '../../targets/contents.js';
import {
  checkChanges,
  checkNamesOptions,
  checkNewName,
  checkPutOptions,
  checkRenameOptions,
} from '../../targets/name-arguments.js';
import { RemoteCalls } from './remote-calls.js';

/** Larger reads are checked against the region's size before a buffer is allocated. */
const CHECKED_FIRST_BYTES = 2 ** 28;

/** Maximum number of regions or names that a daemon lists in one answer. */
const MAX_LIST_LIMIT = 10_000;

export abstract class BaseRemoteTarget extends RemoteCalls implements RemoteTarget {
  // ---- regions ----

  async create(size: number, options: CreateOptions = {}, call: CallOptions = {}): Promise<RegionId> {
    checkSize('size', size);
    return this.sendCreate(size, call, this.#nameOf(options));
  }

  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: CreateAndWriteOptions = {},
    call: CallOptions = {},
  ): Promise<RegionId> {
    const sent = sentOf(contents);
    const name = this.#nameOf(options);
    return this.sendContents(sent, checkPersist(options), call, name);
  }

  /** Not an async function: that would add noticeably to the cost of a small write. */
  write(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    options?: WriteOptions,
    call: CallOptions = UNBOUNDED,
  ): Promise<void> {
    try {
      this.#checkRef(ref);
      checkBytes('bytes', bytes);
      checkSize('offset', offset);
      return this.sendWrite(ref, offset, bytes, options === undefined ? false : checkPersist(options), call);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  async writeFrom(
    ref: RegionRef,
    offset: number,
    contents: RegionSource,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    this.#checkRef(ref);
    const source = sourceOf(contents);
    checkSize('offset', offset);
    await this.sendSource(ref, offset, source, checkPersist(options), call);
  }

  async writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    this.#checkRef(ref);
    checkBytes('bytes', bytes);
    const persist = checkPersist(options);
    const checked = checkRanges('write', ranges, Number.MAX_SAFE_INTEGER);
    await this.sendWritev(ref, checked, bytes, persist, call);
  }

  read(ref: RegionRef, offset: number, size: number, call: CallOptions = UNBOUNDED): Promise<Uint8Array> {
    try {
      this.#checkRef(ref);
      checkSize('offset', offset);
      checkSize('size', size);
      this.checkOpen();
      if (size > CHECKED_FIRST_BYTES) return this.sendReadLarge(ref, { offset, size }, call);
      const buffer = allocateBuffer(size);
      return this.fill(ref, offset, buffer, call).then(() => buffer);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  readInto(ref: RegionRef, offset: number, buffer: Uint8Array, call: CallOptions = UNBOUNDED): Promise<void> {
    try {
      this.#checkRef(ref);
      checkSize('offset', offset);
      checkBytes('buffer', buffer);
      return this.fill(ref, offset, buffer, call);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  async *readStream(
    ref: RegionRef,
    offset: number,
    size: number,
    call: CallOptions = {},
  ): AsyncGenerator<Uint8Array> {
    this.#checkRef(ref);
    checkSize('offset', offset);
    checkSize('size', size);
    if (size === 0 || !Number.isSafeInteger(offset + size)) {
      // There are no bytes to request, but the bounds are checked.
      checkRange('read', offset, size, (await this.stat(ref, call)).size);
      return;
    }
    yield* this.stream(ref, { offset, size }, call);
  }

  async readv(ref: RegionRef, ranges: readonly RegionRange[], call: CallOptions = {}): Promise<Uint8Array> {
    this.#checkRef(ref);
    const checked = checkRanges('read', ranges, Number.MAX_SAFE_INTEGER);
    return this.fillv(ref, checked, () => allocateBuffer(checked.total), call);
  }

  async persist(ref: RegionRef, ranges?: readonly RegionRange[], call: CallOptions = {}): Promise<void> {
    this.#checkRef(ref);
    const checked =
      ranges === undefined ? undefined : checkRanges('persist', ranges, Number.MAX_SAFE_INTEGER).ranges;
    await this.sendPersist(ref, checked, call);
  }

  async erase(ref: RegionRef, call: CallOptions = {}): Promise<void> {
    this.#checkRef(ref);
    await this.sendErase(ref, call);
  }

  async stat(ref: RegionRef, call: CallOptions = {}): Promise<RegionStat> {
    this.#checkRef(ref);
    return this.sendStat(ref, call);
  }

  async list(options: ListOptions = {}, call: CallOptions = {}): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    return this.sendList(after, Math.min(limit, MAX_LIST_LIMIT), call);
  }

  // ---- names and transactions ----

  async put(
    name: string,
    contents: Uint8Array | RegionSource,
    options: PutOptions = {},
    call: CallOptions = {},
  ): Promise<RegionId> {
    this.#checkName(name);
    return this.sendPut(name, sentOf(contents), checkPutOptions(options), call);
  }

  async find(name: string, call: CallOptions = {}): Promise<NamedRegion> {
    this.#checkName(name);
    return this.sendFind(name, call);
  }

  async rename(
    ref: RegionRef,
    name: string | null,
    options: RenameOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    this.#checkRef(ref);
    checkNewName(name);
    const replace = checkRenameOptions(options);
    this.#checkNamed();
    await this.sendRename(ref, name, replace, call);
  }

  async names(options: NamesOptions = {}, call: CallOptions = {}): Promise<NamesPage> {
    const checked = checkNamesOptions(options);
    this.#checkNamed();
    return this.sendNames({ ...checked, limit: Math.min(checked.limit, MAX_LIST_LIMIT) }, call);
  }

  async transact(changes: readonly Change[], call: CallOptions = {}): Promise<TransactionResult> {
    const checked = checkChanges(changes);
    if (!this.capabilities.transactional) throw this.#noNames();
    return this.sendTransaction(checked, call);
  }

  // ---- what a remote target cannot do ----

  override destroy(): Promise<void> {
    const text = 'a remote target cannot be destroyed; erase its regions, or destroy it where it is';
    return Promise.reject(new BedrockError('NOT_SUPPORTED', text));
  }

  map(_ref: RegionRef): Promise<RegionMapping> {
    return Promise.reject(new BedrockError('NOT_SUPPORTED', CANNOT_MAP));
  }

  importRegion(): Promise<void> {
    return refuseImport();
  }

  importErased(): Promise<void> {
    return refuseImport();
  }

  listErased(): Promise<ErasedPage> {
    return refuseImport();
  }

  // oxlint-disable-next-line require-yield, typescript/require-await -- there is nothing to give, and what it throws must reject
  async *mapNames(): AsyncGenerator<MappedName> {
    this.checkOpen();
    throw new BedrockError('NOT_SUPPORTED', CANNOT_MAP);
  }

  // ---- checks ----

  /** @throws INVALID_ARGUMENT, NOT_SUPPORTED */
  #checkRef(ref: unknown): void {
    if (typeof ref === 'string') this.#checkName(ref);
    else checkId(ref);
  }

  /** @throws INVALID_ARGUMENT, NOT_SUPPORTED */
  #checkName(name: unknown): void {
    checkName(name);
    this.#checkNamed();
  }

  /** @returns the name for a new region @throws INVALID_ARGUMENT, NOT_SUPPORTED */
  #nameOf(options: CreateOptions): string | undefined {
    const { name } = checkOptions(options) as CreateOptions;
    if (name !== undefined) this.#checkName(name);
    return name;
  }

  /** @throws TARGET_CLOSED, NOT_SUPPORTED */
  #checkNamed(): void {
    this.checkOpen();
    if (!this.capabilities.named) throw this.#noNames();
  }

  #noNames(): BedrockError {
    return new BedrockError(
      'NOT_SUPPORTED',
      `this ${this.type} target has no names or transactions; use the IDs of regions`,
    );
  }
}

const CANNOT_MAP = 'a remote target cannot map regions; read them instead';

/** The options of most calls. */
const UNBOUNDED: CallOptions = {};

/**
 * IDs can be transferred only locally: a daemon that serves one of the targets could meanwhile give
 * the same IDs out.
 */
function refuseImport(): Promise<never> {
  return Promise.reject(
    new BedrockError(
      'NOT_SUPPORTED',
      'a remote target can neither export nor import IDs; use `bedrock pool copy`',
    ),
  );
}

/**
 * Contents as they are sent: bytes in memory unchanged, everything else as a source.
 * @throws INVALID_ARGUMENT
 */
function sentOf(contents: Uint8Array | RegionSource): Uint8Array | RegionSource {
  const source = sourceOf(contents);
  return ArrayBuffer.isView(contents) ? contents : source;
}
