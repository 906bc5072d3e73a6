/** The descriptor: every state that a crash leaves is the old or the new one, and every damage is seen. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decodeDescriptor,
  DescriptorFields,
  encodeBody,
  encodeWordZero,
  formatChunk,
  MAX_GENERATION,
  wordZero,
  wordZeroHigh,
  wordZeroLow,
} from '../../core/pool/descriptor.js';
import type { DescriptorState } from '../../core/pool/descriptor.js';
import { crc32cOfWord } from '../../core/pool/crc32c.js';
import type { PoolId } from '../../core/pool/extent.js';

const POOL: PoolId = { poolLow: 0x0123_4567, poolHigh: 0x89ab_cdef };
const SLOT = 42;

interface Region {
  generation: number;
  offset: number;
  size: number;
  createdAt: number;
}

function live(region: Region, slot = SLOT, pool = POOL): Uint8Array {
  const bytes = new Uint8Array(64).fill(0xee);
  encodeBody(bytes, 0, region.offset, region.size, region.createdAt);
  encodeWordZero(bytes, 0, slot, pool, region.generation, true);
  return bytes;
}

function decode(bytes: Uint8Array, slot = SLOT, pool = POOL): Partial<Region> & { state: DescriptorState } {
  const fields = new DescriptorFields();
  const state = decodeDescriptor(bytes, 0, slot, pool, fields);
  return state === 'live' ? { state, ...plain(fields) } : { state, generation: fields.generation };
}

function plain({ generation, offset, size, createdAt }: DescriptorFields): Region {
  return { generation, offset, size, createdAt };
}

const OLD: Region = { generation: 5, offset: 2 ** 33 + 256, size: 777, createdAt: 1_600_000_000_000 };
const NEW: Region = { generation: 6, offset: 2 ** 40 + 512, size: 2 ** 35 + 3, createdAt: 1_700_000_000_000 };

const regions: fc.Arbitrary<Region> = fc
  .record({
    generation: fc.integer({ min: 1, max: MAX_GENERATION }),
    offset: fc.maxSafeNat(),
    size: fc.maxSafeNat(),
    createdAt: fc.maxSafeNat(),
  })
  // A region of no bytes has no extent.
  .map((region) => (region.size === 0 ? { ...region, offset: 0 } : region));

describe('a descriptor', () => {
  test('has every field where the table says', () => {
    const bytes = live(NEW);
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(4, true)).toBe(6 * 2 + 1);
    expect([8, 16, 24].map((at) => Number(view.getBigUint64(at, true)))).toEqual([
      NEW.offset,
      NEW.size,
      NEW.createdAt,
    ]);
    expect(bytes.subarray(32).every((byte) => byte === 0)).toBe(true);
  });

  test('comes back as it went in, at any place of a buffer', () => {
    const slots = fc.nat(0xffff_ffff);
    fc.assert(
      fc.property(regions, slots, slots, slots, fc.nat(100), (region, slot, poolLow, poolHigh, at) => {
        const pool = { poolLow, poolHigh };
        const around = new Uint8Array(200).fill(0xaa);
        encodeBody(around, at, region.offset, region.size, region.createdAt);
        expect(wordZeroHigh(region.generation, true)).toBe(region.generation * 2 + 1);
        const low = wordZeroLow(around, at, slot, pool, region.generation, true);
        const word = wordZero(around, at, slot, pool, region.generation, true);
        expect(word).toBe(BigInt(region.generation * 2 + 1) * 2n ** 32n + BigInt(low));
        encodeWordZero(around, at, slot, pool, region.generation, true);
        expect(new DataView(around.buffer).getBigUint64(at, true)).toBe(word);
        const fields = new DescriptorFields();
        expect(decodeDescriptor(around, at, slot, pool, fields)).toBe('live');
        expect(plain(fields)).toEqual(region);
        encodeWordZero(around, at, slot, pool, region.generation, false);
        expect(decodeDescriptor(around, at, slot, pool, fields)).toBe('free');
        expect(fields.generation).toBe(region.generation);
        expect(around.subarray(0, at).every((byte) => byte === 0xaa)).toBe(true);
        expect(around.subarray(at + 64).every((byte) => byte === 0xaa)).toBe(true);
      }),
    );
  });

  test('shows the flip of any bit while live', () => {
    for (const region of [OLD, NEW]) {
      const bytes = live(region);
      for (let bit = 0; bit < 512; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(decode(flipped).state).toBe('damaged');
      }
    }
  });

  test('shows the flip of any bit that counts while free, and does not heed the others', () => {
    const bytes = live(OLD);
    encodeWordZero(bytes, 0, SLOT, POOL, 5, false);
    for (let bit = 0; bit < 512; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decode(flipped)).toMatchObject(
        bit < 64 ? { state: 'damaged' } : { state: 'free', generation: 5 },
      );
    }
  });

  test('of another slot or another pool is damaged, live or free', () => {
    const free = live(OLD);
    encodeWordZero(free, 0, SLOT, POOL, 5, false);
    for (const bytes of [live(OLD), free]) {
      for (let bit = 0; bit < 32; bit++) {
        const mask = 2 ** bit;
        expect(decode(bytes, (SLOT ^ mask) >>> 0).state).toBe('damaged');
        const low = { ...POOL, poolLow: (POOL.poolLow ^ mask) >>> 0 };
        const high = { ...POOL, poolHigh: (POOL.poolHigh ^ mask) >>> 0 };
        expect([decode(bytes, SLOT, low).state, decode(bytes, SLOT, high).state]).toEqual([
          'damaged',
          'damaged',
        ]);
      }
    }
  });

  test('of zeros or of one byte repeated is damaged', () => {
    expect(decode(new Uint8Array(64)).state).toBe('zeros');
    const onlyWordZero = live(OLD).fill(0, 0, 8);
    expect(decode(onlyWordZero).state).toBe('zeros');
    for (let byte = 1; byte < 256; byte++)
      expect(decode(new Uint8Array(64).fill(byte)).state).toBe('damaged');
  });

  test('that is whole but impossible is damaged', () => {
    expect(decode(live({ ...OLD, generation: 0 })).state).toBe('damaged');
    expect(decode(live({ ...OLD, size: 0 })).state).toBe('damaged');
    expect(decode(live({ ...OLD, size: 0, offset: 0 })).state).toBe('live');
    for (const at of [8, 16, 24]) {
      const bytes = live(OLD);
      new DataView(bytes.buffer).setUint32(at + 4, 2 ** 21, true);
      encodeWordZero(bytes, 0, SLOT, POOL, 5, true);
      expect(decode(bytes).state).toBe('damaged');
    }
  });

  test('tells what stands there when it is damaged', () => {
    const bytes = live(NEW);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    bytes[31] = 255;
    const fields = new DescriptorFields();
    expect(decodeDescriptor(bytes, 0, SLOT, POOL, fields)).toBe('damaged');
    expect(plain(fields)).toEqual({ ...NEW, createdAt: -1 });
  });

  test('takes what later versions may put into its reserved bytes', () => {
    const bytes = live(OLD).fill(7, 32);
    encodeWordZero(bytes, 0, SLOT, POOL, 5, true);
    expect(decode(bytes)).toEqual({ state: 'live', ...OLD });
  });
});

describe('a crash', () => {
  const before = live(OLD);
  encodeWordZero(before, 0, SLOT, POOL, 5, false);
  const after = live(NEW);

  /** A descriptor with those words of `after`, bit by bit of `subset`, and the others of `from`. */
  function torn(from: Uint8Array, subset: number): Uint8Array {
    const bytes = from.slice();
    for (let word = 0; word < 8; word++)
      if ((subset >> word) & 1) bytes.set(after.subarray(8 * word, 8 * word + 8), 8 * word);
    return bytes;
  }

  test('while a create stores words 1 to 7 leaves the slot free', () => {
    for (let subset = 0; subset < 256; subset += 2)
      expect(decode(torn(before, subset))).toEqual({ state: 'free', generation: 5 });
  });

  test('while a create stores word 0 leaves it free or the whole region', () => {
    expect(decode(torn(before, 0b1111_1110))).toEqual({ state: 'free', generation: 5 });
    expect(decode(torn(before, 0b1111_1111))).toEqual({ state: 'live', ...NEW });
  });

  test('in an order that breaks the rule is damage, never a wrong region', () => {
    // Word 0 before its body, and a body over a region that still lives.
    for (let subset = 1; subset < 255; subset += 2) {
      const bytes = torn(before, subset);
      const isWhole = Buffer.compare(bytes, after) === 0;
      expect(decode(bytes)).toMatchObject({ state: isWhole ? 'live' : 'damaged' });
    }
    for (let subset = 2; subset < 256; subset += 2) {
      const bytes = torn(live(OLD), subset);
      const isWhole = Buffer.compare(bytes, live(OLD)) === 0;
      expect(decode(bytes)).toMatchObject({ state: isWhole ? 'live' : 'damaged' });
    }
  });

  test('while an erase stores word 0 leaves the whole region, or a free slot of its generation', () => {
    const erased = after.slice();
    encodeWordZero(erased, 0, SLOT, POOL, NEW.generation, false);
    expect(Buffer.compare(erased.subarray(8), after.subarray(8))).toBe(0);
    expect(decode(after)).toEqual({ state: 'live', ...NEW });
    expect(decode(erased)).toEqual({ state: 'free', generation: NEW.generation });
  });

  test('at any step of any history of creates and erases leaves the state before or after that step', () => {
    fc.assert(
      fc.property(fc.array(regions, { minLength: 1, maxLength: 6 }), fc.nat(127), (history, subset) => {
        const medium = new Uint8Array(formatChunk(1, SLOT, POOL));
        let generation = 0;
        for (const { offset, size, createdAt } of history) {
          const next = medium.slice();
          encodeBody(next, 0, offset, size, createdAt);
          for (let word = 1; word < 8; word++)
            if ((subset >> (word - 1)) & 1) medium.set(next.subarray(8 * word, 8 * word + 8), 8 * word);
          expect(decode(medium)).toEqual({ state: 'free', generation });
          medium.set(next.subarray(8), 8);
          generation++;
          encodeWordZero(medium, 0, SLOT, POOL, generation, true);
          expect(decode(medium)).toEqual({ state: 'live', generation, offset, size, createdAt });
          encodeWordZero(medium, 0, SLOT, POOL, generation, false);
        }
      }),
    );
  });
});

describe('a new chunk', () => {
  test('is free descriptors of generation 0, each of its own slot', () => {
    const bytes = formatChunk(1024, 3000, POOL);
    expect(bytes.length).toBe(1024 * 64);
    const fields = new DescriptorFields();
    for (let index = 0; index < 1024; index++) {
      expect(decodeDescriptor(bytes, index * 64, 3000 + index, POOL, fields)).toBe('free');
      expect(fields.generation).toBe(0);
      expect(decodeDescriptor(bytes, index * 64, 3001 + index, POOL, fields)).toBe('damaged');
    }
  });

  test('has no descriptor of zeros, even where the checksum of generation 0 is zero', () => {
    // The checksum of pool, slot 7 and a zero word is linear in poolHigh: solve for the one that
    // makes it zero.
    const checksum = (poolHigh: number): number =>
      crc32cOfWord(0, crc32cOfWord(7, crc32cOfWord(poolHigh, crc32cOfWord(POOL.poolLow))));
    const pool = { ...POOL, poolHigh: zeroOf(checksum) };
    expect(checksum(pool.poolHigh)).toBe(0);
    const bytes = formatChunk(16, 0, pool);
    expect(decode(bytes.subarray(7 * 64, 8 * 64), 7, pool)).toEqual({ state: 'free', generation: 1 });
    expect(decode(bytes.subarray(6 * 64, 7 * 64), 6, pool)).toEqual({ state: 'free', generation: 0 });
    expect(decode(new Uint8Array(64), 7, pool).state).toBe('zeros');
  });
});

/** The argument at which a function of 32 bits that is affine over bits gives zero, by elimination. */
function zeroOf(affine: (argument: number) => number): number {
  const constant = affine(0);
  /** By the highest bit of the value: a value, and the argument whose linear part gives it. */
  const basis = new Map<number, { value: number; argument: number }>();
  const reduce = (value: number, argument: number): { value: number; argument: number } => {
    while (value !== 0) {
      const known = basis.get(31 - Math.clz32(value));
      if (known === undefined) break;
      value = (value ^ known.value) >>> 0;
      argument = (argument ^ known.argument) >>> 0;
    }
    return { value, argument };
  };
  for (let bit = 0; bit < 32; bit++) {
    const argument = 2 ** bit;
    const reduced = reduce((affine(argument) ^ constant) >>> 0, argument);
    if (reduced.value !== 0) basis.set(31 - Math.clz32(reduced.value), reduced);
  }
  return reduce(constant, 0).argument;
}
