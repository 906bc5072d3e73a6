/**
 * What records of the journal (journal-record.ts) and of the log (log-record.ts) have in common: the
 * head, the checksum, and how numbers are stored. Both hold stores in several places of the pool.
 */
import { crc32c, crc32cOfWord } from './crc32c.js';
import type { PoolId } from './extent.js';

/** Bytes of the head: checksum (4), count of entries (4), sequence (8), length (8). */
export const RECORD_HEAD_BYTES = 24;

/** Bytes of an entry before its own. */
export const ENTRY_HEAD_BYTES = 16;

/** Bytes that a record stores in one place. */
export interface RecordEntry {
  /** Counted from the start of the pool. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The head of a record. It does not tell whether the record is complete. */
export interface RecordHead {
  readonly sequence: number;
  /** Bytes, including the head. */
  readonly length: number;
}

/** @param head `RECORD_HEAD_BYTES` bytes */
export function decodeRecordHead(head: Buffer): RecordHead {
  return { sequence: getUint64(head, 8), length: getUint64(head, 16) };
}

/** Whether a record is complete. @param record all its bytes */
export function isComplete(record: Buffer, pool: PoolId): boolean {
  const { length } = record;
  if (length < RECORD_HEAD_BYTES || length !== decodeRecordHead(record).length) return false;
  return record.readUInt32LE(0) === recordChecksum(record, length, pool);
}

/** Of the pool's ID, and of a record from its byte 4 to its end. */
export function recordChecksum(record: Uint8Array, length: number, { poolLow, poolHigh }: PoolId): number {
  return crc32c(record, crc32cOfWord(poolHigh, crc32cOfWord(poolLow)), 4, length);
}

/** Bytes of an entry are followed by zeros up to this length, a multiple of 8. */
export function padded(length: number): number {
  return Math.ceil(length / 8) * 8;
}

export function setUint64(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value >>> 0, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

/** Values beyond the safe integers become a number that is beyond them too. */
export function getUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
