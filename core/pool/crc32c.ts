/**
 * CRC32C (Castagnoli), the checksum of everything that the pool trusts. RFC 3720, appendix B.4, has
 * test vectors.
 *
 * It is in plain JavaScript, since core does not import native/: eight bytes a step with eight
 * tables (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based
 * CRC Generators", 2005). A checksum can continue an earlier one: crc32c(b, crc32c(a)) is the
 * checksum of a followed by b.
 */

/** The polynomial 0x1EDC6F41, with its bits reversed. */
const POLYNOMIAL = 0x82f6_3b78;

/** Eight tables of 256 words: table k holds the remainder of each byte followed by k zero bytes. */
const TABLES = makeTables();
const [T0, T1, T2, T3, T4, T5, T6, T7] = Array.from({ length: 8 }, (_, table) =>
  TABLES.subarray(256 * table, 256 * (table + 1)),
) as [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array];

/**
 * @param seed checksum of the bytes before
 * @param start first byte
 * @param end the byte after the last; at most the length of the array
 * @returns an unsigned 32-bit integer
 */
export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): number {
  let crc = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc =
      (T7[(crc ^ (bytes[at] as number)) & 255] as number) ^
      (T6[((crc >>> 8) ^ (bytes[at + 1] as number)) & 255] as number) ^
      (T5[((crc >>> 16) ^ (bytes[at + 2] as number)) & 255] as number) ^
      (T4[(crc >>> 24) ^ (bytes[at + 3] as number)] as number) ^
      (T3[bytes[at + 4] as number] as number) ^
      (T2[bytes[at + 5] as number] as number) ^
      (T1[bytes[at + 6] as number] as number) ^
      (T0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (T0[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * The checksum of one little-endian word, without an array for it.
 * @param seed checksum of the bytes before
 */
export function crc32cOfWord(word: number, seed = 0): number {
  const low = ~seed ^ word;
  const crc =
    (T3[low & 255] as number) ^
    (T2[(low >>> 8) & 255] as number) ^
    (T1[(low >>> 16) & 255] as number) ^
    (T0[low >>> 24] as number);
  return ~crc >>> 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let index = 256; index < tables.length; index++) {
    const before = tables[index - 256] as number;
    tables[index] = (tables[before & 255] as number) ^ (before >>> 8);
  }
  return tables;
}
