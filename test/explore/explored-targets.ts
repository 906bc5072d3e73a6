/**
 * The real targets over what takes its turns by a schedule: PoolTarget with both media over a
 * simulated file, MemoryTarget, and a TableTarget whose every hook has to wait.
 */
import { FileMedium } from '../../backends/file/file-medium.js';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { PmemMedium } from '../../backends/pmem/pmem-medium.js';
import {
  Region,
  TableTarget,
  type Clock,
  type Logger,
  type RegionId,
  type Target,
} from '../../core/index.js';
import { alignUp } from '../../core/pool/extent.js';
import { PoolTarget } from '../../core/pool/pool-target.js';
import { PoolFileIo } from '../../core/pool-file/pool-file-io.js';
import { addonState } from '../../native/load.js';
import { accounted } from '../crash/observation.js';
import { SimulatedFile } from '../crash/simulated-file.js';
import { SimulatedMapping } from '../crash/simulated-mapping.js';
import { SimulatedMedia } from '../crash/simulated-media.js';
import { SMALL_POOL, formatSmallPool } from '../crash/simulated-pool.js';
import type { Failures } from './failures.js';
import { ScheduledProcess, type Schedule } from './schedule.js';

export type Kind = 'file' | 'msync' | 'pmem' | 'memory' | 'table';

// Without the addon there is no mapping, and its modes are left out.
const native = addonState().attributes === undefined ? undefined : await import('../../native/mapping.js');

export const KINDS: readonly Kind[] =
  native === undefined ? ['file', 'memory', 'table'] : ['file', 'msync', 'pmem', 'memory', 'table'];

/** Storage, and targets over it, one after another. */
export interface ExploredStorage {
  /** Whether regions are there again after a reopening. */
  readonly isPersistent: boolean;
  readonly isMappable: boolean;
  readonly isImportable: boolean;
  /** Whether its regions may have names. */
  readonly isNamed: boolean;
  /** Whether making a region waits for nothing. */
  readonly isCheap: boolean;
  /** Whether it lies on a medium that may fail. */
  readonly mayFail: boolean;
  /** A target that is not open. */
  target(): Target;
  /** The target was closed: it may use the storage no more. */
  closed(): void;
  /** What must be in use when these regions are there and nothing else. */
  usedBytes(sizes: readonly number[]): number;
}

/** What the target tells its log is nothing that should happen, unless its medium fails. */
function strictLogger(schedule: Schedule, failures: Failures): Logger {
  const fail = (message: string, fields?: unknown): void => {
    if (failures.mayBeTold) return;
    schedule.fail(new Error(`the log says: ${message} ${JSON.stringify(fields ?? {})}`));
  };
  const quiet = (): void => undefined;
  const logger: Logger = {
    critical: fail,
    error: fail,
    warning: fail,
    info: quiet,
    debug: quiet,
    trace: quiet,
    child: () => logger,
  };
  return logger;
}

/** @param failures those of its medium, where it has one that can fail */
export function exploredStorage(kind: Kind, schedule: Schedule, failures: Failures): ExploredStorage {
  const context = { logger: strictLogger(schedule, failures), clock: { now: () => schedule.now }, failures };
  if (kind === 'memory') return new ExploredMemory(context, schedule);
  if (kind === 'table') return new ExploredTable(context, schedule);
  return new ExploredPool(kind, context, schedule);
}

interface Context {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly failures: Failures;
}

class ExploredMemory implements ExploredStorage {
  readonly isNamed = true;
  readonly isPersistent = false;
  readonly mayFail = false;
  readonly isMappable = true;
  readonly isImportable = true;
  readonly isCheap = true;

  constructor(
    private readonly context: Context,
    private readonly schedule: Schedule,
  ) {}

  target(): Target {
    const poolId = Uint8Array.from({ length: 8 }, () => this.schedule.random.below(256));
    return new MemoryTarget({ max_bytes: 3000 }, { ...this.context, poolId });
  }

  closed(): void {
    // It is garbage.
  }

  usedBytes(sizes: readonly number[]): number {
    return sizes.reduce((sum, size) => sum + size, 0);
  }
}

// ---- pools ----

/** A medium whose space must have been allocated before it is stored to. */
class AllocatedMedia extends SimulatedMedia {
  allocated: number;

  constructor(
    bytes: Uint8Array,
    private readonly schedule: Schedule,
  ) {
    super(bytes, 512, false);
    this.allocated = bytes.length;
  }

  override store(offset: number, source: Uint8Array): void {
    if (offset + source.length > this.allocated)
      this.schedule.fail(
        new Error(`a store of ${source.length} bytes at ${offset} where no space is allocated`),
      );
    super.store(offset, source);
  }

  override fill(offset: number, length: number, value: number): void {
    // Behind what is allocated nothing was ever stored, and a hole takes no space. A growth whose
    // header was refused leaves the next one a range of which only a part is allocated.
    const end = value === 0 ? Math.min(offset + length, this.allocated) : offset + length;
    if (end > offset) super.fill(offset, end - offset, value);
  }
}

class AllocatingFile extends SimulatedFile {
  constructor(
    private readonly storage: AllocatedMedia,
    private readonly pool: ScheduledProcess,
    private readonly failures: Failures,
  ) {
    super(storage, pool);
  }

  /** A job that fails when its turn comes. */
  async #fail(error: Error): Promise<never> {
    await this.pool.start([{ run: () => undefined }], () => undefined);
    throw error;
  }

  override write(...given: Parameters<SimulatedFile['write']>): ReturnType<SimulatedFile['write']> {
    const error = this.failures.store();
    return error === undefined ? super.write(...given) : this.#fail(error);
  }

  override datasync(): Promise<void> {
    const error = this.failures.flush();
    return error === undefined ? super.datasync() : this.#fail(error);
  }

  override async close(): Promise<void> {
    await super.close();
    this.pool.end();
  }

  /** Space comes when the job has run. */
  get allocating(): SimulatedFile['operations'] {
    return {
      ...this.operations,
      // It has the file open as long as it takes.
      verify: () => this.pool.start([{ run: () => undefined }], () => undefined),
      zero: (file, offset, length) => {
        const error = this.failures.store();
        return error === undefined ? this.operations.zero(file, offset, length) : this.#fail(error);
      },
      // None of them is there then: of one that might be, nobody could say that it was refused.
      writeMany: async (file, pieces) => {
        const error = this.failures.store();
        await (error === undefined ? this.operations.writeMany?.(file, pieces) : this.#fail(error));
      },
      allocate: (_file, offset, length) => {
        const error = this.failures.store();
        if (error !== undefined) return this.#fail(error);
        const run = (): void =>
          void (this.storage.allocated = Math.max(this.storage.allocated, offset + length));
        return this.pool.start([{ run: () => undefined }, { run }], () => undefined);
      },
    };
  }
}

/** The mapping of a disk whose msyncs may fail. */
class FailingMapping extends SimulatedMapping {
  constructor(
    media: AllocatedMedia,
    private readonly pool: ScheduledProcess,
    isPmem: boolean,
    private readonly failures: Failures,
  ) {
    super(media, pool, isPmem);
  }

  override async msyncAsync(offset: number, length: number): Promise<void> {
    const error = this.failures.flush();
    if (error === undefined) return super.msyncAsync(offset, length);
    await this.pool.start([{ run: () => undefined }], () => undefined);
    throw error;
  }
}

class ExploredPool implements ExploredStorage {
  readonly isNamed = true;
  readonly isPersistent = true;
  readonly mayFail = true;
  readonly isImportable = true;
  readonly isMappable: boolean;
  readonly isCheap: boolean;
  readonly #media: AllocatedMedia;
  #process: ScheduledProcess;

  constructor(
    private readonly kind: 'file' | 'msync' | 'pmem',
    private readonly context: Context,
    private readonly schedule: Schedule,
  ) {
    const { random } = schedule;
    this.isMappable = kind !== 'file';
    this.isCheap = kind === 'pmem';
    // A few slots, so that they come back often, and for some that they run out; little space, so
    // that it is used again.
    const slots = random.pick([1, 2, 8]);
    const growth = random.pick([0, 2 ** 14]);
    const shape = { ...SMALL_POOL, mode: kind, slots, space: random.pick([2048, 8192]), growth };
    this.#media = new AllocatedMedia(formatSmallPool(shape, 1 + random.below(1000), 7), schedule);
    this.#media.allocated -= growth;
    this.#process = new ScheduledProcess(schedule);
  }

  target(): Target {
    const process = new ScheduledProcess(this.schedule);
    this.#process = process;
    const media = this.#media;
    const { kind } = this;
    const { failures } = this.context;
    const file = new AllocatingFile(media, process, failures);
    const io = new PoolFileIo(
      { file: file.asFileHandle(), path: 'pool', size: media.bytes.length },
      file.allocating,
    );
    const open = (): FileMedium | PmemMedium => {
      if (kind === 'file')
        return new FileMedium({ io, size: media.bytes.length, sync: true, syncWrites: false });
      if (native === undefined) throw new Error('there is no mapping without the addon');
      const mapping = native.Mapping.of(
        'pool',
        new FailingMapping(media, process, kind === 'pmem', failures),
      );
      return new PmemMedium({ io, mapping, syncWrites: false });
    };
    return new PoolTarget({
      type: kind,
      capabilities: {
        persistent: true,
        mappable: kind !== 'file',
        growable: true,
        importable: true,
        snapshots: false,
        named: true,
        transactional: true,
      },
      isReadOnly: false,
      ...this.context,
      storage: {
        open: () => Promise.resolve({ medium: open(), maxBytes: media.bytes.length }),
        destroy: () => Promise.resolve(),
      },
    });
  }

  closed(): void {
    this.#process.end();
  }

  usedBytes(sizes: readonly number[]): number {
    const used = accounted(this.#media.bytes);
    const { alignment } = SMALL_POOL;
    const least = sizes.reduce((sum, size) => sum + alignUp(size, alignment), 0);
    if (least > used)
      this.schedule.fail(new Error(`regions of ${least} bytes are in ${used} bytes by the descriptors`));
    return used;
  }
}

// ---- a table ----

class LateRegion extends Region {
  bytes = new Uint8Array(this.size);
}

/** What outlives its targets. */
class Shelf {
  readonly poolId = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  slots = 0;
  readonly regions = new Map<string, LateRegion>();
}

const TABLE_BYTES = 1500;

class LateTarget extends TableTarget<LateRegion> {
  readonly type = 'table';
  readonly capabilities = {
    persistent: true,
    mappable: false,
    growable: false,
    importable: false,
    snapshots: false,
    named: false,
    transactional: false,
  };
  readonly mode = 'unsynced';

  constructor(
    context: Context,
    private readonly schedule: Schedule,
    private readonly shelf: Shelf,
  ) {
    super(context, TABLE_BYTES);
  }

  protected override async openStorage() {
    await this.schedule.pause();
    const { poolId, slots, regions } = this.shelf;
    return this.recover(
      poolId,
      slots,
      [...regions.values()].map((region) => {
        const again = new LateRegion(region.id, region.size, region.createdAt);
        again.bytes = region.bytes;
        return again;
      }),
    );
  }

  protected override closeStorage(): Promise<void> {
    return this.schedule.pause();
  }

  protected override async makeRegion(id: RegionId, size: number, createdAt: number): Promise<LateRegion> {
    await this.schedule.pause();
    return new LateRegion(id, size, createdAt);
  }

  protected override async dropRegion(region: LateRegion): Promise<void> {
    await this.schedule.pause();
    // Whoever still reads it finds what is no region's.
    region.bytes.fill(0xee);
  }

  protected override async publish(region: LateRegion): Promise<void> {
    await this.schedule.pause();
    this.shelf.regions.set(region.id.toString(), region);
    await super.publish(region);
  }

  protected override async unpublish(region: LateRegion): Promise<void> {
    await this.schedule.pause();
    this.shelf.regions.delete(region.id.toString());
    await super.unpublish(region);
  }

  protected override async storeSlots(slots: number): Promise<void> {
    await this.schedule.pause();
    this.shelf.slots = slots;
  }

  protected override async readBytes(region: LateRegion, offset: number, into: Uint8Array): Promise<void> {
    await this.schedule.pause();
    into.set(region.bytes.subarray(offset, offset + into.length));
  }

  protected override async writeBytes(region: LateRegion, offset: number, bytes: Uint8Array): Promise<void> {
    await this.schedule.pause();
    region.bytes.set(bytes, offset);
  }

  protected override persistRanges(): Promise<void> {
    return this.schedule.pause();
  }
}

class ExploredTable implements ExploredStorage {
  readonly isNamed = false;
  readonly isPersistent = true;
  readonly mayFail = false;
  readonly isMappable = false;
  readonly isImportable = false;
  readonly isCheap = false;
  readonly #shelf = new Shelf();

  constructor(
    private readonly context: Context,
    private readonly schedule: Schedule,
  ) {}

  target(): Target {
    return new LateTarget(this.context, this.schedule, this.#shelf);
  }

  closed(): void {
    // Its hooks wait for nothing else.
  }

  usedBytes(sizes: readonly number[]): number {
    const sum = sizes.reduce((total, size) => total + size, 0);
    if (sum > TABLE_BYTES)
      this.schedule.fail(new Error(`regions of ${sum} bytes are in a target of ${TABLE_BYTES}`));
    return sum;
  }
}
