/**
 * The base class of targets of other daemons, for both protocols. It checks arguments and refuses
 * what is not supported.
 */
import { asBedrockError, BedrockError } from '../../base/errors.js';
import type { Logger } from '../../base/logging.js';
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
  Capabilities,
  CreateAndWriteOptions,
  ErasedPage,
  ListOptions,
  RegionMapping,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  TargetStats,
  WriteOptions,
} from '../../contract/target.js';
import {
  allocateBuffer,
  checkBytes,
  type CheckedRanges,
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
import { Lifecycle } from '../../targets/lifecycle.js';
import {
  checkChanges,
  type CheckedNames,
  checkNamesOptions,
  checkNewName,
  checkPutOptions,
  checkRenameOptions,
} from '../../targets/name-arguments.js';
import type { WorkInHand } from './work-in-hand.js';

/** Larger reads are checked against the region's size before a buffer is allocated. */
const CHECKED_FIRST_BYTES = 2 ** 28;

/** A remote target logs nothing about its lifecycle. */
const SILENT = { warning: () => undefined } as unknown as Logger;

/** Maximum number of regions or names that a daemon lists in one answer. */
const MAX_LIST_LIMIT = 10_000;

/** How the daemon describes a target. */
export interface RemoteTargetDescription {
  readonly type: string;
  readonly capabilities: Capabilities;
}

export interface RemoteTargetKey {
  /** Name or id. */
  provider: string;
  /** Number of the target. */
  index: number;
}

export abstract class BaseRemoteTarget extends Lifecycle implements RemoteTarget {
  readonly type: string;
  readonly capabilities: Capabilities;

  readonly #work: WorkInHand;

  /** @param work counts the calls in flight over the connection */
  protected constructor({ type, capabilities }: RemoteTargetDescription, work: WorkInHand) {
    super(SILENT, 'open');
    this.type = type;
    this.capabilities = { ...capabilities, mappable: false, importable: false };
    this.#work = work;
  }

  /** Begins work of one or more calls. Closing this target, or the connection, waits for it. */
  protected beginWork(): void {
    this.checkOpen();
    this.#work.enter();
    this.enter();
  }

  protected readonly endWork = (): void => {
    this.#work.leave();
    this.leave();
  };

  protected async during<T>(work: () => Promise<T>): Promise<T> {
    this.beginWork();
    try {
      return await work();
    } finally {
      this.endWork();
    }
  }

  // ---- what each protocol implements; arguments have been checked. A name is given only if the target is `named` ----

  protected abstract sendCreate(size: number, call: CallOptions, name: string | undefined): Promise<RegionId>;
  protected abstract sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
    name: string | undefined,
  ): Promise<RegionId>;
  protected abstract sendWrite(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  protected abstract sendSource(
    ref: RegionRef,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  /** The bounds have not been compared with the region's size. */
  protected abstract sendWritev(
    ref: RegionRef,
    ranges: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  protected abstract fill(
    ref: RegionRef,
    offset: number,
    buffer: Uint8Array,
    call: CallOptions,
  ): Promise<void>;
  /** Allocates no buffer before the region is known to be large enough. */
  protected abstract sendReadLarge(
    ref: RegionRef,
    range: RegionRange,
    call: CallOptions,
  ): Promise<Uint8Array>;
  /** Gives the pieces of a range that is not empty. */
  protected abstract stream(
    ref: RegionRef,
    range: RegionRange,
    call: CallOptions,
  ): AsyncGenerator<Uint8Array>;
  /**
   * Fills a buffer with ranges, one after another. The bounds have not been compared with the
   * region's size.
   */
  protected abstract fillv(
    ref: RegionRef,
    ranges: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer>;
  protected abstract sendPersist(
    ref: RegionRef,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void>;
  protected abstract sendErase(ref: RegionRef, call: CallOptions): Promise<void>;
  protected abstract sendStat(ref: RegionRef, call: CallOptions): Promise<RegionStat>;
  protected abstract sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage>;
  abstract stats(call?: CallOptions): Promise<TargetStats>;

  // ---- names and transactions, for targets that support them ----

  protected abstract sendPut(
    name: string,
    contents: RegionSource | Uint8Array,
    condition: PutOptions['if'],
    call: CallOptions,
  ): Promise<RegionId>;
  protected abstract sendFind(name: string, call: CallOptions): Promise<NamedRegion>;
  protected abstract sendRename(
    ref: RegionRef,
    name: string | null,
    replace: boolean,
    call: CallOptions,
  ): Promise<void>;
  protected abstract sendNames(options: CheckedNames, call: CallOptions): Promise<NamesPage>;
  protected abstract sendTransaction(
    changes: readonly Change[],
    call: CallOptions,
  ): Promise<TransactionResult>;

  // ---- the contract ----

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

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    // The connection belongs to the service.
  }

  protected destroyStorage(): void {
    // Never called, because `destroy` is refused.
  }

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

  // oxlint-disable-next-line require-yield, typescript/require-await -- there is nothing to give, and what it throws must reject
  async *mapNames(): AsyncGenerator<MappedName> {
    this.checkOpen();
    throw new BedrockError('NOT_SUPPORTED', CANNOT_MAP);
  }

  async transact(changes: readonly Change[], call: CallOptions = {}): Promise<TransactionResult> {
    const checked = checkChanges(changes);
    if (!this.capabilities.transactional) throw this.#noNames();
    return this.sendTransaction(checked, call);
  }

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
      `this ${this.type} target has no names or transactions; name regions by their IDs`,
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
      'a remote target hands no IDs over and takes none; `bedrock pool copy` does',
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
