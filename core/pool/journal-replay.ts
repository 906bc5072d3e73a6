/**
 * Completes a change that the journal (journal-record.ts) has committed and that was not completed.
 * Recovery does this before it trusts anything else. A read-only pool is shown as if it were done.
 *
 * | step of the replay | if the power fails there |
 * |---|---|
 * | 1. barrier over the areas: what was read may be in a cache only | the record is there, or never was |
 * | 2. the bytes of the entries into their places; barrier | the record is there, and is applied again |
 * | 3. done = its sequence; barrier | as after step 2, or everything is done |
 */
import { BedrockError } from '../base/errors.js';
import type { JournalAreas, PoolHeader } from './header.js';
import { HEADERS_BYTES } from './extent.js';
import { decodeRecord, RECORD_AT } from './journal-record.js';
import type { PoolMedium } from './medium.js';
import { decodeRecordHead, RECORD_HEAD_BYTES, type RecordEntry } from './record-parts.js';
import { readCarefully, type ReadableMedium } from './scan.js';

export interface JournalState {
  /** The higher done of the two areas. */
  readonly done: number;
  /** The record that was committed and is not void; absent if there is none. */
  readonly pending?: readonly RecordEntry[];
}

/**
 * Reads the journal of a pool that has one.
 * @throws what the medium throws; POOL_CORRUPT for a record that no pool writes
 */
export async function readJournal(
  medium: ReadableMedium,
  header: PoolHeader,
  { offsets, length }: JournalAreas,
): Promise<JournalState> {
  // A truncated file may end before an area. Then nobody knows what the area held.
  if (offsets.some((offset) => offset + length > medium.size)) return { done: 0 };
  const heads: Buffer[] = [];
  for (const offset of offsets) {
    const head = Buffer.alloc(RECORD_AT + RECORD_HEAD_BYTES);
    await readCarefully(medium, offset, head);
    heads.push(head);
  }
  const dones = heads.map((head) => Number(head.readBigUInt64LE(0)));
  const done = Math.max(...dones);
  const area = (done + 1) % 2;
  const head = decodeRecordHead((heads[area] as Buffer).subarray(RECORD_AT));
  const isExpected = head.sequence === done + 1 && head.length >= RECORD_HEAD_BYTES;
  if (!isExpected || head.length > length - RECORD_AT) return { done };
  const record = Buffer.alloc(head.length);
  await readCarefully(medium, (offsets[area] as number) + RECORD_AT, record);
  const entries = decodeRecord(record, header);
  if (entries === undefined) return { done };
  // Entries without bytes change nothing, wherever they are: earlier versions wrote some at 0, for
  // regions of 0 bytes.
  const pending = entries.filter(({ bytes }) => bytes.length > 0);
  for (const { offset, bytes } of pending) {
    if (offset >= HEADERS_BYTES && offset + bytes.length <= header.capacity) continue;
    throw new BedrockError(
      'POOL_CORRUPT',
      `the journal of the pool has a change of ${bytes.length} bytes at ${offset}, where no pool makes one; take the pool from a backup`,
    );
  }
  return { done, pending };
}

/** The parts of a PoolMedium that a replay needs. */
export type ReplayMedium = Pick<PoolMedium, 'size' | 'persist' | 'stage' | 'barrier' | 'publishWord'>;

/** Completes a change. @returns the new `done` */
export async function replayJournal(
  medium: ReplayMedium,
  { offsets, length }: JournalAreas,
  { done, pending = [] }: JournalState,
): Promise<number> {
  const sequence = done + 1;
  await medium.persist(offsets.map((offset) => ({ offset, size: length })));
  // Entries beyond the end of the file are skipped: the regions there are lost too.
  for (const { offset, bytes } of pending)
    if (offset < medium.size) await medium.stage(offset, bytes.subarray(0, medium.size - offset));
  await medium.barrier();
  await medium.publishWord(offsets[sequence % 2] as number, BigInt(sequence));
  return sequence;
}

/** Changes bytes of the pool as its pending change would. */
export function patch(offset: number, into: Uint8Array, entries: readonly RecordEntry[]): void {
  for (const { offset: at, bytes } of entries) {
    const from = Math.max(offset, at);
    const to = Math.min(offset + into.length, at + bytes.length);
    if (from < to) into.set(bytes.subarray(from - at, to - at), from - offset);
  }
}
