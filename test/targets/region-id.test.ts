/** RegionId: 16 bytes in their layout, hex at the edges, and nothing else passes for one. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { REGION_ID_BYTES, RegionId } from '../../core/contract/region-id.js';

const idBytes = fc.uint8Array({ minLength: REGION_ID_BYTES, maxLength: REGION_ID_BYTES });
const word = fc.nat(0xffff_ffff);

describe('RegionId', () => {
  test('lays slot, generation and pool id out as four little-endian words', () => {
    const id = RegionId.of(0x01020304, 0x05060708, 0x090a0b0c, 0xfffefdfc);
    expect(id.toString()).toBe('04030201080706050c0b0a09fcfdfeff');
    expect([...id.toBytes()]).toEqual([4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 0xfc, 0xfd, 0xfe, 0xff]);
  });

  test('comes back the same from bytes, hex, JSON and words', () => {
    fc.assert(
      fc.property(idBytes, (bytes) => {
        const id = RegionId.from(bytes);
        const hex = Buffer.from(bytes).toString('hex');
        expect(id.toString()).toBe(hex);
        expect(String(id)).toBe(hex);
        expect(JSON.stringify({ id })).toBe(`{"id":"${hex}"}`);
        expect(Buffer.from(id.toBytes()).equals(Buffer.from(bytes))).toBe(true);
        expect(RegionId.parse(hex).equals(id)).toBe(true);
        expect(RegionId.parse(hex.toUpperCase()).equals(id)).toBe(true);
        expect(RegionId.of(id.slot, id.generation, id.poolLow, id.poolHigh).equals(id)).toBe(true);
      }),
    );
  });

  test('equals exactly the IDs of the same 16 bytes', () => {
    fc.assert(
      fc.property(word, word, word, word, fc.nat(127), (slot, generation, low, high, bit) => {
        const id = RegionId.of(slot, generation, low, high);
        expect(id.equals(RegionId.of(slot, generation, low, high))).toBe(true);
        const bytes = id.toBytes();
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(id.equals(RegionId.from(bytes))).toBe(false);
        expect(RegionId.from(bytes).equals(id)).toBe(false);
      }),
    );
  });

  test('holds words as unsigned numbers', () => {
    const id = RegionId.parse('ff'.repeat(16));
    const all = 0xffff_ffff;
    expect([id.slot, id.generation, id.poolLow, id.poolHigh]).toEqual([all, all, all, all]);
    expect(RegionId.of(-1, -1, -1, -1).equals(id)).toBe(true);
  });

  test('copies bytes in and out', () => {
    const bytes = new Uint8Array(16).fill(1);
    const id = RegionId.from(bytes);
    bytes.fill(2);
    id.toBytes().fill(3);
    expect(id.toString()).toBe('01'.repeat(16));
  });

  test('takes bytes from the middle of a buffer', () => {
    const around = Buffer.from('00'.repeat(5) + 'ab'.repeat(16) + '00'.repeat(5), 'hex');
    expect(RegionId.from(around.subarray(5, 21)).toString()).toBe('ab'.repeat(16));
  });

  test('is different every time at random', () => {
    const ids = Array.from({ length: 1000 }, () => RegionId.random().toString());
    expect(new Set(ids).size).toBe(1000);
  });

  test.each([
    '',
    'ab',
    'ab'.repeat(15),
    'ab'.repeat(17),
    `${'ab'.repeat(15)}a`,
    `${'ab'.repeat(15)}zz`,
    ` ${'ab'.repeat(16)}`,
    `${'ab'.repeat(16)}\n`,
    `0x${'ab'.repeat(15)}`,
    undefined,
    null,
    7,
    Buffer.alloc(16),
    ['ab'.repeat(16)],
  ])('rejects %j as hex with INVALID_ARGUMENT', (hex) => {
    expect(() => RegionId.parse(hex as string)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  test.each([
    ['15 bytes', Buffer.alloc(15)],
    ['17 bytes', Buffer.alloc(17)],
    ['no bytes', new Uint8Array(0)],
    ['an array', Array.from({ length: 16 }, () => 0)],
    ['words', new Uint32Array(16)],
    ['a DataView', new DataView(new ArrayBuffer(16))],
    ['an ArrayBuffer', new ArrayBuffer(16)],
    ['hex', 'ab'.repeat(16)],
    ['nothing', undefined],
  ])('rejects %s as bytes with INVALID_ARGUMENT', (_name, bytes) => {
    expect(() => RegionId.from(bytes as Uint8Array)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
