/**
 * TableTarget with names: of a volatile backend for nothing, of a persistent one that stores the
 * name that it is handed.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { describeTarget } from '../../core/conformance/index.js';
import {
  type Capabilities,
  type Naming,
  type Recovered,
  Region,
  RegionId,
  TableTarget,
  type Target,
} from '../../core/index.js';
import { LogKeeper } from './scripted-target.js';

const CAPABILITIES: Capabilities = {
  persistent: true,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: false,
};

const CAPACITY = 2 ** 40;

interface Stored {
  readonly size: number;
  readonly createdAt: number;
  readonly bytes: Uint8Array;
  name: string | undefined;
}

/** What outlives a target: rows that are stored in one step each. */
class Storage {
  readonly rows = new Map<string, Stored>();
  poolId: Uint8Array = randomBytes(8);
  slots = 0;

  /** What a crash leaves. */
  copy(): Storage {
    const copy = new Storage();
    copy.poolId = this.poolId;
    copy.slots = this.slots;
    for (const [id, row] of this.rows) copy.rows.set(id, { ...row, bytes: row.bytes.slice() });
    return copy;
  }
}

class StoredRegion extends Region {
  constructor(
    id: RegionId,
    size: number,
    createdAt: number,
    readonly bytes: Uint8Array,
  ) {
    super(id, size, createdAt);
  }
}

class NamedTable extends TableTarget<StoredRegion> {
  readonly type = 'table';
  readonly mode = 'fdatasync';
  readonly capabilities: Capabilities = CAPABILITIES;

  constructor(
    readonly storage: Storage,
    capacityBytes = CAPACITY,
  ) {
    super({ logger: new LogKeeper(), clock: Date }, capacityBytes);
  }

  protected override openStorage(): Recovered {
    const { poolId, slots, rows } = this.storage;
    const regions = [...rows].map(
      ([id, { size, createdAt, bytes }]) => new StoredRegion(RegionId.parse(id), size, createdAt, bytes),
    );
    return this.recover(poolId, slots, regions, 0, ({ id }) => rows.get(id.toString())?.name);
  }

  protected override destroyStorage(): void {
    this.storage.rows.clear();
  }

  protected override storeSlots(slots: number): void {
    this.storage.slots = slots;
  }

  protected makeRegion(id: RegionId, size: number, createdAt: number): StoredRegion {
    return new StoredRegion(id, size, createdAt, new Uint8Array(size));
  }

  protected override async publish(region: StoredRegion, naming?: Naming<StoredRegion>): Promise<void> {
    await turn();
    const { id, size, createdAt, bytes } = region;
    this.storage.rows.set(id.toString(), { size, createdAt, bytes, name: naming?.name });
    if (naming?.replaced !== undefined) this.storage.rows.delete(naming.replaced.id.toString());
    await super.publish(region, naming);
  }

  protected override async unpublish(region: StoredRegion): Promise<void> {
    await turn();
    this.storage.rows.delete(region.id.toString());
    await super.unpublish(region);
  }

  protected override async renameRegion(
    region: StoredRegion,
    name: string | undefined,
    replaced: StoredRegion | undefined,
  ): Promise<void> {
    await turn();
    (this.storage.rows.get(region.id.toString()) as Stored).name = name;
    if (replaced !== undefined) this.storage.rows.delete(replaced.id.toString());
    await super.renameRegion(region, name, replaced);
  }

  protected override persistRanges(): void {
    // Bytes are stored as they are written.
  }

  protected readBytes({ bytes }: StoredRegion, offset: number, into: Uint8Array): void {
    into.set(bytes.subarray(offset, offset + into.length));
  }

  protected writeBytes(region: StoredRegion, offset: number, bytes: Uint8Array): void {
    region.bytes.set(bytes, offset);
  }
}

const storageOf = (target: Target): Storage => (target as NamedTable).storage;

describe('a persistent backend that stores names', () => {
  describeTarget(
    { describe, it, beforeEach, afterEach },
    {
      create: () => new NamedTable(new Storage()),
      createBounded: (capacityBytes) => new NamedTable(new Storage(), capacityBytes),
      reopen: (target) => new NamedTable(storageOf(target)),
      crash: (target) => new NamedTable(storageOf(target).copy()),
      isShared: true,
      maxRegionBytes: 2 ** 24,
    },
    CAPABILITIES,
  );
});

class VolatileTable extends TableTarget<StoredRegion> {
  readonly type = 'volatile-table';
  readonly mode = 'volatile';
  readonly capabilities: Capabilities = { ...CAPABILITIES, persistent: false };

  protected makeRegion(id: RegionId, size: number, createdAt: number): StoredRegion {
    return new StoredRegion(id, size, createdAt, new Uint8Array(size));
  }

  protected readBytes({ bytes }: StoredRegion, offset: number, into: Uint8Array): void {
    into.set(bytes.subarray(offset, offset + into.length));
  }

  protected writeBytes(region: StoredRegion, offset: number, bytes: Uint8Array): void {
    region.bytes.set(bytes, offset);
  }
}

describe('a volatile backend', () => {
  it('has names by its capabilities alone', async () => {
    const target = new VolatileTable({ logger: new LogKeeper(), clock: { now: () => 7 } }, 1000);
    await target.open();
    const old = await target.put('a', Buffer.from('old'));
    await target.put('a', Buffer.from('new'));
    await target.rename('a', 'b');
    expect(Buffer.from(await target.read('b', 0, 3)).toString()).toBe('new');
    await expect(target.stat(old)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    await expect(target.find('a')).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect((await target.stats()).usedBytes).toBe(3);
    await target.close();
  });
});
