/**
 * Everything that can be known of a pool without changing it: both header copies, and what recovery makes of the descriptors. It is
 * recovery that looks, so that a check never says anything else than an open would.
 */
import { BedrockError } from '../base/errors.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { chooseHeader, type HeaderChoice, type HeaderCopy } from './header-choice.js';
import { type DecodedHeader, decodeHeader } from './header.js';
import { Recovery, type RecoveryResult } from './recovery.js';
import { type HeaderPages, type ReadableMedium, readDescriptors, readHeaderPages } from './scan.js';

export interface Inspection {
  readonly fileBytes: number;
  readonly pages: HeaderPages;
  /** What each page says; undefined if it cannot be read. */
  readonly copies: readonly [DecodedHeader | undefined, DecodedHeader | undefined];
  readonly headers: UsableHeaders | UnusableHeaders;
}

/** A header counts, so the descriptors were read. */
export interface UsableHeaders {
  readonly choice: HeaderChoice;
  readonly recovery: RecoveryResult;
  readonly table: SlotTable;
  /** Where the first byte stands that is not zero though the pool has stored nothing there, or behind its capacity, if there is one. */
  readonly excess: number | undefined;
  /** Live regions whose descriptor has something in its reserved bytes. */
  readonly reservedInUse: number;
}

/** None counts: both are damaged, or they contradict each other. */
export interface UnusableHeaders {
  readonly refusal: BedrockError;
}

/** A medium that may tell what stands behind the capacity. */
export interface InspectedMedium extends ReadableMedium {
  firstNonZero?(offset: number): Promise<number | undefined>;
}

export interface InspectOptions {
  /** Which copy counts if they contradict each other. */
  readonly prefer?: HeaderCopy | undefined;
  /** Hears of bytes that were read, and of all that there are. */
  readonly onRead?: (bytes: number, total: number) => void;
}

/** @throws POOL_CORRUPT if the file is no pool, NOT_SUPPORTED, INVALID_ARGUMENT (`prefer`), what the medium throws */
export async function inspectPool(
  medium: InspectedMedium,
  { prefer, onRead }: InspectOptions = {},
): Promise<Inspection> {
  const pages = await readHeaderPages(medium);
  const copies = [decode(pages[0]), decode(pages[1])] as const;
  const facts = { fileBytes: medium.size, pages, copies };
  const chosen = choose(pages, prefer);
  if (chosen instanceof BedrockError) return { ...facts, headers: { refusal: chosen } };
  const { header } = chosen;
  const total = header.chunks.reduce((sum, { count }) => sum + count, 0) * DESCRIPTOR_BYTES;
  const recovery = new Recovery(header, medium.size);
  const { table } = recovery;
  let reservedInUse = 0;
  for await (const { firstSlot, slots, bytes } of readDescriptors(medium, header)) {
    if (bytes === undefined) recovery.unreadable(firstSlot, slots);
    else {
      recovery.feed(firstSlot, bytes);
      for (let index = 0; index < slots; index++)
        if (hasReserved(bytes, index * DESCRIPTOR_BYTES) && table.state(firstSlot + index) === SlotState.live)
          reservedInUse++;
    }
    onRead?.(slots * DESCRIPTOR_BYTES, total);
  }
  const found = recovery.finish();
  // Headers that are older than the regions do not know how far the pool had come.
  const excess = await medium.firstNonZero?.(found.isHeaderOld ? header.capacity : header.freshFrom);
  return { ...facts, headers: { choice: chosen, recovery: found, table, excess, reservedInUse } };
}

function choose(pages: HeaderPages, prefer: HeaderCopy | undefined): HeaderChoice | BedrockError {
  try {
    return chooseHeader(...pages, { prefer, isForRepair: true });
  } catch (error) {
    const isHeld =
      error instanceof BedrockError && error.code === 'POOL_CORRUPT' && error.details.absent !== true;
    if (isHeld) return error;
    throw error;
  }
}

function decode(page: Uint8Array | undefined): DecodedHeader | undefined {
  return page === undefined ? undefined : decodeHeader(page);
}

function hasReserved(bytes: Uint8Array, at: number): boolean {
  for (let index = at + 32; index < at + DESCRIPTOR_BYTES; index++) if (bytes[index] !== 0) return true;
  return false;
}
