/**
 * Reads the log of a pool (log-record.ts) when the pool is opened, and stores what its records
 * hold. Recovery does this before it trusts anything else but the headers. A read-only pool is
 * shown as if it were done.
 *
 * | step of the replay | if the power fails there |
 * |---|---|
 * | 1. barrier over the log: what was read may be in a cache only | the records are there, or the last one never was |
 * | 2. the stores of all records, in order; barrier | the records are there, and are stored again |
 * | 3. done = the sequence after the last record; barrier | as after step 2, or everything is done |
 *
 * The record after the last one may be there in part. Its sequence is used up in step 3, so no
 * other record can be taken for it.
 */
import { BedrockError } from '../base/errors.js';
import { HEADERS_BYTES } from './extent.js';
import type { LogArea, PoolHeader } from './header.js';
import { decodeLogRecord, LOG_BLOCK_BYTES } from './log-record.js';
import type { PoolMedium } from './medium.js';
import { decodeRecordHead, RECORD_HEAD_BYTES, type RecordEntry } from './record-parts.js';
import { readCarefully, type ReadableMedium } from './scan.js';

const WORD_BYTES = 8;
/** No pool stores so many records, at a million a second for a century. */
const MAX_SEQUENCE = 2 ** 52;

export interface LogState {
  /** The sequence of the last record that is void. */
  readonly done: number;
  /** How many records are not void. */
  readonly records: number;
  /** Their stores, in order. */
  readonly pending: readonly RecordEntry[];
}

/** Where the word `done` is: the first multiple of a block in the extent. */
export function doneOffset({ offset }: LogArea): number {
  return Math.ceil(offset / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES;
}

/** Bytes of each half. */
export function halfOf(area: LogArea): number {
  const bytes = area.offset + area.length - doneOffset(area);
  return Math.floor((bytes - LOG_BLOCK_BYTES) / 2 / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES;
}

/** Offset of a half in the pool. */
export function offsetOfHalf(area: LogArea, half: number): number {
  return doneOffset(area) + LOG_BLOCK_BYTES + half * halfOf(area);
}

/**
 * Reads the log of a pool that has one.
 * @throws what the medium throws; POOL_CORRUPT for a record that no pool writes
 */
export async function readLog(medium: ReadableMedium, header: PoolHeader, area: LogArea): Promise<LogState> {
  // A truncated file may end before the log. Then nobody knows what it held.
  if (area.offset + area.length > medium.size) return { done: 0, records: 0, pending: [] };
  const word = Buffer.alloc(WORD_BYTES);
  await readCarefully(medium, doneOffset(area), word);
  const done = Number(word.readBigUInt64LE(0));
  // Further on, the next sequence would be the same number.
  if (done > MAX_SEQUENCE)
    throw new BedrockError(
      'POOL_CORRUPT',
      `the log of the pool says that ${done} records are void, which no pool has stored; take the pool from a backup`,
    );
  const found = new Map<number, RecordEntry[]>();
  for (const half of [0, 1]) await readHalf(medium, header, area, half, found);
  const pending: RecordEntry[] = [];
  let sequence = done + 1;
  for (let entries = found.get(sequence); entries !== undefined; entries = found.get(++sequence))
    pending.push(...entries);
  for (const { offset, bytes } of pending) {
    if (offset >= HEADERS_BYTES && offset + bytes.length <= header.capacity) continue;
    throw new BedrockError(
      'POOL_CORRUPT',
      `the log of the pool has a change of ${bytes.length} bytes at ${offset}, where no pool makes one; take the pool from a backup`,
    );
  }
  return { done, records: sequence - done - 1, pending };
}

/** Adds the records of a half, which follow each other from its start. */
async function readHalf(
  medium: ReadableMedium,
  header: PoolHeader,
  area: LogArea,
  half: number,
  found: Map<number, RecordEntry[]>,
): Promise<void> {
  const start = offsetOfHalf(area, half);
  const bytes = halfOf(area);
  const head = Buffer.alloc(RECORD_HEAD_BYTES);
  let expected = -1;
  for (let at = 0; at < bytes;) {
    await readCarefully(medium, start + at, head);
    const { sequence, length } = decodeRecordHead(head);
    const follows = expected < 0 ? sequence > 0 : sequence === expected;
    if (!follows || length < RECORD_HEAD_BYTES || length > bytes - at) return;
    const record = Buffer.alloc(length);
    await readCarefully(medium, start + at, record);
    const entries = decodeLogRecord(record, header);
    if (entries === undefined) return;
    found.set(sequence, entries);
    expected = sequence + 1;
    at += Math.ceil(length / LOG_BLOCK_BYTES) * LOG_BLOCK_BYTES;
  }
}

/** The parts of a PoolMedium that a replay needs. */
export type LogReplayMedium = Pick<PoolMedium, 'size' | 'persist' | 'stage' | 'barrier' | 'publishWord'>;

/** Stores what the records hold. @returns the new `done` */
export async function replayLog(
  medium: LogReplayMedium,
  area: LogArea,
  { done, records, pending }: LogState,
): Promise<number> {
  await medium.persist([{ offset: area.offset, size: area.length }]);
  // In order, as later ones may be over earlier ones. What is beyond the end of the file is skipped:
  // the regions there are lost too.
  for (const { offset, bytes } of pending)
    if (offset < medium.size) await medium.stage(offset, bytes.subarray(0, medium.size - offset));
  await medium.barrier();
  const used = done + records + 1;
  await medium.publishWord(doneOffset(area), BigInt(used));
  return used;
}
