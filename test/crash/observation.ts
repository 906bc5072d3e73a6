/** What a user of a recovered pool can see of it: every region with its bytes, IDs that should be dead, how much space is used. */
import { RegionId, type Target } from '../../core/index.js';
import { chunkLength } from '../../core/pool/chunk-directory.js';
import { HEADER_BYTES, alignUp, firstExtentOffset } from '../../core/pool/extent.js';
import { chooseHeader } from '../../core/pool/header-choice.js';

export interface SeenRegion {
  readonly id: string;
  readonly size: number;
  readonly createdAt: number;
  readonly bytes: Uint8Array;
}

export interface Observation {
  readonly regions: readonly SeenRegion[];
  /** Of the IDs that were asked for, those that name something. */
  readonly found: readonly string[];
  readonly quarantined: number;
  readonly usedBytes: number;
  /** What headers, chunks and the regions seen take. */
  readonly accountedBytes: number;
}

/**
 * @param pool   the bytes that the target lies on
 * @param stale  IDs of regions that are gone
 */
export async function observe(
  target: Target,
  pool: Uint8Array,
  stale: Iterable<string>,
): Promise<Observation> {
  const { regions: listed } = await target.list();
  const regions: SeenRegion[] = [];
  for (const { id, size, createdAt } of listed) {
    const bytes = await target.read(id, 0, size);
    regions.push({ id: id.toString(), size, createdAt, bytes });
  }
  const found: string[] = [];
  for (const id of stale) if (await isThere(target, id)) found.push(id);
  const { usedBytes, recovery } = await target.stats();
  const accountedBytes = accounted(pool, regions);
  return { regions, found, quarantined: recovery.quarantined, usedBytes, accountedBytes };
}

async function isThere(target: Target, id: string): Promise<boolean> {
  try {
    await target.stat(RegionId.parse(id));
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'REGION_NOT_FOUND') return false;
    throw error;
  }
}

function accounted(pool: Uint8Array, regions: readonly SeenRegion[]): number {
  const [copy0, copy1] = [pool.subarray(0, HEADER_BYTES), pool.subarray(HEADER_BYTES, 2 * HEADER_BYTES)];
  const { alignment, chunks } = chooseHeader(copy0, copy1).header;
  let sum = firstExtentOffset(alignment);
  for (const { count } of chunks) sum += chunkLength(count, alignment);
  for (const { size } of regions) sum += alignUp(size, alignment);
  return sum;
}
