/**
 * Repair of a pool's file: looks at it, keeps a backup of what is about to be rewritten, rewrites it. A repair that was broken off is
 * undone first, by its backup.
 */
import { BedrockError, messageOf } from '../errors.js';
import { chooseHeader } from '../pool/header-choice.js';
import { isBeingRepaired } from '../pool/header.js';
import type { Inspection } from '../pool/inspection.js';
import { poolIdText } from '../pool/pool-info.js';
import { fingerprintAfter, planRepair } from '../pool/repair-plan.js';
import { carryOut, oldRanges, undo, type RepairRecord } from '../pool/repair.js';
import { readDescriptors, readHeaderPages } from '../pool/scan.js';
import type { OfflinePool } from './offline-pool.js';
import { backupPath, findBackup, readBackup, writeBackup } from './repair-backup.js';

/**
 * Undoes what a repair, or an undoing, has left half done.
 * @returns the backup that was used; undefined if there was nothing to undo
 * @throws POOL_CORRUPT if there is something, and no backup beside the pool
 */
export async function undoBrokenOff(pool: OfflinePool): Promise<string | undefined> {
  const sequence = await markedSequence(pool);
  if (sequence === undefined) return undefined;
  for (const before of [sequence - 1, sequence - 3]) {
    const file = backupPath(pool.path, before);
    const record = await findBackup(file);
    if (record?.sequence !== before) continue;
    await undo(pool, record);
    return file;
  }
  throw new BedrockError(
    'POOL_CORRUPT',
    `a repair of ${pool.path} was broken off, and its backup ${backupPath(pool.path, sequence - 1)} is not there; ` +
      'give the backup by --undo, then repair anew',
  );
}

async function markedSequence(pool: OfflinePool): Promise<number | undefined> {
  const pages = await readHeaderPages(pool);
  try {
    const { header } = chooseHeader(...pages, { isForRepair: true });
    return isBeingRepaired(header) ? header.sequence : undefined;
  } catch {
    // No header counts, as whoever inspects the pool will say in full.
    return undefined;
  }
}

/**
 * Repairs what was inspected. If that fails half way, it is undone.
 * @returns the backup
 * @throws POOL_CORRUPT if no header counts; what the system says
 */
export async function repairPool(pool: OfflinePool, { headers }: Inspection): Promise<string> {
  if ('refusal' in headers) throw headers.refusal;
  const plan = planRepair(headers);
  const { header, copy } = headers.choice;
  const file = backupPath(pool.path, header.sequence);
  const record: RepairRecord = {
    poolId: poolIdText(header),
    sequence: header.sequence,
    copy,
    fileBytes: pool.size,
    fingerprint: await fingerprintAfter(plan, readDescriptors(pool, header)),
    ranges: oldRanges(pool, plan),
  };
  await writeBackup(file, record);
  try {
    await carryOut(pool, plan);
  } catch (cause) {
    const outcome = await undoFailed(pool, file);
    throw new BedrockError(
      cause instanceof BedrockError ? cause.code : 'INTERNAL',
      `${pool.path} could not be repaired: ${messageOf(cause)}; ${outcome}`,
      { cause },
    );
  }
  return file;
}

async function undoFailed(pool: OfflinePool, file: string): Promise<string> {
  try {
    if ((await undoBrokenOff(pool)) !== undefined) return 'what was done of it is undone';
    return 'nothing was changed';
  } catch (error) {
    return `nor could it be undone (${messageOf(error)}), so nobody can open the pool; see to its medium, then run the repair again, or --undo ${file}`;
  }
}

/** @throws INVALID_ARGUMENT if the file is no backup of this pool's last repair, or the pool was changed since */
export async function undoRepair(pool: OfflinePool, file: string): Promise<void> {
  await undo(pool, await readBackup(file));
}
