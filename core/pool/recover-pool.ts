/**
 * Recovery of a pool from its medium: headers, then the change in the journal, then descriptors in
 * bulk, then names. Damage is set aside, and costs nothing else.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { NameIndex } from '../targets/name-index.js';
import { SlotState, type SlotTable } from '../targets/slot-table.js';
import { HEADER_BYTES, HEADERS_BYTES } from './extent.js';
import { type Finding, findingsOf } from './findings.js';
import { chooseHeader, type HeaderChoice } from './header-choice.js';
import { readLog, replayLog } from './log-replay.js';
import { LoggedMedium, type LogSettings } from './logged-medium.js';
import type { PoolHeader } from './header.js';
import { readJournal, replayJournal } from './journal-replay.js';
import type { PoolMedium } from './medium.js';
import { NamePlaces } from './name-places.js';
import { recoverNames } from './name-recovery.js';
import { isBehind, type NamedSlots } from './named-slots.js';
import { PatchedMedium } from './patched-medium.js';
import type { Eventually } from '../targets/lifecycle.js';
import type { QuarantinedSlots } from './quarantine.js';
import { isOutOfSpace } from './read-back.js';
import { Recovery } from './recovery.js';
import { RegionPool } from './region-pool.js';
import { readDescriptors, readHeaderPages } from './scan.js';

export interface RecoverOptions {
  /** The most bytes that the pool may grow to. */
  maxBytes: number;
  /** Whether nothing may be written. */
  isReadOnly: boolean;
  log?: LogSettings | undefined;
  logger?: Logger | undefined;
}

export interface RecoveredPool {
  pool: RegionPool;
  /** The medium; for a read-only pool, a view of it with the journal's pending change made. */
  medium: PoolMedium;
  /** Which slot has which name. */
  names: NameIndex;
  regions: number;
  bytes: number;
  quarantined: QuarantinedSlots;
  /** What is wrong with the pool. */
  findings: Iterable<Finding>;
}

/** @throws POOL_CORRUPT, NOT_SUPPORTED (a pool of newer software), what the medium throws */
export async function recoverPool(
  given: PoolMedium,
  { maxBytes, isReadOnly, log: logSettings, logger }: RecoverOptions,
): Promise<RecoveredPool> {
  const choice = chooseHeader(...(await readHeaderPages(given)));
  const { header } = choice;
  const behind = isReadOnly ? undefined : await mendHeaders(given, choice, logger);
  const logged = await completeLog(given, header, { isReadOnly, log: logSettings, logger });
  const { medium, journalDone } = await completeJournal(logged, header, isReadOnly, logger);
  const recovery = new Recovery(header, medium.size);
  for await (const { firstSlot, slots, bytes } of readDescriptors(medium, header)) {
    if (bytes === undefined) recovery.unreadable(firstSlot, slots);
    else recovery.feed(firstSlot, bytes);
  }
  const result = recovery.finish();
  const { regions, bytes, quarantined, free, isHeaderOld, names } = result;
  const { table } = recovery;
  const index = new NameIndex();
  const recoveredNames = await recoverNames(medium, names, table, index);
  const { replaced } = recoveredNames;
  const replacedBytes = replaced.reduce((sum, slot) => sum + table.size(slot), 0);
  // Until repair ends that. Growing could place a new region where an older header does not reach
  // and another region is. It would also bring back as zeros what a truncated file has lost.
  const isLarger = medium.size < header.capacity || quarantined.has('outside');
  const mayGrow = !isReadOnly && !isLarger;
  const pool = new RegionPool({
    medium,
    header: isHeaderOld ? { ...header, freshFrom: header.capacity } : header,
    table,
    free,
    maxBytes: mayGrow ? maxBytes : header.capacity,
    behind,
    logger,
    places: placesOf(names, table),
    journalDone,
    logged: medium instanceof LoggedMedium ? medium : undefined,
    log: logSettings,
  });
  if (isReadOnly) {
    for (const slot of replaced) {
      table.setErasing(slot);
      table.setFree(slot, table.generation(slot));
    }
  } else {
    await whereThereIsRoom(pool.makeRecoveredDurable());
    // Stored before the last region that proves this can be erased: otherwise, after a crash, the
    // next open would take its bytes for zeros.
    if (isHeaderOld) await pool.storeHeader();
    // Not earlier: their successors might be in a cache only.
    await pool.endReplaced(replaced);
  }
  const findings = findingsOf({
    choice,
    recovery: result,
    names: recoveredNames,
    table,
    fileBytes: medium.size,
  });
  return {
    pool,
    medium,
    names: index,
    regions: regions - replaced.length,
    bytes: bytes - replacedBytes,
    quarantined,
    findings,
  };
}

/**
 * Stores what the log holds, on the medium or in a read-only view.
 * @returns the medium that the pool has from now on: one that can have a log gets what keeps it
 */
async function completeLog(
  medium: PoolMedium,
  header: PoolHeader,
  { isReadOnly, log, logger }: Omit<RecoverOptions, 'maxBytes'>,
): Promise<PoolMedium> {
  const canHaveLog = !isReadOnly && medium.writeThrough !== undefined;
  const logged = canHaveLog ? new LoggedMedium(medium, log) : undefined;
  const area = header.log;
  if (area === undefined) return logged ?? medium;
  const state = await readLog(medium, header, area);
  const isPending = state.records > 0;
  if (isReadOnly) return isPending ? new PatchedMedium(medium, state.pending) : medium;
  if (isPending)
    logger?.info(`${state.records} records of the log are stored in their places, as after a crash`);
  const done = isPending ? await replayLog(medium, area, state) : state.done;
  // Without the end of the file there is no log to write to.
  if (area.offset + area.length <= medium.size) logged?.use(area, header, done, !isPending);
  return logged ?? medium;
}

/** Completes a committed change, on the medium or in a read-only view. */
async function completeJournal(
  medium: PoolMedium,
  header: PoolHeader,
  isReadOnly: boolean,
  logger: Logger | undefined,
): Promise<{ medium: PoolMedium; journalDone: number }> {
  if (header.journal === undefined) return { medium, journalDone: 0 };
  const state = await readJournal(medium, header, header.journal);
  if (state.pending === undefined) return { medium, journalDone: state.done };
  if (isReadOnly) return { medium: new PatchedMedium(medium, state.pending), journalDone: state.done };
  logger?.info(`a change of ${state.pending.length} parts that was committed is completed, as after a crash`);
  return { medium, journalDone: await replayJournal(medium, header.journal, state) };
}

/** Where the names of live regions are, including damaged names. */
function placesOf(names: NamedSlots, table: SlotTable): NamePlaces {
  const places = new NamePlaces(names.highestOrder);
  for (let index = 0; index < names.length; index++) {
    const slot = names.slotAt(index);
    if (table.state(slot) !== SlotState.live) continue;
    const offset = names.offsetAt(index);
    const isApart = !isBehind(table.offset(slot), table.size(slot), offset);
    places.set(slot, names.lengthAt(index), isApart ? offset : undefined);
  }
  return places;
}

/**
 * Makes both copies valid before either is changed, and what was read durable before anything
 * builds on it. If there is no room for the invalid copy, it waits for the next change, which
 * stores it before it touches the other copy.
 * @returns the header that copy 1 still lacks
 */
async function mendHeaders(
  medium: PoolMedium,
  { bytes, rewrite, writable }: HeaderChoice,
  logger: Logger | undefined,
): Promise<Uint8Array | undefined> {
  if (!writable) {
    throw new BedrockError('NOT_SUPPORTED', 'this version can only read the pool; open it with read_only');
  }
  // A file that was truncated within the headers has nothing to serve, and is not extended.
  if (rewrite === undefined || medium.size < HEADERS_BYTES) return undefined;
  await whereThereIsRoom(medium.persist([{ offset: 0, size: HEADERS_BYTES }]));
  try {
    await medium.writeDurably(rewrite * HEADER_BYTES, bytes);
    return undefined;
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
    logger?.warning(
      `copy ${rewrite} of the pool's header cannot be made whole now, so the pool neither grows nor gets slots: ${messageOf(error)}`,
    );
    // The next change stores copy 0 first anyway.
    return rewrite === 1 ? bytes : undefined;
  }
}

/**
 * For a barrier that only has to make durable what was read. Without room, the medium has dropped
 * the rest.
 */
async function whereThereIsRoom(durable: Eventually<void>): Promise<void> {
  try {
    await durable;
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
  }
}
