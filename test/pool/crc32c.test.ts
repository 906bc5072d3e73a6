/** CRC32C: the published vectors, and every way to cut the bytes gives the same. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32c, crc32cOfWord } from '../../core/pool/crc32c.js';

/** Bit by bit, as the definition has it. */
function slowCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

describe('crc32c', () => {
  test.each([
    ['nothing', new Uint8Array(0), 0],
    ['the digits 1 to 9', Buffer.from('123456789'), 0xe306_9283],
    ['32 zeros', new Uint8Array(32), 0x8a91_36aa],
    ['32 ones', new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    ['0 to 31', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd_794e],
    ['31 to 0', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113f_db5c],
  ])('gives the published checksum of %s', (_name, bytes, checksum) => {
    expect(crc32c(bytes)).toBe(checksum);
  });

  test('agrees with the definition at every length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(crc32c(bytes)).toBe(slowCrc32c(bytes));
      }),
    );
  });

  test('continues an earlier checksum, and takes a part of an array', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
        const middle = Math.min(cut, bytes.length);
        const first = crc32c(bytes, 0, 0, middle);
        expect(first).toBe(crc32c(bytes.subarray(0, middle)));
        expect(crc32c(bytes, first, middle)).toBe(crc32c(bytes));
      }),
    );
  });

  test('takes a word like its four bytes', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), (word, seed) => {
        const bytes = new Uint8Array(4);
        new DataView(bytes.buffer).setUint32(0, word, true);
        expect(crc32cOfWord(word, seed)).toBe(crc32c(bytes, seed));
        expect(crc32cOfWord(word | 0, seed)).toBe(crc32c(bytes, seed));
      }),
    );
  });
});
