/**
 * The pool's header: what goes in comes out, every damage is seen, and of two copies the right one
 * counts.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c } from '../../core/pool/crc32c.js';
import { chunkLength, descriptorOffset, nextChunkCount, slotsOf } from '../../core/pool/chunk-directory.js';
import type { Chunk } from '../../core/pool/chunk-directory.js';
import { firstExtentOffset, HEADER_BYTES } from '../../core/pool/extent.js';
import { decodeHeader, encodeHeader } from '../../core/pool/header.js';
import type { PoolHeader } from '../../core/pool/header.js';
import { chooseHeader } from '../../core/pool/header-choice.js';

const HEADER: PoolHeader = {
  features: { compatible: 0, readOnlyCompatible: 0, incompatible: 0 },
  poolLow: 0x89ab_cdef,
  poolHigh: 0xfedc_ba98,
  sequence: 7,
  createdAt: 1_700_000_000_123,
  alignment: 256,
  capacity: 2 ** 24,
  freshFrom: 2 ** 23,
  chunks: [
    { offset: 8192, firstSlot: 0, count: 1024 },
    { offset: 2 ** 20, firstSlot: 1024, count: 2048 },
    { offset: 2 ** 18, firstSlot: 3072, count: 3 },
  ],
};

const word = fc.nat(0xffff_ffff);

/** Headers that keep the rules, with chunks in any order in the pool. */
const headers: fc.Arbitrary<PoolHeader> = fc
  .record({
    alignmentBits: fc.integer({ min: 6, max: 20 }),
    counts: fc.array(fc.integer({ min: 1, max: 2 ** 18 }), { maxLength: 240, size: 'max' }),
    gaps: fc.array(fc.nat(1000), { minLength: 240, maxLength: 240 }),
    shuffle: fc.array(fc.nat(1000), { minLength: 240, maxLength: 240 }),
    fresh: fc.nat(2 ** 20),
    spare: fc.nat(2 ** 20),
    poolLow: word,
    poolHigh: word,
    compatible: word,
    readOnlyCompatible: word,
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    createdAt: fc.maxSafeNat(),
  })
  .map(({ alignmentBits, counts, gaps, shuffle, fresh, spare, compatible, readOnlyCompatible, ...rest }) => {
    const alignment = 2 ** alignmentBits;
    let end = firstExtentOffset(alignment);
    const offsets: number[] = [];
    const places = counts.map((_, index) => index);
    places.sort((one, other) => (shuffle[one] ?? 0) - (shuffle[other] ?? 0));
    for (const place of places) {
      offsets[place] = end + (gaps[place] ?? 0) * alignment;
      end = (offsets[place] ?? 0) + chunkLength(counts[place] ?? 0, alignment);
    }
    let firstSlot = 0;
    const chunks = counts.map((count, index): Chunk => {
      const chunk = { offset: offsets[index] ?? 0, firstSlot, count };
      firstSlot += count;
      return chunk;
    });
    const freshFrom = end + fresh * alignment;
    return {
      ...rest,
      features: { compatible, readOnlyCompatible, incompatible: 0 },
      alignment,
      freshFrom,
      capacity: freshFrom + spare * alignment,
      chunks,
    };
  });

/** The bytes of a header after a change that its checksum covers again. */
function forged(change: (view: DataView) => void, header = HEADER): Uint8Array {
  const bytes = encodeHeader(header);
  const view = new DataView(bytes.buffer);
  change(view);
  view.setUint32(252, crc32c(bytes, crc32c(bytes, 0, 0, 252), 256), true);
  return bytes;
}

function faultOf(bytes: Uint8Array): string {
  const decoded = decodeHeader(bytes);
  return 'fault' in decoded ? decoded.fault : 'none';
}

describe('a header', () => {
  test('has every field where the table says', () => {
    const bytes = encodeHeader(HEADER);
    const view = new DataView(bytes.buffer);
    expect(bytes.length).toBe(4096);
    expect(Buffer.from(bytes.subarray(0, 8)).toString()).toBe('BDRKPOOL');
    const words = [8, 12, 16, 20, 24, 28, 64, 68].map((at) => view.getUint32(at, true));
    expect(words).toEqual([1, 0, 0, 0, 0x89ab_cdef, 0xfedc_ba98, 256, 3]);
    const numbers = [32, 40, 48, 56].map((at) => Number(view.getBigUint64(at, true)));
    expect(numbers).toEqual([7, 1_700_000_000_123, 2 ** 24, 2 ** 23]);
    expect(Number(view.getBigUint64(272, true))).toBe(2 ** 20);
    expect([view.getUint32(280, true), view.getUint32(284, true)]).toEqual([1024, 2048]);
    expect(bytes.subarray(72, 252).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(256 + 48).every((byte) => byte === 0)).toBe(true);
  });

  test('comes back as it went in', () => {
    fc.assert(
      fc.property(headers, (header) => {
        expect(decodeHeader(encodeHeader(header))).toEqual({ header });
      }),
    );
  });

  test('is read from the middle of a buffer', () => {
    const around = Buffer.alloc(5000);
    around.set(encodeHeader(HEADER), 100);
    expect(decodeHeader(around.subarray(100, 4196))).toEqual({ header: HEADER });
  });

  test('shows the flip of any bit', () => {
    const bytes = encodeHeader(HEADER);
    const accepted: number[] = [];
    for (let bit = 0; bit < 8 * HEADER_BYTES; bit++) {
      const mask = 1 << (bit & 7);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask;
      if (faultOf(bytes) !== (bit < 64 ? 'absent' : 'damaged')) accepted.push(bit);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ mask;
    }
    expect(accepted).toEqual([]);
    expect(faultOf(bytes)).toBe('none');
  });

  test('torn between any sectors, or any words, of an old and a new one is damaged, or one of them', () => {
    const old = encodeHeader({ ...HEADER, sequence: 6, chunks: HEADER.chunks.slice(0, 2) });
    const renewed = encodeHeader(HEADER);
    for (let sectors = 0; sectors < 256; sectors++) {
      const torn = old.slice();
      for (let sector = 0; sector < 8; sector++)
        if ((sectors >> sector) & 1)
          torn.set(renewed.subarray(512 * sector, 512 * (sector + 1)), 512 * sector);
      const whole = Buffer.compare(torn, old) === 0 || Buffer.compare(torn, renewed) === 0;
      expect(faultOf(torn)).toBe(whole ? 'none' : 'damaged');
    }
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 512, maxLength: 512 }), (words) => {
        const torn = old.slice();
        for (const [index, isNew] of words.entries())
          if (isNew) torn.set(renewed.subarray(8 * index, 8 * index + 8), 8 * index);
        const whole = Buffer.compare(torn, old) === 0 || Buffer.compare(torn, renewed) === 0;
        expect(faultOf(torn)).toBe(whole ? 'none' : 'damaged');
      }),
    );
  });

  test.each([
    ['no bytes', new Uint8Array(0), 'absent'],
    ['zeros', new Uint8Array(4096), 'absent'],
    ['ones', new Uint8Array(4096).fill(255), 'absent'],
    ['text', Buffer.alloc(4096, 'BDRK'), 'absent'],
    ['the magic alone', Buffer.from('BDRKPOOL'), 'damaged'],
    ['half a header', encodeHeader(HEADER).subarray(0, 2048), 'damaged'],
    ['another version', forged((view) => view.setUint32(8, 2, true)), 'unsupported'],
    ['version 0', forged((view) => view.setUint32(8, 0, true)), 'unsupported'],
    ['an incompatible feature', forged((view) => view.setUint32(20, 2 ** 31, true)), 'unsupported'],
    ['a compatible feature', forged((view) => view.setUint32(12, 2 ** 31, true)), 'none'],
    ['a read-only compatible feature', forged((view) => view.setUint32(16, 1, true)), 'none'],
    ['something reserved', forged((view) => view.setUint32(100, 1, true)), 'none'],
    ['sequence 0', forged((view) => view.setUint32(32, 0, true)), 'damaged'],
    ['a sequence beyond 2^53', forged((view) => view.setUint32(36, 2 ** 21, true)), 'damaged'],
    ['a creation time beyond 2^53', forged((view) => view.setUint32(44, 2 ** 21, true)), 'damaged'],
    ['alignment 0', forged((view) => view.setUint32(64, 0, true)), 'damaged'],
    ['alignment 32', forged((view) => view.setUint32(64, 32, true)), 'damaged'],
    ['alignment 96', forged((view) => view.setUint32(64, 96, true)), 'damaged'],
    ['alignment 2^21', forged((view) => view.setUint32(64, 2 ** 21, true)), 'damaged'],
    ['alignment 2^31', forged((view) => view.setUint32(64, 2 ** 31, true)), 'damaged'],
    [
      'a capacity of part of an alignment',
      forged((view) => view.setUint32(48, 2 ** 24 + 64, true)),
      'damaged',
    ],
    ['a capacity beyond 2^53', forged((view) => view.setUint32(52, 2 ** 21, true)), 'damaged'],
    ['a capacity below its chunks', forged((view) => view.setUint32(48, 2 ** 20, true)), 'damaged'],
    ['freshFrom within the headers', forged((view) => view.setUint32(56, 4096, true)), 'damaged'],
    ['freshFrom beyond the capacity', forged((view) => view.setUint32(56, 2 ** 25, true)), 'damaged'],
    ['freshFrom off the alignment', forged((view) => view.setUint32(56, 2 ** 23 + 1, true)), 'damaged'],
    ['freshFrom below a chunk', forged((view) => view.setUint32(56, 2 ** 20, true)), 'damaged'],
    ['241 chunks', forged((view) => view.setUint32(68, 241, true)), 'damaged'],
    ['2^32-1 chunks', forged((view) => view.setUint32(68, 2 ** 32 - 1, true)), 'damaged'],
    ['a chunk of nothing', forged((view) => view.setUint32(68, 4, true)), 'damaged'],
    ['a chunk in the headers', forged((view) => view.setUint32(256, 4096, true)), 'damaged'],
    ['a chunk off the alignment', forged((view) => view.setUint32(256, 8192 + 64, true)), 'damaged'],
    ['a chunk beyond the capacity', forged((view) => view.setUint32(260, 1, true)), 'damaged'],
    ['a chunk beyond 2^53', forged((view) => view.setUint32(260, 2 ** 31, true)), 'damaged'],
    [
      'a chunk over its neighbour',
      forged((view) => view.setUint32(288, 8192 + 1024 * 64 - 256, true)),
      'damaged',
    ],
    ['a chunk within another', forged((view) => view.setUint32(288, 8192 + 256, true)), 'damaged'],
    ['a chunk that skips slots', forged((view) => view.setUint32(280, 1025, true)), 'damaged'],
    ['a chunk that repeats slots', forged((view) => view.setUint32(296, 3071, true)), 'damaged'],
    ['a first chunk without slot 0', forged((view) => view.setUint32(264, 1, true)), 'damaged'],
    ['a chunk of too many', forged((view) => view.setUint32(300, 2 ** 18 + 1, true)), 'damaged'],
  ])('of %s comes to its fault', (_name, bytes, fault) => {
    expect(faultOf(bytes)).toBe(fault);
  });

  test('of random bytes behind the magic never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 500, maxLength: 500 }), (random) => {
        const bytes = forged((view) => {
          for (let at = 12; at < 500; at++)
            if (at < 20 || at >= 24) view.setUint8(at, (random[at] ?? 0) & (random[at - 8] ?? 0));
        });
        expect(['none', 'damaged']).toContain(faultOf(bytes));
      }),
    );
  });

  test.each([
    ['a capacity off the alignment', { capacity: 2 ** 24 + 1 }],
    ['a fractional sequence', { sequence: 1.5 }],
    ['no sequence', { sequence: NaN }],
    ['a negative time', { createdAt: -1 }],
    ['freshFrom of nothing', { freshFrom: NaN }],
    ['a pool id beyond 32 bits', { poolLow: 2 ** 32 }],
    ['a chunk too many', { chunks: Array.from({ length: 241 }, () => HEADER.chunks[0] as Chunk) }],
    ['a chunk at a fraction', { chunks: [{ offset: 8192.5, firstSlot: 0, count: 1 }] }],
  ])('with %s is refused before it is written', (_name, change) => {
    expect(() => encodeHeader({ ...HEADER, ...change })).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('of two copies', () => {
  const older = encodeHeader({ ...HEADER, sequence: 6 });
  const newer = encodeHeader(HEADER);
  const damaged = newer.slice().fill(1, 3000, 3001);
  const none = new Uint8Array(4096);

  test.each([
    ['equal ones', newer, newer, { sequence: 7, copy: 0, rewrite: undefined, damage: false }],
    ['a newer first', newer, older, { sequence: 7, copy: 0, rewrite: 1, damage: false }],
    ['a newer second', older, newer, { sequence: 7, copy: 1, rewrite: 0, damage: false }],
    ['a damaged first', damaged, older, { sequence: 6, copy: 1, rewrite: 0, damage: true }],
    ['a damaged second', older, damaged, { sequence: 6, copy: 0, rewrite: 1, damage: true }],
    ['a first of zeros', none, newer, { sequence: 7, copy: 1, rewrite: 0, damage: true }],
    ['a second beyond the end', newer, new Uint8Array(0), { sequence: 7, copy: 0, rewrite: 1, damage: true }],
    ['an unreadable first', undefined, newer, { sequence: 7, copy: 1, rewrite: 0, damage: true }],
  ])('with %s takes the newest whole one', (_name, copy0, copy1, expected) => {
    const { header, copy, rewrite, damage, writable } = chooseHeader(copy0, copy1);
    expect({ sequence: header.sequence, copy, rewrite, damage: damage !== undefined }).toEqual(expected);
    expect(writable).toBe(true);
  });

  test.each([
    ['two damaged', damaged, damaged, 'POOL_CORRUPT', false],
    ['a damaged one and none', damaged, none, 'POOL_CORRUPT', false],
    ['none', none, none, 'POOL_CORRUPT', true],
    ['none and nothing', none, new Uint8Array(0), 'POOL_CORRUPT', true],
    ['two unreadable', undefined, undefined, 'POOL_CORRUPT', false],
    [
      'two of one sequence that differ',
      newer,
      encodeHeader({ ...HEADER, capacity: 2 ** 25 }),
      'POOL_CORRUPT',
      false,
    ],
    ['two pools', newer, encodeHeader({ ...HEADER, poolLow: 1, sequence: 99 }), 'POOL_CORRUPT', false],
    ['a newer version', newer, forged((view) => view.setUint32(8, 2, true)), 'NOT_SUPPORTED', false],
    ['an unknown feature', forged((view) => view.setUint32(20, 1 << 5, true)), none, 'NOT_SUPPORTED', false],
  ])('with %s is refused', (_name, copy0, copy1, code, absent) => {
    const details = expect.objectContaining({ absent });
    expect(() => chooseHeader(copy0, copy1)).toThrow(expect.objectContaining({ code, details }));
  });

  test('with an unknown read-only compatible feature may be read only, and keeps all flags', () => {
    const features = { compatible: 5, readOnlyCompatible: 2 ** 31, incompatible: 0 };
    const copy = encodeHeader({ ...HEADER, features });
    expect(chooseHeader(copy, copy)).toMatchObject({ writable: false, header: { features } });
    const compatible = encodeHeader({ ...HEADER, features: { ...features, readOnlyCompatible: 0 } });
    expect(chooseHeader(compatible, compatible).writable).toBe(true);
  });

  test('of which one is being written, in any state of its sectors, a state before or after counts', () => {
    for (const target of [0, 1] as const) {
      // Copy 0 is written while copy 1 is old, copy 1 while copy 0 is new.
      const still = target === 0 ? older : newer;
      for (let cut = 0; cut <= 8; cut++) {
        const torn = older.slice();
        torn.set(newer.subarray(0, 512 * cut));
        const { header } = target === 0 ? chooseHeader(torn, still) : chooseHeader(still, torn);
        expect([6, 7]).toContain(header.sequence);
        if (target === 1) expect(header.sequence).toBe(7);
      }
    }
  });
});

describe('the directory', () => {
  test('finds the descriptor of every slot, and of no other', () => {
    const offsets = new Map<number, number>();
    for (const { offset, firstSlot, count } of HEADER.chunks)
      for (let index = 0; index < count; index++) offsets.set(firstSlot + index, offset + 64 * index);
    for (let slot = 0; slot < slotsOf(HEADER.chunks); slot++)
      expect(descriptorOffset(HEADER.chunks, slot)).toBe(offsets.get(slot));
    expect(slotsOf(HEADER.chunks)).toBe(3075);
    expect(descriptorOffset(HEADER.chunks, 3075)).toBe(-1);
    expect(descriptorOffset([], 0)).toBe(-1);
    expect(slotsOf([])).toBe(0);
  });

  test('grows by doubling from 1024 to 2^18, until it is full', () => {
    const chunks: Chunk[] = [];
    let firstSlot = 0;
    const counts: number[] = [];
    for (let count = nextChunkCount(chunks); count > 0; count = nextChunkCount(chunks)) {
      chunks.push({ offset: 0, firstSlot, count });
      firstSlot += count;
      counts.push(count);
    }
    expect(counts.slice(0, 10)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 18].map((bits) => 2 ** bits));
    expect(counts.length).toBe(240);
    expect(nextChunkCount([{ offset: 0, firstSlot: 0, count: 5 }])).toBe(1024);
  });
});
