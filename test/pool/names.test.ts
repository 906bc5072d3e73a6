/**
 * Names on the medium: what an old version sees, what damage costs, what is shown of a change that
 * is not complete.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Target } from '../../core/index.js';
import { checkPool, notesOf } from '../../core/pool/check.js';
import {
  DESCRIPTOR_BYTES,
  DescriptorFields,
  decodeDescriptor,
  encodeDescriptor,
  type NameFields,
} from '../../core/pool/descriptor.js';
import { HEADERS_BYTES } from '../../core/pool/extent.js';
import { chooseHeader } from '../../core/pool/header-choice.js';
import { JOURNAL, NAMES, type PoolHeader } from '../../core/pool/header.js';
import { inspectPool, type UsableHeaders } from '../../core/pool/inspection.js';
import { encodeRecord, RECORD_AT, recordLength } from '../../core/pool/journal-record.js';
import { poolInfo } from '../../core/pool/pool-info.js';
import { PoolTarget } from '../../core/pool/pool-target.js';
import { planRepair } from '../../core/pool/repair-plan.js';
import { carryOut } from '../../core/pool/repair.js';
import type { Eventually } from '../../core/targets/lifecycle.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { formatSmallPool, SMALL_POOL } from '../crash/simulated-pool.js';
import { MemoryMedium } from './memory-medium.js';

const POOL = { poolLow: 1, poolHigh: 2 };

/** Memory that takes what a disk would. */
class DirectMedium extends MemoryMedium {
  readonly isDirect = true;
  readonly publishesInOrder = true;
}

function newMedium(space = 8192): DirectMedium {
  return new DirectMedium(formatSmallPool({ ...SMALL_POOL, slots: 16, space }, POOL.poolLow, POOL.poolHigh));
}

async function opened(medium: MemoryMedium, isReadOnly = false): Promise<Target> {
  const target = new PoolTarget({
    type: 'memory-medium',
    capabilities: {
      persistent: true,
      mappable: false,
      growable: false,
      importable: true,
      snapshots: false,
      named: true,
      transactional: true,
    },
    storage: { open: () => Promise.resolve({ medium, maxBytes: 0 }), destroy: () => Promise.resolve() },
    isReadOnly,
    logger: recordingLogger().logger,
    clock: { now: () => 1 },
  });
  await target.open();
  return target;
}

function headerOf({ bytes }: MemoryMedium): PoolHeader {
  return chooseHeader(bytes.subarray(0, 4096), bytes.subarray(4096, 8192)).header;
}

async function inspected(medium: MemoryMedium): Promise<UsableHeaders> {
  const { headers } = await inspectPool(medium);
  if ('refusal' in headers) throw headers.refusal;
  return headers;
}

async function findings(medium: MemoryMedium): Promise<string[]> {
  return [...checkPool(await inspectPool(medium))].map(({ kind }) => kind);
}

/** What the descriptor of a slot says. */
function fieldsOf(medium: MemoryMedium, slot: number): DescriptorFields {
  const fields = new DescriptorFields();
  const at = HEADERS_BYTES + slot * DESCRIPTOR_BYTES;
  expect(decodeDescriptor(medium.bytes, at, slot, POOL, fields)).toBe('live');
  return fields;
}

function nameOf({ nameOffset, nameLength, nameChecksum, order }: DescriptorFields): NameFields {
  return { nameOffset, nameLength, nameChecksum, order };
}

async function namesOf(target: Target): Promise<string[]> {
  return (await target.names()).names.map(({ name }) => name);
}

describe('the features of a pool', () => {
  test('come with their first use, so that older versions open it until then', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    await target.createAndWrite(Buffer.from('unnamed'));
    expect(headerOf(medium).features.incompatible).toBe(0);
    await target.put('name', Buffer.from('contents'));
    expect(headerOf(medium).features.incompatible).toBe(NAMES);
    await target.rename('name', 'other');
    expect(headerOf(medium).features.incompatible).toBe(NAMES | JOURNAL);
    await target.close();
    await expect(opened(medium).then(namesOf)).resolves.toEqual(['other']);
  });

  test('give reserved bytes of an old pool no meaning', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.createAndWrite(Buffer.from('old'));
    await target.close();
    const { offset, size, createdAt, generation } = fieldsOf(medium, id.slot);
    const at = HEADERS_BYTES + id.slot * DESCRIPTOR_BYTES;
    const fields = { nameOffset: offset, nameLength: 3, nameChecksum: 1, order: 1 };
    encodeDescriptor(medium.bytes, at, id.slot, POOL, generation, offset, size, createdAt, fields);
    const reopened = await opened(medium);
    expect(await reopened.stat(id)).toEqual({ id, size: 3, createdAt: 1 });
    expect(await findings(medium)).toEqual([]);
  });
});

describe('a descriptor', () => {
  test('tells of a name what was written', () => {
    const number = fc.maxSafeNat();
    fc.assert(
      fc.property(
        number,
        number,
        fc.nat(0xffff_ffff),
        fc.integer({ min: 1, max: 1024 }),
        (place, order, crc, length) => {
          const bytes = new Uint8Array(DESCRIPTOR_BYTES).fill(0xff);
          const name = { nameOffset: place, nameLength: length, nameChecksum: crc, order };
          encodeDescriptor(bytes, 0, 7, POOL, 5, 8192, 9, 3, name);
          const fields = new DescriptorFields();
          expect(decodeDescriptor(bytes, 0, 7, POOL, fields)).toBe('live');
          expect(fields).toMatchObject({ ...name, generation: 5, offset: 8192, size: 9, createdAt: 3 });
        },
      ),
    );
  });
});

describe('a name on the medium', () => {
  test('shares the extent of small contents', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const { usedBytes } = await target.stats();
    const id = await target.put('n'.repeat(20), Buffer.alloc(64, 1));
    expect((await target.stats()).usedBytes).toBe(usedBytes + 128);
    const { offset, nameOffset, nameLength } = fieldsOf(medium, id.slot);
    expect([nameOffset, nameLength]).toEqual([offset + 64, 20]);
  });

  test('never moves contents when it changes', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.put('short', Buffer.alloc(60, 1));
    // The journal has its size from the longest on.
    for (const name of ['longest'.repeat(146), 'first']) await target.rename(id, name);
    const { usedBytes } = await target.stats();
    const { offset } = fieldsOf(medium, id.slot);
    for (const name of ['long'.repeat(100), 'a', 'longer'.repeat(150), 'short']) {
      await target.rename(id, name);
      expect(fieldsOf(medium, id.slot).offset).toBe(offset);
      expect((await target.stat(id)).name).toBe(name);
    }
    expect((await target.stats()).usedBytes).toBe(usedBytes);
    await target.rename(id, null);
    expect((await target.stats()).usedBytes).toBe(usedBytes - 64);
    await target.close();
    const reopened = await opened(medium);
    expect((await reopened.stats()).usedBytes).toBe(usedBytes - 64);
    expect(await reopened.stat(id)).toEqual({ id, size: 60, createdAt: 1 });
  });

  test('costs itself alone when it is damaged, and repair ends that', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.put('damaged', Buffer.from('contents'));
    await target.put('whole', Buffer.from('others'));
    await target.close();
    const { nameOffset } = fieldsOf(medium, id.slot);
    medium.bytes[nameOffset] = (medium.bytes[nameOffset] as number) ^ 1;
    expect(await findings(medium)).toEqual(['name']);
    const damaged = await opened(medium);
    expect(await namesOf(damaged)).toEqual(['whole']);
    expect(await damaged.stat(id)).toEqual({ id, size: 8, createdAt: 1 });
    const { usedBytes } = await damaged.stats();
    await damaged.close();
    await carryOut(medium, planRepair(await inspected(medium)));
    expect(await findings(medium)).toEqual([]);
    const repaired = await opened(medium);
    expect(Buffer.from(await repaired.read(id, 0, 8)).toString()).toBe('contents');
    expect((await repaired.stats()).usedBytes).toBe(usedBytes);
    await repaired.put('damaged', Buffer.from('again'));
    await expect(repaired.find('damaged')).resolves.toMatchObject({ size: 5 });
  });

  test.each([
    ['of a length that no name has', { nameLength: 1025 }],
    ['outside of the pool', { nameOffset: 2 ** 40 }],
    ['at no place for one', { nameOffset: 8193 }],
    ['in the midst of another region', { nameOffset: 8192 + 1024 }],
  ])('is no name where the descriptor tells of one %s', async (_title, wrong) => {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.put('name', Buffer.from('contents'));
    await target.close();
    const fields = fieldsOf(medium, id.slot);
    const at = HEADERS_BYTES + id.slot * DESCRIPTOR_BYTES;
    encodeDescriptor(medium.bytes, at, id.slot, POOL, fields.generation, fields.offset, fields.size, 1, {
      ...nameOf(fields),
      ...wrong,
    });
    expect(await findings(medium)).not.toEqual([]);
    const reopened = await opened(medium);
    expect(await namesOf(reopened)).toEqual([]);
  });

  test('that two live regions have is that of the higher order, and of one order nobody loses a region', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const older = await target.put('name', Buffer.from('older'));
    const descriptor = HEADERS_BYTES + older.slot * DESCRIPTOR_BYTES;
    const before = Buffer.from(medium.bytes.subarray(descriptor, descriptor + DESCRIPTOR_BYTES));
    const newer = await target.put('name', Buffer.from('newer'));
    // As a crash may leave it: the end of the older one has not arrived.
    const crashed = new DirectMedium(medium.bytes);
    crashed.write(descriptor, before);
    expect(notesOf(await inspectPool(crashed))).toEqual([expect.stringContaining('1 regions')]);
    const reopened = await opened(crashed);
    await expect(reopened.find('name')).resolves.toMatchObject({ id: newer });
    await expect(reopened.stat(older)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    expect(notesOf(await inspectPool(crashed))).toEqual([]);

    const equal = new DirectMedium(medium.bytes);
    equal.write(descriptor, before);
    const fields = fieldsOf(equal, newer.slot);
    const at = HEADERS_BYTES + newer.slot * DESCRIPTOR_BYTES;
    encodeDescriptor(equal.bytes, at, newer.slot, POOL, fields.generation, fields.offset, fields.size, 1, {
      ...nameOf(fields),
      order: fields.order - 1,
    });
    expect(await findings(equal)).toEqual(['name']);
    const both = await opened(equal);
    expect((await both.list()).regions).toHaveLength(2);
  });

  test('has an order above all others after recovery', async () => {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.put('name', Buffer.from('one'));
    const { order } = fieldsOf(medium, id.slot);
    await target.close();
    const reopened = await opened(medium);
    const next = await reopened.put('other', Buffer.from('two'));
    expect(fieldsOf(medium, next.slot).order).toBeGreaterThan(order);
  });
});

/**
 * Keeps the bytes that are there before each word that is published: a record of the journal is
 * committed then, and not void.
 */
class RememberingMedium extends DirectMedium {
  readonly past: Buffer[] = [];

  override publishWord(offset: number, word: bigint): Eventually<void> {
    this.past.push(Buffer.from(this.bytes));
    return super.publishWord(offset, word);
  }
}

test('a pool opens at every step of a change that also writes no bytes to a region of none', async () => {
  const medium = new RememberingMedium(newMedium().bytes);
  const target = await opened(medium);
  await target.put('empty', new Uint8Array(0));
  await target.put('name', Buffer.from('old'));
  medium.past.length = 0;
  await target.transact([
    { type: 'write', ref: 'empty', offset: 0, bytes: new Uint8Array(0) },
    { type: 'write', ref: 'name', offset: 0, bytes: Buffer.from('new') },
  ]);
  const seen = [];
  for (const bytes of medium.past) {
    const after = await opened(new MemoryMedium(bytes));
    seen.push(Buffer.from(await after.read('name', 0, 3)).toString());
  }
  // The journal is new, so its first change has no sequence to use up.
  expect(seen).toEqual(['new']);
});

describe('a change that is committed and not complete', () => {
  async function interrupted(): Promise<DirectMedium> {
    const medium = newMedium();
    const target = await opened(medium);
    const id = await target.put('name', Buffer.from('old bytes'));
    await target.rename('name', 'moved');
    await target.close();
    const header = headerOf(medium);
    const offsets = header.journal?.offsets ?? [0, 0];
    const done = Math.max(...offsets.map((offset) => Number(medium.bytes.readBigUInt64LE(offset))));
    const entries = [{ offset: fieldsOf(medium, id.slot).offset, bytes: Buffer.from('new') }];
    const record = Buffer.alloc(recordLength(entries));
    encodeRecord(record, entries, done + 1, header);
    medium.write((offsets[(done + 1) % 2] as number) + RECORD_AT, record);
    return medium;
  }

  test('is completed by the next open', async () => {
    const medium = await interrupted();
    const target = await opened(medium);
    expect(Buffer.from(await target.read('moved', 0, 9)).toString()).toBe('new bytes');
    await target.write('moved', 0, Buffer.from('own'), { persist: true });
    await target.close();
    const again = await opened(medium);
    expect(Buffer.from(await again.read('moved', 0, 9)).toString()).toBe('own bytes');
  });

  test('is shown by who only reads, and told by info and check', async () => {
    const medium = await interrupted();
    const before = Buffer.from(medium.bytes);
    const target = await opened(medium, true);
    expect(Buffer.from(await target.read('moved', 0, 9)).toString()).toBe('new bytes');
    await expect(target.put('name', Buffer.from('x'))).rejects.toMatchObject({ code: 'READ_ONLY' });
    await expect(target.rename('moved', 'x')).rejects.toMatchObject({ code: 'READ_ONLY' });
    await target.close();
    const inspection = await inspectPool(medium);
    expect(notesOf(inspection)).toEqual([expect.stringContaining('committed')]);
    const info = poolInfo(inspection, await inspected(medium));
    expect(info).toMatchObject({ names: 1, journal: { isPending: true } });
    expect(medium.bytes.equals(before)).toBe(true);
  });
});

describe('a pool that is full', () => {
  test('refuses what needs a journal, and nothing has changed', async () => {
    const medium = newMedium(1024);
    const target = await opened(medium);
    const id = await target.put('name', Buffer.from('contents'));
    const { largestFreeBytes } = await target.stats();
    await target.create(largestFreeBytes ?? 0);
    const { usedBytes } = await target.stats();
    await expect(target.rename('name', 'other')).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    const write = { type: 'write', ref: 'name', offset: 0, bytes: Buffer.from('new') } as const;
    await expect(target.transact([write])).rejects.toMatchObject({ code: 'OUT_OF_SPACE' });
    expect(await target.stat(id)).toEqual({ id, size: 8, createdAt: 1, name: 'name' });
    expect(Buffer.from(await target.read(id, 0, 8)).toString()).toBe('contents');
    expect((await target.stats()).usedBytes).toBe(usedBytes);
  });

  test('has room for a put in the place of others, as soon as they are gone', async () => {
    const medium = newMedium(512);
    const target = await opened(medium);
    for (let round = 0; round < 50; round++) await target.put('name', Buffer.alloc(100, round));
    expect((await target.list()).regions).toHaveLength(1);
    expect((await target.read('name', 0, 1))[0]).toBe(49);
  });
});
