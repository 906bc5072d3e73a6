/**
 * Reads what a pool's truth consists of: both header copies, then every descriptor chunk in large pieces. What cannot be read as a
 * whole is read page by page, so that one bad page costs its own slots only. Recovery and `bedrock pool check` read by it alike.
 */
import type { Eventually } from '../target/lifecycle.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { HEADER_BYTES } from './extent.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';

/** Descriptors that are read at once, and, where that fails, one by one page. */
const PIECE_SLOTS = 2 ** 14;
const PAGE_SLOTS = 4096 / DESCRIPTOR_BYTES;

/** What is asked of a medium to look at a pool. */
export type ReadableMedium = Pick<PoolMedium, 'size' | 'read' | 'readCarefully'>;

/** The bytes of pages 0 and 1, as many as there are; undefined if a page cannot be read. */
export type HeaderPages = readonly [Uint8Array | undefined, Uint8Array | undefined];

/** Descriptors of slots that follow each other. */
export interface DescriptorPiece {
  /** Of the first descriptor in the pool. */
  readonly offset: number;
  readonly firstSlot: number;
  readonly slots: number;
  /** Undefined if they cannot be read. */
  readonly bytes: Uint8Array | undefined;
}

export async function readHeaderPages(medium: ReadableMedium): Promise<HeaderPages> {
  return [await readHeaderPage(medium, 0), await readHeaderPage(medium, HEADER_BYTES)];
}

async function readHeaderPage(medium: ReadableMedium, offset: number): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(Math.max(0, Math.min(HEADER_BYTES, medium.size - offset)));
  try {
    await readCarefully(medium, offset, bytes);
    return bytes;
  } catch {
    return undefined;
  }
}

/** Every slot of the header's chunks once, in order. */
export async function* readDescriptors(
  medium: ReadableMedium,
  { chunks }: PoolHeader,
): AsyncGenerator<DescriptorPiece> {
  for (const { offset, firstSlot, count } of chunks) {
    for (let index = 0; index < count; index += PIECE_SLOTS) {
      const place = offset + index * DESCRIPTOR_BYTES;
      yield* readPiece(medium, place, firstSlot + index, Math.min(PIECE_SLOTS, count - index));
    }
  }
}

async function* readPiece(
  medium: ReadableMedium,
  offset: number,
  firstSlot: number,
  slots: number,
): AsyncGenerator<DescriptorPiece> {
  const bytes = new Uint8Array(slots * DESCRIPTOR_BYTES);
  let isRead = true;
  try {
    await readCarefully(medium, offset, bytes);
  } catch {
    isRead = false;
  }
  if (isRead || slots <= PAGE_SLOTS) {
    yield { offset, firstSlot, slots, bytes: isRead ? bytes : undefined };
    return;
  }
  for (let index = 0; index < slots; index += PAGE_SLOTS) {
    const place = offset + index * DESCRIPTOR_BYTES;
    yield* readPiece(medium, place, firstSlot + index, Math.min(PAGE_SLOTS, slots - index));
  }
}

function readCarefully(medium: ReadableMedium, offset: number, into: Uint8Array): Eventually<void> {
  return medium.readCarefully?.(offset, into) ?? medium.read(offset, into);
}
