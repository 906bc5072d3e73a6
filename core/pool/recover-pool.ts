/** Recovery of a pool from its medium: headers, then descriptors in bulk; damage is set aside and costs nothing else. */
import { BedrockError } from '../errors.js';
import type { Eventually } from '../target/lifecycle.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { HEADER_BYTES } from './extent.js';
import { chooseHeader, type HeaderChoice } from './header-choice.js';
import { encodeHeader } from './header.js';
import type { PoolMedium } from './medium.js';
import { Recovery, type QuarantinedSlot } from './recovery.js';
import { RegionPool } from './region-pool.js';

/** Descriptors that are read at once, and, where that fails, one by one page. */
const PIECE_SLOTS = 2 ** 14;
const PAGE_SLOTS = 4096 / DESCRIPTOR_BYTES;

export interface RecoverOptions {
  /** Most that the pool may grow to. */
  maxBytes: number;
  /** Nothing is written. */
  isReadOnly: boolean;
}

export interface RecoveredPool {
  pool: RegionPool;
  regions: number;
  bytes: number;
  quarantined: readonly QuarantinedSlot[];
  /** What is wrong with one of the header copies, if anything. */
  headerDamage: string | undefined;
}

/** @throws POOL_CORRUPT, NOT_SUPPORTED (a pool of newer software), what the medium throws */
export async function recoverPool(
  medium: PoolMedium,
  { maxBytes, isReadOnly }: RecoverOptions,
): Promise<RecoveredPool> {
  const choice = chooseHeader(await readHeader(medium, 0), await readHeader(medium, HEADER_BYTES));
  const { header } = choice;
  if (!isReadOnly) await mendHeaders(medium, choice);
  const recovery = new Recovery(header, medium.size);
  const buffer = new Uint8Array(PIECE_SLOTS * DESCRIPTOR_BYTES);
  for (const { offset, firstSlot, count } of header.chunks) {
    for (let index = 0; index < count; index += PIECE_SLOTS) {
      const slots = Math.min(PIECE_SLOTS, count - index);
      await feed(recovery, medium, {
        offset: offset + index * DESCRIPTOR_BYTES,
        firstSlot: firstSlot + index,
        slots,
        buffer,
      });
    }
  }
  const { regions, bytes, quarantined, free } = recovery.finish();
  const pool = new RegionPool({
    medium,
    header,
    table: recovery.table,
    free,
    maxBytes: isReadOnly ? header.capacity : maxBytes,
  });
  if (!isReadOnly) await pool.makeRecoveredDurable();
  return { pool, regions, bytes, quarantined, headerDamage: choice.damage };
}

/** One copy, or what the medium still has of it. */
async function readHeader(medium: PoolMedium, offset: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(Math.max(0, Math.min(HEADER_BYTES, medium.size - offset)));
  try {
    await readCarefully(medium, offset, bytes);
    return bytes;
  } catch {
    return undefined;
  }
}

function readCarefully(medium: PoolMedium, offset: number, into: Uint8Array): Eventually<void> {
  return medium.readCarefully?.(offset, into) ?? medium.read(offset, into);
}

/** Both copies are to be whole before either is changed; and what was read is durable before anything builds on it. */
async function mendHeaders(medium: PoolMedium, { header, rewrite, writable }: HeaderChoice): Promise<void> {
  if (!writable) {
    throw new BedrockError('NOT_SUPPORTED', 'this version can only read the pool; open it with read_only');
  }
  if (rewrite === undefined) return;
  await medium.persist([{ offset: 0, size: 2 * HEADER_BYTES }]);
  await medium.writeDurably(rewrite * HEADER_BYTES, encodeHeader(header));
}

interface Piece {
  offset: number;
  firstSlot: number;
  slots: number;
  /** Room for them; used again for the next piece. */
  buffer: Uint8Array;
}

/** What cannot be read as a whole is read page by page, so that one bad page costs its own slots only. */
async function feed(
  recovery: Recovery,
  medium: PoolMedium,
  { offset, firstSlot, slots, buffer }: Piece,
): Promise<void> {
  const bytes = buffer.subarray(0, slots * DESCRIPTOR_BYTES);
  try {
    await readCarefully(medium, offset, bytes);
  } catch {
    if (slots <= PAGE_SLOTS) {
      recovery.unreadable(firstSlot, slots);
      return;
    }
    for (let index = 0; index < slots; index += PAGE_SLOTS) {
      await feed(recovery, medium, {
        offset: offset + index * DESCRIPTOR_BYTES,
        firstSlot: firstSlot + index,
        slots: Math.min(PAGE_SLOTS, slots - index),
        buffer,
      });
    }
    return;
  }
  recovery.feed(firstSlot, bytes);
}
