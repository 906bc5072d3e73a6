/**
 * A record of the journal: the stores of a change in several places of the pool. All of them are
 * made or none, even after a crash.
 *
 * A journal area:
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 8 | done: the sequence of the last void record of this area; 0 in a new area |
 * | 8 | 56 | zeros |
 * | 64 | 4 | CRC32C of pool id (8), and of the record from its byte 4 to its end |
 * | 68 | 4 | count of entries |
 * | 72 | 8 | sequence of the record: one more than that of the previous record; 1 for the first in new areas |
 * | 80 | 8 | length of the record from offset 64 on, bytes |
 * | 88 | | entries |
 *
 * An entry is offset (8) and length (4) of bytes in the pool, 4 zeros, then those bytes, and zeros
 * up to a multiple of 8. An entry of length 0 has no meaning, whatever its offset. All numbers are
 * little-endian.
 *
 * The record with sequence s is in area s mod 2. Write order of a change:
 * 1. the record; barrier. This commits the change. Before that, the record is torn or the area has
 *    its old one, and nothing has happened.
 * 2. the bytes of its entries into their places; barrier. A crash before the barrier leaves the
 *    record, which is then applied again completely.
 * 3. done = s in its area; barrier. From here on, others may change the same places: the record is
 *    void, and never applied again.
 *
 * The first change after an open begins with done = its sequence in its area, and a barrier. It
 * continues with the next sequence, since the area may hold a torn record with that sequence, which
 * words of another record could complete.
 *
 * A record counts only if it is complete and its sequence is one more than the higher done of the
 * two areas. Void records, records of earlier areas, and torn records have another sequence or
 * another checksum.
 */
import type { PoolId } from './extent.js';
import {
  ENTRY_HEAD_BYTES,
  getUint64,
  isComplete,
  padded,
  RECORD_HEAD_BYTES,
  recordChecksum,
  type RecordEntry,
  setUint64,
} from './record-parts.js';

/** Offset of the record in its area. */
export const RECORD_AT = 64;

/** Bytes of a record with these entries. */
export function recordLength(entries: readonly RecordEntry[]): number {
  let length = RECORD_HEAD_BYTES;
  for (const { bytes } of entries) length += ENTRY_HEAD_BYTES + padded(bytes.length);
  return length;
}

/** Writes the record to the start of `into`, which must be large enough. @returns its length */
export function encodeRecord(
  into: Buffer,
  entries: readonly RecordEntry[],
  sequence: number,
  pool: PoolId,
): number {
  let at = RECORD_HEAD_BYTES;
  for (const { offset, bytes } of entries) {
    setUint64(into, at, offset);
    into.writeUInt32LE(bytes.length, at + 8);
    into.writeUInt32LE(0, at + 12);
    at += ENTRY_HEAD_BYTES;
    into.set(bytes, at);
    into.fill(0, at + bytes.length, (at += padded(bytes.length)));
  }
  into.writeUInt32LE(entries.length, 4);
  setUint64(into, 8, sequence);
  setUint64(into, 16, at);
  into.writeUInt32LE(recordChecksum(into, at, pool), 0);
  return at;
}

/**
 * @param record all its bytes, as many as its head says
 * @returns nothing if it is not complete
 */
export function decodeRecord(record: Buffer, pool: PoolId): RecordEntry[] | undefined {
  if (!isComplete(record, pool)) return undefined;
  const { length } = record;
  const entries: RecordEntry[] = [];
  let at = RECORD_HEAD_BYTES;
  for (let left = record.readUInt32LE(4); left > 0; left--) {
    if (at + ENTRY_HEAD_BYTES > length) return undefined;
    const size = record.readUInt32LE(at + 8);
    const from = at + ENTRY_HEAD_BYTES;
    if (from + padded(size) > length) return undefined;
    entries.push({ offset: getUint64(record, at), bytes: record.subarray(from, from + size) });
    at = from + padded(size);
  }
  return at === length ? entries : undefined;
}
