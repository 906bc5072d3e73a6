/**
 * Recovery: every whole region comes back, no damage costs another one, and the free space is
 * exactly what is left.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkLength, MAX_CHUNK_COUNT } from '../../core/pool/chunk-directory.js';
import { encodeDescriptor, encodeWordZero, formatChunk, MAX_GENERATION } from '../../core/pool/descriptor.js';
import { orderByOffset } from '../../core/base/offset-order.js';
import { alignUp } from '../../core/pool/extent.js';
import type { PoolHeader } from '../../core/pool/header.js';
import type { QuarantinedSlot } from '../../core/pool/quarantine.js';
import { Recovery, type RecoveryResult } from '../../core/pool/recovery.js';
import { rewrittenRuns } from '../../core/pool/repair-plan.js';
import { SlotState, type SlotTable } from '../../core/targets/slot-table.js';
import { liveHeapBytes } from '../fixtures/live-memory.js';
import { isThorough } from '../fixtures/thoroughness.js';

const ALIGNMENT = 256;
const CAPACITY = 2 ** 20;
const SLOTS = 64;
/** The first byte behind headers and the one chunk. */
const START = 8192 + SLOTS * 64;

/** A pool of one chunk, in memory. */
class SmallPool {
  readonly header: PoolHeader;
  readonly bytes: Uint8Array;

  constructor(slots = SLOTS, capacity = CAPACITY) {
    this.header = {
      features: { compatible: 0, readOnlyCompatible: 0, incompatible: 0 },
      poolLow: 11,
      poolHigh: 22,
      sequence: 1,
      createdAt: 1,
      alignment: ALIGNMENT,
      capacity,
      freshFrom: capacity,
      chunks: [{ offset: 8192, firstSlot: 0, count: slots }],
    };
    this.bytes = formatChunk(slots, 0, this.header);
  }

  put(slot: number, offset: number, size: number, generation = 1): void {
    encodeDescriptor(this.bytes, slot * 64, slot, this.header, generation, offset, size, 1000 + slot);
  }

  erase(slot: number, generation = 1): void {
    encodeWordZero(this.bytes, slot * 64, slot, this.header, generation, false);
  }

  flip(slot: number, byte: number, mask = 1): void {
    const at = slot * 64 + byte;
    this.bytes[at] = (this.bytes[at] ?? 0) ^ mask;
  }

  recover(fileSize = this.header.capacity): Recovered {
    const recovery = new Recovery(this.header, fileSize);
    recovery.feed(0, this.bytes);
    return outcome(recovery);
  }
}

interface Recovered extends Omit<RecoveryResult, 'free' | 'quarantined' | 'names' | 'impossibleNames'> {
  quarantined: QuarantinedSlot[];
  free: { offset: number; length: number }[];
  table: SlotTable;
}

function outcome(recovery: Recovery): Recovered {
  const { quarantined, free, regions, bytes, isHeaderOld } = recovery.finish();
  return {
    regions,
    bytes,
    isHeaderOld,
    quarantined: [...quarantined],
    free: [...free],
    table: recovery.table,
  };
}

describe('recovery', () => {
  test('of a new pool finds no region and everything free', () => {
    expect(new SmallPool().recover()).toMatchObject({
      regions: 0,
      bytes: 0,
      quarantined: [],
      free: [{ offset: START, length: CAPACITY - START }],
    });
  });

  test('finds every region with all that its descriptor says, and the gaps between', () => {
    const pool = new SmallPool();
    pool.put(5, START, 300, 9);
    pool.put(2, START + 1024, 256);
    pool.put(7, CAPACITY - 256, 1, MAX_GENERATION);
    pool.put(9, 0, 0);
    pool.put(3, START + 4096, 77);
    pool.erase(3);
    const { table, ...found } = pool.recover();
    expect(found).toEqual({
      isHeaderOld: false,
      regions: 4,
      bytes: 557,
      quarantined: [],
      free: [
        { offset: START + 512, length: 512 },
        { offset: START + 1280, length: CAPACITY - 256 - START - 1280 },
      ],
    });
    expect([table.isLive(5, 9), table.offset(5), table.size(5), table.createdAt(5)]).toEqual([
      true,
      START,
      300,
      1005,
    ]);
    expect([table.isLive(7, MAX_GENERATION), table.isLive(9, 1), table.isLive(3, 1)]).toEqual([
      true,
      true,
      false,
    ]);
    expect([table.generation(3), table.state(3)]).toEqual([1, SlotState.free]);
  });

  test('of a full pool gives no free space', () => {
    const pool = new SmallPool();
    pool.put(0, START, CAPACITY - START - 5);
    expect(pool.recover()).toMatchObject({ regions: 1, free: [] });
  });

  test('tells that a region lies where its header says that nothing was ever written', () => {
    const pool = new SmallPool();
    pool.put(0, START, 512);
    const ofMark = (freshFrom: number): boolean => {
      const recovery = new Recovery({ ...pool.header, freshFrom }, CAPACITY);
      recovery.feed(0, pool.bytes);
      return outcome(recovery).isHeaderOld;
    };
    expect([ofMark(START + 512), ofMark(START + 256)]).toEqual([false, true]);
  });

  test('names both parties of an overlap', () => {
    const pool = new SmallPool();
    pool.put(0, START, 1024);
    pool.put(1, START + 256, 256);
    pool.put(2, START + 768, 512);
    pool.put(3, START + 1024, 512);
    const parties = pool.recover().quarantined.map(({ slot, overlaps }) => [slot, overlaps]);
    expect(parties).toEqual([
      [0, 1],
      [1, 0],
      [2, 0],
      [3, 2],
    ]);
  });

  test('retires a slot that is free with the last generation', () => {
    const pool = new SmallPool();
    pool.erase(0, MAX_GENERATION);
    const { table, quarantined } = pool.recover();
    expect([table.state(0), table.takeFree(), quarantined]).toEqual([SlotState.retired, 1, []]);
  });

  test('keeps the extent of a damaged descriptor out of the free space', () => {
    const pool = new SmallPool();
    pool.put(1, START + 256, 300, 4);
    pool.flip(1, 24);
    const { table, ...found } = pool.recover();
    expect(found).toEqual({
      isHeaderOld: false,
      regions: 0,
      bytes: 0,
      quarantined: [
        { slot: 1, reason: 'damaged', generation: 4, isLive: true, offset: START + 256, size: 300 },
      ],
      free: [
        { offset: START, length: 256 },
        { offset: START + 768, length: CAPACITY - START - 768 },
      ],
    });
    expect(table.state(1)).toBe(SlotState.quarantined);
  });

  test('lets no damaged descriptor take anything from a whole one', () => {
    const pool = new SmallPool();
    pool.put(0, START, 256);
    pool.put(1, START, CAPACITY - START);
    pool.flip(1, 40);
    pool.put(2, START + 512, 10);
    expect(pool.recover()).toMatchObject({
      regions: 2,
      bytes: 266,
      quarantined: [{ slot: 1, reason: 'damaged' }],
      free: [],
    });
  });

  test('reserves nothing for an extent that cannot be one', () => {
    const whole = [{ offset: START, length: CAPACITY - START }];
    const impossible: [number, number][] = [
      [0, 100],
      [4096, 100],
      [CAPACITY, 1],
      [START, CAPACITY],
      [2 ** 50, 2 ** 52],
      [START, 0],
    ];
    for (const [offset, size] of impossible) {
      const pool = new SmallPool();
      pool.put(0, offset, size);
      pool.flip(0, 50);
      expect(pool.recover()).toMatchObject({ regions: 0, free: whole });
      expect(pool.recover().quarantined).toEqual([
        { slot: 0, reason: 'damaged', generation: 1, isLive: true },
      ]);
    }
  });

  test('quarantines what lies outside or off the alignment, and only that', () => {
    const pool = new SmallPool();
    pool.put(0, START, 256);
    pool.put(1, CAPACITY - 256, 257);
    pool.put(2, 4096, 100);
    pool.put(3, 2 ** 40, 1);
    pool.put(4, START + 512 + 64, 10);
    pool.put(5, START, Number.MAX_SAFE_INTEGER);
    const { regions, quarantined, free } = pool.recover();
    expect(regions).toBe(1);
    expect(quarantined.map(({ slot, reason, offset }) => [slot, reason, offset])).toEqual([
      [1, 'outside', undefined],
      [2, 'outside', undefined],
      [3, 'outside', undefined],
      [4, 'misaligned', START + 576],
      [5, 'outside', undefined],
    ]);
    expect(free).toEqual([
      { offset: START + 256, length: 256 },
      { offset: START + 768, length: CAPACITY - START - 768 },
    ]);
  });

  test('of a file that is too short serves what is there and places nothing beyond', () => {
    const pool = new SmallPool();
    pool.put(0, START, 1000);
    pool.put(1, START + 1024, 1000);
    pool.put(2, START + 8192, 10);
    const at = (fileSize: number): unknown => {
      const { regions, quarantined, free } = pool.recover(fileSize);
      return { regions, lost: quarantined.map(({ slot, reason }) => `${slot} ${reason}`), free };
    };
    const [one, two] = ['1 truncated', '2 truncated'];
    expect(at(START + 2024)).toEqual({ regions: 2, lost: [two], free: [] });
    expect(at(START + 2023)).toEqual({ regions: 1, lost: [one, two], free: [] });
    expect(at(START + 4096 + 255)).toEqual({
      regions: 2,
      lost: [two],
      free: [{ offset: START + 2048, length: 2048 }],
    });
    expect(at(START)).toEqual({ regions: 0, lost: ['0 truncated', one, two], free: [] });
    expect(at(0)).toMatchObject({ regions: 0, free: [] });
    expect(at(2 * CAPACITY)).toMatchObject({ regions: 3, lost: [] });
  });

  test('treats zeros, foreign descriptors and unreadable ones as damage of these slots only', () => {
    const pool = new SmallPool();
    for (let slot = 0; slot < SLOTS; slot++) pool.put(slot, START + slot * 256, 256);
    pool.bytes.fill(0, 64, 192);
    pool.bytes.copyWithin(5 * 64, 6 * 64, 7 * 64);
    const recovery = new Recovery(pool.header, CAPACITY);
    recovery.feed(0, pool.bytes.subarray(0, 8 * 64));
    recovery.unreadable(8, 3);
    recovery.feed(11, pool.bytes.subarray(11 * 64, 60 * 64));
    const { regions, quarantined, table } = outcome(recovery);
    expect(regions).toBe(64 - 3 - 3 - 4);
    expect(quarantined.map(({ slot, reason }) => `${slot} ${reason}`)).toEqual([
      ...['1 zeros', '2 zeros', '5 damaged'],
      ...[8, 9, 10, 60, 61, 62, 63].map((slot) => `${slot} unreadable`),
    ]);
    for (const { slot } of quarantined) expect(table.state(slot)).toBe(SlotState.quarantined);
    expect(table.isLive(6, 1)).toBe(true);
  });

  test('gives no space away that an unreadable descriptor may claim, unless that is lost for good', () => {
    const pool = new SmallPool();
    pool.put(0, START, 256);
    pool.put(1, START + 256, 256);
    const recovery = (): Recovery => {
      const recovery = new Recovery(pool.header, CAPACITY);
      recovery.feed(0, pool.bytes.subarray(0, 64));
      recovery.feed(2, pool.bytes.subarray(128));
      return recovery;
    };
    expect(outcome(recovery())).toMatchObject({ regions: 1, free: [] });
    const { regions, free } = recovery().finish({ unreadableAreLost: true });
    expect([regions, ...free]).toEqual([1, { offset: START + 256, length: CAPACITY - START - 256 }]);
  });

  test('comes to the same whatever the pieces and their order', () => {
    const pool = new SmallPool();
    for (let slot = 0; slot < SLOTS; slot += 3) pool.put(slot, START + slot * 256, 200 + slot, slot + 1);
    pool.flip(30, 9);
    const expected = pool.recover();
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 63 })), fc.boolean(), (cuts, reversed) => {
        const ends = [...cuts.sort((one, other) => one - other), SLOTS];
        const pieces = ends.map((end, index) => [ends[index - 1] ?? 0, end] as const);
        const recovery = new Recovery(pool.header, CAPACITY);
        for (const [from, to] of reversed ? pieces.toReversed() : pieces)
          recovery.feed(from, pool.bytes.subarray(from * 64, to * 64));
        expect({ ...outcome(recovery), table: expected.table }).toEqual(expected);
      }),
    );
  });

  test('refuses pieces that are no descriptors, that it has already, or that no slot has', () => {
    const pool = new SmallPool();
    const recovery = new Recovery(pool.header, CAPACITY);
    recovery.feed(10, pool.bytes.subarray(640, 1280));
    const INTERNAL = expect.objectContaining({ code: 'INTERNAL' });
    expect(() => recovery.feed(0, pool.bytes.subarray(0, 65))).toThrow(INTERNAL);
    expect(() => recovery.feed(15, pool.bytes.subarray(960, 1024))).toThrow(INTERNAL);
    expect(() => recovery.feed(63, pool.bytes.subarray(0, 128))).toThrow(INTERNAL);
    expect(() => recovery.unreadable(-1, 1)).toThrow(INTERNAL);
    recovery.feed(0, new Uint8Array(0));
  });
});

describe('of regions that overlap', () => {
  const lost = (...extents: [offset: number, size: number][]): [lost: number[], free: unknown] => {
    const pool = new SmallPool();
    for (const [slot, [offset, size]] of extents.entries()) pool.put(slot, START + offset, size);
    const { quarantined, free, regions } = pool.recover();
    for (const { reason } of quarantined) expect(reason).toBe('overlap');
    expect(regions + quarantined.length).toBe(extents.length);
    return [quarantined.map(({ slot }) => slot), free];
  };
  const tail = (from: number): unknown[] => [{ offset: START + from, length: CAPACITY - START - from }];

  test('two are both quarantined, and neighbours are not', () => {
    expect(lost([0, 512], [256, 512], [768, 256])).toEqual([[0, 1], tail(1024)]);
    expect(lost([256, 512], [0, 257])).toEqual([[0, 1], tail(768)]);
    expect(lost([0, 512], [0, 512])).toEqual([[0, 1], tail(512)]);
    expect(lost([0, 256], [256, 256], [512, 256])).toEqual([[], tail(768)]);
  });

  test('three in a chain, or one at both ends, are all quarantined', () => {
    expect(lost([0, 512], [256, 512], [512, 512])).toEqual([[0, 1, 2], tail(1024)]);
    expect(lost([512, 512], [0, 768], [768, 512])).toEqual([[0, 1, 2], tail(1280)]);
  });

  test('a large one takes all within it along, and none behind it', () => {
    expect(lost([0, 4096], [256, 256], [2048, 256], [3840, 256], [4096, 256])).toEqual([
      [0, 1, 2, 3],
      tail(4352),
    ]);
    expect(lost([256, 256], [0, 4096], [8192, 256])[0]).toEqual([0, 1]);
  });

  test('one over a descriptor chunk is quarantined, and the chunk is not free', () => {
    const pool = new SmallPool();
    pool.put(0, 8192 + 256, 10);
    pool.put(1, START, 10);
    const { quarantined, free } = pool.recover();
    expect(quarantined).toMatchObject([{ slot: 0, reason: 'overlap', offset: 8448, size: 10, overlaps: -1 }]);
    expect(free).toEqual(tail(256));
  });

  test('one that reaches beyond the end of the file takes its neighbour along', () => {
    const pool = new SmallPool();
    pool.put(0, START, 1024);
    pool.put(1, START + 512, 4096);
    const { quarantined, free } = pool.recover(START + 2048);
    expect(quarantined.map(({ slot, reason }) => [slot, reason])).toEqual([
      [0, 'overlap'],
      [1, 'truncated'],
    ]);
    expect(free).toEqual([]);
  });

  test('the same are found as by comparing each with each, with damage among them', () => {
    const region = fc.record({
      place: fc.nat(100),
      size: fc.oneof(fc.nat(300), fc.nat(4000)),
      damaged: fc.nat(5).map((die) => die === 0),
    });
    const fileUnits = fc.oneof(fc.constant(CAPACITY / 256), fc.integer({ min: START / 256, max: 150 }));
    fc.assert(
      fc.property(fc.array(region, { maxLength: SLOTS }), fileUnits, (regions, units) => {
        const fileSize = units * 256;
        const pool = new SmallPool();
        const extents = regions.map(({ place, size, damaged }, slot) => {
          const offset = size === 0 ? 0 : START + place * 256;
          pool.put(slot, offset, size);
          if (damaged) pool.flip(slot, 63);
          return { slot, offset, end: alignUp(offset + size, 256), size, damaged };
        });
        const used = new Uint8Array(CAPACITY / 256).fill(1, 0, START / 256);
        for (const { offset, end } of extents) used.fill(1, offset / 256, end / 256);
        const expectedLost = extents
          .filter(
            (one) =>
              one.damaged ||
              (one.size > 0 && one.offset + one.size > fileSize) ||
              extents.some(
                (other) =>
                  other !== one &&
                  !other.damaged &&
                  Math.min(one.end, other.end) > Math.max(one.offset, other.offset),
              ),
          )
          .map(({ slot }) => slot);
        const { quarantined, free, table } = pool.recover(fileSize);
        expect(quarantined.map(({ slot }) => slot)).toEqual(expectedLost);
        for (const { slot } of extents)
          expect(table.state(slot) === SlotState.live).toBe(!expectedLost.includes(slot));
        const expectedFree: { offset: number; length: number }[] = [];
        for (let unit = 0; unit < units; unit++) {
          if (used[unit] === 1) continue;
          if (unit > 0 && used[unit - 1] === 0) (expectedFree.at(-1) as { length: number }).length += 256;
          else expectedFree.push({ offset: unit * 256, length: 256 });
        }
        expect(free).toEqual(expectedFree);
      }),
      { numRuns: 500 },
    );
  });
});

describe('damage at random', () => {
  test('never throws, loses no region that it did not touch, and gives no byte of one away', () => {
    const hit = fc.record({ at: fc.nat(SLOTS * 64 - 1), mask: fc.integer({ min: 1, max: 255 }) });
    fc.assert(
      fc.property(fc.array(hit, { maxLength: 30 }), (hits) => {
        const pool = new SmallPool();
        for (let slot = 0; slot < SLOTS; slot += 2) pool.put(slot, START + slot * 512, 700, slot + 1);
        for (const { at, mask } of hits) pool.flip(0, at, mask);
        const touched = new Set(hits.map(({ at }) => Math.floor(at / 64)));
        const { table, free, quarantined } = pool.recover();
        for (let slot = 0; slot < SLOTS; slot += 2) {
          if (touched.has(slot)) continue;
          expect(table.isLive(slot, slot + 1)).toBe(true);
          const offset = START + slot * 512;
          const isGivenAway = free.some(
            (gap) => gap.offset < offset + 768 && gap.offset + gap.length > offset,
          );
          expect(isGivenAway).toBe(false);
        }
        for (const { slot } of quarantined) expect(touched.has(slot)).toBe(true);
      }),
    );
  });
});

describe('many slots', () => {
  test('in chunks all over the pool, shuffled, come back with every gap', () => {
    const slots = isThorough ? MAX_CHUNK_COUNT : 2 ** 14;
    const count = 4 * slots;
    const chunks = Array.from({ length: 4 }, (_, index) => ({
      offset: 8192 + (3 - index) * chunkLength(slots, ALIGNMENT),
      firstSlot: index * slots,
      count: slots,
    }));
    const start = 8192 + count * 64;
    const capacity = start + count * 512;
    const header = { ...new SmallPool().header, chunks, capacity, freshFrom: capacity };
    const recovery = new Recovery(header, capacity);
    for (const { firstSlot } of chunks) {
      const bytes = formatChunk(slots, firstSlot, header);
      for (let index = 0; index < slots; index++) {
        const slot = firstSlot + index;
        // An odd factor goes through all places once.
        const place = Math.imul(slot, 0x9e3b) & (count - 1);
        encodeDescriptor(bytes, index * 64, slot, header, 1, start + place * 512, 200, slot);
      }
      recovery.feed(firstSlot, bytes);
    }
    const { regions, bytes, quarantined, free } = recovery.finish();
    expect([regions, bytes, quarantined.length, free.length]).toEqual([count, count * 200, 0, count]);
    let wrong = 0;
    for (let index = 0; index < free.length; index++)
      if (free.offsetAt(index) !== start + index * 512 + 256 || free.lengthAt(index) !== 256) wrong++;
    expect(wrong).toBe(0);
  });

  test('that are all damaged are told one by one, and take no memory beside their rows', () => {
    const slots = isThorough ? 2 ** 20 : 2 ** 16;
    const pool = new SmallPool(slots, 2 ** 28);
    const start = 8192 + 64 * slots;
    for (let slot = 0; slot < slots; slot++) {
      pool.put(slot, start + (slot % 1000) * ALIGNMENT, 1 + slot, 7);
      pool.flip(slot, 50);
    }
    const before = liveHeapBytes();
    const recovery = new Recovery(pool.header, 2 ** 28);
    recovery.feed(0, pool.bytes);
    const { quarantined, regions } = recovery.finish();
    const { length: runs } = [
      ...rewrittenRuns({ choice: { header: pool.header }, quarantined, unnamed: [] }),
    ];
    expect(liveHeapBytes() - before).toBeLessThan(8 * slots);
    expect([quarantined.length, regions, recovery.table.live]).toEqual([slots, 0, 0]);
    expect(runs).toBe(slots / 64);
    let wrong = 0;
    let expected = 0;
    for (const { slot, reason, generation, size } of quarantined) {
      const isRight = slot === expected++ && reason === 'damaged' && generation === 7 && size === 1 + slot;
      if (!isRight) wrong++;
    }
    expect([expected, wrong]).toEqual([slots, 0]);
  });
});

describe('the order of extents', () => {
  test('is that of a stable sort, up to the largest offsets', () => {
    const unit = fc.oneof(fc.nat(5), fc.nat(2 ** 22), fc.nat(2 ** 47 - 1));
    fc.assert(
      fc.property(fc.array(unit), fc.integer({ min: 6, max: 20 }), (values, bits) => {
        const alignment = 2 ** bits;
        const offsets = values.map((value) => (value % (2 ** 53 / alignment)) * alignment);
        const { order, units } = orderByOffset(Float64Array.from(offsets), alignment);
        const expected = offsets.map((_, index) => index);
        expected.sort((one, other) => (offsets[one] ?? 0) - (offsets[other] ?? 0));
        expect([...order]).toEqual(expected);
        expect([...units].map((value) => value * alignment)).toEqual(expected.map((index) => offsets[index]));
      }),
    );
  });
});
