/**
 * Everything that can be known of a pool without changing it: both header copies, and what recovery
 * makes of the descriptors. It uses recovery itself, so that a check always says the same as an
 * open.
 */
import { BedrockError } from '../base/errors.js';
import { NameIndex } from '../targets/name-index.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { DESCRIPTOR_BYTES } from './descriptor.js';
import { chooseHeader, type HeaderChoice, type HeaderCopy } from './header-choice.js';
import { type DecodedHeader, decodeHeader, hasNames } from './header.js';
import { type JournalState, readJournal } from './journal-replay.js';
import { type LogState, readLog } from './log-replay.js';
import { type RecoveredNames, recoverNames } from './name-recovery.js';
import { PatchedReads } from './patched-medium.js';
import { Recovery, type RecoveryResult } from './recovery.js';
import { type HeaderPages, type ReadableMedium, readDescriptors, readHeaderPages } from './scan.js';

export interface Inspection {
  readonly fileBytes: number;
  readonly pages: HeaderPages;
  /** What each page says; undefined if it cannot be read. */
  readonly copies: readonly [DecodedHeader | undefined, DecodedHeader | undefined];
  readonly headers: UsableHeaders | UnusableHeaders;
}

/** One of the headers counts, so the descriptors were read. */
export interface UsableHeaders {
  readonly choice: HeaderChoice;
  readonly recovery: RecoveryResult;
  /** The slots. Regions that were replaced count as free, as they do after the next open. */
  readonly table: SlotTable;
  readonly names: RecoveredNames;
  /**
   * Absent without a journal. If a change is pending in it, everything else is as if the change
   * were already made.
   */
  readonly journal: JournalState | undefined;
  /** Absent without a log. Everything else is as if its records were already stored. */
  readonly log: LogState | undefined;
  /**
   * Offset of the first byte that is not zero although the pool has stored nothing there, or that
   * is beyond its capacity; undefined if there is none.
   */
  readonly excess: number | undefined;
  /** Live regions whose descriptor uses its reserved bytes. */
  readonly reservedInUse: number;
}

/** No header counts: both are damaged, or they contradict each other. */
export interface UnusableHeaders {
  readonly refusal: BedrockError;
}

/** A medium that may report what is beyond the capacity. */
export interface InspectedMedium extends ReadableMedium {
  firstNonZero?(offset: number): Promise<number | undefined>;
}

export interface InspectOptions {
  /** The copy that counts if they contradict each other. */
  readonly prefer?: HeaderCopy | undefined;
  /** Called with the bytes read so far, and the total. */
  readonly onRead?: (bytes: number, total: number) => void;
}

/**
 * @throws POOL_CORRUPT if the file is not a pool, NOT_SUPPORTED, INVALID_ARGUMENT (`prefer`), what the
 *   medium throws
 */
export async function inspectPool(
  given: InspectedMedium,
  { prefer, onRead }: InspectOptions = {},
): Promise<Inspection> {
  const pages = await readHeaderPages(given);
  const copies = [decode(pages[0]), decode(pages[1])] as const;
  const facts = { fileBytes: given.size, pages, copies };
  const chosen = choose(pages, prefer);
  if (chosen instanceof BedrockError) return { ...facts, headers: { refusal: chosen } };
  const { header } = chosen;
  const total = header.chunks.reduce((sum, { count }) => sum + count, 0) * DESCRIPTOR_BYTES;
  const log = header.log && (await readLog(given, header, header.log));
  const logged = log === undefined || log.records === 0 ? given : new PatchedReads(given, log.pending);
  const journal = header.journal && (await readJournal(logged, header, header.journal));
  const medium = journal?.pending === undefined ? logged : new PatchedReads(logged, journal.pending);
  const recovery = new Recovery(header, medium.size);
  const reservedFrom = hasNames(header) ? 54 : 32;
  const { table } = recovery;
  let reservedInUse = 0;
  for await (const { firstSlot, slots, bytes } of readDescriptors(medium, header)) {
    if (bytes === undefined) recovery.unreadable(firstSlot, slots);
    else {
      recovery.feed(firstSlot, bytes);
      for (let index = 0; index < slots; index++)
        if (
          hasReserved(bytes, index * DESCRIPTOR_BYTES, reservedFrom) &&
          table.state(firstSlot + index) === SlotState.live
        )
          reservedInUse++;
    }
    onRead?.(slots * DESCRIPTOR_BYTES, total);
  }
  const found = recovery.finish();
  const names = await recoverNames(medium, found.names, table, new NameIndex());
  for (const slot of names.replaced) {
    table.setErasing(slot);
    table.setFree(slot, table.generation(slot));
  }
  // If the headers are older than the regions, they do not know how far the pool was written.
  const excess = await given.firstNonZero?.(found.isHeaderOld ? header.capacity : header.freshFrom);
  return {
    ...facts,
    headers: { choice: chosen, recovery: found, table, names, journal, log, excess, reservedInUse },
  };
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

function hasReserved(bytes: Uint8Array, at: number, from: number): boolean {
  for (let index = at + from; index < at + DESCRIPTOR_BYTES; index++) if (bytes[index] !== 0) return true;
  return false;
}
