/**
 * Reads everything that defines a pool: both header copies, then every descriptor chunk in large
 * pieces. A piece that cannot be read as a whole is read page by page, so that one bad page costs
 * only its own slots. Recovery and `bedrock pool check` both use it.
 */
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { alignDown, HEADER_BYTES } from './extent.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';

/** The size of a read, and of the smaller reads after it has failed. */
const SCAN_PIECE_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;

/** The operations of a medium that are needed to inspect a pool. */
export type ReadableMedium = Pick<PoolMedium, 'size' | 'read' | 'readCarefully'>;

/** The bytes of pages 0 and 1, as many as there are; undefined if a page cannot be read. */
export type HeaderPages = readonly [Uint8Array | undefined, Uint8Array | undefined];

/** Descriptors of successive slots. */
export interface DescriptorPiece {
  /** Offset of the first descriptor in the pool. */
  readonly offset: number;
  readonly firstSlot: number;
  readonly slots: number;
  /** Undefined if they cannot be read. Valid until the next piece is requested. */
  readonly bytes: Uint8Array | undefined;
}

export async function readHeaderPages(medium: ReadableMedium): Promise<HeaderPages> {
  return [await readHeaderPage(medium, 0), await readHeaderPage(medium, HEADER_BYTES)];
}

function readHeaderPage(medium: ReadableMedium, offset: number): Promise<Uint8Array | undefined> {
  return tryRead(medium, offset, new Uint8Array(Math.max(0, Math.min(HEADER_BYTES, medium.size - offset))));
}

/** Yields every slot of the header's chunks once, in order. */
export async function* readDescriptors(
  medium: ReadableMedium,
  { chunks }: PoolHeader,
): AsyncGenerator<DescriptorPiece> {
  const longest = Math.max(0, ...chunks.map(({ count }) => count * DESCRIPTOR_BYTES));
  const buffer = new Uint8Array(Math.min(SCAN_PIECE_BYTES, longest));
  for (const { offset, firstSlot, count } of chunks)
    for (const part of partsOf({ offset, firstSlot, slots: count }, SCAN_PIECE_BYTES))
      yield* readPart(medium, part, buffer);
}

type Part = Omit<DescriptorPiece, 'bytes'>;

async function* readPart(
  medium: ReadableMedium,
  part: Part,
  buffer: Uint8Array,
): AsyncGenerator<DescriptorPiece> {
  const bytes = await readSlots(medium, part, buffer);
  if (bytes !== undefined) yield { ...part, bytes };
  else for (const page of partsOf(part, PAGE_BYTES)) yield* readPage(medium, page, buffer);
}

/** In the last page of the medium, the bytes that exist count. */
async function* readPage(
  medium: ReadableMedium,
  page: Part,
  buffer: Uint8Array,
): AsyncGenerator<DescriptorPiece> {
  const { offset, firstSlot, slots } = page;
  const slotsThere = Math.floor((medium.size - offset) / DESCRIPTOR_BYTES);
  if (slotsThere <= 0 || slotsThere >= slots) {
    yield { ...page, bytes: await readSlots(medium, page, buffer) };
    return;
  }
  const there = { offset, firstSlot, slots: slotsThere };
  yield { ...there, bytes: await readSlots(medium, there, buffer) };
  yield {
    offset: offset + slotsThere * DESCRIPTOR_BYTES,
    firstSlot: firstSlot + slotsThere,
    slots: slots - slotsThere,
    bytes: undefined,
  };
}

/** Splits a part at multiples of `unit` on the medium. */
function* partsOf({ offset, firstSlot, slots }: Part, unit: number): Generator<Part> {
  const end = offset + slots * DESCRIPTOR_BYTES;
  for (let at = offset; at < end;) {
    const next = Math.min(end, alignDown(at, unit) + unit);
    yield {
      offset: at,
      firstSlot: firstSlot + (at - offset) / DESCRIPTOR_BYTES,
      slots: (next - at) / DESCRIPTOR_BYTES,
    };
    at = next;
  }
}

function readSlots(
  medium: ReadableMedium,
  { offset, slots }: Part,
  buffer: Uint8Array,
): Promise<Uint8Array | undefined> {
  return tryRead(medium, offset, buffer.subarray(0, slots * DESCRIPTOR_BYTES));
}

/** @returns the bytes, filled; undefined if they cannot be read */
async function tryRead(
  medium: ReadableMedium,
  offset: number,
  bytes: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    await readCarefully(medium, offset, bytes);
    return bytes;
  } catch {
    return undefined;
  }
}

/** Reads in the way that survives what the medium has lost, where it has one of its own. */
export async function readCarefully(
  medium: Pick<PoolMedium, 'read' | 'readCarefully'>,
  offset: number,
  into: Uint8Array,
): Promise<void> {
  await (medium.readCarefully?.(offset, into) ?? medium.read(offset, into));
}
