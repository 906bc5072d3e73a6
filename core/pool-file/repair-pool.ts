/**
 * Repair of a pool's file: inspects it, backs up what will be rewritten, rewrites it. An
 * interrupted repair is first undone from its backup.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import { chooseHeader, type HeaderCopy } from '../pool/header-choice.js';
import { isBeingRepaired } from '../pool/header.js';
import type { Inspection, UsableHeaders } from '../pool/inspection.js';
import { replayJournal, type ReplayMedium } from '../pool/journal-replay.js';
import { replayLog } from '../pool/log-replay.js';
import { poolIdText } from '../pool/pool-info.js';
import { fingerprintAfter, planRepair } from '../pool/repair-plan.js';
import { carryOut, oldRanges, type RepairRecord, undo } from '../pool/repair.js';
import { type HeaderPages, readDescriptors, readHeaderPages } from '../pool/scan.js';
import type { OfflinePool } from './offline-pool.js';
import { backupPath, findBackup, readBackup, writeBackup } from './repair-backup.js';

/**
 * Undoes an interrupted repair, or an interrupted undo.
 * @param prefer which copy of the header is valid if they contradict each other
 * @returns the backup that was used; undefined if there was nothing to undo
 * @throws POOL_CORRUPT if there is something to undo, but no backup beside the pool
 */
export async function undoBrokenOff(pool: OfflinePool, prefer?: HeaderCopy): Promise<string | undefined> {
  const sequence = await markedSequence(pool, prefer);
  if (sequence === undefined) return undefined;
  for (const before of [sequence - 1, sequence - 3]) {
    const file = backupPath(pool.path, before);
    const record = await findBackup(file, pool.path);
    if (record?.sequence !== before) continue;
    await undo(pool, record, prefer);
    return file;
  }
  throw new BedrockError(
    'POOL_CORRUPT',
    `a repair of ${pool.path} was interrupted, and its backup ${backupPath(pool.path, sequence - 1)} is not there; ` +
      'give the backup by --undo, then repair again',
  );
}

async function markedSequence(
  pool: OfflinePool,
  prefer: HeaderCopy | undefined,
): Promise<number | undefined> {
  const pages = await readHeaderPages(pool);
  try {
    const { header } = chooseHeader(...pages, { isForRepair: true, prefer });
    return isBeingRepaired(header) ? header.sequence : undefined;
  } catch {
    // No header is valid; the inspection of the pool reports that in full.
    return undefined;
  }
}

/**
 * Repairs what was inspected. If that fails half-way, it is undone.
 * @returns the backup
 * @throws POOL_CORRUPT if no header is valid; errors of the system
 */
export async function repairPool(pool: OfflinePool, { headers, pages }: Inspection): Promise<string> {
  if ('refusal' in headers) throw headers.refusal;
  await completeLog(pool, headers);
  await completeChange(pool, headers);
  const plan = planRepair(headers);
  const { header, copy } = headers.choice;
  const file = backupPath(pool.path, header.sequence);
  const record: RepairRecord = {
    poolId: poolIdText(header),
    sequence: header.sequence,
    copy,
    fileBytes: pool.size,
    fingerprint: await fingerprintAfter(plan, readDescriptors(pool, header)),
    ranges: { [Symbol.asyncIterator]: () => oldRanges(pool, plan, pages) },
  };
  await writeBackup(file, record);
  try {
    await carryOut(pool, plan);
  } catch (cause) {
    const outcome = await undoFailed(pool, file, pages);
    throw new BedrockError(
      cause instanceof BedrockError ? cause.code : 'INTERNAL',
      `${pool.path} could not be repaired: ${messageOf(cause)}; ${outcome}`,
      { cause },
    );
  }
  return file;
}

/** What the log holds was committed too, before what the journal holds. */
async function completeLog(pool: OfflinePool, { choice, log }: UsableHeaders): Promise<void> {
  if (log === undefined || log.records === 0 || choice.header.log === undefined) return;
  await replayLog(replayed(pool), choice.header.log, log);
}

/** What the journal holds was committed, and is not damage: any open would complete it. */
async function completeChange(pool: OfflinePool, { choice, journal }: UsableHeaders): Promise<void> {
  if (journal?.pending === undefined || choice.header.journal === undefined) return;
  await replayJournal(replayed(pool), choice.header.journal, journal);
}

function replayed(pool: OfflinePool): ReplayMedium {
  return {
    size: pool.size,
    persist: () => pool.barrier(),
    stage: (offset, bytes) => pool.write(offset, bytes),
    barrier: () => pool.barrier(),
    publishWord: async (offset, word) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(word);
      await pool.write(offset, bytes);
      await pool.barrier();
    },
  };
}

async function undoFailed(pool: OfflinePool, file: string, before: HeaderPages): Promise<string> {
  try {
    if ((await undoBrokenOff(pool)) !== undefined) return 'what it had changed is undone';
    const now = await readHeaderPages(pool);
    if (before.every((page, copy) => samePage(page, now[copy]))) return 'nothing was changed';
    return 'no region was changed, and only the header copy that does not count';
  } catch (error) {
    return `nor could it be undone (${messageOf(error)}), so the pool cannot be opened; check its medium, then run the repair again, or --undo ${file}`;
  }
}

function samePage(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : Buffer.compare(one, other) === 0;
}

/**
 * @param prefer which copy of the header is valid if they contradict each other
 * @throws INVALID_ARGUMENT if the file is not a backup of this pool's last repair, or the pool was
 *   changed since; POOL_CORRUPT if that is unknown
 */
export async function undoRepair(pool: OfflinePool, file: string, prefer?: HeaderCopy): Promise<void> {
  await undo(pool, await readBackup(file), prefer);
}
