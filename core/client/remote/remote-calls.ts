/**
 * What a protocol must be able to do for a target of another daemon: one method for each request.
 * Their arguments have been checked (`BaseRemoteTarget`). A new protocol implements this and
 * nothing else.
 *
 * It also counts the calls in flight, so that closing the target, or the connection, waits for them.
 */
import type { Logger } from '../../base/logging.js';
import type {
  Change,
  NamedRegion,
  NamesPage,
  PutOptions,
  RegionRef,
  TransactionResult,
} from '../../contract/names.js';
import type { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import type {
  Capabilities,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  TargetStats,
} from '../../contract/target.js';
import type { CheckedRanges } from '../../targets/arguments.js';
import { Lifecycle } from '../../targets/lifecycle.js';
import type { CheckedNames } from '../../targets/name-arguments.js';
import type { WorkInHand } from './work-in-hand.js';

/** A remote target logs nothing about its lifecycle. */
const SILENT = { warning: () => undefined } as unknown as Logger;

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

export abstract class RemoteCalls extends Lifecycle {
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

  // ---- regions; a name is given only if the target is `named` ----

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

  // ---- the lifecycle: nothing is stored here ----

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    // The connection belongs to the service.
  }

  protected destroyStorage(): void {
    // Never called, because `destroy` is refused.
  }
}
