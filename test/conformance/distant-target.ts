/**
 * A target as a client sees one: open and close are its own, every call travels, and none arrives
 * in a certain order.
 */
import { setImmediate as turn } from 'node:timers/promises';
import {
  BedrockError,
  type Capabilities,
  type Change,
  type CreateAndWriteOptions,
  type CreateOptions,
  type ErasedPage,
  type ListOptions,
  type Logger,
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
  type Target,
  type TargetStats,
  type TransactionResult,
  type WriteOptions,
} from '../../core/index.js';
import { Lifecycle } from '../../core/targets/lifecycle.js';

export const DISTANT_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: true,
};

export class DistantTarget extends Lifecycle implements Target {
  readonly type: string;
  readonly capabilities = DISTANT_CAPABILITIES;
  #calls = 0;

  /** @param server open as long as it is used */
  constructor(
    readonly server: Target,
    logger: Logger,
  ) {
    super(logger);
    this.type = server.type;
  }

  protected openStorage(): undefined {
    return undefined;
  }
  protected closeStorage(): void {
    // Only the connection is closed.
  }
  protected destroyStorage(): void {
    // Never called: destroy is not supported.
  }

  async #travel<T>(call: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      // One overtakes the other.
      for (let turns = this.#calls++ % 3; turns >= 0; turns--) await turn();
      const result = await call();
      await turn();
      return result;
    } finally {
      this.leave();
    }
  }

  override destroy(): Promise<void> {
    return Promise.reject(new BedrockError('NOT_SUPPORTED', 'only the server can destroy a target'));
  }
  map(ref: RegionRef): Promise<RegionMapping> {
    return this.#travel(async () => {
      await this.server.stat(ref);
      throw new BedrockError('NOT_SUPPORTED', 'memory cannot be mapped from afar');
    });
  }
  importRegion(): Promise<void> {
    return refuse();
  }
  importErased(): Promise<void> {
    return refuse();
  }
  listErased(): Promise<ErasedPage> {
    return refuse();
  }
  create(size: number, options?: CreateOptions): Promise<RegionId> {
    return this.#travel(() => this.server.create(size, options));
  }
  createAndWrite(contents: Uint8Array | RegionSource, options?: CreateAndWriteOptions): Promise<RegionId> {
    return this.#travel(() => this.server.createAndWrite(contents, options));
  }
  write(ref: RegionRef, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#travel(() => this.server.write(ref, offset, bytes, options));
  }
  writev(
    ref: RegionRef,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void> {
    const sent = structuredClone(ranges);
    return this.#travel(() => this.server.writev(ref, sent, bytes, options));
  }
  read(ref: RegionRef, offset: number, size: number): Promise<Uint8Array> {
    return this.#travel(() => this.server.read(ref, offset, size));
  }
  readInto(ref: RegionRef, offset: number, buffer: Uint8Array): Promise<void> {
    return this.#travel(() => this.server.readInto(ref, offset, buffer));
  }
  readv(ref: RegionRef, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const sent = structuredClone(ranges);
    return this.#travel(() => this.server.readv(ref, sent));
  }
  persist(ref: RegionRef, ranges?: readonly RegionRange[]): Promise<void> {
    return this.#travel(() => this.server.persist(ref, ranges));
  }
  erase(ref: RegionRef): Promise<void> {
    return this.#travel(() => this.server.erase(ref));
  }
  stat(ref: RegionRef): Promise<RegionStat> {
    return this.#travel(() => this.server.stat(ref));
  }
  list(options?: ListOptions): Promise<RegionPage> {
    return this.#travel(() => this.server.list(options));
  }
  stats(): Promise<TargetStats> {
    return this.#travel(() => this.server.stats());
  }
  put(name: string, contents: Uint8Array | RegionSource, options?: PutOptions): Promise<RegionId> {
    return this.#travel(() => this.server.put(name, contents, options));
  }
  find(name: string): Promise<NamedRegion> {
    return this.#travel(() => this.server.find(name));
  }
  rename(ref: RegionRef, name: string | null, options?: RenameOptions): Promise<void> {
    return this.#travel(() => this.server.rename(ref, name, options));
  }
  names(options?: NamesOptions): Promise<NamesPage> {
    return this.#travel(() => this.server.names(options));
  }
  mapNames(): AsyncIterable<MappedName> {
    return { [Symbol.asyncIterator]: () => ({ next: refuse }) };
  }
  transact(changes: readonly Change[]): Promise<TransactionResult> {
    return this.#travel(() => this.server.transact(changes));
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new BedrockError('NOT_SUPPORTED', 'that is done where the target is'));
}
