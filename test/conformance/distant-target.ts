/** A target as a client sees one: open and close are its own, every call travels, and none arrives in a certain order. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  BedrockError,
  type Capabilities,
  type ErasedPage,
  type ListOptions,
  type Logger,
  type RegionId,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionSource,
  type RegionStat,
  type Target,
  type TargetStats,
  type WriteOptions,
} from '../../core/index.js';
import { Lifecycle } from '../../core/targets/lifecycle.js';

export const DISTANT_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
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
  map(id: RegionId): Promise<RegionMapping> {
    return this.#travel(async () => {
      await this.server.stat(id);
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
  create(size: number): Promise<RegionId> {
    return this.#travel(() => this.server.create(size));
  }
  createAndWrite(contents: Uint8Array | RegionSource, options?: WriteOptions): Promise<RegionId> {
    return this.#travel(() => this.server.createAndWrite(contents, options));
  }
  write(id: RegionId, offset: number, bytes: Uint8Array, options?: WriteOptions): Promise<void> {
    return this.#travel(() => this.server.write(id, offset, bytes, options));
  }
  writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options?: WriteOptions,
  ): Promise<void> {
    const sent = structuredClone(ranges);
    return this.#travel(() => this.server.writev(id, sent, bytes, options));
  }
  read(id: RegionId, offset: number, size: number): Promise<Uint8Array> {
    return this.#travel(() => this.server.read(id, offset, size));
  }
  readInto(id: RegionId, offset: number, buffer: Uint8Array): Promise<void> {
    return this.#travel(() => this.server.readInto(id, offset, buffer));
  }
  readv(id: RegionId, ranges: readonly RegionRange[]): Promise<Uint8Array> {
    const sent = structuredClone(ranges);
    return this.#travel(() => this.server.readv(id, sent));
  }
  persist(id: RegionId, ranges?: readonly RegionRange[]): Promise<void> {
    return this.#travel(() => this.server.persist(id, ranges));
  }
  erase(id: RegionId): Promise<void> {
    return this.#travel(() => this.server.erase(id));
  }
  stat(id: RegionId): Promise<RegionStat> {
    return this.#travel(() => this.server.stat(id));
  }
  list(options?: ListOptions): Promise<RegionPage> {
    return this.#travel(() => this.server.list(options));
  }
  stats(): Promise<TargetStats> {
    return this.#travel(() => this.server.stats());
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new BedrockError('NOT_SUPPORTED', 'IDs are handed over where the target is'));
}
