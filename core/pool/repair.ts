/**
 * Repair of a pool, and its undoing, step by step on any medium. Nobody else has the pool open.
 *
 * | repair | if it is interrupted there |
 * |---|---|
 * | 1. the backup, durable | the pool is as it was |
 * | 2. the header that counts over the other copy, barrier | one copy is valid and says what it said |
 * | 3. the header marked, copy by copy, a barrier after each | it is marked and nothing is lost, or it is not |
 * | 4. the file as long as the capacity; retired descriptors; barrier | the pool is marked, so nobody opens it; the next repair undoes this one, and starts again |
 * | 5. the header without the mark, copy by copy, a barrier after each | it is marked as before, or repaired |
 *
 * Without the mark, a crash within step 4 could leave one of two overlapping regions. It would look
 * valid and be served, though it may be the wrong one.
 *
 * | undoing | if it is interrupted there |
 * |---|---|
 * | 1. the header marked, unless it is | it is repaired, or marked |
 * | 2. the old descriptors, the old length, barrier | it is marked; undoing it once more completes it |
 * | 3. the header that counted into both copies, a barrier after each | it is marked, or as it was |
 * | 4. the old bytes of the copy that did not count, barrier | as it was: that copy may be anything |
 */
import { BedrockError, invalid } from '../base/errors.js';
import type { Eventually } from '../targets/lifecycle.js';
import { HEADER_BYTES } from './extent.js';
import { chooseHeader, type HeaderChoice, type HeaderCopy } from './header-choice.js';
import { encodeHeader, isBeingRepaired } from './header.js';
import { poolIdText } from './pool-info.js';
import {
  markedHeader,
  noLongerReadable,
  PoolFingerprint,
  type RepairPlan,
  rewrittenRuns,
  unmarkedHeader,
} from './repair-plan.js';
import { type HeaderPages, type ReadableMedium, readDescriptors, readHeaderPages } from './scan.js';

/** The operations that a repair needs of the medium. */
export interface RepairMedium extends ReadableMedium {
  write(offset: number, bytes: Uint8Array): Eventually<void>;
  /** Makes everything that was written before durable. */
  barrier(): Eventually<void>;
  /** Extends the file with zeros to a size. */
  extend(size: number): Eventually<void>;
  /** Truncates the file to a size. */
  truncate(size: number): Eventually<void>;
}

/** The old state of what a repair is about to change. */
export interface RepairRecord {
  /** 16 hexadecimal digits. */
  readonly poolId: string;
  /** The sequence of the header that counted, and which copy it was. */
  readonly sequence: number;
  readonly copy: HeaderCopy;
  /** Bytes of the file. */
  readonly fileBytes: number;
  /** Identifies the repaired pool. */
  readonly fingerprint: string;
  /** Header pages 0 and 1, then the descriptors. */
  readonly ranges: AsyncIterable<OldRange> | Iterable<OldRange>;
}

export interface OldRange {
  readonly offset: number;
  /** Null if they could not be read: then there is nothing to restore. */
  readonly bytes: Uint8Array | null;
}

/**
 * The ranges that a plan rewrites, with their present bytes.
 * @param pages both header pages, as they were when the pool was inspected
 * @throws POOL_CORRUPT if something that was readable then is not now: a backup without it could
 *   not be undone
 */
export async function* oldRanges(
  medium: ReadableMedium,
  plan: RepairPlan,
  pages: HeaderPages,
): AsyncGenerator<OldRange> {
  for (const [copy, bytes] of pages.entries()) yield { offset: copy * HEADER_BYTES, bytes: bytes ?? null };
  for (const run of rewrittenRuns(plan)) {
    const bytes = new Uint8Array(Math.max(0, Math.min(run.bytes.length, medium.size - run.offset)));
    try {
      await medium.read(run.offset, bytes);
      yield { offset: run.offset, bytes };
    } catch {
      if (run.wasReadable) throw noLongerReadable(run.offset);
      yield { offset: run.offset, bytes: null };
    }
  }
}

/** Steps 2 to 5; the backup is durable. */
export async function carryOut(medium: RepairMedium, plan: RepairPlan): Promise<void> {
  const { choice } = plan;
  if (choice.rewrite !== undefined) {
    await medium.barrier();
    await writePage(medium, choice.rewrite, choice.bytes);
  }
  await writeBothPages(medium, plan.marked);
  if (medium.size < plan.fileBytes) await medium.extend(plan.fileBytes);
  for (const { offset, bytes } of rewrittenRuns(plan)) await medium.write(offset, bytes);
  await medium.barrier();
  await writeBothPages(medium, plan.after);
}

/**
 * Undoes a repair.
 * @param prefer the copy of the header that counts if they contradict each other
 * @throws INVALID_ARGUMENT if the record is not of this pool, or the pool was changed since;
 *   POOL_CORRUPT if nobody can tell
 */
export async function undo(medium: RepairMedium, record: RepairRecord, prefer?: HeaderCopy): Promise<void> {
  const current = await choosePage(medium, prefer);
  await checkUndoable(medium, current, record);
  if (!isBeingRepaired(current.header))
    await writeBothPages(medium, encodeHeader(markedHeader(current.header, 1)));
  const oldPages: (Uint8Array | null)[] = [];
  for await (const { offset, bytes } of record.ranges) {
    if (offset < 2 * HEADER_BYTES) oldPages[offset / HEADER_BYTES] = bytes;
    else if (bytes !== null) await medium.write(offset, bytes);
  }
  if (medium.size > record.fileBytes) await medium.truncate(record.fileBytes);
  await medium.barrier();
  const { copy } = record;
  const other = copy === 0 ? 1 : 0;
  // A backup may lack it if the version that made it read it once more.
  const good =
    oldPages[copy] ?? encodeHeader({ ...unmarkedHeader(current.header), sequence: record.sequence });
  await writePage(medium, other, good);
  await writePage(medium, copy, good);
  const bad = oldPages[other];
  if (bad !== null && bad !== undefined) await writePage(medium, other, bad);
  // The file may have been extended to the end of the page.
  if (medium.size > record.fileBytes) await medium.truncate(record.fileBytes);
  await medium.barrier();
}

async function choosePage(medium: RepairMedium, prefer: HeaderCopy | undefined): Promise<HeaderChoice> {
  return chooseHeader(...(await readHeaderPages(medium)), { isForRepair: true, prefer });
}

async function checkUndoable(
  medium: RepairMedium,
  current: HeaderChoice,
  record: RepairRecord,
): Promise<void> {
  const { header } = current;
  const id = poolIdText(header);
  if (id !== record.poolId)
    throw invalid(`the backup is of the pool ${record.poolId}, and this is the pool ${id}`);
  const steps = header.sequence - record.sequence;
  if (isBeingRepaired(header) && (steps === 1 || steps === 3)) return;
  if (steps === 2 && (await fingerprintOf(medium, current)) === record.fingerprint) return;
  throw invalid(
    steps <= 0
      ? 'the repair of this backup is already undone, or was never begun'
      : 'regions were created or erased in the pool since that repair, and undoing it could cost some of them',
  );
}

async function fingerprintOf(medium: RepairMedium, { bytes: page, header }: HeaderChoice): Promise<string> {
  const fingerprint = new PoolFingerprint(page);
  for await (const { offset, bytes } of readDescriptors(medium, header)) {
    if (bytes === undefined)
      throw new BedrockError(
        'POOL_CORRUPT',
        `the descriptors at ${offset} cannot be read, so it is unknown whether the pool was changed since that repair; check its medium`,
        { details: { offset } },
      );
    fingerprint.add(bytes);
  }
  return fingerprint.toString();
}

async function writeBothPages(medium: RepairMedium, bytes: Uint8Array): Promise<void> {
  await writePage(medium, 0, bytes);
  await writePage(medium, 1, bytes);
}

async function writePage(medium: RepairMedium, copy: HeaderCopy, bytes: Uint8Array): Promise<void> {
  await medium.write(copy * HEADER_BYTES, bytes);
  await medium.barrier();
}
