/** Recovery of a pool from its medium: headers, then descriptors in bulk; damage is set aside and costs nothing else. */
import { BedrockError } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { HEADER_BYTES, HEADERS_BYTES } from './extent.js';
import { type Finding, findingsOf } from './findings.js';
import { chooseHeader, type HeaderChoice } from './header-choice.js';
import type { PoolMedium } from './medium.js';
import { type QuarantinedSlot, Recovery } from './recovery.js';
import { RegionPool } from './region-pool.js';
import { readDescriptors, readHeaderPages } from './scan.js';

export interface RecoverOptions {
  /** Most that the pool may grow to. */
  maxBytes: number;
  /** Nothing is written. */
  isReadOnly: boolean;
  logger?: Logger;
}

export interface RecoveredPool {
  pool: RegionPool;
  regions: number;
  bytes: number;
  quarantined: readonly QuarantinedSlot[];
  /** What is wrong with the pool. */
  findings: Iterable<Finding>;
}

/** @throws POOL_CORRUPT, NOT_SUPPORTED (a pool of newer software), what the medium throws */
export async function recoverPool(
  medium: PoolMedium,
  { maxBytes, isReadOnly, logger }: RecoverOptions,
): Promise<RecoveredPool> {
  const choice = chooseHeader(...(await readHeaderPages(medium)));
  const { header } = choice;
  if (!isReadOnly) await mendHeaders(medium, choice);
  const recovery = new Recovery(header, medium.size);
  for await (const { firstSlot, slots, bytes } of readDescriptors(medium, header)) {
    if (bytes === undefined) recovery.unreadable(firstSlot, slots);
    else recovery.feed(firstSlot, bytes);
  }
  const result = recovery.finish();
  const { regions, bytes, quarantined, free, isHeaderOld } = result;
  // Until repair ends that: growing could place a new region where one lies that an older header does not reach, and would bring back as
  // zeros what a file that was cut off has lost.
  const isLarger = medium.size < header.capacity || quarantined.some(({ reason }) => reason === 'outside');
  const mayGrow = !isReadOnly && !isLarger;
  const pool = new RegionPool({
    medium,
    header: isHeaderOld ? { ...header, freshFrom: header.capacity } : header,
    table: recovery.table,
    free,
    maxBytes: mayGrow ? maxBytes : header.capacity,
    logger,
  });
  if (!isReadOnly) {
    await pool.makeRecoveredDurable();
    // Before the last region that tells so can be erased: a crash then would have the next open take its bytes for zeros.
    if (isHeaderOld) await pool.storeHeader();
  }
  const findings = findingsOf({ choice, recovery: result, fileBytes: medium.size });
  return { pool, regions, bytes, quarantined, findings };
}

/** Both copies are to be whole before either is changed; and what was read is durable before anything builds on it. */
async function mendHeaders(medium: PoolMedium, { bytes, rewrite, writable }: HeaderChoice): Promise<void> {
  if (!writable) {
    throw new BedrockError('NOT_SUPPORTED', 'this version can only read the pool; open it with read_only');
  }
  // A file that was cut off within the headers has nothing to serve, and is not made longer.
  if (rewrite === undefined || medium.size < HEADERS_BYTES) return;
  await medium.persist([{ offset: 0, size: HEADERS_BYTES }]);
  await medium.writeDurably(rewrite * HEADER_BYTES, bytes);
}
