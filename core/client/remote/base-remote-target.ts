/**
 * What the targets of other daemons have in common, whichever way their calls go: arguments are checked, and what is not supported is
 * refused.
 */
import { asBedrockError, BedrockError } from '../../base/errors.js';
import type { Logger } from '../../base/logging.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions, RemoteTarget } from '../../contract/remote-provider.js';
import type {
  Capabilities,
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
  checkPersist,
  checkRange,
  checkRanges,
  checkSize,
} from '../../targets/arguments.js';
import { sourceOf } from '../../targets/contents.js';
import { Lifecycle } from '../../targets/lifecycle.js';

/** Reads of more than this are checked against the region's size before a buffer is taken for them. */
const CHECKED_FIRST_BYTES = 2 ** 28;

/** A remote target's lifecycle has nothing to tell. */
const SILENT = { warning: () => undefined } as unknown as Logger;

/** Most regions that a daemon lists in one answer. */
const MAX_LIST_LIMIT = 10_000;

/** How the daemon describes a target. */
export interface RemoteTargetDescription {
  readonly type: string;
  readonly capabilities: Capabilities;
}

export interface RemoteTargetPlace {
  /** Name or id. */
  provider: string;
  /** Number of the target. */
  index: number;
}

export abstract class BaseRemoteTarget extends Lifecycle implements RemoteTarget {
  readonly type: string;
  readonly capabilities: Capabilities;

  protected constructor({ type, capabilities }: RemoteTargetDescription) {
    super(SILENT, 'open');
    this.type = type;
    this.capabilities = { ...capabilities, mappable: false, importable: false };
  }

  // ---- what a way to the daemon provides; arguments have been checked ----

  protected abstract sendCreate(size: number, call: CallOptions): Promise<RegionId>;
  protected abstract sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<RegionId>;
  protected abstract sendWrite(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  protected abstract sendSource(
    id: RegionId,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  /** The bounds were not compared with the region's size. */
  protected abstract sendWritev(
    id: RegionId,
    ranges: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void>;
  protected abstract fill(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void>;
  /** Takes no buffer for what the region may not have. */
  protected abstract sendReadLarge(id: RegionId, range: RegionRange, call: CallOptions): Promise<Uint8Array>;
  /** Pieces of a range that is not empty. */
  protected abstract stream(id: RegionId, range: RegionRange, call: CallOptions): AsyncGenerator<Uint8Array>;
  /** Fills a buffer with ranges, one behind the other; the bounds were not compared with the region's size. */
  protected abstract fillv(
    id: RegionId,
    ranges: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer>;
  protected abstract sendPersist(
    id: RegionId,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void>;
  protected abstract sendErase(id: RegionId, call: CallOptions): Promise<void>;
  protected abstract sendStat(id: RegionId, call: CallOptions): Promise<RegionStat>;
  protected abstract sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage>;
  abstract stats(call?: CallOptions): Promise<TargetStats>;

  // ---- the contract ----

  async create(size: number, call: CallOptions = {}): Promise<RegionId> {
    checkSize('size', size);
    return this.sendCreate(size, call);
  }

  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<RegionId> {
    const source = sourceOf(contents);
    return this.sendContents(ArrayBuffer.isView(contents) ? contents : source, checkPersist(options), call);
  }

  /** No async function: what that adds is a good part of what a small write costs. */
  write(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    options?: WriteOptions,
    call: CallOptions = UNBOUNDED,
  ): Promise<void> {
    try {
      checkId(id);
      checkBytes('bytes', bytes);
      checkSize('offset', offset);
      return this.sendWrite(id, offset, bytes, options === undefined ? false : checkPersist(options), call);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  async writeFrom(
    id: RegionId,
    offset: number,
    contents: RegionSource,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    checkId(id);
    const source = sourceOf(contents);
    checkSize('offset', offset);
    await this.sendSource(id, offset, source, checkPersist(options), call);
  }

  async writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    checkId(id);
    checkBytes('bytes', bytes);
    const persist = checkPersist(options);
    const checked = checkRanges('write', ranges, Number.MAX_SAFE_INTEGER);
    await this.sendWritev(id, checked, bytes, persist, call);
  }

  read(id: RegionId, offset: number, size: number, call: CallOptions = UNBOUNDED): Promise<Uint8Array> {
    try {
      checkId(id);
      checkSize('offset', offset);
      checkSize('size', size);
      this.checkOpen();
      if (size > CHECKED_FIRST_BYTES) return this.sendReadLarge(id, { offset, size }, call);
      const buffer = allocateBuffer(size);
      return this.fill(id, offset, buffer, call).then(() => buffer);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  readInto(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions = UNBOUNDED): Promise<void> {
    try {
      checkId(id);
      checkSize('offset', offset);
      checkBytes('buffer', buffer);
      return this.fill(id, offset, buffer, call);
    } catch (error) {
      return Promise.reject(asBedrockError(error));
    }
  }

  async *readStream(
    id: RegionId,
    offset: number,
    size: number,
    call: CallOptions = {},
  ): AsyncGenerator<Uint8Array> {
    checkId(id);
    checkSize('offset', offset);
    checkSize('size', size);
    if (size === 0 || !Number.isSafeInteger(offset + size)) {
      // There are no bytes to ask for; the bounds still count.
      checkRange('read', offset, size, (await this.stat(id, call)).size);
      return;
    }
    yield* this.stream(id, { offset, size }, call);
  }

  async readv(id: RegionId, ranges: readonly RegionRange[], call: CallOptions = {}): Promise<Uint8Array> {
    checkId(id);
    const checked = checkRanges('read', ranges, Number.MAX_SAFE_INTEGER);
    return this.fillv(id, checked, () => allocateBuffer(checked.total), call);
  }

  async persist(id: RegionId, ranges?: readonly RegionRange[], call: CallOptions = {}): Promise<void> {
    checkId(id);
    const checked =
      ranges === undefined ? undefined : checkRanges('persist', ranges, Number.MAX_SAFE_INTEGER).ranges;
    await this.sendPersist(id, checked, call);
  }

  async erase(id: RegionId, call: CallOptions = {}): Promise<void> {
    checkId(id);
    await this.sendErase(id, call);
  }

  async stat(id: RegionId, call: CallOptions = {}): Promise<RegionStat> {
    checkId(id);
    return this.sendStat(id, call);
  }

  async list(options: ListOptions = {}, call: CallOptions = {}): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
    return this.sendList(after, Math.min(limit, MAX_LIST_LIMIT), call);
  }

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    // The connection is the service's.
  }

  protected destroyStorage(): void {
    // Never called: destroy is refused.
  }

  override destroy(): Promise<void> {
    const text = 'a remote target cannot be destroyed; erase its regions, or destroy it where it is';
    return Promise.reject(new BedrockError('NOT_SUPPORTED', text));
  }

  map(_id: RegionId): Promise<RegionMapping> {
    return Promise.reject(
      new BedrockError('NOT_SUPPORTED', 'a remote target cannot map regions; read them instead'),
    );
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
}

/** The bounds of most calls. */
const UNBOUNDED: CallOptions = {};

/** IDs are handed over where the targets are: a daemon that serves one would give them out again meanwhile. */
function refuseImport(): Promise<never> {
  return Promise.reject(
    new BedrockError(
      'NOT_SUPPORTED',
      'a remote target hands no IDs over and takes none; `bedrock pool copy` does',
    ),
  );
}
