/**
 * The log of a pool: small stores of many changes, one record after another. A record is durable
 * by one flush of its own bytes alone. The stores in their places become durable later, for many
 * records together, at a checkpoint.
 *
 * The extent of the log, from its first multiple of 4096 on:
 *
 * | offset | size | meaning |
 * |---|---|---|
 * | 0 | 8 | done: the sequence of the last void record; 0 in a new log |
 * | 8 | 4088 | zeros |
 * | 4096 | half | records, each at a multiple of 4096 |
 * | 4096 + half | half | the same |
 *
 * A record begins like that of the journal (journal-record.ts): checksum (4), count of entries (4),
 * sequence (8), length in bytes (8), entries. Zeros follow up to a multiple of 4096, so a durable
 * record is never written again. An entry is offset (8) and length (4) of bytes in the pool, kind (4),
 * and for kind 0 those bytes, with zeros up to a multiple of 8. Kind 1 stands for so many zeros.
 *
 * The sequence goes up by 1 from record to record. The records of a half follow each other from its
 * start; when one does not fit, it begins the other half. Write order:
 * 1. the record, durable. This commits its stores, all of them or none.
 * 2. its stores, in their places, without a barrier. They are visible from now on.
 * 3. at a checkpoint: barrier; then done = the last record that was stored in place before it.
 * Only after step 3 may a half be written again.
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

/** Records begin at multiples of this many bytes, and so does all that they contain. */
export const LOG_BLOCK_BYTES = 4096;

const BYTES = 0;
const ZEROS = 1;

/** A record that is being filled. */
export class LogRecord {
  #buffer: Buffer;
  #end = RECORD_HEAD_BYTES;
  #count = 0;
  /** The last entry: where it begins in the buffer, where its bytes end there and in the pool. */
  #lastAt = -1;
  #lastEnd = -1;
  /** Where bytes are, in triples: offset in the pool, offset in the buffer or -1 for zeros, length. */
  readonly #places: number[] = [];

  /** @param bytes that it has room for at first */
  constructor(bytes: number = LOG_BLOCK_BYTES) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Of the record so far. */
  get bytes(): number {
    return this.#end;
  }

  /** The same with the zeros at its end. */
  get paddedBytes(): number {
    return Math.ceil(this.#end / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES;
  }

  /** Adds a copy of bytes. What continues the last entry becomes a part of it. */
  add(offset: number, bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    this.#makeRoom(ENTRY_HEAD_BYTES + length + 16);
    const buffer = this.#buffer;
    const places = this.#places;
    const last = places.length - 3;
    if (this.#lastAt >= 0 && (places[last] as number) + (places[last + 2] as number) === offset) {
      const total = (places[last + 2] as number) + length;
      buffer.set(bytes, this.#lastEnd);
      places[last + 2] = total;
      buffer.writeUInt32LE(total, this.#lastAt + 8);
      this.#lastEnd += length;
    } else {
      const at = this.#head(offset, length, BYTES);
      buffer.set(bytes, at);
      places.push(offset, at, length);
      this.#lastEnd = at + length;
    }
    this.#end = padded(this.#lastEnd);
    buffer.fill(0, this.#lastEnd, this.#end);
  }

  /** Adds zeros, which take no room. */
  addZeros(offset: number, length: number): void {
    if (length === 0) return;
    this.#makeRoom(ENTRY_HEAD_BYTES);
    this.#end = this.#head(offset, length, ZEROS);
    this.#places.push(offset, -1, length);
    this.#lastAt = -1;
  }

  #head(offset: number, length: number, kind: number): number {
    const at = this.#end;
    const buffer = this.#buffer;
    setUint64(buffer, at, offset);
    buffer.writeUInt32LE(length, at + 8);
    buffer.writeUInt32LE(kind, at + 12);
    this.#lastAt = at;
    this.#count++;
    return at + ENTRY_HEAD_BYTES;
  }

  #makeRoom(bytes: number): void {
    // With the zeros at the end.
    const needed = this.#end + bytes + LOG_BLOCK_BYTES;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * needed);
    larger.set(this.#buffer.subarray(0, this.#end));
    this.#buffer = larger;
  }

  /** Completes it. @returns all its bytes, up to a multiple of the block */
  finish(sequence: number, pool: PoolId): Buffer {
    const end = this.#end;
    const padded = this.paddedBytes;
    if (this.#buffer.length < padded) this.#makeRoom(0);
    const buffer = this.#buffer;
    buffer.writeUInt32LE(this.#count, 4);
    setUint64(buffer, 8, sequence);
    setUint64(buffer, 16, end);
    buffer.fill(0, end, padded);
    buffer.writeUInt32LE(recordChecksum(buffer, end, pool), 0);
    return buffer.subarray(0, padded);
  }

  /** Its stores, in order; they refer to the bytes of the record. */
  entries(): RecordEntry[] {
    const entries: RecordEntry[] = [];
    const places = this.#places;
    for (let at = 0; at < places.length; at += 3) {
      const [offset, from, length] = [places[at], places[at + 1], places[at + 2]] as [number, number, number];
      const bytes = from < 0 ? zeros(length) : this.#buffer.subarray(from, from + length);
      entries.push({ offset, bytes });
    }
    return entries;
  }
}

/**
 * @param record all its bytes, as many as its head says
 * @returns nothing if it is not complete
 */
export function decodeLogRecord(record: Buffer, pool: PoolId): RecordEntry[] | undefined {
  if (!isComplete(record, pool)) return undefined;
  const { length } = record;
  const entries: RecordEntry[] = [];
  let at = RECORD_HEAD_BYTES;
  for (let left = record.readUInt32LE(4); left > 0; left--) {
    if (at + ENTRY_HEAD_BYTES > length) return undefined;
    const offset = getUint64(record, at);
    const size = record.readUInt32LE(at + 8);
    const kind = record.readUInt32LE(at + 12);
    at += ENTRY_HEAD_BYTES;
    if (kind === ZEROS) {
      entries.push({ offset, bytes: zeros(size) });
      continue;
    }
    if (kind !== BYTES || at + size > length) return undefined;
    entries.push({ offset, bytes: record.subarray(at, at + size) });
    at += padded(size);
  }
  return at === length ? entries : undefined;
}

let knownZeros = new Uint8Array(LOG_BLOCK_BYTES);

/** Nobody changes them. */
function zeros(length: number): Uint8Array {
  if (length > knownZeros.length) knownZeros = new Uint8Array(length);
  return knownZeros.subarray(0, length);
}
