/**
 * Reads what a pool's truth consists of: both header copies, then every descriptor chunk in large pieces. What cannot be read as a
 * whole is read page by page, so that one bad page costs its own slots only. Recovery and `bedrock pool check` read by it alike.
 */
import type { Eventually } from '../targets/lifecycle.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { alignDown, HEADER_BYTES } from './extent.js';
import type { PoolHeader } from './header.js';
import type { PoolMedium } from './medium.js';

/** What is read at once, and, where that fails, one by one. */
const PIECE_BYTES = 2 ** 20;
const PAGE_BYTES = 4096;

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
  /** Undefined if they cannot be read. Valid until the next piece is asked for. */
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
  const longest = Math.max(0, ...chunks.map(({ count }) => count * DESCRIPTOR_BYTES));
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, longest));
  for (const { offset, firstSlot, count } of chunks)
    for (const part of partsOf({ offset, firstSlot, slots: count }, PIECE_BYTES))
      yield* readPart(medium, part, buffer);
}

type Part = Omit<DescriptorPiece, 'bytes'>;

async function* readPart(
  medium: ReadableMedium,
  part: Part,
  buffer: Uint8Array,
): AsyncGenerator<DescriptorPiece> {
  const bytes = await tryRead(medium, part, buffer);
  if (bytes !== undefined) yield { ...part, bytes };
  else for (const page of partsOf(part, PAGE_BYTES)) yield* readPage(medium, page, buffer);
}

/** Of the page in which the medium ends what is there counts. */
async function* readPage(
  medium: ReadableMedium,
  page: Part,
  buffer: Uint8Array,
): AsyncGenerator<DescriptorPiece> {
  const { offset, firstSlot, slots } = page;
  const slotsThere = Math.floor((medium.size - offset) / DESCRIPTOR_BYTES);
  if (slotsThere <= 0 || slotsThere >= slots) {
    yield { ...page, bytes: await tryRead(medium, page, buffer) };
    return;
  }
  const there = { offset, firstSlot, slots: slotsThere };
  yield { ...there, bytes: await tryRead(medium, there, buffer) };
  yield {
    offset: offset + slotsThere * DESCRIPTOR_BYTES,
    firstSlot: firstSlot + slotsThere,
    slots: slots - slotsThere,
    bytes: undefined,
  };
}

/** Cut where the medium has a multiple of `unit`. */
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

async function tryRead(
  medium: ReadableMedium,
  { offset, slots }: Part,
  buffer: Uint8Array,
): Promise<Uint8Array | undefined> {
  const bytes = buffer.subarray(0, slots * DESCRIPTOR_BYTES);
  try {
    await readCarefully(medium, offset, bytes);
    return bytes;
  } catch {
    return undefined;
  }
}

function readCarefully(medium: ReadableMedium, offset: number, into: Uint8Array): Eventually<void> {
  return medium.readCarefully?.(offset, into) ?? medium.read(offset, into);
}
