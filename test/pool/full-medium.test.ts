/**
 * A medium that is full refuses stores and has not failed: what was refused has changed nothing, as
 * recovery would find it, and everything else goes on. Each refusal is followed by a recovery of
 * the bytes as they stand.
 */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { RegionId } from '../../core/contract/region-id.js';
import { BedrockError } from '../../core/index.js';
import type { Chunk } from '../../core/pool/chunk-directory.js';
import { DESCRIPTOR_BYTES } from '../../core/pool/descriptor.js';
import { HEADER_BYTES, HEADERS_BYTES } from '../../core/pool/extent.js';
import type { Finding } from '../../core/pool/findings.js';
import { formatPool } from '../../core/pool/format.js';
import type { PoolHeader } from '../../core/pool/header.js';
import { recoverPool } from '../../core/pool/recover-pool.js';
import type { NewSlot } from '../../core/pool/region-extents.js';
import type { RegionPool } from '../../core/pool/region-pool.js';
import { SlotState } from '../../core/targets/slot-table.js';
import { MemoryMedium } from './memory-medium.js';

const CAPACITY = 2 ** 20;
const FULL = { code: 'OUT_OF_SPACE' };

/** Refuses stores to some places; answers by promises, as a disk does. */
class FullMedium extends MemoryMedium {
  refuses: (offset: number) => boolean = () => false;
  /** So much of a refused store arrives all the same. */
  tornBytes = 0;
  why: string | undefined;

  override writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#store(offset, bytes);
  }

  override publish(offset: number, descriptor: Uint8Array): Promise<void> {
    return this.#store(offset, descriptor);
  }

  override publishWord(offset: number, word: bigint): Promise<void> {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(word);
    return this.#store(offset, bytes);
  }

  fail(why: string): Error {
    this.why = why;
    return new BedrockError('READ_ONLY', why);
  }

  async #store(offset: number, bytes: Uint8Array): Promise<void> {
    await Promise.resolve();
    if (!this.refuses(offset)) return super.write(offset, bytes);
    super.write(offset, bytes.subarray(0, this.tornBytes));
    throw new BedrockError('OUT_OF_SPACE', 'no room, as the test has it');
  }
}

let medium: FullMedium;
let pool: RegionPool;

const isDescriptor = (offset: number): boolean => offset >= HEADERS_BYTES;

beforeEach(async () => {
  const bytes = Buffer.alloc(4 * CAPACITY);
  for (const part of formatPool({ capacity: CAPACITY, alignment: 4096, createdAt: 1 }))
    bytes.set(part.bytes, part.offset);
  medium = new FullMedium(bytes);
  ({ pool } = await recoverPool(medium, { maxBytes: 4 * CAPACITY, isReadOnly: false }));
  medium.refuses = () => false;
});

function copyOf(copy: 0 | 1): Buffer {
  return Buffer.from(medium.bytes.subarray(copy * HEADER_BYTES, (copy + 1) * HEADER_BYTES));
}

/** That of the next start. */
async function headerFound(): Promise<PoolHeader> {
  const copy = new MemoryMedium(medium.bytes);
  return (await recoverPool(copy, { maxBytes: 0, isReadOnly: true })).pool.header;
}

/** What the next start would find. */
async function recovered(): Promise<{ regions: number; capacity: number; findings: Finding[] }> {
  const copy = new MemoryMedium(medium.bytes);
  const { pool: found, regions, findings } = await recoverPool(copy, { maxBytes: 0, isReadOnly: false });
  return { regions, capacity: found.header.capacity, findings: [...findings] };
}

async function made(size = 100): Promise<NewSlot & { readonly id: RegionId }> {
  const slot = await pool.allocate(size);
  const { poolLow, poolHigh } = pool.header;
  const id = RegionId.of(slot.slot, pool.table.generation(slot.slot), poolLow, poolHigh);
  await pool.publish(slot, size, 1);
  return { ...slot, id };
}

describe('a descriptor that is refused', () => {
  it('leaves no region, and its slot to the next', async () => {
    const slot = await pool.allocate(100);
    medium.refuses = isDescriptor;
    await expect(pool.publish(slot, 100, 1)).rejects.toMatchObject(FULL);
    expect(await recovered()).toMatchObject({ regions: 0, findings: [] });
    medium.refuses = () => false;
    await pool.release(slot);
    expect((await made()).slot).toBe(slot.slot);
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });

  it('leaves a region that was to be erased, which can be erased later', async () => {
    const region = await made();
    medium.refuses = isDescriptor;
    await expect(pool.unpublish(region)).rejects.toMatchObject(FULL);
    expect(pool.table.state(region.slot)).toBe(SlotState.live);
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
    medium.refuses = () => false;
    await pool.unpublish(region);
    expect(await recovered()).toMatchObject({ regions: 0, findings: [] });
    expect(medium.why).toBeUndefined();
  });

  it.each(['publish', 'unpublish'] as const)('but arrived in part, in %s, fails the medium', async (step) => {
    const region = step === 'unpublish' ? await made() : await pool.allocate(100);
    medium.refuses = isDescriptor;
    medium.tornBytes = 4;
    const refused = 'id' in region ? pool.unpublish(region as never) : pool.publish(region, 100, 1);
    await expect(refused).rejects.toMatchObject({ code: 'READ_ONLY' });
    expect(medium.why).toContain(`slot ${region.slot}`);
  });
});

describe('what is refused, and cannot be read back,', () => {
  it.each(['publish', 'unpublish'] as const)(
    'is a descriptor, in %s, that fails the medium',
    async (step) => {
      const region = step === 'unpublish' ? await made() : await pool.allocate(100);
      medium.refuses = isDescriptor;
      medium.lostPages.add(HEADERS_BYTES / HEADER_BYTES);
      const refused = 'id' in region ? pool.unpublish(region as never) : pool.publish(region, 100, 1);
      await expect(refused).rejects.toMatchObject({ code: 'READ_ONLY' });
    },
  );

  it('is a header that is stored anew before the other copy is touched', async () => {
    const before = copyOf(1);
    medium.refuses = (offset) => offset === 0;
    medium.tornBytes = 64;
    const readable = medium.read.bind(medium);
    medium.read = (offset, into) => {
      if (offset === 0) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return readable(offset, into);
    };
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
      expect(copyOf(1)).toEqual(before);
    }
    medium.refuses = () => false;
    await made(2 * CAPACITY);
    expect(copyOf(0)).toEqual(copyOf(1));
  });
});

describe('a header that is refused', () => {
  it('in copy 0 changes nothing, as often as it is tried, and later the change is made', async () => {
    medium.refuses = (offset) => offset === 0;
    const free = pool.space.freeBytes;
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
      expect(pool.space.freeBytes).toBe(free);
      expect(await recovered()).toMatchObject({ capacity: CAPACITY, findings: [] });
    }
    medium.refuses = () => false;
    await made(2 * CAPACITY);
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });

  it('in copy 1 is in force, and copy 1 is made before copy 0 is touched again', async () => {
    medium.refuses = (offset) => offset === HEADER_BYTES;
    // It takes two changes: the capacity, then how far the pool was written.
    await expect(pool.allocate(CAPACITY)).rejects.toMatchObject(FULL);
    const { capacity } = pool.header;
    expect(capacity).toBeGreaterThan(CAPACITY);
    expect(await recovered()).toMatchObject({ capacity, findings: [] });
    // Nothing that changes the header while copy 1 is older.
    const copy0 = Buffer.from(medium.bytes.subarray(0, HEADER_BYTES));
    await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
    expect(medium.bytes.subarray(0, HEADER_BYTES).equals(copy0)).toBe(true);
    medium.refuses = () => false;
    await made(CAPACITY);
    expect(
      medium.bytes.subarray(HEADER_BYTES, HEADERS_BYTES).equals(medium.bytes.subarray(0, HEADER_BYTES)),
    ).toBe(true);
    expect(await recovered()).toMatchObject({ regions: 1, capacity, findings: [] });
  });

  it('in copy 0 but arrived in part leaves copy 1 as it is, and the change is made when there is room', async () => {
    const before = copyOf(1);
    medium.refuses = (offset) => offset === 0;
    medium.tornBytes = 64;
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
      expect(copyOf(1)).toEqual(before);
      const { findings, ...found } = await recovered();
      expect(found).toEqual({ regions: 0, capacity: CAPACITY });
      expect(findings).toMatchObject([{ kind: 'header', copy: 0 }]);
    }
    medium.refuses = () => false;
    await made(2 * CAPACITY);
    expect(copyOf(0)).toEqual(copyOf(1));
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });

  it('in copy 1 but arrived in part is in force, and made whole before copy 0 is touched again', async () => {
    medium.refuses = (offset) => offset === HEADER_BYTES;
    medium.tornBytes = 64;
    await expect(pool.allocate(CAPACITY)).rejects.toMatchObject(FULL);
    const { capacity } = pool.header;
    expect(capacity).toBeGreaterThan(CAPACITY);
    const copy0 = copyOf(0);
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
      expect(copyOf(0)).toEqual(copy0);
      const { findings, ...found } = await recovered();
      expect(found).toEqual({ regions: 0, capacity });
      expect(findings).toMatchObject([{ kind: 'header', copy: 1 }]);
    }
    medium.refuses = () => false;
    await made(CAPACITY);
    expect(copyOf(0)).toEqual(copyOf(1));
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });

  it('in copy 0 but arrived whole may count at the next open, so what it names is nobody else’s', async () => {
    const { chunks } = pool.header;
    // So that space is had without a change of the header.
    await pool.allocate(100);
    while (pool.table.count(SlotState.free) > 0) await pool.allocate(0);
    medium.refuses = (offset) => offset === 0;
    medium.tornBytes = HEADER_BYTES;
    const named: Chunk[] = [];
    const store = medium.writeDurably.bind(medium);
    medium.writeDurably = (offset, bytes) =>
      store(offset, bytes).catch(async (error: unknown) => {
        named.push(...(await headerFound()).chunks.slice(chunks.length));
        throw error;
      });
    const free = pool.space.freeBytes;
    // However often it is tried, the space of one chunk is kept.
    for (let attempt = 0; attempt < 3; attempt++) await expect(pool.allocate(0)).rejects.toMatchObject(FULL);
    expect(named).toHaveLength(1);
    const [{ offset: start, count }] = named as [Chunk];
    const kept = free - pool.space.freeBytes;
    expect(kept).toBe(count * DESCRIPTOR_BYTES);
    expect(pool.space.pendingBytes).toBe(kept);
    // A region that is made meanwhile does not lie where the next open may find descriptors.
    medium.refuses = () => false;
    const { slot, offset, size: length } = await made(pool.space.largestFreeBytes - 2 * kept);
    expect(start + kept <= offset || start >= offset + length).toBe(true);
    expect(slot).toBeGreaterThan(0);
    expect(pool.header.chunks.length).toBe(chunks.length + 1);
    expect(pool.space.pendingBytes).toBe(0);
    expect(pool.space.freeBytes).toBe(free - kept - length);
    expect(copyOf(0)).toEqual(copyOf(1));
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });

  it('for another reason is the last one, until recovery has made both copies whole', async () => {
    const failure = new Error('EIO');
    const store = medium.writeDurably.bind(medium);
    medium.writeDurably = (offset, bytes) => (offset === 0 ? Promise.reject(failure) : store(offset, bytes));
    await expect(pool.allocate(2 * CAPACITY)).rejects.toBe(failure);
    medium.writeDurably = store;
    const bytes = Buffer.from(medium.bytes.subarray(0, HEADERS_BYTES));
    await expect(pool.allocate(2 * CAPACITY)).rejects.toBe(failure);
    expect(medium.bytes.subarray(0, HEADERS_BYTES)).toEqual(bytes);
  });
});

describe('a pool that is opened on a full medium', () => {
  /** Opens it again; some stores are refused until told otherwise. */
  async function reopen(refuses: (offset: number) => boolean): Promise<void> {
    medium.refuses = refuses;
    ({ pool } = await recoverPool(medium, { maxBytes: 4 * CAPACITY, isReadOnly: false }));
  }

  it.each([0, 1] as const)(
    'with copy %i of its header damaged is served, and leaves the other as it is until that one is whole',
    async (damaged) => {
      await made();
      medium.bytes.fill(255, damaged * HEADER_BYTES, damaged * HEADER_BYTES + 64);
      const other = damaged === 0 ? 1 : 0;
      const whole = copyOf(other);
      await reopen((offset) => offset === damaged * HEADER_BYTES);
      const region = await made();
      await pool.unpublish(region);
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(pool.allocate(2 * CAPACITY)).rejects.toMatchObject(FULL);
        expect(copyOf(other)).toEqual(whole);
      }
      expect(await recovered()).toMatchObject({ regions: 1, findings: [{ kind: 'header', copy: damaged }] });
      medium.refuses = () => false;
      await made(2 * CAPACITY);
      expect(copyOf(0)).toEqual(copyOf(1));
      expect(await recovered()).toMatchObject({ regions: 2, findings: [] });
    },
  );

  it('with a header that is older than its regions is served, and erases none before a newer one is stored', async () => {
    const headers = Buffer.from(medium.bytes.subarray(0, HEADERS_BYTES));
    const region = await made();
    expect(medium.bytes.subarray(0, HEADERS_BYTES).equals(headers)).toBe(false);
    // As a backup of the first pages that was restored.
    const { freshFrom } = pool.header;
    medium.bytes.set(headers, 0);
    await reopen((offset) => offset < HEADERS_BYTES);
    expect(pool.header.freshFrom).toBeGreaterThanOrEqual(freshFrom);
    await made();
    await expect(pool.unpublish(region)).rejects.toMatchObject(FULL);
    expect(pool.table.state(region.slot)).toBe(SlotState.live);
    expect(await recovered()).toMatchObject({ regions: 2 });
    expect((await headerFound()).freshFrom).toBeGreaterThanOrEqual(freshFrom);
    medium.refuses = () => false;
    await pool.unpublish(region);
    expect(copyOf(0)).toEqual(copyOf(1));
    expect(copyOf(0).equals(headers.subarray(0, HEADER_BYTES))).toBe(false);
    expect(await recovered()).toMatchObject({ regions: 1, findings: [] });
  });
});

it('descriptors for new slots that are refused cost no space', async () => {
  while (pool.table.count(SlotState.free) > 0) await pool.allocate(0);
  const free = pool.space.freeBytes;
  medium.refuses = isDescriptor;
  for (let attempt = 0; attempt < 3; attempt++) {
    await expect(pool.allocate(0)).rejects.toMatchObject(FULL);
    expect(pool.space.freeBytes).toBe(free);
  }
  medium.refuses = () => false;
  await pool.allocate(0);
  expect(await recovered()).toMatchObject({ findings: [] });
});
