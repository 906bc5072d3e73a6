/** CRC32C, against the vectors of RFC 3720 (B.4) and a plain bit-by-bit computation. */
import { describe, expect, it } from '@jest/globals';
import { crc32c } from '../../native/index.js';

function bitByBit(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

const ramp = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7 + (i >> 3)) % 256);

describe('crc32c', () => {
  it.each([
    { what: '32 zeros', bytes: new Uint8Array(32), crc: 0x8a9136aa },
    { what: '32 ones', bytes: new Uint8Array(32).fill(255), crc: 0x62a8ab43 },
    { what: 'ascending bytes', bytes: Uint8Array.from({ length: 32 }, (_, i) => i), crc: 0x46dd794e },
    { what: 'descending bytes', bytes: Uint8Array.from({ length: 32 }, (_, i) => 31 - i), crc: 0x113fdb5c },
    { what: '123456789', bytes: Buffer.from('123456789'), crc: 0xe3069283 },
    { what: 'nothing', bytes: new Uint8Array(0), crc: 0 },
  ])('of $what is as published', ({ bytes, crc }) => {
    expect(crc32c(bytes)).toBe(crc);
  });

  it('holds at every length and alignment', () => {
    for (let start = 0; start < 9; start++) {
      for (const length of [1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 700]) {
        const bytes = ramp.subarray(start, start + length);
        expect(crc32c(bytes)).toBe(bitByBit(bytes));
      }
    }
  });

  it('goes on from the checksum of the bytes before', () => {
    for (const at of [0, 1, 8, 500, 1000]) {
      expect(crc32c(ramp.subarray(at), crc32c(ramp.subarray(0, at)))).toBe(crc32c(ramp));
    }
  });
});
